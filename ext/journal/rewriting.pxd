"""Records of old partitions' journals written into those of new ones, with all that they refer to."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.journal.records cimport Record
from switch.journal.replay cimport Visitor
from switch.journal.segment cimport SegmentWriter


cdef class RawListing(Visitor):
    cdef object _callback
    cdef int64_t _elapsed_ns
    cdef dict _links                  # names by their numbers, as the segment has them
    cdef dict _listeners


cdef class NewJournal:
    cdef SegmentWriter writer
    cdef readonly int64_t next_position
    cdef uint8_t *_records            # that are not written yet
    cdef uint32_t _size
    cdef uint32_t _count
    cdef int64_t _began_ns            # the journal's own time at the first of them
    cdef int64_t _began_us
    cdef int64_t _elapsed_ns          # of the last one, by the journal's own time
    cdef int64_t _wall_us             # of the last one
    cdef bint _has_begun
    cdef list _links
    cdef list _listeners
    cdef dict _numbers
    cdef str _boot
    cdef int64_t _offset_ns

    cdef int64_t append(self, uint8_t *record, int64_t elapsed_ns) except -1
    """Write a record down; its position."""
    cdef int _flush(self) except -1


cdef class OldJournal:
    cdef readonly int number
    cdef readonly int64_t first_position
    cdef uint64_t[::1] _places        # of each record: partition and position in the new journals; 0: it has none

    cdef uint64_t place(self, int64_t position) noexcept
    cdef void put(self, int64_t position, int target, int64_t new_position) noexcept


cdef class Rewriter:
    cdef readonly uint64_t left       # records that refer to what was not taken along
    cdef readonly uint64_t claimed    # requests that claim what was in their partition, and is in another one now
    cdef readonly uint64_t unplaced   # reversals whose terminal is not known
    cdef list _journals
    cdef dict _olds
    cdef dict _links                  # numbers by name
    cdef dict _listeners
    cdef object _terminal_of
    cdef object _became_of
    cdef dict _referring              # what requests refer to in the new journals, by old partition and position
    cdef uint8_t *_out                # a record that is composed
    cdef uint32_t _size

    cdef int _place_request(self, const Record *record) noexcept
    cdef int _place(self, OldJournal old, const Record *record, dict links, dict listeners) except -2
    cdef int _place_reversal(self, OldJournal old, const Record *record, dict links, dict listeners) except -2
    cdef int _compose(self, OldJournal old, int target, Record *record, dict links, dict listeners) except -1
    cdef void _deliver(self, OldJournal old, const Record *record, int64_t elapsed_ns) except *
    cdef int64_t _reference(self, OldJournal old, int64_t position) noexcept
    cdef int _refer(self, OldJournal old, int target, Record *record, int64_t elapsed_ns) except -1
    cdef int64_t _claimed(self, int64_t refers_to) noexcept
    cdef int64_t _claim(self, OldJournal old, uint64_t place, const Record *record, int64_t elapsed_ns) except -1
    cdef void _put(self, const void *part, uint64_t size) noexcept
