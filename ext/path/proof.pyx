"""What proves that a request is its terminal's, and what is told to one that may not ask.

Its MAC proves it, or the certificate of its connection.
"""

from switch.base.stats cimport stats_add
from switch.dialect.authentication cimport MAC_ABSENT, MAC_RIGHT, MAC_WRONG, mac_fault, verify_message
from switch.dialect.reasons cimport REASON_MAC_FAILED
from switch.machine.duplicate cimport OUTCOME_NONE
from switch.machine.listener cimport MAC_POLICY_NONE, MAC_POLICY_REQUIRED, Listener
from switch.machine.note_queue cimport NOTE_MAC_FAILURE, STRANGER_CERTIFICATE, STRANGER_LISTENER
from switch.machine.request_context cimport NOT_BARRED
from switch.path.identity cimport tell_barred
from switch.path.key_overlap cimport comes_under_former_key, note_mac_under_new_key, require_sign_in
from switch.path.natural_key cimport comes_again, read_natural_key
from switch.path.request_faults cimport tell_request_fault
from switch.path.terminal_answer cimport refuse


cdef bint check_mac(State state, TerminalChannel channel) noexcept:
    cdef Listener listener = channel.listener
    cdef int verdict
    if state.inbound.barred == STRANGER_CERTIFICATE:
        return _refuse_unproven(state, channel)
    if listener.mac_policy == MAC_POLICY_NONE:
        return True
    verdict = verify_message(state.macs, listener.tables, &state.inbound.terminal.mac_key, &state.request)
    if verdict == MAC_RIGHT or (verdict == MAC_WRONG and comes_under_former_key(state, channel)):
        state.inbound.is_proven = True
        if state.inbound.terminal.has_former:
            note_mac_under_new_key(state)
        return True
    if verdict == MAC_ABSENT:
        if listener.mac_policy != MAC_POLICY_REQUIRED or not (listener.tables.mac_kinds >> state.inbound.kind) & 1:
            return True
    if state.inbound.barred != NOT_BARRED:
        return _refuse_unproven(state, channel)
    mac_fault(listener.tables, &state.request, verdict, &state.fault)
    tell_request_fault(state, NOTE_MAC_FAILURE, listener)
    stats_add(state.meters.stats, state.meters.listener[listener.number].mac_failures, 1)
    state.terminals.of[state.inbound.terminal_number].mac_failures += 1
    # Its former keys may have been taken for long enough: it learns at least what to do.
    if state.inbound.terminal.has_former:
        require_sign_in(state, channel)
    refuse(state, channel, REASON_MAC_FAILED)
    return False


cdef bint may_speak_here(State state, TerminalChannel channel) noexcept:
    if state.inbound.barred != STRANGER_LISTENER or state.inbound.is_proven:
        return True
    return refuse_barred(state, channel)


cdef bint _refuse_unproven(State state, TerminalChannel channel) noexcept:
    """Refuse who is barred and does not prove who it is; False, for a step to hand on.

    Of one that only the journal knows nobody can prove it yet. A refusal would tell its approved payment as declined,
    or end its reversal: it is left to ask again.
    """
    if state.inbound.terminal.is_unregistered and (comes_again(state.inbound.kind) or (
            read_natural_key(state, channel.listener)
            and state.duplicates.find(&state.inbound.key) != OUTCOME_NONE)):
        return False
    return refuse_barred(state, channel)


cdef bint refuse_barred(State state, TerminalChannel channel) noexcept:
    cdef int reason = tell_barred(state, channel)
    state.inbound.terminal = NULL             # as strangers are refused: nothing is signed
    refuse(state, channel, reason)
    return False
