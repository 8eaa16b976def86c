"""A journal in memory, which becomes durable when its owner says so: for the simulator and for tests."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.machine.journal_interface cimport Journal


cdef class MemoryJournal(Journal):
    cdef readonly list told                   # positions whose answers have left
    cdef bint _fails                          # nothing can be written
    cdef readonly list records                # (what, details) in order; a record's position is its place, from 1

    cdef int64_t _note(self, str what, dict details) noexcept
