"""Finds originals in the journal: which transaction is meant, and what has become of it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.base.siphash cimport SipKey
from switch.journal.disk cimport Disk
from switch.journal.original_index cimport SegmentIndex
from switch.journal.records cimport Record
from switch.journal.replay cimport JournalReader, Visitor
from switch.machine.claims cimport KeptClaim
from switch.machine.original_reference cimport Candidate, Naming
from switch.machine.originals cimport Original, Wanted


cdef class Finder:
    cdef readonly JournalReader reader
    cdef readonly bint files              # indexes of sealed segments are kept in files
    cdef readonly int64_t reach_us        # how far back is looked
    cdef readonly bint is_cut_off         # the last look-up: more may have been meant than is looked at
    cdef SipKey _key
    cdef list _indexes                    # of all segments that could be read, oldest first
    cdef dict _names                      # by segment
    cdef set _unreadable                  # names of segments
    cdef int _first                       # number of the first segment in reach
    cdef int64_t _offset_s                # of local time, for dates
    cdef readonly uint32_t probes         # searches of indexes for references, in one look-up
    cdef uint32_t _probes_left
    cdef bint _is_cut                     # more would have had to be looked at
    cdef uint32_t _references_left        # that may still be looked at
    cdef int _claim_state                 # of what ``_standing_claim`` has told of
    cdef bint _is_void_loose              # that void is another partition's, and may be taken back
    cdef bint _is_decided                 # what ``_standing_part`` has told of has ended, and so have its voids

    cdef void _begin_look_up(self) noexcept
    cdef int _find_reach(self) except -1
    cdef int64_t _begun_ns(self, SegmentIndex index) except? -1
    cdef Names _names_of(self, SegmentIndex index)
    cdef object _look_for(self, Wanted wanted)
    cdef bint _is_damaged_from(self, int first) except -1
    cdef void _describe(self, Original original, const Naming *naming, uint8_t *pan, Candidate *candidate) noexcept
    cdef int _add_ties(self, Original original) except -1
    cdef int _segment_of(self, int64_t position)
    cdef Original _original_at(self, int64_t position)
    cdef Original _open(self, SegmentIndex index, uint64_t offset, uint32_t number)
    cdef list _places_of(self, int number, uint64_t key)
    cdef int _complete(self, Original original, int first) except -1
    cdef int _count_references(self, Original original, int first) except -1
    cdef bint _undoes_by_void(self, Picker picker, int64_t position) except -1
    cdef KeptClaim _claim_at(self, int64_t position)
    cdef int64_t _standing_claim(self, int64_t position, int first) except -2
    cdef int64_t _standing_part(self, int64_t position, int kind, int first) except -2


cdef class Picker(Visitor):
    """Takes one record of a batch."""
    cdef uint32_t number
    cdef int segment          # number of its segment
    cdef bint is_found
    cdef Record record
    cdef bytes message


cdef class Names(Visitor):
    """What a segment begins with."""
    cdef dict links           # by number
    cdef int64_t elapsed_ns   # the journal's own time
