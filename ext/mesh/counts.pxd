"""What nodes tell each other of what they have counted: in risk's windows and for stand-in.

Within a node counts are shared memory. A worker of a node tells one worker of each other node what it has counted
itself; from there all workers of that node know it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from switch.base.shared_memory cimport SharedMemory
from switch.mesh.records cimport MeshRecord
from switch.tables.count_log cimport CountLog
from switch.tables.risk cimport Risk
from switch.tables.stand_in cimport StandIn


cdef class CountsHeard:
    cdef readonly uint32_t room
    cdef SharedMemory _memory                 # None: not shared
    cdef uint64_t *_next                      # by worker of other nodes: number of its next count; 0: none was heard


cdef class PeerCounts:
    cdef readonly uint32_t far                # among the workers of other nodes
    cdef CountLog log                         # None: another worker of its node is told ours
    cdef uint64_t next                        # number of the count to be told next; 0: it has not said yet
    cdef bint owes_taken                      # how far it was heard has to be said
    cdef list stand_ins                       # StandIn by link, None where it has none
    cdef Risk _risk                           # None: there are no limits
    cdef CountsHeard _heard
    cdef int64_t *_said                       # of outstanding sums, by link and limit; -1: nothing yet

    cdef void begin(self) noexcept
    """A connection stands."""

    cdef uint64_t heard(self) noexcept
    """The number of the count that the peer is to tell next; 0: none was heard."""

    cdef int take_counted(self, const MeshRecord *record, uint64_t now_ms) noexcept
    """A count of the peer's; -1 when it cannot be."""

    cdef uint64_t take_place(self, uint64_t next) noexcept
    """The peer has heard all before this number; how many counts it will never hear."""

    cdef int take_outstanding(self, const MeshRecord *record) noexcept
    """What is outstanding at the peer; -1 when it cannot be."""

    cdef uint64_t skip_what_is_gone(self) noexcept
    """Go on with what is kept; how many counts it will never hear."""

    cdef int64_t *said(self, int link, int limit) noexcept
