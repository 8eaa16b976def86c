"""A terminal's answer: composed in its dialect, sealed and sent; and answers that the switch gives itself."""

from libc.stdint cimport uint64_t
from libc.string cimport memset
from switch.base.stats cimport stats_add
from switch.dialect.authentication cimport seal_message
from switch.dialect.card_data cimport unkept_of_answer
from switch.dialect.reasons cimport REASON_APPROVED, REASON_TIMEOUT
from switch.dialect.tables cimport answer_mti, kind_traits
from switch.machine.duplicate cimport OUTCOME_NONE
from switch.machine.listener cimport MAC_POLICY_NONE
from switch.machine.meters cimport LIMIT_NUMBERS
from switch.machine.note_queue cimport NOTE_ANSWER_NOT_COMPOSABLE
from switch.machine.sending cimport send_to_terminal
from switch.machine.state cimport SCRATCH_BYTES
from switch.wire.kept_copy cimport has_any_of, keep_copy
from switch.wire.translate cimport SLOT_RESPONSE_CODE, SLOT_RRN, Composer, Sources, fill_slot, sources_of


# --- composing --------------------------------------------------------------------------------------------------------

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
    return terminal != NULL and terminal.mac_key.size and listener.mac_policy != MAC_POLICY_NONE


cdef Composer _own_composer(Listener listener, const Terminal *terminal):
    """For answers that the switch gives itself."""
    return listener.answer_composer if has_mac_key(listener, terminal) else listener.unsigned_answer_composer


cdef int compose_own_answer(State state, Listener listener, const Terminal *terminal) noexcept:
    return compose_answer(state, listener, _own_composer(listener, terminal), terminal, NULL)


cdef int compose_answer(State state, Listener listener, object composer, const Terminal *terminal,
                        const MessageIndex *answer) noexcept:
    cdef Composer compiled = <Composer>composer
    cdef uint32_t offset = <uint32_t>listener.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef uint64_t unkept[3]
    cdef Sources sources = sources_of(&state.request, answer, &state.slots)
    cdef int size
    state.set_mti(answer_mti(state.request.mti))
    size = compiled.compose(&sources, state.out + offset, SCRATCH_BYTES - offset, &state.composed, &state.fault)
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


# --- in the switch's own words ----------------------------------------------------------------------------------------

cdef void prepare_answer(State state, Listener listener, int reason) noexcept:
    state.clear_slots()
    set_reason(state, listener, reason)
    if state.numbering.take():
        state.numbering.write_rrn(state.rrn)
        set_rrn(state, state.rrn)
    else:
        memset(state.rrn, 0, sizeof(state.rrn))      # none may be promised just now: the answer goes without
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_NUMBERS], 1)


cdef void answer_as_prepared(State state, TerminalChannel channel, int64_t position, uint32_t outcome) noexcept:
    cdef Listener listener = channel.listener
    cdef int size = compose_own_answer(state, listener, state.inbound.terminal)
    if size < 0:
        state.tell_fault(NOTE_ANSWER_NOT_COMPOSABLE, listener.number)
        channel.hang_up("no answer can be written to the request")
        return
    send_to_terminal(state, channel, state.inbound.answer_headers, <uint32_t>size, position, outcome)


cdef void answer_with(State state, TerminalChannel channel, int reason, int64_t position, const uint8_t *rrn) noexcept:
    cdef Listener listener = channel.listener
    if rrn == NULL or rrn[0] == 0:
        prepare_answer(state, listener, reason)
    else:
        state.clear_slots()
        set_reason(state, listener, reason)
        set_rrn(state, rrn)
    answer_as_prepared(state, channel, position, OUTCOME_NONE)


cdef void refuse(State state, TerminalChannel channel, int reason) noexcept:
    state.meters.transaction(channel.listener.number, NO_LINK, state.inbound.kind, reason, 0)
    answer_with(state, channel, reason, 0, NULL)


cdef void answer_overtaken(State state, TerminalChannel channel, int64_t position) noexcept:
    cdef int kind = state.inbound.kind
    cdef int reason = REASON_APPROVED if kind_traits(kind).is_advice else REASON_TIMEOUT
    state.meters.transaction(channel.listener.number, NO_LINK, kind, reason, 0)
    answer_with(state, channel, reason, position, NULL)
