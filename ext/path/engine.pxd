"""The state machine's door: bytes, connections and the time go in; channels with output come out. No sockets here."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from switch.machine.channel cimport Channel
from switch.machine.channel_table cimport ChannelTable
from switch.machine.link_connections cimport LinkChannel
from switch.machine.listener cimport TerminalChannel
from switch.machine.originals cimport Original, Wanted
from switch.machine.partitions cimport Partitions
from switch.machine.state cimport State
from switch.mesh.mesh cimport Mesh
from switch.mesh.peer cimport Peer
from switch.mesh.record_stream cimport RecordStream
from switch.wire.framing cimport Frame

cdef enum:
    FRAMES_A_TURN = 64        # of one connection before the others get their turn

cdef enum Progress:
    PROGRESS_DONE             # the chunk is used up; an unfinished frame is kept
    PROGRESS_MORE             # frames are left: call again with no bytes
    PROGRESS_FULL             # the connection has as many requests in flight as it may: call again after an answer


cdef class Engine:
    cdef readonly Partitions partitions
    cdef readonly State state                # of the first partition: it looks after the connections of links
    cdef readonly ChannelTable channels
    cdef readonly Mesh mesh                  # None: there is no other worker
    cdef list _gated_elsewhere               # channels of peers' that wait for a journal, or for room
    cdef int64_t _next_sweep_ns
    cdef Py_ssize_t _next_slot             # of the round of limits that is under way; 0 between two rounds

    cdef int begin(self, Channel channel) except -1
    cdef void end(self, Channel channel) noexcept
    cdef void kick(self) noexcept
    cdef list take_dirty(self)
    cdef void _flush_elsewhere(self, Channel channel)
    cdef void flush_gated(self)
    cdef void settle_peers(self) noexcept
    cdef void come_up(self, Peer peer) noexcept
    cdef size_t hear_peer(self, Peer peer, const uint8_t *data, size_t size) noexcept
    cdef void hear_chunk(self, Peer peer, RecordStream stream, const uint8_t *data, size_t size) noexcept
    cdef void lose_peer(self, Peer peer) noexcept
    cdef void pass_time(self) noexcept
    cdef void _pass_time_of(self, State state) noexcept
    cdef int receive(self, Channel channel, const uint8_t *data, size_t size)
    cdef int _receive(self, Channel channel)
    cdef void _note_partial(self, Channel channel) noexcept
    cdef bint _is_proxy_header(self, TerminalChannel channel) noexcept
    cdef void _refuse_frame(self, Channel channel, int status, const Frame *frame)
    cdef void _sweep(self)
    cdef void _sweep_elsewhere(self, Channel channel)
    cdef void _sweep_terminal(self, TerminalChannel channel)
    cdef void _sweep_link(self, LinkChannel channel)
