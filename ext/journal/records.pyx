"""The journal's records: little-endian structures, followed by the bytes of a message."""

import sys

from libc.string cimport memcpy, memset
from switch.machine.claims cimport CLAIM_STATE_COUNT
from switch.machine.numbering cimport NUMBER_COUNT
from switch.machine.request_record cimport fill_request, pack_digits

if sys.byteorder != "little":
    raise ImportError("the journal's records are little-endian structures; this machine is not")

cdef enum:
    STEP_BYTES_MAX = 10       # 64 bits, 7 a byte
    NS_A_SECOND = 1_000_000_000


# --- writing ------------------------------------------------------------------------------------------------------

cdef void put_head(uint8_t *out, int type, uint64_t size, int64_t wall_us) noexcept nogil:
    cdef RecordHead head
    memset(&head, 0, sizeof(RecordHead))
    head.size = <uint32_t>size
    head.type = <uint8_t>type
    head.wall_us = wall_us
    memcpy(out, &head, sizeof(RecordHead))


cdef int put_record(uint8_t *out, uint64_t room, int type, const void *part, uint64_t part_size,
                    int64_t wall_us) noexcept nogil:
    """Write a record that is a head and one part; its size, or -1 when there is less room."""
    cdef uint64_t size = sizeof(RecordHead) + part_size
    if room < size:
        return -1
    put_head(out, type, size, wall_us)
    memcpy(out + sizeof(RecordHead), part, part_size)
    return <int>size


cdef int write_intent(uint8_t *out, uint64_t room, Registry registry, const Transaction *transaction,
                      const Outcome *outcome, int64_t wall_us) noexcept nogil:
    cdef RequestPart request
    cdef IntentPart part
    cdef uint64_t size = sizeof(RecordHead) + sizeof(RequestPart) + sizeof(IntentPart) + transaction.sent_size
    if size > room or size > RECORD_BYTES_MAX:
        return -1
    put_head(out, RECORD_INTENT, size, wall_us)
    out += sizeof(RecordHead)
    fill_request(&request, registry, outcome)
    memcpy(out, &request, sizeof(RequestPart))
    out += sizeof(RequestPart)
    part.stan = transaction.stan
    part.link = transaction.link
    memcpy(part.rrn, transaction.rrn, sizeof(part.rrn))
    memcpy(part.transmission_time, transaction.transmission_time, sizeof(part.transmission_time))
    part.sent_size = transaction.sent_size
    memcpy(out, &part, sizeof(IntentPart))
    memcpy(out + sizeof(IntentPart), transaction.sent, transaction.sent_size)
    return <int>size


cdef int write_outcome(uint8_t *out, uint64_t room, Registry registry, const Outcome *outcome, int reason,
                       const uint8_t *answer, uint32_t answer_size, const Detail *detail,
                       int64_t wall_us) noexcept nogil:
    cdef RequestPart request
    cdef OutcomePart part
    cdef DetailPart more
    cdef RulePart rule
    cdef bint names_rule = detail != NULL and detail.rule.id_size != 0
    cdef uint32_t words_size = 0
    cdef uint64_t size = sizeof(RecordHead) + sizeof(OutcomePart) + answer_size
    if outcome.approved_minor:
        size += sizeof(int64_t)
    if outcome.intent == 0:
        size += sizeof(RequestPart)
    if detail != NULL:
        size += sizeof(DetailPart)
    if names_rule:
        rule.id_size, rule.reason_size = detail.rule.id_size, detail.rule.reason_size
        rule.source_size = detail.rule.source_size
        words_size = rule_words_size(&rule)
        size += sizeof(RulePart) + words_size
    if size > room or size > RECORD_BYTES_MAX:
        return -1
    put_head(out, RECORD_OUTCOME, size, wall_us)
    out += sizeof(RecordHead)
    memset(&part, 0, sizeof(OutcomePart))
    part.intent = outcome.intent
    part.link = outcome.link
    part.reason = <uint8_t>reason
    part.flags = ((FLAG_APPROVED if outcome.approved else 0) | (FLAG_REVERSED if outcome.reversed else 0)
                  | (FLAG_STAND_IN if outcome.stood_in else 0) | (FLAG_DETAIL if detail != NULL else 0)
                  | (FLAG_RULE if names_rule else 0))
    memcpy(part.rrn, outcome.rrn, sizeof(part.rrn))
    memcpy(part.authorization_code, outcome.authorization_code, sizeof(part.authorization_code))
    part.mismatch = outcome.mismatch
    part.approved_size = sizeof(int64_t) if outcome.approved_minor else 0
    part.answer_size = answer_size
    memcpy(out, &part, sizeof(OutcomePart))
    out += sizeof(OutcomePart)
    if outcome.approved_minor:
        memcpy(out, &outcome.approved_minor, sizeof(int64_t))
        out += sizeof(int64_t)
    if outcome.intent == 0:
        fill_request(&request, registry, outcome)
        memcpy(out, &request, sizeof(RequestPart))
        out += sizeof(RequestPart)
    if detail != NULL:
        memcpy(more.code, detail.code, sizeof(more.code))
        more.fault = <uint8_t>detail.fault.code
        more.of_link = detail.of_link
        more.field = <int16_t>detail.fault.field
        more.position = detail.fault.position
        more.needed = detail.fault.needed
        more.available = detail.fault.available
        memcpy(out, &more, sizeof(DetailPart))
        out += sizeof(DetailPart)
    if names_rule:
        memcpy(out, &rule, sizeof(RulePart))
        memcpy(out + sizeof(RulePart), detail.rule.text, words_size)
        out += sizeof(RulePart) + words_size
    if answer_size:
        memcpy(out, answer, answer_size)
    return <int>size


cdef int write_reversal(uint8_t *out, uint64_t room, const SafEntry *reversal, int64_t wall_us) noexcept nogil:
    cdef ReversalPart part
    cdef uint32_t refers_size = sizeof(reversal.refers_to) if reversal.refers_to else 0
    cdef uint64_t size = sizeof(RecordHead) + sizeof(ReversalPart) + refers_size + reversal.source_size
    if size > room or size > RECORD_BYTES_MAX:
        return -1
    put_head(out, RECORD_REVERSAL, size, wall_us)
    memset(&part, 0, sizeof(ReversalPart))
    part.original = reversal.original
    part.replaces = reversal.replaces
    part.stan = reversal.stan
    part.attempts = reversal.attempts
    part.link = reversal.link
    part.listener = reversal.listener
    part.pan_digits = reversal.pan_digits
    pack_digits(reversal.pan, reversal.pan_digits, part.pan)
    memcpy(part.rrn, reversal.rrn, sizeof(part.rrn))
    memcpy(part.authorization_code, reversal.authorization_code, sizeof(part.authorization_code))
    part.cause = reversal.cause
    part.flags = ((REVERSAL_UNBOOKED if reversal.is_unbooked else 0)
                  | (REVERSAL_REFERS if reversal.refers_to else 0)
                  | (REVERSAL_APPROVED if reversal.is_approved else 0))
    part.unfound = <uint8_t>min(reversal.unfound, <uint32_t>0xFF)
    part.source_size = reversal.source_size
    out += sizeof(RecordHead)
    memcpy(out, &part, sizeof(ReversalPart))
    out += sizeof(ReversalPart)
    memcpy(out, &reversal.refers_to, refers_size)
    memcpy(out + refers_size, reversal.source, reversal.source_size)
    return <int>size


cdef int write_attempt(uint8_t *out, uint64_t room, const SafEntry *entry, int64_t wall_us) noexcept nogil:
    cdef AttemptPart part
    part.reversal = entry.position
    part.attempts = entry.attempts
    return put_record(out, room, RECORD_ATTEMPT, &part, sizeof(AttemptPart), wall_us)


cdef int write_reversed(uint8_t *out, uint64_t room, const SafEntry *entry, int reason,
                        int64_t wall_us) noexcept nogil:
    cdef ReversedPart part
    part.reversal = entry.position
    part.original = entry.original
    part.reason = <uint8_t>reason
    return put_record(out, room, RECORD_REVERSED, &part, sizeof(ReversedPart), wall_us)


cdef int write_delivered(uint8_t *out, uint64_t room, const int64_t *positions, uint32_t count,
                         int64_t wall_us) noexcept nogil:
    cdef DeliveredPart part
    cdef uint8_t *start = out + sizeof(RecordHead) + sizeof(DeliveredPart)
    cdef uint8_t *at = start
    cdef uint64_t way
    cdef int64_t step
    cdef uint32_t i
    if room < sizeof(RecordHead) + sizeof(DeliveredPart) + <uint64_t>count * STEP_BYTES_MAX:
        return -1
    for i in range(1, count):
        step = positions[i] - positions[i - 1]
        way = (<uint64_t>step << 1) ^ <uint64_t>(step >> 63)
        while way >= 0x80:
            at[0] = <uint8_t>(way | 0x80)
            at += 1
            way >>= 7
        at[0] = <uint8_t>way
        at += 1
    part.first = positions[0]
    part.count = count
    part.size = <uint32_t>(at - start)
    put_head(out, RECORD_DELIVERED, <uint64_t>(at - out), wall_us)
    memcpy(out + sizeof(RecordHead), &part, sizeof(DeliveredPart))
    return <int>(at - out)


cdef int write_late(uint8_t *out, uint64_t room, int64_t intent, int reason, const uint8_t *authorization_code,
                    int64_t approved_minor, int64_t wall_us) noexcept nogil:
    cdef LatePart part
    cdef int size = sizeof(RecordHead) + sizeof(LatePart)
    part.intent = intent
    part.approved_size = sizeof(int64_t) if approved_minor else 0
    if room < <uint64_t>size + part.approved_size:
        return -1
    part.reason = <uint8_t>reason
    memcpy(part.authorization_code, authorization_code, sizeof(part.authorization_code))
    put_head(out, RECORD_LATE, <uint64_t>size + part.approved_size, wall_us)
    memcpy(out + sizeof(RecordHead), &part, sizeof(LatePart))
    memcpy(out + size, &approved_minor, part.approved_size)
    return size + part.approved_size


cdef int write_closed(uint8_t *out, uint64_t room, const SafEntry *entry, const uint8_t *name, uint8_t name_size,
                      const uint8_t *reason, uint8_t reason_size, int64_t wall_us) noexcept nogil:
    cdef ClosedPart part
    cdef uint64_t size = sizeof(RecordHead) + sizeof(ClosedPart) + name_size + reason_size
    if size > room:
        return -1
    put_head(out, RECORD_CLOSED, size, wall_us)
    part.reversal = entry.position
    part.original = entry.original
    part.operator_size = name_size
    part.reason_size = reason_size
    memcpy(out + sizeof(RecordHead), &part, sizeof(ClosedPart))
    out += sizeof(RecordHead) + sizeof(ClosedPart)
    memcpy(out, name, name_size)
    memcpy(out + name_size, reason, reason_size)
    return <int>size


cdef int write_advice(uint8_t *out, uint64_t room, const SafEntry *advice, int64_t wall_us) noexcept nogil:
    cdef AdvicePart part
    cdef uint64_t size = sizeof(RecordHead) + sizeof(RequestPart) + sizeof(AdvicePart) + advice.source_size
    if size > room or size > RECORD_BYTES_MAX:
        return -1
    put_head(out, RECORD_ADVICE, size, wall_us)
    out += sizeof(RecordHead)
    memcpy(out, advice.request, sizeof(RequestPart))
    out += sizeof(RequestPart)
    memset(&part, 0, sizeof(AdvicePart))
    part.original = advice.original
    part.replaces = advice.replaces
    part.stan = advice.stan
    part.attempts = advice.attempts
    part.link = advice.link
    part.flags = ADVICE_STAND_IN if advice.stood_in else 0
    memcpy(part.rrn, advice.rrn, sizeof(part.rrn))
    memcpy(part.authorization_code, advice.authorization_code, sizeof(part.authorization_code))
    part.source_size = advice.source_size
    memcpy(out, &part, sizeof(AdvicePart))
    memcpy(out + sizeof(AdvicePart), advice.source, advice.source_size)
    return <int>size


cdef int write_cancelled(uint8_t *out, uint64_t room, int64_t advice, int64_t original, int cause,
                         int64_t wall_us) noexcept nogil:
    cdef CancelledPart part
    part.advice = advice
    part.original = original
    part.cause = <uint8_t>cause
    return put_record(out, room, RECORD_CANCELLED, &part, sizeof(CancelledPart), wall_us)


cdef int write_unfound(uint8_t *out, uint64_t room, const SafEntry *reversal, int64_t now_ns,
                       int64_t wall_us) noexcept nogil:
    cdef UnfoundPart part
    memset(&part, 0, sizeof(UnfoundPart))
    part.reversal = reversal.position
    part.original = reversal.original
    part.times = reversal.unfound
    part.left_s = <uint32_t>max((reversal.bookable_until_ns - now_ns) // NS_A_SECOND, 0)
    return put_record(out, room, RECORD_UNFOUND, &part, sizeof(UnfoundPart), wall_us)


cdef int write_numbers(uint8_t *out, uint64_t room, const NumberBlock *block, int64_t wall_us) noexcept nogil:
    cdef NumbersPart part
    memset(&part, 0, sizeof(NumbersPart))
    part.reserved_to = block.end
    part.day_max = block.day_max
    part.day_floor = block.day_floor
    part.instance = block.instance
    return put_record(out, room, RECORD_NUMBERS, &part, sizeof(NumbersPart), wall_us)


cdef int write_claim(uint8_t *out, uint64_t room, const ClaimPart *claim, int64_t original, int64_t undoes,
                     int64_t wall_us) noexcept nogil:
    cdef ClaimedPart part
    cdef uint64_t size = sizeof(RecordHead) + sizeof(ClaimPart) + sizeof(ClaimedPart)
    if room < size:
        return -1
    put_head(out, RECORD_CLAIM, size, wall_us)
    part.original = original
    part.undoes = undoes
    memcpy(out + sizeof(RecordHead), claim, sizeof(ClaimPart))
    memcpy(out + sizeof(RecordHead) + sizeof(ClaimPart), &part, sizeof(ClaimedPart))
    return <int>size


cdef int write_claim_state(uint8_t *out, uint64_t room, int64_t claim, int64_t original, int state,
                           int64_t approved_minor, int64_t wall_us) noexcept nogil:
    cdef ClaimStatePart part
    part.claim = claim
    part.original = original
    part.approved_minor = approved_minor
    part.state = <uint8_t>state
    return put_record(out, room, RECORD_CLAIM_STATE, &part, sizeof(ClaimStatePart), wall_us)


cdef int write_refers(uint8_t *out, uint64_t room, int64_t request, int64_t refers_to, int64_t wall_us) noexcept nogil:
    cdef RefersPart part
    part.request = request
    part.refers_to = refers_to
    return put_record(out, room, RECORD_REFERS, &part, sizeof(RefersPart), wall_us)


cdef int write_ruled(uint8_t *out, uint64_t room, int64_t request, const RuleWords *words,
                     int64_t wall_us) noexcept nogil:
    cdef RuledPart part
    cdef RulePart rule
    cdef uint32_t words_size
    cdef uint64_t size
    rule.id_size, rule.reason_size, rule.source_size = words.id_size, words.reason_size, words.source_size
    words_size = rule_words_size(&rule)
    size = sizeof(RecordHead) + sizeof(RuledPart) + sizeof(RulePart) + words_size
    if size > room:
        return -1
    part.request = request
    put_head(out, RECORD_RULED, size, wall_us)
    out += sizeof(RecordHead)
    memcpy(out, &part, sizeof(RuledPart))
    memcpy(out + sizeof(RuledPart), &rule, sizeof(RulePart))
    memcpy(out + sizeof(RuledPart) + sizeof(RulePart), words.text, words_size)
    return <int>size


# --- reading ------------------------------------------------------------------------------------------------------

cdef int take_part(const uint8_t **at, uint64_t *left, void *part, uint64_t size) noexcept nogil:
    if left[0] < size:
        return -1
    memcpy(part, at[0], size)
    at[0] += size
    left[0] -= size
    return 0


cdef int take_approved(const uint8_t **at, uint64_t *left, uint8_t size, Record *record) noexcept nogil:
    record.approved_minor = 0
    return take_part(at, left, &record.approved_minor, size) if size in (0, sizeof(int64_t)) else -1


cdef int take_request(const uint8_t **at, uint64_t *left, Record *record) noexcept nogil:
    """Of any format: it is as one of today's when this returns."""
    cdef RequestPart *request = &record.request
    cdef uint64_t referring_size = sizeof(request.named_at) + sizeof(request.refers_to)
    cdef uint64_t named_size = referring_size + sizeof(request.entry_mode)
    cdef uint64_t written_size
    record.has_request = True
    request.named_at = request.refers_to = 0
    request.entry_mode = 0
    if take_part(at, left, request, sizeof(RequestPart) - named_size) != 0:
        return -1
    written_size = request.named_size
    if written_size not in (0, sizeof(request.named_at), referring_size, named_size):
        return -1
    request.named_size = <uint8_t>named_size
    return take_part(at, left, &request.named_at, written_size)


cdef int take_rule(const uint8_t **at, uint64_t *left, Record *record) noexcept nogil:
    cdef uint64_t size
    if take_part(at, left, &record.rule, sizeof(RulePart)) != 0:
        return -1
    size = rule_words_size(&record.rule)
    if left[0] < size:
        return -1
    record.rule_words = at[0]
    at[0] += size
    left[0] -= size
    return 0


cdef int take_message(const uint8_t **at, uint64_t *left, uint32_t size, Record *record) noexcept nogil:
    if left[0] < size:
        return -1
    record.message = at[0]
    record.message_size = size
    at[0] += size
    left[0] -= size
    return 0


cdef int64_t next_delivered(const uint8_t **at, const uint8_t *end, int64_t before) noexcept nogil:
    cdef uint64_t way = 0
    cdef int shift = 0
    cdef int64_t position
    while at[0] < end and shift < 64:
        way |= <uint64_t>(at[0][0] & 0x7F) << shift
        shift += 7
        at[0] += 1
        if (at[0] - 1)[0] < 0x80:
            position = <int64_t>(<uint64_t>before + ((way >> 1) ^ (0 - (way & 1))))
            return position if position > 0 else 0
    return 0


cdef bint delivered_is_whole(const Record *record) noexcept nogil:
    """Whether what follows is as many positions as it says."""
    cdef const uint8_t *at = record.message
    cdef const uint8_t *end = record.message + record.message_size
    cdef int64_t position = record.delivered.first
    cdef uint32_t _
    if position <= 0 or not 1 <= record.delivered.count <= DELIVERED_MAX:
        return False
    for _ in range(1, record.delivered.count):
        position = next_delivered(&at, end, position)
        if position == 0:
            return False
    return at == end


cdef int read_record(const uint8_t *data, uint64_t left, Record *record) noexcept nogil:
    cdef const uint8_t *at = data
    cdef int status = -1
    record.data = data
    record.has_request = False
    record.message = NULL
    record.message_size = 0
    if take_part(&at, &left, &record.head, sizeof(RecordHead)) != 0:
        return -1
    if record.head.size < sizeof(RecordHead) or record.head.size - sizeof(RecordHead) > left:
        return -1
    left = record.head.size - sizeof(RecordHead)
    if record.head.type == RECORD_INTENT:
        status = take_request(&at, &left, record)
        if status == 0:
            status = take_part(&at, &left, &record.intent, sizeof(IntentPart))
        if status == 0:
            status = take_message(&at, &left, record.intent.sent_size, record)
    elif record.head.type == RECORD_OUTCOME:
        status = (take_part(&at, &left, &record.outcome, sizeof(OutcomePart))
                  or take_approved(&at, &left, record.outcome.approved_size, record))
        if status == 0 and record.outcome.intent == 0:
            status = take_request(&at, &left, record)
        record.has_detail = record.outcome.flags & FLAG_DETAIL
        if status == 0 and record.has_detail:
            status = take_part(&at, &left, &record.detail, sizeof(DetailPart))
        record.has_rule = record.outcome.flags & FLAG_RULE
        if status == 0 and record.has_rule:
            status = take_rule(&at, &left, record)
        if status == 0:
            status = take_message(&at, &left, record.outcome.answer_size, record)
    elif record.head.type == RECORD_REVERSAL:
        record.reversal_refers_to = 0
        status = take_part(&at, &left, &record.reversal, sizeof(ReversalPart))
        if status == 0 and record.reversal.flags & REVERSAL_REFERS:
            status = take_part(&at, &left, &record.reversal_refers_to, sizeof(int64_t))
        if status == 0:
            status = take_message(&at, &left, record.reversal.source_size, record)
    elif record.head.type == RECORD_ATTEMPT:
        status = take_part(&at, &left, &record.attempt, sizeof(AttemptPart))
    elif record.head.type == RECORD_REVERSED:
        status = take_part(&at, &left, &record.reversed, sizeof(ReversedPart))
    elif record.head.type == RECORD_DELIVERED:
        status = take_part(&at, &left, &record.delivered, sizeof(DeliveredPart))
        if status == 0:
            status = take_message(&at, &left, record.delivered.size, record)
        if status == 0 and not delivered_is_whole(record):
            status = -1
    elif record.head.type == RECORD_LATE:
        status = (take_part(&at, &left, &record.late, sizeof(LatePart))
                  or take_approved(&at, &left, record.late.approved_size, record))
    elif record.head.type == RECORD_CLOSED:
        status = take_part(&at, &left, &record.closed, sizeof(ClosedPart))
        if status == 0:
            status = take_message(&at, &left, <uint32_t>record.closed.operator_size + record.closed.reason_size,
                                  record)
    elif record.head.type == RECORD_ADVICE:
        status = take_request(&at, &left, record)
        if status == 0:
            status = take_part(&at, &left, &record.advice, sizeof(AdvicePart))
        if status == 0:
            status = take_message(&at, &left, record.advice.source_size, record)
    elif record.head.type == RECORD_CANCELLED:
        status = take_part(&at, &left, &record.cancelled, sizeof(CancelledPart))
    elif record.head.type == RECORD_UNFOUND:
        status = take_part(&at, &left, &record.unfound, sizeof(UnfoundPart))
    elif record.head.type == RECORD_NUMBERS:
        status = take_part(&at, &left, &record.numbers, sizeof(NumbersPart))
    elif record.head.type == RECORD_CLAIM:
        status = (take_part(&at, &left, &record.claim, sizeof(ClaimPart))
                  or take_part(&at, &left, &record.claimed, sizeof(ClaimedPart)))
    elif record.head.type == RECORD_CLAIM_STATE:
        status = take_part(&at, &left, &record.claim_state, sizeof(ClaimStatePart))
    elif record.head.type == RECORD_REFERS:
        status = take_part(&at, &left, &record.refers, sizeof(RefersPart))
    elif record.head.type == RECORD_RULED:
        status = (take_part(&at, &left, &record.ruled, sizeof(RuledPart))
                  or take_rule(&at, &left, record))
    if status != 0 or left != 0:
        return -1
    if record.has_request and record.request.pan_digits > 19:
        return -1
    if record.head.type == RECORD_REVERSAL and (record.reversal.pan_digits > 19
                                                or record.reversal.stan >= <uint32_t>NUMBER_COUNT):
        return -1
    if record.head.type == RECORD_CLAIM_STATE and record.claim_state.state >= CLAIM_STATE_COUNT:
        return -1
    if record.head.type == RECORD_ADVICE and record.advice.stan >= <uint32_t>NUMBER_COUNT:
        return -1
    return <int>record.head.size


cdef list positions_of(const Record *record):
    """The positions that a DELIVERED names."""
    cdef const uint8_t *at = record.message
    cdef int64_t position = record.delivered.first
    cdef list found = [position]
    for _ in range(1, record.delivered.count):
        position = next_delivered(&at, record.message + record.message_size, position)
        found.append(position)
    return found
