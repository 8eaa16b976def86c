"""The answer to a repeat: a natural key that is known is never forwarded again (I4)."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy
from switch.base.stats cimport stats_add
from switch.dialect.authentication cimport seal_message
from switch.dialect.reasons cimport REASON_DUPLICATE, REASON_PARTIALLY_APPROVED, REASON_TIMEOUT
from switch.dialect.tables cimport kind_traits
from switch.machine.duplicate cimport OUTCOME_FINISHED, OUTCOME_NONE, Outcome
from switch.machine.journal_interface cimport POSITION_NEVER
from switch.machine.link cimport Link
from switch.machine.listener cimport MAC_POLICY_NONE, Listener
from switch.machine.note_queue cimport NOTE_CONFLICTING_REPEAT
from switch.machine.request_context cimport Inbound
from switch.machine.saf_store cimport NO_LISTENER
from switch.machine.sending cimport send_to_terminal
from switch.machine.state cimport SCRATCH_BYTES
from switch.machine.transaction cimport Transaction
from switch.path.natural_key cimport fingerprint_of
from switch.path.request_faults cimport tell_field
from switch.path.terminal_answer cimport answer_as_prepared, answer_with, has_mac_key, refuse, set_reason, set_rrn
from switch.wire.fields cimport AUTHORIZATION_CODE_SIZE, FIELD_STAN
from switch.wire.scan cimport FAULT_CONFLICT, scan_message
from switch.wire.translate cimport SLOT_AUTHORIZATION_CODE, SLOT_RESPONSE_CODE, fill_slot


cdef void answer_repeat(State state, TerminalChannel channel) noexcept:
    cdef Listener listener = channel.listener
    cdef Outcome *entry = state.duplicates.at(state.inbound.outcome)
    if not _is_same(state, entry) or not _suits(state, entry, listener):
        stats_add(state.meters.stats, state.meters.listener[listener.number].conflicting, 1)
        tell_field(state, NOTE_CONFLICTING_REPEAT, listener, FIELD_STAN, FAULT_CONFLICT)
        refuse(state, channel, REASON_DUPLICATE)
    elif entry.state == OUTCOME_FINISHED:
        _tell_again(state, channel, entry)
    else:
        _join(state, channel, state.transactions.at(entry.transaction))


cdef bint _is_same(State state, const Outcome *entry) noexcept nogil:
    """Whether it asks for what was asked for. A card that stands nowhere but in a track that no longer opens, because
    the track key was replaced, is taken to be the same."""
    cdef const Inbound *inbound = &state.inbound
    if entry.fingerprint == inbound.fingerprint:
        return True
    return (inbound.shut_track != 0 and inbound.pan_digits == 0 and entry.fingerprint == fingerprint_of(
        state, entry.pan, entry.pan_digits, inbound.kind, inbound.amount_minor))


cdef bint _suits(State state, const Outcome *entry, Listener listener) noexcept:
    """Whether it was told to the same merchant, and an answer stored for one listener can be told on another: same
    dialect, and with a MAC or without. What is composed anew suits all."""
    cdef Listener earlier
    if entry.merchant != state.inbound.terminal.merchant:
        return False
    if entry.listener == NO_LISTENER:
        return True
    earlier = <Listener>state.listeners[entry.listener]
    return (earlier.tables is listener.tables
            and (earlier.mac_policy == MAC_POLICY_NONE) == (listener.mac_policy == MAC_POLICY_NONE))


cdef void _join(State state, TerminalChannel channel, Transaction *transaction) noexcept:
    """The request is in flight: its newest connection gets the one answer."""
    cdef Listener listener = channel.listener
    cdef TerminalChannel earlier = <TerminalChannel>state.channels.at(transaction.origin_slot,
                                                                      transaction.origin_generation)
    stats_add(state.meters.stats, state.meters.listener[listener.number].joined, 1)
    if earlier is not None:
        earlier.in_flight -= 1
        state.channels.wake(earlier)      # it may have as many requests in flight as it may: now it can read on
    channel.in_flight += 1
    transaction.listener = listener.number
    transaction.origin_slot = channel.slot
    transaction.origin_generation = channel.generation
    memcpy(transaction.headers, state.inbound.headers, listener.framing.headers_size)
    transaction.mac_key = state.inbound.terminal.mac_key      # not is_under_former: its PIN is that of the first try


cdef void _tell_again(State state, TerminalChannel channel, Outcome *entry) noexcept:
    """Send the stored answer of a finished outcome again; what was approved and then reversed is told as not
    approved."""
    cdef Listener listener = channel.listener
    cdef uint32_t offset = <uint32_t>listener.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef uint32_t size = entry.answer_size
    # What a terminal must be told at least once, or it is reversed. An advice stands whether it was told or not.
    cdef bint told_once = entry.approved and not kind_traits(entry.kind).is_advice
    cdef uint32_t untold = state.inbound.outcome if told_once else OUTCOME_NONE
    if entry.position == POSITION_NEVER:
        return                            # nothing may be told that is not written down
    stats_add(state.meters.stats, state.meters.listener[listener.number].repeated, 1)
    if entry.brief:
        answer_with(state, channel, entry.reason, entry.position, entry.rrn)
    elif told_once and entry.reversed:
        # It could not be told in time, or before a crash, and was taken back: it counts as not approved.
        answer_with(state, channel, REASON_TIMEOUT, entry.position, entry.rrn)
    elif size == 0:
        _tell_anew(state, channel, entry, untold)
    else:
        memcpy(state.out + offset, state.duplicates.answer(state.inbound.outcome), size)
        _seal_again(state, listener, offset, size)
        send_to_terminal(state, channel, state.inbound.answer_headers, size, entry.position, untold)


cdef void _tell_anew(State state, TerminalChannel channel, const Outcome *entry, uint32_t untold) noexcept:
    """Say what was said before, where the answer itself is not stored: in the words of the listener that is asked now,
    and without what its issuer had added. A part needs its amount, so its repeat is refused as one."""
    cdef Listener listener = channel.listener
    cdef int size = 0
    if entry.reason == REASON_PARTIALLY_APPROVED:
        answer_with(state, channel, REASON_DUPLICATE, entry.position, entry.rrn)
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
    if untold != OUTCOME_NONE and entry.authorization_code[0]:
        fill_slot(&state.slots, SLOT_AUTHORIZATION_CODE, entry.authorization_code, AUTHORIZATION_CODE_SIZE)
    answer_as_prepared(state, channel, entry.position, untold)


cdef void _seal_again(State state, Listener listener, uint32_t offset, uint32_t size) noexcept:
    """A stored answer at ``state.out + offset`` may be without some of its fields, and its terminal may have another
    key since: its MAC is made anew."""
    cdef int mac_field
    if not has_mac_key(listener, state.inbound.terminal):
        return
    if scan_message(listener.tables.spec, state.out + offset, size, &state.composed, &state.fault) != 0:
        return                            # of a dialect that the listener no longer speaks: told as it was
    mac_field = listener.tables.mac_field_of(&state.composed)
    if mac_field:
        seal_message(state.macs, listener.tables, &state.inbound.terminal.mac_key, state.out + offset,
                     &state.composed, mac_field)
