"""Requests that waited for their original: taken up again when that was looked up."""

from libc.string cimport memcpy
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.reasons cimport REASON_SYSTEM_MALFUNCTION, REASON_TIMEOUT
from switch.machine.duplicate cimport Outcome
from switch.machine.listener cimport TerminalChannel
from switch.machine.request_context cimport Inbound
from switch.machine.transaction cimport Transaction
from switch.path.claiming cimport refer_to_claim
from switch.path.identity cimport NOT_REFUSED
from switch.path.key_overlap cimport ask_to_sign_in, terminal_as_it_was
from switch.path.original_lookup cimport ask_again, stop_waiting
from switch.path.outcome cimport finish_reversal, finish_unsent
from switch.path.request cimport begin_inbound, forward_request, refer_to_original
from switch.path.terminal_reversal cimport reverse_found


cdef void resume_request(State state, uint32_t number, Original original, bint is_certain) noexcept:
    if original is not None and state.inquiries.is_outdated(state.transactions.at(number).position, original):
        ask_again(state, number)
    else:
        _resume(state, number, original, is_certain, NULL)


cdef void resume_claimed(State state, uint32_t number, const ClaimedBody *claimed) noexcept:
    _resume(state, number, None, True, claimed)


cdef void _resume(State state, uint32_t number, Original original, bint is_certain,
                  const ClaimedBody *claimed) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef TerminalChannel channel
    channel = <TerminalChannel>state.channels.at(transaction.origin_slot, transaction.origin_generation)
    stop_waiting(state, number)
    if channel is None or not state.journal.accepts():
        # Nobody was asked, and its terminal is told nothing: if it comes again it is new.
        state.duplicates.forget(transaction.outcome)
        if channel is not None:
            channel.hang_up("journal cannot be written")
    else:
        _take_up(state, transaction)
        ask_to_sign_in(state, channel)
        if transaction.kind == KIND_REVERSAL:
            _end_reversal(state, channel, original, is_certain)
        else:
            _go_on(state, channel, transaction, original, is_certain, claimed)
    state.transactions.close(number)        # which wipes the PIN block and the tracks in it


cdef void _take_up(State state, const Transaction *transaction) noexcept:
    """What was known of a request when it began to wait."""
    cdef Inbound *inbound = &state.inbound
    cdef const Outcome *entry = state.duplicates.at(transaction.outcome)
    begin_inbound(state, transaction.headers)
    state.transactions.recall_request(transaction, &state.request)
    inbound.terminal = terminal_as_it_was(state, transaction, &inbound.former_self)
    inbound.is_under_former = transaction.is_under_former
    inbound.terminal_number = transaction.terminal
    inbound.kind = transaction.kind
    inbound.amount_minor = transaction.amount_minor
    inbound.currency = entry.currency
    inbound.entry_mode = entry.entry_mode
    inbound.pan_digits = transaction.pan_digits
    memcpy(inbound.pan, transaction.pan, sizeof(transaction.pan))
    inbound.key = entry.key
    inbound.named_at = entry.named_at
    inbound.fingerprint = entry.fingerprint
    inbound.outcome = transaction.outcome


cdef void _end_reversal(State state, TerminalChannel channel, Original original, bint is_certain) noexcept:
    """Answer a terminal's reversal that waited with its answer."""
    cdef int reason = REASON_SYSTEM_MALFUNCTION
    if original is not None or is_certain:
        reason = reverse_found(state, original, state.inbound.amount_minor)
    finish_reversal(state, channel, reason)


cdef void _go_on(State state, TerminalChannel channel, const Transaction *transaction, Original original,
                 bint is_certain, const ClaimedBody *claimed) noexcept:
    """Send a request on its way that waited for its original."""
    cdef int reason = REASON_TIMEOUT      # its terminal has taken it back meanwhile: no issuer hears of it
    if not transaction.reversal_wanted:
        if claimed == NULL:
            reason = refer_to_original(state, original, is_certain)
        else:
            reason = refer_to_claim(state, claimed)
    if reason != NOT_REFUSED:
        finish_unsent(state, channel, reason)
    else:
        forward_request(state, channel)
