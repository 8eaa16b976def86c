"""What stands in a journal, looked at before its records are written anew: what is open, and when it all was."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from switch.journal.records cimport Record
from switch.journal.replay cimport Visitor


cdef class Survey(Visitor):
    cdef readonly str boot                    # which start of which machine its own time counts from, at its end
    cdef readonly int64_t offset_ns           # what is added to the nanoseconds since then
    cdef readonly int64_t elapsed_ns          # its own time at its last record; -1: there is none
    cdef readonly int64_t wall_us             # of its last record
    cdef readonly bint has_clock              # it has a time of its own at all
    cdef readonly uint64_t reserved_to        # the first number that was not reserved
    cdef readonly int32_t day_max             # days of reference numbers, as in NUMBERS
    cdef readonly int32_t day_floor
    cdef readonly set links                   # names
    cdef readonly set listeners
    cdef readonly set requests                # positions of INTENTs without OUTCOME
    cdef readonly set entries                 # of REVERSALs and ADVICEs that are owed
    cdef readonly set late                    # of INTENTs that were approved late, which nothing takes back yet
    cdef readonly dict untold                 # of approvals of which nobody knows that they were told: when they ended
    cdef dict _outcomes                       # position of the OUTCOME of each of these, by that of its INTENT,
    cdef dict _requests                       # and the other way round
    cdef dict _taken_back                     # by INTENT: its last REVERSAL, and 0 when that ended without effect

    cdef void _learn(self, uint64_t reserved_to, int32_t day_max, int32_t day_floor) noexcept
    cdef int _end_request(self, const Record *record) except -1
    cdef int _take_back(self, int64_t original, int64_t position) except -1


cdef int64_t elapsed_behind(const Record *record, int64_t before_ns) noexcept nogil
"""When a record was written by the journal's own time, which never goes back: ``before_ns`` is that of the one before
it, -1 where there is none."""
