"""The journal's own time, as its records bear it: what no clock that is set can change."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.journal.records cimport RecordHead

cdef enum:
    ELAPSED_SHIFT = 30                # a tick has 2**30 ns


cdef void stamp_record(uint8_t *record, int64_t elapsed_ns) noexcept nogil
"""Write the journal's own time into a record's head: ticks of 2**30 ns, 24 bits of them."""

cdef int64_t elapsed_of(const RecordHead *head, int64_t near_ns) noexcept nogil
"""A record's time, at the end of its tick: the one that is nearest to ``near_ns``. -1 when it has none."""
