"""The end of a request: one answer, written down, stored for repeats, and sent to whom it belongs (I1, I3, I6)."""

from libc.string cimport memcpy, memset
from switch.base.stats cimport stats_add
from switch.crypto.mac cimport MAC_NONE
from switch.dialect.authentication cimport seal_message
from switch.dialect.card_data cimport unkept_of_answer
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.reasons cimport (
    REASON_ANSWER_MISMATCHED, REASON_APPROVED, REASON_DUPLICATE, REASON_PARTIAL_NOT_ACCEPTED, REASON_PARTIALLY_APPROVED,
    REASON_SYSTEM_MALFUNCTION, REASON_TIMEOUT,
)
from switch.dialect.tables cimport RESPONSE_CODE_MAX, answer_mti, kind_traits
from switch.machine.duplicate cimport OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED, POSITION_NEVER
from switch.machine.listener cimport MAC_POLICY_NONE
from switch.machine.meters cimport LIMIT_NUMBERS
from switch.machine.note_queue cimport NOTE_ANSWER_NOT_COMPOSABLE
from switch.machine.originals cimport VOIDS
from switch.machine.saf_store cimport (
    CAUSE_MISMATCH, CAUSE_PARTIAL, CAUSE_TERMINAL, CAUSE_TIMEOUT, CAUSE_UNUSABLE, NO_LISTENER,
)
from switch.machine.state cimport SCRATCH_BYTES
from switch.machine.transaction cimport Transaction
from switch.saf.delivery cimport reverse, reverse_untold, uncount
from switch.wire.fields cimport AUTHORIZATION_CODE_SIZE, FIELD_AMOUNT, FIELD_AUTHORIZATION_CODE
from switch.wire.kept_copy cimport has_any_of, keep_copy
from switch.wire.scan cimport read_number, read_text, scan_message
from switch.wire.translate cimport SLOT_AUTHORIZATION_CODE, SLOT_RESPONSE_CODE, SLOT_RRN, Composer, fill_slot

cdef void set_reason(State state, Listener listener, int reason) noexcept nogil:
    cdef int size
    if reason == REASON_APPROVED:
        size = listener.tables.accepted_code(state.request.mti, state.code)
    else:
        size = listener.tables.reason_to_code(reason, state.code)
    fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code, size)


cdef void set_rrn(State state, const uint8_t *rrn) noexcept nogil:
    fill_slot(&state.slots, SLOT_RRN, rrn, 12)


cdef bint has_mac_key(Listener listener, const Terminal *terminal) noexcept nogil:
    return terminal != NULL and terminal.mac_key.algorithm != MAC_NONE and listener.mac_policy != MAC_POLICY_NONE


cdef Composer _own_composer(Listener listener, const Terminal *terminal):
    """For answers that the switch gives itself."""
    return listener.answer_composer if has_mac_key(listener, terminal) else listener.unsigned_answer_composer


cdef int compose_own_answer(State state, Listener listener, const Terminal *terminal, uint32_t offset) noexcept:
    return compose_answer(state, listener, _own_composer(listener, terminal), terminal, NULL, offset)


cdef int compose_answer(State state, Listener listener, object composer, const Terminal *terminal,
                        const MessageIndex *answer, uint32_t offset) noexcept:
    cdef Composer compiled = <Composer>composer
    cdef uint64_t unkept[3]
    state.set_mti(answer_mti(state.request.mti))
    cdef int size = compiled.compose(&state.request, answer, &state.slots, state.out + offset, SCRATCH_BYTES - offset,
                                     &state.composed, &state.fault)
    if size < 0:
        return size
    if compiled.mac_field and seal_message(state.macs, listener.tables, &terminal.mac_key, state.out + offset,
                                           &state.composed, compiled.mac_field) != 0:
        return -1
    state.stored_answer = state.out + offset
    state.stored_size = <uint32_t>size
    if has_any_of(&state.composed, compiled.unkept):
        unkept_of_answer(listener.tables, &state.composed, compiled.unkept, unkept)
        state.stored_answer = state.kept
        state.stored_size = keep_copy(listener.tables.spec, &state.composed, unkept, state.kept)
    return size


cdef bint send_answer(State state, TerminalChannel channel, const uint8_t *headers, uint32_t size, int64_t position,
                      uint32_t outcome) noexcept:
    cdef uint8_t reply[64]
    cdef Listener listener = channel.listener
    listener.framing.reply_headers(headers, reply)
    cdef int total = listener.framing.close_frame(state.out, SCRATCH_BYTES, reply, size)
    if total < 0 or state.depart(channel, state.out, <uint32_t>total, position, outcome) != 0:
        channel.hang_up("answer cannot be queued")
        return False
    stats_add(state.meters.stats, state.meters.listener[listener.number].answers, 1)
    return True


cdef void prepare_answer(State state, Listener listener, int reason) noexcept:
    state.clear_slots()
    set_reason(state, listener, reason)
    if state.numbering.take():
        state.numbering.write_rrn(state.rrn)
        set_rrn(state, state.rrn)
    else:
        memset(state.rrn, 0, sizeof(state.rrn))      # none may be promised just now: the answer goes without
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_NUMBERS], 1)


cdef void refuse(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal, int kind,
                 int reason) noexcept:
    refuse_at(state, channel, headers, terminal, kind, reason, 0)


cdef void refuse_at(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal, int kind,
                    int reason, int64_t position) noexcept:
    state.meters.transaction(channel.listener.number, NO_LINK, kind, reason, 0)
    _say(state, channel, headers, terminal, reason, position, NULL)


cdef void _say(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal, int reason,
               int64_t position, const uint8_t *rrn) noexcept:
    """Answer in the switch's own words, under a retrieval reference number that is known already, or a new one."""
    cdef Listener listener = channel.listener
    cdef int offset = listener.framing.open_frame(state.out, SCRATCH_BYTES)
    if rrn == NULL or rrn[0] == 0:
        prepare_answer(state, listener, reason)
    else:
        state.clear_slots()
        set_reason(state, listener, reason)
        set_rrn(state, rrn)
    _send_own(state, channel, headers, terminal, <uint32_t>offset, position, OUTCOME_NONE)


cdef void _send_own(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                    uint32_t offset, int64_t position, uint32_t outcome) noexcept:
    """Answer with the slots as they are set."""
    cdef Listener listener = channel.listener
    cdef int size = compose_own_answer(state, listener, terminal, offset)
    if size < 0:
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, listener.number)
        channel.hang_up("no answer can be written to an unreadable request")
        return
    send_answer(state, channel, headers, <uint32_t>size, position, outcome)


cdef void finish_unsent(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                        int kind, int reason, uint32_t outcome) noexcept:
    cdef Listener listener = channel.listener
    cdef int offset = listener.framing.open_frame(state.out, SCRATCH_BYTES)
    prepare_answer(state, listener, reason)
    answer_unsent(state, channel, headers, terminal, kind, reason, outcome, <uint32_t>offset)


cdef void answer_unsent(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                        int kind, int reason, uint32_t outcome, uint32_t offset) noexcept:
    cdef Listener listener = channel.listener
    cdef int64_t position
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int size = compose_own_answer(state, listener, terminal, offset)
    state.duplicates.finish_brief(outcome, reason, state.calendar.now_ns)
    entry.position = POSITION_NEVER
    memcpy(entry.rrn, state.rrn, sizeof(entry.rrn))
    state.meters.transaction(listener.number, NO_LINK, kind, reason, 0)
    if size < 0:
        state.leave_open(entry.intent, entry.link)
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, listener.number)
        channel.hang_up("answer cannot be composed")
        return
    position = state.journal.outcome(entry, reason, state.stored_answer, state.stored_size, state.take_detail())
    entry.position = POSITION_NEVER if position == POSITION_FAILED else position
    if position == POSITION_FAILED:
        state.leave_open(entry.intent, entry.link)
        return
    send_answer(state, channel, headers, <uint32_t>size, position, OUTCOME_NONE)


cdef void _store(State state, uint32_t outcome, int size, int reason, const uint8_t *sent,
                 uint32_t sent_size) noexcept nogil:
    """Finish an outcome and store the answer that was composed last; without one where there is none (``size`` is -1)
    or no room for it: then its reason."""
    if size < 0 or state.duplicates.finish(outcome, state.stored_answer, state.stored_size, sent, sent_size,
                                           state.calendar.now_ns) != 0:
        state.duplicates.finish_without_answer(outcome, reason, state.calendar.now_ns)


cdef void _seal_again(State state, Listener listener, const Terminal *terminal, uint32_t offset,
                      uint32_t size) noexcept:
    """A stored answer at ``state.out + offset`` may be without some of its fields, and its terminal may have another
    key since: its MAC is made anew."""
    cdef int mac_field
    if not has_mac_key(listener, terminal):
        return
    if scan_message(listener.tables.spec, state.out + offset, size, &state.composed, &state.fault) != 0:
        return                            # of a dialect that the listener no longer speaks: told as it was
    mac_field = listener.tables.mac_field_of(&state.composed)
    if mac_field:
        seal_message(state.macs, listener.tables, &terminal.mac_key, state.out + offset, &state.composed, mac_field)


cdef void _tell_anew(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                     uint32_t outcome, bint told_once) noexcept:
    """Say what was said before, where the answer itself is not stored: in the words of the listener that is asked now,
    and without what its issuer had added. A part needs its amount, so its repeat is refused as one."""
    cdef Listener listener = channel.listener
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef uint32_t offset = <uint32_t>listener.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef int size = 0
    if entry.reason == REASON_PARTIALLY_APPROVED:
        _say(state, channel, headers, terminal, REASON_DUPLICATE, entry.position, entry.rrn)
        return
    state.clear_slots()
    set_reason(state, listener, entry.reason)
    if entry.code[0]:
        while size < <int>sizeof(entry.code) and entry.code[size]:
            size += 1
        size = listener.tables.answer_code((<Link>state.links[entry.link]).tables, entry.code, size, state.code)
        fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code, size)
    if entry.rrn[0]:
        set_rrn(state, entry.rrn)
    if told_once and entry.authorization_code[0]:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, entry.authorization_code, AUTHORIZATION_CODE_SIZE)
    _send_own(state, channel, headers, terminal, offset, entry.position, outcome if told_once else OUTCOME_NONE)


cdef void repeat(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                 uint32_t outcome) noexcept:
    cdef Listener listener = channel.listener
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef uint32_t size = entry.answer_size
    cdef int offset = listener.framing.open_frame(state.out, SCRATCH_BYTES)
    if entry.position == POSITION_NEVER:
        return                            # nothing may be told that is not written down
    stats_add(state.meters.stats, state.meters.listener[listener.number].repeated, 1)
    # What a terminal must be told at least once, or it is reversed. An advice stands whether it was told or not.
    cdef bint told_once = entry.approved and not kind_traits(entry.kind).is_advice
    if entry.brief:
        _say(state, channel, headers, terminal, entry.reason, entry.position, entry.rrn)
    elif told_once and entry.reversed:
        # It could not be told in time, or before a crash, and was taken back: it counts as not approved.
        _say(state, channel, headers, terminal, REASON_TIMEOUT, entry.position, entry.rrn)
    elif size == 0:
        _tell_anew(state, channel, headers, terminal, outcome, told_once)
    else:
        memcpy(state.out + offset, state.duplicates.answer(outcome), size)
        _seal_again(state, listener, terminal, <uint32_t>offset, size)
        send_answer(state, channel, headers, size, entry.position, outcome if told_once else OUTCOME_NONE)


cdef void finish_reversal(State state, TerminalChannel channel, const uint8_t *headers, const Terminal *terminal,
                          int reason, uint32_t outcome) noexcept:
    if reason == REASON_SYSTEM_MALFUNCTION:
        state.duplicates.forget(outcome)
        refuse(state, channel, headers, terminal, KIND_REVERSAL, reason)
    else:
        finish_unsent(state, channel, headers, terminal, KIND_REVERSAL, reason, outcome)


cdef int _compose_final(State state, Transaction *transaction, Listener listener, Link link, const Terminal *terminal,
                        int *reason, const uint8_t *code, int code_size, const MessageIndex *answer,
                        uint32_t offset) noexcept:
    """Compose the final answer; where the issuer's cannot be written, one that says the switch failed."""
    cdef int size
    cdef list composers
    state.transactions.recall_request(transaction, &state.request)
    state.clear_slots()
    set_rrn(state, transaction.rrn)
    if code != NULL:
        size = listener.tables.answer_code(link.tables, code, code_size, state.code)
        fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code, size)
        if state.authorization_code[0]:
            fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, state.authorization_code, AUTHORIZATION_CODE_SIZE)
        composers = link.answer_composers if has_mac_key(listener, terminal) else link.unsigned_answer_composers
        size = compose_answer(state, listener, composers[transaction.listener], terminal, answer, offset)
        if size >= 0:
            return size
        state.keep_fault(False)
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, listener.number)
        reason[0] = REASON_SYSTEM_MALFUNCTION
    set_reason(state, listener, reason[0])
    return compose_own_answer(state, listener, terminal, offset)


cdef void read_authorization_code(State state, Link link, const MessageIndex *answer) noexcept:
    memset(state.authorization_code, 0, AUTHORIZATION_CODE_SIZE)
    if answer != NULL and read_text(link.tables.spec, answer, FIELD_AUTHORIZATION_CODE, state.authorization_code,
                                    AUTHORIZATION_CODE_SIZE) != AUTHORIZATION_CODE_SIZE:
        memset(state.authorization_code, 0, AUTHORIZATION_CODE_SIZE)


cdef bint _carries_part(State state, Listener listener, Link link, const Transaction *transaction) noexcept:
    """Whether the approval of a part may be told: the link, the listener and the terminal must be able to take it. What
    is undone is undone as a whole."""
    if not link.partial_approval or VOIDS >> transaction.kind & 1:
        return False
    state.transactions.recall_request(transaction, &state.request)
    return listener.tells_part(&state.request)


cdef void finish(State state, uint32_t number, int reason, const uint8_t *code, int code_size,
                 const MessageIndex *answer) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef Listener listener = <Listener>state.listeners[transaction.listener]
    cdef Link link = <Link>state.links[transaction.link]
    cdef const Terminal *terminal = state.registry.terminal(transaction.terminal)
    cdef Outcome *entry = state.duplicates.at(transaction.outcome)
    cdef uint32_t outcome = transaction.outcome
    cdef bint reversible = kind_traits(transaction.kind).reversible
    # Whether the cardholder may have been charged: the issuer said so, or nobody knows.
    cdef bint charged = reversible and reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED, REASON_TIMEOUT,
                                                  REASON_ANSWER_MISMATCHED)
    cdef int64_t position = 0
    cdef int64_t written
    cdef int64_t part = 0
    cdef uint8_t part_code[RESPONSE_CODE_MAX]
    cdef int cause = CAUSE_TIMEOUT if reason == REASON_TIMEOUT else CAUSE_UNUSABLE
    cdef uint32_t offset = <uint32_t>listener.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef TerminalChannel channel
    state.has_detail = False
    if code != NULL and reason != REASON_APPROVED:
        state.note_code(code, code_size)
    if reason == REASON_PARTIALLY_APPROVED:
        part = max(read_number(link.tables.spec, answer, FIELD_AMOUNT), 0)     # 0: it does not tell
        link.keep_part(transaction, answer)
    elif reason == REASON_ANSWER_MISMATCHED:
        cause = CAUSE_MISMATCH
    if transaction.reversal_wanted and reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED):
        cause = CAUSE_TERMINAL
        reason = REASON_TIMEOUT          # the terminal has given it up: it is reversed, and never told as approved
        code = NULL
    elif reason == REASON_PARTIALLY_APPROVED and (part == 0 or not _carries_part(state, listener, link, transaction)):
        cause = CAUSE_PARTIAL
        reason = REASON_PARTIAL_NOT_ACCEPTED
        code = NULL                      # the terminal would take it for the whole amount
    elif reason == REASON_PARTIALLY_APPROVED:
        code = part_code                 # its own may say that all was approved
        code_size = link.tables.reason_to_code(reason, part_code)
    read_authorization_code(state, link, answer)
    memcpy(entry.authorization_code, state.authorization_code, AUTHORIZATION_CODE_SIZE)
    cdef int told = reason
    cdef int size = _compose_final(state, transaction, listener, link, terminal, &told, code, code_size, answer, offset)
    cdef bint approved = told in (REASON_APPROVED, REASON_PARTIALLY_APPROVED) and size >= 0
    cdef uint32_t sent_size = transaction.sent_size if reversible else 0
    if approved and not state.duplicates.has_room(outcome, <uint64_t>size + sent_size):
        # An approval that cannot be kept until its terminal has it could not be reversed: it is not told.
        told = REASON_SYSTEM_MALFUNCTION
        size = _compose_final(state, transaction, listener, link, terminal, &told, NULL, 0, NULL, offset)
        approved = False
    entry.kind = transaction.kind
    entry.link = transaction.link
    entry.amount_minor = transaction.amount_minor
    entry.approved_minor = part
    entry.mismatch = transaction.mismatch if reason == REASON_ANSWER_MISMATCHED else 0
    entry.pan_digits = transaction.pan_digits
    memcpy(entry.pan, transaction.pan, sizeof(entry.pan))
    memcpy(entry.rrn, transaction.rrn, sizeof(entry.rrn))
    entry.intent = transaction.position
    entry.approved = approved
    if code != NULL and told == reason and not approved:
        memcpy(entry.code, code, min(<size_t>code_size, sizeof(entry.code)))
    entry.position = POSITION_NEVER
    if charged and not approved:
        position = reverse(state, link, transaction.terminal, NO_LISTENER, transaction.sent, transaction.sent_size,
                           transaction.pan, transaction.pan_digits, transaction.rrn,
                           entry.authorization_code if entry.authorization_code[0] else NULL,
                           transaction.position, transaction.refers_to, cause, False)
        entry.reversed = position != POSITION_FAILED
    if not approved:
        uncount(state, entry)
    channel = <TerminalChannel>state.channel_at(transaction.origin_slot, transaction.origin_generation)
    if channel is not None:
        channel.in_flight -= 1
        state.wake(channel)
    state.meters.transaction(transaction.listener, transaction.link, transaction.kind, told,
                             <uint64_t>(state.calendar.now_ns - transaction.received_ns))
    # The request as it was sent is kept with an approval that may yet have to be reversed.
    _store(state, outcome, size, told, transaction.sent, sent_size if approved else 0)
    if size < 0:
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, listener.number)
        state.leave_open(entry.intent, link.number)
        if channel is not None:
            channel.hang_up("answer cannot be composed")
        return
    if position == POSITION_FAILED:
        state.leave_open(entry.intent, link.number)            # what may be charged is reversed after a restart
        return
    written = state.journal.outcome(entry, told, state.stored_answer, state.stored_size, state.take_detail())
    if written == POSITION_FAILED:
        state.leave_open(entry.intent, link.number)            # nothing may be told that is not written down
        return
    if written > position:
        position = written
    entry.position = position
    if channel is None or not send_answer(state, channel, transaction.headers, <uint32_t>size, position,
                                          outcome if approved else OUTCOME_NONE):
        stats_add(state.meters.stats, state.meters.listener[listener.number].undelivered, 1)
        if approved:
            reverse_untold(state, outcome)
