"""The other workers of the switch: who owns which partition, and frames that wait for one that is not there."""

from libc.stdint cimport int64_t, uint32_t
from switch.base.stats cimport Stats
from switch.machine.listener cimport TerminalChannel
from switch.mesh.peer cimport Peer
from switch.mesh.records cimport Span

cdef class Mesh:
    cdef readonly list peers
    cdef list _owners                         # Peer by partition; None: this worker, or nobody that is known
    cdef readonly int64_t patience_ns         # how long a frame waits for a worker that is not there
    cdef readonly list waiting                # by peer: tuples of channel, partition, headers, message, until when
    cdef Stats _stats
    cdef list _refused                        # by partition: place of the counter

    cdef void count_in(self, Stats stats)
    cdef void note_refused(self, uint32_t partition)
    cdef Peer owner(self, uint32_t partition)
    cdef bint give(self, TerminalChannel channel, uint32_t partition, Span headers, Span message)
    cdef bint keep(self, TerminalChannel channel, uint32_t partition, Span headers, Span message, int64_t now_ns)
