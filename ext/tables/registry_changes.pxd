"""Changes of a registry while it is looked up."""

from libc.stdint cimport uint32_t
from switch.tables.registry cimport Registry

cpdef int take_changes(Registry registry, Registry changes) except -1
"""Change a registry between two messages: no pointer into it may be held across this."""

cdef void suspend_terminal(Registry registry, uint32_t number) noexcept nogil
"""Serve a terminal no longer, from the next message on."""
