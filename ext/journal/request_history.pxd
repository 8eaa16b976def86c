"""What the journal says of requests as risk control sees them: what was asked, and whether it stands.

It is read twice: what became of a request stands behind it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from switch.base.position_table cimport PositionTable
from switch.journal.records cimport Record
from switch.journal.replay cimport Visitor
from switch.machine.request_record cimport RequestPart
from switch.tables.registry cimport Registry
from switch.tables.risk cimport Risk

cdef enum Fate:
    FATE_STANDS               # approved, and not taken back
    FATE_OPEN                 # without an outcome
    FATE_GONE                 # not approved, or taken back
    FATE_DECLINED             # by its issuer
    FATE_REFUSED              # by a rule of risk control: no issuer was asked


cdef class Fates(Visitor):
    """What became of requests, by the position of their INTENT or ADVICE."""
    cdef PositionTable _fates                 # of those that do not stand
    cdef int64_t _last                        # position of the last record that was read
    cdef readonly uint64_t records


cdef class RequestVisitor(Visitor):
    """Is given each request that risk control has looked at, with what became of it."""
    cdef PositionTable _fates
    cdef int64_t _last                        # what is written behind it has no fate yet
    cdef readonly uint64_t records

    cdef int take_request(self, const Record *record, int fate) except -1


cdef class CountRestorer(RequestVisitor):
    cdef Risk _risk
    cdef Registry _registry
    cdef int64_t _now_ms
    cdef int64_t _wall_ms
    cdef int64_t _since_ms
    cdef uint32_t _journal                    # its partition
    cdef int64_t _counted_to                  # somebody before has counted up to this position
    cdef readonly uint64_t counted


cdef class JournalRequest:
    """One request, and what became of it."""
    cdef RequestPart request
    cdef readonly int64_t wall_us
    cdef int fate


cdef class RequestListing(RequestVisitor):
    cdef object _callback
    cdef int64_t _from_us
