"""A registry that is changed while it is looked up."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.tables.identifiers cimport Index
from switch.tables.registry cimport Registry


cdef class RegistryChange:
    """Changes with the room that they need: a new index is made where it is made, which may be another thread."""
    cdef Registry _registry
    cdef Registry _changes
    cdef Index _merchant_index                # new ones, and those before once there is room; no slots: none is needed
    cdef Index _terminal_index
    cdef uint64_t _merchant_room              # 0: there is enough
    cdef uint64_t _terminal_room
    cdef uint32_t _merchants_taken
    cdef uint32_t _terminals_taken
    cdef uint32_t _merchants_settled          # whose terminals must be bound to what they are now
    cdef bint _has_room


cdef uint32_t enter_merchant(Registry registry, const uint8_t *id) except? 0xFFFFFFFF
cdef uint32_t enter_terminal(Registry registry, const uint8_t *id, uint32_t merchant) except? 0xFFFFFFFF
"""One that only a journal knows, by its identifier padded with blanks: the number that it keeps when the registry comes
to know it, and until then it is suspended. TERMINAL_NONE where that is no identifier. No pointer into the registry may
be held across this, and no ``RegistryChange`` be under way."""

cdef bint begin_service(Registry registry, uint32_t number) noexcept nogil
"""Serve a terminal that awaits its first sign-in, from now on; whether it did."""

cdef void suspend_terminal(Registry registry, uint32_t number) noexcept nogil
"""Serve a terminal no longer, from the next message on."""
