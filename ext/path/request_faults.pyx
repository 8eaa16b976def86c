"""What is wrong with a request that can be read: an operator is told, and its OUTCOME, if it gets one, says so too."""

from switch.base.stats cimport stats_add
from switch.machine.note_queue cimport NOTE_FORMAT_ERROR
from switch.wire.scan cimport FAULT_MISSING, fault_at


cdef void tell_request_fault(State state, NoteEvent event, Listener listener) noexcept nogil:
    state.keep_fault(False)
    state.tell_fault(event, listener.number, state.inbound.terminal.id)


cdef void tell_field(State state, NoteEvent event, Listener listener, int field, int code) noexcept nogil:
    fault_at(listener.tables.spec, &state.request, field, code, &state.fault)
    tell_request_fault(state, event, listener)


cdef void tell_missing(State state, Listener listener, int field) noexcept:
    stats_add(state.meters.stats, state.meters.listener[listener.number].format_errors, 1)
    tell_field(state, NOTE_FORMAT_ERROR, listener, field, FAULT_MISSING)
