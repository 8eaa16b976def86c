"""An issuer's message, from its bytes to the end of the request that it answers; and what happens when none comes."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.base.stats cimport stats_add, stats_observe
from switch.crypto.mac cimport MAC_NONE
from switch.dialect.authentication cimport MAC_RIGHT, mac_fault, verify_message
from switch.dialect.kinds cimport KIND_ECHO_TEST
from switch.dialect.reasons cimport (
    REASON_ANSWER_MISMATCHED, REASON_APPROVED, REASON_ISSUER_UNAVAILABLE, REASON_OTHER_DECLINE,
    REASON_PARTIALLY_APPROVED, REASON_TIMEOUT,
)
from switch.dialect.tables cimport DialectTables, answer_mti, first_mti, is_answer, kind_traits, mti_class
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport LINK_SUSPENDED, LINK_UP, MISMATCH_NONE, MISMATCH_NOTHING, STAN_COUNT, STAN_FREE
from switch.machine.meters cimport LinkMeters
from switch.machine.note_queue cimport (
    NOTE_ANSWER_WITHOUT_ROOM, NOTE_LATE_APPROVAL_REVERSED, NOTE_LINK_FORMAT_ERROR, NOTE_LINK_LATE_ANSWER,
    NOTE_LINK_MAC_FAILURE, NOTE_LINK_MISMATCHED_ANSWER, NOTE_LINK_SUSPENDED, NOTE_LINK_UNEXPECTED_MESSAGE,
    NOTE_LINK_UNKNOWN_CODE, NOTE_LINK_UNMATCHED_ANSWER,
)
from switch.machine.saf_store cimport CAUSE_LATE, NO_LISTENER, SAF_NONE, SafEntry
from switch.machine.transaction cimport (
    TRANSACTION_LATE, TRANSACTION_NETWORK, TRANSACTION_NONE, TRANSACTION_REVERSAL, TRANSACTION_WAITING, Transaction,
)
from switch.path.network cimport answer_issuer, handle_network_answer, handle_network_timeout, send_network
from switch.path.outcome cimport finish, read_authorization_code
from switch.saf.delivery cimport acknowledge, send_due, postpone, reverse
from switch.wire.fields cimport CLASS_NETWORK, CLASS_REVERSAL, FIELD_AMOUNT, FIELD_RESPONSE_CODE
from switch.wire.scan cimport FAULT_MISSING, fault_at, read_number, read_text, scan_message

cdef enum:
    CODE_ROOM = 8
    UNKNOWN_CODE_SHOWN = 4
    RECORDS_SPARE = 4096      # heads and parts of an OUTCOME and a REVERSAL, and what an answer has of its own


cdef void handle_link_message(State state, LinkChannel channel, const Frame *frame) noexcept:
    cdef Link link = channel.link
    cdef DialectTables tables = link.tables
    cdef LinkMeters *meters = &state.meters.link[link.number]
    if scan_message(tables.spec, frame.message, frame.message_size, &state.answer, &state.fault) != 0:
        stats_add(state.meters.stats, meters.format_errors, 1)
        state.tell_fault(NOTE_LINK_FORMAT_ERROR, link.number)
    elif is_answer(state.answer.mti):
        _handle_answer(state, channel, meters)
    elif mti_class(state.answer.mti) == CLASS_NETWORK:
        answer_issuer(state, channel, frame.headers)
    else:
        stats_add(state.meters.stats, meters.unexpected, 1)
        state.tell(NOTE_LINK_UNEXPECTED_MESSAGE, link.number, state.answer.mti)


cdef void _handle_answer(State state, LinkChannel channel, LinkMeters *meters) noexcept:
    """Find the request by STAN or RRN; then the MAC and the fields that must agree decide whether this ends it."""
    cdef Link link = channel.link
    cdef int64_t stan = link.match_number(state.numbering, &state.answer)
    cdef uint32_t held = STAN_FREE
    cdef int verdict
    cdef uint8_t code[CODE_ROOM]
    cdef int size, mismatch
    cdef int reason = REASON_OTHER_DECLINE
    cdef Transaction *transaction
    if 0 < stan < STAN_COUNT:
        held = (link.reversal_by_number if mti_class(state.answer.mti) == CLASS_REVERSAL else link.by_stan)[stan]
    if held == STAN_FREE:
        stats_add(state.meters.stats, meters.unmatched, 1)
        state.tell(NOTE_LINK_UNMATCHED_ANSWER, link.number, stan, state.answer.mti)
        return
    transaction = state.transactions.at(held - 1)
    if transaction.state == TRANSACTION_NETWORK:
        _handle_network(state, channel, transaction, held - 1, meters)
        return
    if link.mac_key.algorithm != MAC_NONE:
        verdict = verify_message(state.macs, link.tables, &link.mac_key, &state.answer)
        if verdict != MAC_RIGHT:
            # Anybody may have written it: it ends nothing. The request times out and is reversed.
            stats_add(state.meters.stats, meters.mac_failures, 1)
            mac_fault(link.tables, &state.answer, verdict, &state.fault)
            state.tell_fault(NOTE_LINK_MAC_FAILURE, link.number, NULL, stan)
            return
    size = read_text(link.tables.spec, &state.answer, FIELD_RESPONSE_CODE, code, CODE_ROOM)
    if size > 0:
        reason = link.tables.code_to_reason(code, size)
    if first_mti(state.answer.mti) != answer_mti(transaction.sent_mti):
        mismatch = MISMATCH_NOTHING
    else:
        mismatch = link.mismatch(transaction, &state.answer, reason)
    if mismatch != MISMATCH_NONE:
        # It ends nothing: the right answer may still come.
        transaction.mismatch = <uint8_t>mismatch
        stats_add(state.meters.stats, meters.mismatched, 1)
        state.tell(NOTE_LINK_MISMATCHED_ANSWER, link.number, stan, state.answer.mti, mismatch)
        return
    if size <= 0:
        # An answer that does not say yes or no is none; the request times out and is reversed.
        _note_no_code(state, link)
        return
    if reason == REASON_OTHER_DECLINE:
        reason = _reason_for(state, link, code, size)
    if transaction.state == TRANSACTION_LATE:
        stats_add(state.meters.stats, meters.late, 1)
        state.tell(NOTE_LINK_LATE_ANSWER, link.number, stan)
        _take_late(state, link, transaction, held - 1, reason)
        return
    if transaction.state == TRANSACTION_WAITING and reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED):
        reason = link.extent(transaction, &state.answer, reason)
        if reason == REASON_APPROVED and link.tables.code_to_reason(code, size) != REASON_APPROVED:
            size = link.tables.reason_to_code(REASON_APPROVED, code)     # a part that is the whole
    _take_answer(state, link, transaction, held - 1, meters, reason, code, size)


cdef void _handle_network(State state, LinkChannel channel, Transaction *transaction, uint32_t number,
                          LinkMeters *meters) noexcept:
    """The answer to a network management message of ours; it must come on the connection that was asked."""
    cdef uint8_t code[CODE_ROOM]
    cdef Link link = channel.link
    if (mti_class(state.answer.mti) != CLASS_NETWORK or transaction.carrier_slot != channel.slot
            or transaction.carrier_generation != channel.generation):
        stats_add(state.meters.stats, meters.mismatched, 1)
        state.tell(NOTE_LINK_MISMATCHED_ANSWER, link.number, transaction.stan, state.answer.mti)
        return
    cdef int size = read_text(link.tables.spec, &state.answer, FIELD_RESPONSE_CODE, code, CODE_ROOM)
    state.transactions.remove(link.network, number)
    handle_network_answer(state, channel, number, _reason_for(state, link, code, size if size > 0 else 0))


cdef void _take_answer(State state, Link link, Transaction *transaction, uint32_t number, LinkMeters *meters,
                       int reason, const uint8_t *code, int size) noexcept:
    """The right answer to a request that waits: its response code ends it."""
    if transaction.state != TRANSACTION_REVERSAL and not _can_end(state, transaction, state.answer.size):
        # It is as if it had not come: the request times out, and is reversed when that can be written down.
        state.tell(NOTE_ANSWER_WITHOUT_ROOM, link.number, transaction.stan)
        return
    stats_add(state.meters.stats, meters.answers, 1)
    stats_observe(state.meters.stats, meters.answer_seconds, <uint64_t>(state.calendar.now_ns - transaction.sent_ns))
    link.timeouts_in_a_row = 0
    state.transactions.remove(link.waiting, number)
    if transaction.state == TRANSACTION_REVERSAL:
        acknowledge(state, link, number, reason)
        send_due(state, link)
        return
    finish(state, number, reason, code, size, &state.answer)
    link.free_stan(transaction.stan)
    state.transactions.close(number)


cdef void _note_no_code(State state, Link link) noexcept:
    stats_add(state.meters.stats, state.meters.link[link.number].format_errors, 1)
    fault_at(link.tables.spec, &state.answer, FIELD_RESPONSE_CODE, FAULT_MISSING, &state.fault)
    state.tell_fault(NOTE_LINK_FORMAT_ERROR, link.number)


cdef int _reason_for(State state, Link link, const uint8_t *code, int size) noexcept:
    """The reason that an issuer's response code gives. One that the dialect does not list is told and counted."""
    cdef int reason = link.tables.code_to_reason(code, size)
    if reason == REASON_OTHER_DECLINE and not link.tables.lists_code(code, size):
        stats_add(state.meters.stats, state.meters.link[link.number].unknown_codes, 1)
        state.tell_text(NOTE_LINK_UNKNOWN_CODE, link.number, code, min(size, <int>UNKNOWN_CODE_SHOWN), state.answer.mti)
    return reason


cdef void _take_late(State state, Link link, Transaction *transaction, uint32_t number, int reason) noexcept:
    """A late answer tells its terminal nothing new, but when it approves, the card is charged only from now on.

    A reversal that the issuer has carried out settles it. One that it did not find has overtaken its original and took
    nothing back: there must be one that is sent after the approval was seen. If the reversal is still owed and has been
    sent, "not found" counts only for its next attempt; if it is owed and has not been sent, nothing is to be done; if
    none is owed any more, a new one is stored.
    """
    cdef int64_t part = 0
    read_authorization_code(state, link, &state.answer)
    if reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED):
        part = max(read_number(link.tables.spec, &state.answer, FIELD_AMOUNT), 0)
    state.journal.late(transaction.position, reason, state.authorization_code,
                       part if part < transaction.amount_minor else 0)
    if (reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED)
            and kind_traits(transaction.kind).reversible and not transaction.settled):
        link.keep_part(transaction, &state.answer)
        if transaction.reversal != SAF_NONE:
            _name_late(transaction, state.saf.at(transaction.reversal))
        else:
            memcpy(transaction.authorization_code, state.authorization_code, sizeof(transaction.authorization_code))
            transaction.unreversed = True
    if transaction.unreversed and not _reverse_late(state, link, transaction):
        return                            # tried again when the time of late answers is over, whatever else is said
    _finish_late(state, link, transaction, number)
    send_due(state, link)


cdef void _name_late(const Transaction *transaction, SafEntry *owed) noexcept nogil:
    """Let a reversal that is owed name the part that was approved behind it, from its next attempt on."""
    owed.is_approved = True
    owed.overtook = owed.attempts > 0
    if owed.source_size == transaction.sent_size:
        memcpy(owed.source, transaction.sent, owed.source_size)       # of which the amount may be another now


cdef bint _reverse_late(State state, Link link, Transaction *transaction) noexcept:
    """Store the reversal of a request that its issuer approved late; False when there is no room for it just now."""
    if reverse(state, link, transaction.terminal, NO_LISTENER, transaction.sent, transaction.sent_size, transaction.pan,
               transaction.pan_digits, transaction.rrn,
               transaction.authorization_code if transaction.authorization_code[0] else NULL,
               transaction.position, transaction.refers_to, CAUSE_LATE, False) == POSITION_FAILED:
        return False
    transaction.unreversed = False
    state.tell(NOTE_LATE_APPROVAL_REVERSED, link.number, transaction.stan)
    return True


cdef void _finish_late(State state, Link link, Transaction *transaction, uint32_t number) noexcept:
    """Forget a request whose late answer is no longer waited for: its STAN and its place are free again."""
    if transaction.reversal != SAF_NONE:
        state.saf.at(transaction.reversal).late = 0
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
        number = link.waiting.head
        if number == TRANSACTION_NONE or state.transactions.at(number).deadline_ns > now_ns:
            break
        state.transactions.remove(link.waiting, number)
        _time_out(state, link, number)
    while True:
        number = link.network.head
        if number == TRANSACTION_NONE or state.transactions.at(number).deadline_ns > now_ns:
            break
        state.transactions.remove(link.network, number)
        handle_network_timeout(state, link, number)
    while True:
        number = link.late.head
        if number == TRANSACTION_NONE or state.transactions.at(number).deadline_ns > now_ns:
            break
        transaction = state.transactions.at(number)
        if transaction.unreversed and not _reverse_late(state, link, transaction):
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
        link.timeouts_in_a_row += 1
    if link.state == LINK_UP and link.timeouts_in_a_row >= link.timeouts_to_suspend:
        link.state = LINK_SUSPENDED
        state.tell(NOTE_LINK_SUSPENDED, link.number, link.timeouts_in_a_row)
        for channel in list(link.channels):
            send_network(state, <LinkChannel>channel, KIND_ECHO_TEST)        # is the issuer there?
    if transaction.state == TRANSACTION_REVERSAL:
        postpone(state, link, number)
        return
    carrier = <LinkChannel>state.channel_at(transaction.carrier_slot, transaction.carrier_generation)
    if carrier is not None and carrier.withdraw(transaction.departure):
        finish(state, number, REASON_ISSUER_UNAVAILABLE, NULL, 0, NULL)
        link.free_stan(transaction.stan)
        state.transactions.close(number)
        return
    state.stored_reversal = SAF_NONE
    finish(state, number, REASON_ANSWER_MISMATCHED if transaction.mismatch else REASON_TIMEOUT, NULL, 0, NULL)
    transaction.state = TRANSACTION_LATE
    transaction.reversal = state.stored_reversal
    if transaction.reversal != SAF_NONE:
        state.saf.at(transaction.reversal).late = number + 1
    _wait_for_late(state, link, number)
    if link.late.count > link.late_max:
        number = link.late.head
        if state.transactions.at(number).settled:          # its answer could not change anything
            _finish_late(state, link, state.transactions.at(number), number)
