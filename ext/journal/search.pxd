"""Finds transactions in the journal by what is printed on a slip, and collects all that was written of each."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from switch.base.position_table cimport PositionTable
from switch.journal.records cimport Record
from switch.journal.replay cimport Visitor
from switch.machine.request_record cimport PAN_PACKED_BYTES, TERMINAL_BYTES, RequestPart

cdef enum:
    RRN_BYTES = 12


cdef class Search(Visitor):
    cdef readonly list found                  # of transactions, each a list of its records
    cdef readonly set referring               # places in ``found`` of those that only refer to one that was looked for
    cdef int64_t _position                    # of the one transaction that is looked for; 0: any
    cdef readonly bint is_full                # there were more than were wanted
    cdef readonly int64_t looked_at           # requests among which was searched
    cdef int64_t _most
    cdef int64_t _from_us
    cdef int64_t _to_us
    cdef int64_t _stan                        # -1: any
    cdef int64_t _amount_minor                # -1: any
    cdef bint _has_rrn
    cdef bint _has_terminal
    cdef uint8_t _rrn[RRN_BYTES]
    cdef uint8_t _terminal[TERMINAL_BYTES]
    cdef int _first_count
    cdef int _last_count
    cdef uint8_t _first[2 * PAN_PACKED_BYTES]
    cdef uint8_t _last[2 * PAN_PACKED_BYTES]
    cdef PositionTable _of                    # number in ``found``, from 1, of each position that may be named
    cdef uint64_t _taken_back                 # number of the transaction that the last record took back; 0: none
    cdef dict _links
    cdef dict _listeners

    cdef int _take_request(self, const Record *record, const uint8_t *rrn) except -1
    cdef bint _matches(self, const RequestPart *request, const uint8_t *rrn, int64_t wall_us) noexcept nogil
    cdef int _open(self, const Record *record) except -1
    cdef int _add(self, uint64_t number, const Record *record) except -1
    cdef int _take_delivered(self, const Record *record) except -1


cdef class SafVisitor(Visitor):
    cdef dict _records                        # of what is owed, by position
    cdef dict _taking_back                    # positions of the REVERSALs that are owed, by what they take back
    cdef dict _unsaid                         # advices without their OUTCOME
    cdef readonly str boot                    # which start of which machine wrote the last segment; empty: not known
    cdef readonly int64_t offset_ns           # from the time since then to the journal's own
    cdef readonly int64_t elapsed_ns          # of the last record, by the journal's own time; -1: not known
    cdef readonly int64_t wall_us             # the same by the wall clock
    cdef dict _links
    cdef dict _listeners
