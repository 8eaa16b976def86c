"""The other workers of the switch: who owns which partition, and frames that wait for one that is not there."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.base.stats cimport Stats
from switch.machine.listener cimport TerminalChannel
from switch.machine.terminal_counts cimport TerminalCounts
from switch.mesh.journals_heard cimport JournalsHeard
from switch.mesh.peer cimport Peer
from switch.mesh.records cimport Span

cdef class WaitingFrame:
    """A frame that waits for a worker that is not there; what it held is wiped when it goes."""
    cdef TerminalChannel channel
    cdef uint32_t partition
    cdef uint32_t terminal                    # by its number in the registry
    cdef int64_t until_ns
    cdef Span headers                         # its own copy, the message right behind them
    cdef Span message


cdef class Mesh:
    cdef readonly list peers
    cdef list _owners                         # Peer by partition; None: this worker, or nobody that is known
    cdef readonly int64_t patience_ns         # how long a frame waits for a worker that is not there
    cdef readonly list waiting                # by peer: WaitingFrames
    cdef TerminalCounts _terminals            # their places of what waits
    cdef uint32_t _share_percent
    cdef Stats _stats
    cdef list _refused                        # by partition: place of the counter
    cdef readonly JournalsHeard heard         # of their journals
    cdef int64_t *_told_positions             # of our journals, by peer and partition; TOLD_NOTHING: not yet
    cdef list _told_ns                        # by peer: when it was told last

    cdef void count_in(self, Stats stats)
    cdef void note_refused(self, uint32_t partition)
    cdef Peer owner(self, uint32_t partition)
    cdef bint give(self, TerminalChannel channel, uint32_t partition, Span headers, Span message)
    cdef void begin_to_tell(self, Peer peer, uint32_t partition) noexcept
    cdef void tell_nothing(self, Peer peer) noexcept
    cdef void tell_journals(self, list states, int64_t now_ns) noexcept
    cdef void share_out(self, TerminalCounts terminals, uint32_t percent)
    cdef bint keep(self, TerminalChannel channel, uint32_t partition, uint32_t terminal, Span headers, Span message,
                   int64_t now_ns)
    cdef void let_go(self, Peer peer, WaitingFrame frame)
