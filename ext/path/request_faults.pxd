"""What is wrong with a request that can be read: an operator is told, and its OUTCOME, if it gets one, says so too."""

from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NoteEvent
from switch.machine.state cimport State


cdef void tell_request_fault(State state, NoteEvent event, Listener listener) noexcept nogil
"""Tell of ``state.fault`` in the request in hand, whose terminal is known."""

cdef void tell_field(State state, NoteEvent event, Listener listener, int field, int code) noexcept nogil
"""The same of one field; ``code`` is a ``FaultCode``."""

cdef void tell_missing(State state, Listener listener, int field) noexcept
"""Tell, and count, that it lacks a field that is needed, or that this says nothing."""
