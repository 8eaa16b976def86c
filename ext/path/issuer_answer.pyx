"""An issuer's message, from its bytes to the end of the request that it answers; and what happens when none comes."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.base.stats cimport stats_add, stats_observe
from switch.dialect.authentication cimport MAC_RIGHT
from switch.dialect.kinds cimport KIND_KEY_EXCHANGE
from switch.dialect.reasons cimport (
    REASON_ANSWER_MISMATCHED, REASON_APPROVED, REASON_ISSUER_UNAVAILABLE, REASON_OTHER_DECLINE,
    REASON_PARTIALLY_APPROVED, REASON_TIMEOUT,
)
from switch.dialect.tables cimport DialectTables, answer_mti, first_mti, is_answer, kind_traits, mti_class
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport MISMATCH_NONE, MISMATCH_NOTHING, STAN_COUNT
from switch.machine.link_connections cimport LINK_SUSPENDED, LINK_UP
from switch.machine.meters cimport LinkMeters
from switch.machine.note_queue cimport (
    NOTE_ANSWER_WITHOUT_ROOM, NOTE_LATE_APPROVAL_REVERSED, NOTE_LINK_FORMAT_ERROR, NOTE_LINK_LATE_ANSWER,
    NOTE_LINK_MISMATCHED_ANSWER, NOTE_LINK_SUSPENDED, NOTE_LINK_UNEXPECTED_MESSAGE,
    NOTE_LINK_UNKNOWN_CODE, NOTE_LINK_UNMATCHED_ANSWER,
)
from switch.machine.saf_store cimport CAUSE_LATE, CAUSE_MISMATCH, CAUSE_UNKNOWN, SAF_NONE, SafEntry
from switch.machine.transaction cimport (
    TRANSACTION_LATE, TRANSACTION_NETWORK, TRANSACTION_NONE, TRANSACTION_REVERSAL, Transaction,
)
from switch.path.link_mac cimport link_verdict, tell_wrong_mac
from switch.path.network cimport answer_issuer, handle_network_answer, handle_network_timeout
from switch.path.outcome cimport finish, read_authorization_code
from switch.saf.delivery cimport acknowledge, postpone, send_due
from switch.saf.reversal cimport ReversalOrder, order_reversal, reverse
from switch.wire.fields cimport CLASS_NETWORK, CLASS_REVERSAL, FIELD_AMOUNT, FIELD_RESPONSE_CODE
from switch.wire.scan cimport FAULT_MISSING, fault_at, read_number, read_text, scan_message

cdef enum:
    CODE_ROOM = 8
    UNKNOWN_CODE_SHOWN = 4
    RECORDS_SPARE = 4096      # heads and parts of an OUTCOME and a REVERSAL, and what an answer has of its own


cdef void handle_link_message(State state, LinkChannel channel, const Frame *frame) noexcept:
    cdef Link link = state.link_of(channel)
    cdef DialectTables tables = link.tables
    if scan_message(tables.spec, frame.message, frame.message_size, &state.answer, &state.fault) != 0:
        stats_add(state.meters.stats, state.meters.link[link.number].format_errors, 1)
        state.tell_fault(NOTE_LINK_FORMAT_ERROR, link.number)
    elif is_answer(state.answer.mti):
        handle_answer(state, channel)
    elif mti_class(state.answer.mti) == CLASS_NETWORK:
        answer_issuer(state, channel, frame.headers)
    else:
        stats_add(state.meters.stats, state.meters.link[link.number].unexpected, 1)
        state.tell(NOTE_LINK_UNEXPECTED_MESSAGE, link.number, state.answer.mti)


cdef struct Answered:         # what is known of the answer in ``State.answer``
    uint32_t number           # transaction that it belongs to
    Transaction *transaction
    int reason                # what its response code means
    uint8_t code[CODE_ROOM]   # that, in ASCII
    int code_size             # 0 or less: it has none that can be read


cdef void handle_answer(State state, LinkChannel channel) noexcept:
    """Each step lets the answer go on, or has counted why it ends nothing."""
    cdef Link link = state.link_of(channel)
    cdef Answered answered
    if not _match(state, link, &answered):
        return
    if answered.transaction.state == TRANSACTION_NETWORK:
        _take_network_answer(state, channel, &answered)
    elif (_carries_mac(state, link, &answered)
            and _agrees(state, link, &answered)
            and _says_something(state, link, &answered)):
        if answered.transaction.state == TRANSACTION_LATE:
            _take_late(state, link, &answered)
        else:
            _take_in_time(state, link, &answered)


cdef uint32_t _find(Link link, int64_t stan, const MessageIndex *answer) noexcept nogil:
    """The transaction that waits for an answer with this number; TRANSACTION_NONE when none does."""
    if not 0 < stan < STAN_COUNT:
        return TRANSACTION_NONE
    if mti_class(answer.mti) == CLASS_REVERSAL:
        return link.reversal_at_issuer(<uint32_t>stan)
    return link.at_issuer(<uint32_t>stan)


cdef bint awaits(State state, LinkChannel channel, const MessageIndex *answer) noexcept:
    cdef Link link = state.link_of(channel)
    return _find(link, link.match_number(state.numbering, answer), answer) != <uint32_t>TRANSACTION_NONE


cdef bint _match(State state, Link link, Answered *answered) noexcept:
    """Find the request by STAN or RRN."""
    cdef int64_t stan = link.match_number(state.numbering, &state.answer)
    answered.number = _find(link, stan, &state.answer)
    if answered.number == TRANSACTION_NONE:
        stats_add(state.meters.stats, state.meters.link[link.number].unmatched, 1)
        state.tell(NOTE_LINK_UNMATCHED_ANSWER, link.number, stan, state.answer.mti)
        return False
    answered.transaction = state.transactions.at(answered.number)
    return True


cdef void _take_network_answer(State state, LinkChannel channel, Answered *answered) noexcept:
    """The answer to a network management message of ours; it must come on the connection that was asked."""
    cdef Link link = state.link_of(channel)
    cdef const Transaction *transaction = answered.transaction
    if (mti_class(state.answer.mti) != CLASS_NETWORK or transaction.carrier_slot != channel.slot
            or transaction.carrier_generation != channel.generation):
        stats_add(state.meters.stats, state.meters.link[link.number].mismatched, 1)
        state.tell(NOTE_LINK_MISMATCHED_ANSWER, link.number, transaction.stan, state.answer.mti)
        return
    if transaction.kind == KIND_KEY_EXCHANGE and not _carries_mac(state, link, answered):
        return
    answered.code_size = max(read_text(link.tables.spec, &state.answer, FIELD_RESPONSE_CODE, answered.code, CODE_ROOM),
                             0)
    answered.reason = link.tables.code_to_reason(answered.code, answered.code_size)
    _note_unknown_code(state, link, answered)
    state.transactions.remove(link.network, answered.number)
    handle_network_answer(state, channel, answered.number, answered.reason)


cdef bint _carries_mac(State state, Link link, const Answered *answered) noexcept:
    """Where it is wrong, anybody may have written it: it ends nothing. The request times out and is reversed."""
    cdef int verdict = link_verdict(state, link)
    if verdict == MAC_RIGHT:
        return True
    tell_wrong_mac(state, link, verdict, answered.transaction.stan)
    return False


cdef bint _agrees(State state, Link link, Answered *answered) noexcept:
    """Whether it is an answer to that request: where a field does not agree, it ends nothing, and the right answer may
    still come."""
    cdef Transaction *transaction = answered.transaction
    cdef int mismatch = MISMATCH_NOTHING
    answered.reason = REASON_OTHER_DECLINE
    answered.code_size = read_text(link.tables.spec, &state.answer, FIELD_RESPONSE_CODE, answered.code, CODE_ROOM)
    if answered.code_size > 0:
        answered.reason = link.tables.code_to_reason(answered.code, answered.code_size)
    if first_mti(state.answer.mti) == answer_mti(transaction.sent_mti):
        mismatch = link.mismatch(transaction, &state.answer, answered.reason)
    if mismatch == MISMATCH_NONE:
        return True
    transaction.mismatch = <uint8_t>mismatch
    stats_add(state.meters.stats, state.meters.link[link.number].mismatched, 1)
    state.tell(NOTE_LINK_MISMATCHED_ANSWER, link.number, transaction.stan, state.answer.mti, mismatch)
    return False


cdef bint _says_something(State state, Link link, const Answered *answered) noexcept:
    """Whether it says yes or no: one that does not is none, and the request times out and is reversed."""
    if answered.code_size > 0:
        _note_unknown_code(state, link, answered)
        return True
    stats_add(state.meters.stats, state.meters.link[link.number].format_errors, 1)
    fault_at(link.tables.spec, &state.answer, FIELD_RESPONSE_CODE, FAULT_MISSING, &state.fault)
    state.tell_fault(NOTE_LINK_FORMAT_ERROR, link.number)
    return False


cdef void _note_unknown_code(State state, Link link, const Answered *answered) noexcept:
    """A response code that the dialect does not list is told and counted."""
    if answered.reason == REASON_OTHER_DECLINE and not link.tables.lists_code(answered.code, answered.code_size):
        stats_add(state.meters.stats, state.meters.link[link.number].unknown_codes, 1)
        state.tell_text(NOTE_LINK_UNKNOWN_CODE, link.number, answered.code,
                        min(answered.code_size, <int>UNKNOWN_CODE_SHOWN), state.answer.mti)


cdef void _take_in_time(State state, Link link, Answered *answered) noexcept:
    """The right answer to what waits: its response code ends it."""
    cdef Transaction *transaction = answered.transaction
    cdef LinkMeters *meters = &state.meters.link[link.number]
    if transaction.state != TRANSACTION_REVERSAL and not _can_end(state, transaction, state.answer.size):
        # It is as if it had not come: the request times out, and is reversed when that can be written down.
        state.tell(NOTE_ANSWER_WITHOUT_ROOM, link.number, transaction.stan)
        return
    stats_add(state.meters.stats, meters.answers, 1)
    stats_observe(state.meters.stats, meters.answer_seconds, <uint64_t>(state.calendar.now_ns - transaction.sent_ns))
    link.connections.timeouts_in_a_row = 0
    state.transactions.remove(link.waiting, answered.number)
    if transaction.state == TRANSACTION_REVERSAL:
        acknowledge(state, link, answered.number, answered.reason)
        send_due(state, link)
        return
    _read_extent(state, link, answered)
    finish(state, answered.number, answered.reason, answered.code, answered.code_size, &state.answer)
    link.free_stan(transaction.stan)
    state.transactions.close(answered.number)


cdef void _read_extent(State state, Link link, Answered *answered) noexcept:
    """Whether an approval is of all that was asked for, or of a part, whatever its response code calls it."""
    if answered.reason not in (REASON_APPROVED, REASON_PARTIALLY_APPROVED):
        return
    answered.reason = link.extent(answered.transaction, &state.answer, answered.reason)
    if (answered.reason == REASON_APPROVED
            and link.tables.code_to_reason(answered.code, answered.code_size) != REASON_APPROVED):
        answered.code_size = link.tables.reason_to_code(REASON_APPROVED, answered.code)    # a part that is the whole


cdef void _take_late(State state, Link link, const Answered *answered) noexcept:
    """A late answer tells its terminal nothing new, but when it approves, the card is charged only from now on.

    A reversal that the issuer has carried out settles it. One that it did not find has overtaken its original and took
    nothing back: there must be one that is sent after the approval was seen. If the reversal is still owed, "not found"
    does not end it any more: its issuer has said that it knows the original. If none is owed any more, a new one is
    stored.
    """
    cdef Transaction *transaction = answered.transaction
    cdef int reason = answered.reason
    cdef int64_t part = 0
    stats_add(state.meters.stats, state.meters.link[link.number].late, 1)
    state.tell(NOTE_LINK_LATE_ANSWER, link.number, transaction.stan)
    read_authorization_code(state, link, &state.answer)
    if reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED):
        part = max(read_number(link.tables.spec, &state.answer, FIELD_AMOUNT), 0)
        if part > transaction.amount_minor:
            reason = REASON_ANSWER_MISMATCHED
    state.journal.late(transaction.position, reason, state.authorization_code,
                       part if part < transaction.amount_minor else 0)
    if reason == REASON_ANSWER_MISMATCHED:
        _suspect_late(state, link, answered)
        return
    if (reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED)
            and kind_traits(transaction.kind).reversible and not transaction.settled):
        link.keep_part(transaction, &state.answer)
        if transaction.reversal != SAF_NONE:
            _name_late(transaction, state.saf.at(transaction.reversal))
        else:
            memcpy(transaction.authorization_code, state.authorization_code, sizeof(transaction.authorization_code))
            transaction.late_cause = CAUSE_LATE
    if transaction.late_cause != CAUSE_UNKNOWN and not _reverse_late(state, link, transaction):
        return                            # tried again when the time of late answers is over, whatever else is said
    _finish_late(state, link, transaction, answered.number)
    send_due(state, link)


cdef void _suspect_late(State state, Link link, const Answered *answered) noexcept:
    """Somebody has approved more than was asked: nobody knows whose approval that is. What may be booked is taken back,
    by an attempt that is sent from now on, and the request's own answer is still waited for."""
    cdef Transaction *transaction = answered.transaction
    cdef SafEntry *owed
    if transaction.settled or not kind_traits(transaction.kind).reversible:
        return
    if transaction.reversal != SAF_NONE:
        owed = state.saf.at(transaction.reversal)
        owed.bookable_until_ns = max(owed.bookable_until_ns, state.calendar.now_ns + 1)
    elif transaction.late_cause == CAUSE_UNKNOWN:
        memcpy(transaction.authorization_code, state.authorization_code, sizeof(transaction.authorization_code))
        transaction.late_cause = CAUSE_MISMATCH
        if _reverse_late(state, link, transaction):
            _tie_to_reversal(state, answered.number)
    send_due(state, link)


cdef void _tie_to_reversal(State state, uint32_t number) noexcept:
    """Let a request whose late answer is waited for and the reversal that was stored last know one another."""
    cdef Transaction *transaction = state.transactions.at(number)
    transaction.reversal = state.stored_reversal
    if transaction.reversal != SAF_NONE:
        state.saf.at(transaction.reversal).late_request = number


cdef void _name_late(const Transaction *transaction, SafEntry *owed) noexcept nogil:
    """Let a reversal that is owed name the part that was approved behind it, from its next attempt on."""
    owed.is_approved = True
    if owed.source_size == transaction.sent_size:
        memcpy(owed.source, transaction.sent, owed.source_size)       # of which the amount may be another now


cdef bint _reverse_late(State state, Link link, Transaction *transaction) noexcept:
    """Store the reversal of a request that its issuer approved late; False when there is no room for it just now."""
    cdef ReversalOrder order = order_reversal(transaction, transaction.late_cause)
    if reverse(state, link, &order) == POSITION_FAILED:
        return False
    transaction.late_cause = CAUSE_UNKNOWN
    state.tell(NOTE_LATE_APPROVAL_REVERSED, link.number, transaction.stan)
    return True


cdef void _finish_late(State state, Link link, Transaction *transaction, uint32_t number) noexcept:
    """Forget a request whose late answer is no longer waited for: its STAN and its place are free again."""
    if transaction.reversal != SAF_NONE:
        state.saf.at(transaction.reversal).late_request = TRANSACTION_NONE
    state.transactions.remove(link.late, number)
    link.free_stan(transaction.stan)
    state.transactions.close(number)


cdef void _wait_for_late(State state, Link link, uint32_t number) noexcept:
    state.transactions.at(number).deadline_ns = state.calendar.now_ns + link.late_ns
    state.transactions.append(link.late, number)


cdef void expire(State state, Link link) noexcept:
    cdef Transaction *transaction
    cdef uint32_t number
    cdef int64_t now_ns = state.calendar.now_ns
    while True:
        number = state.transactions.overdue(link.waiting, now_ns)
        if number == TRANSACTION_NONE:
            break
        state.transactions.remove(link.waiting, number)
        _time_out(state, link, number)
    while True:
        number = state.transactions.overdue(link.network, now_ns)
        if number == TRANSACTION_NONE:
            break
        state.transactions.remove(link.network, number)
        handle_network_timeout(state, link, number)
    while True:
        number = state.transactions.overdue(link.late, now_ns)
        if number == TRANSACTION_NONE:
            break
        transaction = state.transactions.at(number)
        if transaction.late_cause != CAUSE_UNKNOWN and not _reverse_late(state, link, transaction):
            state.transactions.remove(link.late, number)
            _wait_for_late(state, link, number)
            continue
        _finish_late(state, link, transaction, number)


cdef bint _can_end(State state, const Transaction *transaction, uint64_t answer_size) noexcept:
    """Whether what a request's end writes down finds room: while the disk stands still more may end than fits."""
    return state.journal.has_room(<uint64_t>transaction.sent_size + transaction.request_size + answer_size
                                  + RECORDS_SPARE)


cdef void _time_out(State state, Link link, uint32_t number) noexcept:
    """The issuer did not answer in time: the terminal is told so, and what may have been charged is reversed.

    A request that has not left by then never leaves: the issuer was not asked, so nothing is owed to it. One whose end
    cannot be written down just now has not ended: it is looked at again after a further time-out.
    """
    cdef Transaction *transaction = state.transactions.at(number)
    cdef LinkChannel carrier
    if transaction.state != TRANSACTION_REVERSAL and not _can_end(state, transaction, 0):
        transaction.deadline_ns = state.calendar.now_ns + link.timeout_ns
        state.transactions.append(link.waiting, number)
        return
    if transaction.mismatch:
        # The issuer is there, and an echo test would only say so: the link goes on, and its operator is told.
        stats_add(state.meters.stats, state.meters.link[link.number].mismatched_requests, 1)
    else:
        stats_add(state.meters.stats, state.meters.link[link.number].timeouts, 1)
        link.connections.timeouts_in_a_row += 1
    # Whether the issuer is there can be asked on connections of our own only.
    if (link.connections.state == LINK_UP and link.connections.channels
            and link.connections.timeouts_in_a_row >= link.timeouts_to_suspend):
        link.connections.state = LINK_SUSPENDED
        state.tell(NOTE_LINK_SUSPENDED, link.number, link.connections.timeouts_in_a_row)
        link.connections.is_doubted = True
    if transaction.state == TRANSACTION_REVERSAL:
        postpone(state, link, number)
        return
    carrier = <LinkChannel>state.channels.at(transaction.carrier_slot, transaction.carrier_generation)
    if carrier is not None and carrier.withdraw(transaction.departure):
        finish(state, number, REASON_ISSUER_UNAVAILABLE, NULL, 0, NULL)
        link.free_stan(transaction.stan)
        state.transactions.close(number)
        return
    state.stored_reversal = SAF_NONE
    finish(state, number, REASON_ANSWER_MISMATCHED if transaction.mismatch else REASON_TIMEOUT, NULL, 0, NULL)
    transaction.state = TRANSACTION_LATE
    _tie_to_reversal(state, number)
    _wait_for_late(state, link, number)
    if link.late.count > link.late_max:
        number = link.late.head
        if state.transactions.at(number).settled:          # its answer could not change anything
            _finish_late(state, link, state.transactions.at(number), number)
