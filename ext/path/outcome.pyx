"""The end of a request: one answer, written down, stored for repeats, and sent to whom it belongs (I1, I3, I6)."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset
from switch.base.stats cimport stats_add
from switch.dialect.reasons cimport (
    REASON_ANSWER_MISMATCHED, REASON_APPROVED, REASON_PARTIAL_NOT_ACCEPTED, REASON_PARTIALLY_APPROVED,
    REASON_SYSTEM_MALFUNCTION, REASON_TIMEOUT, is_decline,
)
from switch.dialect.tables cimport RESPONSE_CODE_MAX, kind_traits
from switch.machine.duplicate cimport OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_FAILED, POSITION_NEVER
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NOTE_ANSWER_NOT_COMPOSABLE
from switch.machine.originals cimport VOIDS
from switch.machine.saf_store cimport CAUSE_MISMATCH, CAUSE_PARTIAL, CAUSE_TERMINAL, CAUSE_TIMEOUT, CAUSE_UNUSABLE
from switch.machine.sending cimport send_to_terminal
from switch.machine.transaction cimport Transaction
from switch.path.key_overlap cimport headers_of_answer, terminal_as_it_was
from switch.path.terminal_answer cimport (
    NO_LINK, compose_answer, compose_own_answer, has_mac_key, prepare_answer, refuse, set_reason, set_rrn,
)
from switch.saf.reversal cimport ReversalOrder, order_reversal, reverse, reverse_untold, uncount
from switch.tables.registry cimport Terminal
from switch.wire.fields cimport AUTHORIZATION_CODE_SIZE, FIELD_AMOUNT, FIELD_AUTHORIZATION_CODE
from switch.wire.framing cimport FRAME_HEADERS_MAX
from switch.wire.scan cimport read_number, read_text
from switch.wire.translate cimport SLOT_AUTHORIZATION_CODE, SLOT_RESPONSE_CODE, fill_slot


# --- of what no issuer was asked --------------------------------------------------------------------------------------

cdef void finish_unsent(State state, TerminalChannel channel, int reason) noexcept:
    cdef Listener listener = channel.listener
    cdef uint32_t outcome = state.inbound.outcome
    cdef Outcome *entry = state.duplicates.at(outcome)
    cdef int64_t position
    cdef int size
    prepare_answer(state, listener, reason)
    size = compose_own_answer(state, listener, state.inbound.terminal)
    state.duplicates.finish_brief(outcome, reason, state.calendar.now_ns)
    entry.position = POSITION_NEVER
    memcpy(entry.rrn, state.rrn, sizeof(entry.rrn))
    state.meters.transaction(listener.number, NO_LINK, state.inbound.kind, reason, 0)
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
    send_to_terminal(state, channel, state.inbound.answer_headers, <uint32_t>size, position, OUTCOME_NONE)


cdef void finish_reversal(State state, TerminalChannel channel, int reason) noexcept:
    if reason == REASON_SYSTEM_MALFUNCTION:
        state.duplicates.forget(state.inbound.outcome)
        refuse(state, channel, reason)
    else:
        finish_unsent(state, channel, reason)


# --- of what an issuer was asked --------------------------------------------------------------------------------------

cdef struct Ending:
    int reason                # why it ends, as the terminal may hear it
    int told                  # what the terminal is told
    const uint8_t *code       # the response code that it is told, in ASCII; NULL: the dialect's own for ``told``
    int code_size
    uint8_t part_code[RESPONSE_CODE_MAX]
    const MessageIndex *answer    # the issuer's; NULL: it gave none
    int64_t part_minor        # the part of the amount that was approved; 0: all, nothing, or the issuer does not tell
    int cause                 # of the reversal, if there must be one: a ReversalCause
    bint charged              # the cardholder may have been charged: the issuer said so, or nobody knows
    bint approved             # the terminal is told so
    int size                  # of its answer, in ``State.out``; -1: none can be written
    uint32_t sent_size        # of the request as sent, kept with an approval that may yet have to be reversed
    int64_t position          # what must be durable before it is told; POSITION_FAILED: its reversal is not stored


cdef void finish(State state, uint32_t number, int reason, const uint8_t *code, int code_size,
                 const MessageIndex *answer) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef Listener listener = <Listener>state.listeners[transaction.listener]
    cdef Link link = <Link>state.links[transaction.link]
    cdef TerminalChannel channel
    cdef Ending ending
    state.has_detail = False
    ending.reason = reason
    ending.code = code
    ending.code_size = code_size
    ending.answer = answer
    _decide(state, listener, link, transaction, &ending)
    _compose(state, listener, link, transaction, &ending)
    _describe(state, transaction, &ending)
    _reverse(state, link, transaction, &ending)
    channel = _let_read_on(state, transaction)
    if _record(state, channel, transaction, &ending):
        _tell(state, channel, transaction, &ending)


# --- decide -----------------------------------------------------------------------------------------------------------

cdef void _decide(State state, Listener listener, Link link, Transaction *transaction, Ending *ending) noexcept:
    """What ends it, and whether its cardholder may have been charged."""
    cdef int reason = ending.reason
    ending.charged = kind_traits(transaction.kind).reversible and reason in (
        REASON_APPROVED, REASON_PARTIALLY_APPROVED, REASON_TIMEOUT, REASON_ANSWER_MISMATCHED)
    ending.cause = _cause_of(reason)
    ending.part_minor = 0
    if ending.code != NULL and reason != REASON_APPROVED:
        state.note_code(ending.code, ending.code_size)
    if reason == REASON_PARTIALLY_APPROVED:
        ending.part_minor = max(read_number(link.tables.spec, ending.answer, FIELD_AMOUNT), 0)
        link.keep_part(transaction, ending.answer)
    if transaction.reversal_wanted and reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED):
        ending.cause = CAUSE_TERMINAL
        ending.reason = REASON_TIMEOUT   # the terminal has given it up: it is reversed, and never told as approved
        ending.code = NULL
    elif reason == REASON_PARTIALLY_APPROVED:
        _decide_on_part(state, listener, link, transaction, ending)


cdef int _cause_of(int reason) noexcept nogil:
    """Why a request that ends so is reversed, if it must be."""
    if reason == REASON_TIMEOUT:
        return CAUSE_TIMEOUT
    return CAUSE_MISMATCH if reason == REASON_ANSWER_MISMATCHED else CAUSE_UNUSABLE


cdef void _decide_on_part(State state, Listener listener, Link link, const Transaction *transaction,
                          Ending *ending) noexcept:
    """The issuer has approved a part: it is told as that, or taken back."""
    if ending.part_minor == 0 or not _carries_part(state, listener, link, transaction):
        ending.cause = CAUSE_PARTIAL
        ending.reason = REASON_PARTIAL_NOT_ACCEPTED
        ending.code = NULL               # the terminal would take it for the whole amount
    else:
        ending.code = ending.part_code   # its own may say that all was approved
        ending.code_size = link.tables.reason_to_code(ending.reason, ending.part_code)


cdef bint _carries_part(State state, Listener listener, Link link, const Transaction *transaction) noexcept:
    """Whether the approval of a part may be told: the link, the listener and the terminal must be able to take it. What
    is undone is undone as a whole."""
    if not link.partial_approval or VOIDS >> transaction.kind & 1:
        return False
    state.transactions.recall_request(transaction, &state.request)
    return listener.tells_part(&state.request)


# --- compose ----------------------------------------------------------------------------------------------------------

cdef void _compose(State state, Listener listener, Link link, const Transaction *transaction, Ending *ending) noexcept:
    """Write the answer, and find out whether it may be told: an approval that cannot be kept until its terminal has it
    could not be reversed."""
    cdef Outcome *entry = state.duplicates.at(transaction.outcome)
    read_authorization_code(state, link, ending.answer)
    memcpy(entry.authorization_code, state.authorization_code, AUTHORIZATION_CODE_SIZE)
    ending.told = ending.reason
    _compose_answer(state, listener, link, transaction, ending)
    ending.approved = ending.told in (REASON_APPROVED, REASON_PARTIALLY_APPROVED) and ending.size >= 0
    ending.sent_size = transaction.sent_size if kind_traits(transaction.kind).reversible else 0
    if ending.approved and not state.duplicates.has_room(transaction.outcome,
                                                         <uint64_t>ending.size + ending.sent_size):
        ending.approved = False
        ending.told = REASON_SYSTEM_MALFUNCTION
        ending.code = NULL
        _compose_answer(state, listener, link, transaction, ending)


cdef void _compose_answer(State state, Listener listener, Link link, const Transaction *transaction,
                          Ending *ending) noexcept:
    """Write the issuer's answer for the terminal; where there is none, or it cannot be written, the switch's own."""
    cdef Terminal former_self
    cdef const Terminal *terminal = terminal_as_it_was(state, transaction, &former_self)
    state.transactions.recall_request(transaction, &state.request)
    state.clear_slots()
    set_rrn(state, transaction.rrn)
    if ending.code != NULL:
        ending.size = _translate_answer(state, listener, link, terminal, ending)
        if ending.size >= 0:
            return
        state.keep_fault(False)
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, listener.number)
        ending.told = REASON_SYSTEM_MALFUNCTION
    set_reason(state, listener, ending.told)
    ending.size = compose_own_answer(state, listener, terminal)


cdef int _translate_answer(State state, Listener listener, Link link, const Terminal *terminal,
                           const Ending *ending) noexcept:
    """Write the issuer's answer in the terminal's dialect; its size, or -1."""
    cdef int size = listener.tables.answer_code(link.tables, ending.code, ending.code_size, state.code)
    cdef list composers = link.answer_composers if has_mac_key(listener, terminal) else link.unsigned_answer_composers
    fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code, size)
    if state.authorization_code[0]:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, state.authorization_code, AUTHORIZATION_CODE_SIZE)
    return compose_answer(state, listener, composers[listener.number], terminal, ending.answer)


cdef void read_authorization_code(State state, Link link, const MessageIndex *answer) noexcept:
    memset(state.authorization_code, 0, AUTHORIZATION_CODE_SIZE)
    if answer != NULL and read_text(link.tables.spec, answer, FIELD_AUTHORIZATION_CODE, state.authorization_code,
                                    AUTHORIZATION_CODE_SIZE) != AUTHORIZATION_CODE_SIZE:
        memset(state.authorization_code, 0, AUTHORIZATION_CODE_SIZE)


# --- reverse ----------------------------------------------------------------------------------------------------------

cdef void _describe(State state, const Transaction *transaction, const Ending *ending) noexcept:
    """What repeats, reversals and the journal need to know of the end."""
    cdef Outcome *entry = state.duplicates.at(transaction.outcome)
    entry.kind = transaction.kind
    entry.link = transaction.link
    entry.amount_minor = transaction.amount_minor
    entry.approved_minor = ending.part_minor
    entry.mismatch = transaction.mismatch if ending.reason == REASON_ANSWER_MISMATCHED else 0
    entry.pan_digits = transaction.pan_digits
    memcpy(entry.pan, transaction.pan, sizeof(entry.pan))
    memcpy(entry.rrn, transaction.rrn, sizeof(entry.rrn))
    entry.intent = transaction.position
    entry.approved = ending.approved
    if ending.code != NULL and ending.told == ending.reason and not ending.approved:
        memcpy(entry.code, ending.code, min(<size_t>ending.code_size, sizeof(entry.code)))
    entry.position = POSITION_NEVER


cdef void _reverse(State state, Link link, const Transaction *transaction, Ending *ending) noexcept:
    """Take back what may have been charged and is not told as approved."""
    cdef Outcome *entry = state.duplicates.at(transaction.outcome)
    cdef ReversalOrder order
    ending.position = 0
    if ending.charged and not ending.approved:
        order = order_reversal(transaction, ending.cause)
        order.authorization_code = entry.authorization_code
        ending.position = reverse(state, link, &order)
        entry.reversed = ending.position != POSITION_FAILED
    if not ending.approved:
        uncount(state, entry, ending.answer != NULL and is_decline(ending.reason))


cdef TerminalChannel _let_read_on(State state, const Transaction *transaction):
    """The connection that waits for the answer, which may now have another request in flight; None when it is gone."""
    cdef TerminalChannel channel
    channel = <TerminalChannel>state.channels.at(transaction.origin_slot, transaction.origin_generation)
    if channel is not None:
        channel.in_flight -= 1
        state.channels.wake(channel)
    return channel


# --- record, tell -----------------------------------------------------------------------------------------------------

cdef bint _record(State state, TerminalChannel channel, const Transaction *transaction, Ending *ending) noexcept:
    """Store the answer for repeats, and write the end down; False when nothing may be told."""
    cdef Outcome *entry = state.duplicates.at(transaction.outcome)
    cdef int64_t written
    state.meters.transaction(transaction.listener, transaction.link, transaction.kind, ending.told,
                             <uint64_t>(state.calendar.now_ns - transaction.received_ns))
    _store(state, transaction, ending)
    if ending.size < 0:
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, transaction.listener)
        state.leave_open(entry.intent, transaction.link)
        if channel is not None:
            channel.hang_up("answer cannot be composed")
        return False
    if ending.position == POSITION_FAILED:
        state.leave_open(entry.intent, transaction.link)       # what may be charged is reversed after a restart
        return False
    written = state.journal.outcome(entry, ending.told, state.stored_answer, state.stored_size, state.take_detail())
    if written == POSITION_FAILED:
        state.leave_open(entry.intent, transaction.link)       # nothing may be told that is not written down
        return False
    ending.position = max(ending.position, written)
    entry.position = ending.position
    return True


cdef void _store(State state, const Transaction *transaction, const Ending *ending) noexcept nogil:
    """Finish the outcome and store the answer that was composed last; without one where there is none, or no room for
    it: then its reason."""
    cdef uint32_t sent_size = ending.sent_size if ending.approved else 0
    if ending.size < 0 or state.duplicates.finish(transaction.outcome, state.stored_answer, state.stored_size,
                                                  transaction.sent, sent_size, state.calendar.now_ns) != 0:
        state.duplicates.finish_without_answer(transaction.outcome, ending.told, state.calendar.now_ns)


cdef void _tell(State state, TerminalChannel channel, const Transaction *transaction, const Ending *ending) noexcept:
    """Send the answer; an approval that cannot be told is reversed."""
    cdef uint8_t marked[FRAME_HEADERS_MAX]
    cdef uint32_t outcome = transaction.outcome
    if channel is None or not send_to_terminal(state, channel, headers_of_answer(state, channel, transaction, marked),
                                               <uint32_t>ending.size, ending.position,
                                               outcome if ending.approved else OUTCOME_NONE):
        stats_add(state.meters.stats, state.meters.listener[transaction.listener].undelivered, 1)
        if ending.approved:
            reverse_untold(state, outcome)
