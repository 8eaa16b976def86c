"""Another worker of the switch, as this one knows it: what was said to it, and what it has said.

Of a terminal's connection its *front end* has the socket, and the worker that owns the terminal's partition a *guest*,
on which the state machine answers as on any other connection. ``docs/mesh.md`` has the records in which they speak.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.base.stats cimport Stats
from switch.machine.channel cimport Channel, FrameOwner
from switch.machine.channel_table cimport ChannelTable
from switch.machine.link_connections cimport LinkChannel, LinkConnections
from switch.machine.listener cimport TerminalChannel
from switch.mesh.counts cimport PeerCounts
from switch.mesh.records cimport MeshRecord, MeshTerminal, Span

cdef enum:
    PEER_OUTPUT_BYTES_MAX = 4 << 20   # that wait for the mesh; above it answers wait, and frames are not handed over
    PEER_SPARE_BYTES = 1 << 20        # above that, for what is short and must be said

cdef struct View:             # of one of our terminals' connections: what the peer has to do with it
    uint32_t generation
    bint is_open              # it knows of the connection
    bint is_listed            # what was told of its answers waits to be said
    uint64_t frames           # handed over
    uint64_t handled          # of these, looked at
    uint64_t answers          # of it that were taken
    uint64_t told             # of these, those that have left
    uint32_t counted          # in the connection's requests under way

cdef struct PeerMeters:       # places of counters
    uint32_t frames
    uint32_t answers
    uint32_t ends
    uint32_t counts_lost


cdef class PeerOwner(FrameOwner):
    cdef Peer peer


cdef class Guest(TerminalChannel):
    cdef Peer front                           # its front end
    cdef MeshTerminal origin         # as its front end names it
    cdef uint64_t handled                     # frames
    cdef uint64_t answers                     # that the peer was given
    cdef uint64_t told                        # of these, those that it says have left
    cdef str reason                           # why it is to be hung up; None: it is not
    cdef uint64_t _said_handled
    cdef uint32_t _said_in_flight
    cdef bint _has_said_reason

    cdef bint flush(self) noexcept
    cdef int take_told(self, uint64_t told) noexcept


cdef class ElsewhereLink(LinkChannel):
    cdef Peer holder                          # who has them
    cdef uint32_t carried                     # its frames on our connections of the link, not answered yet
    cdef int64_t carried_ns                   # when the newest of these was given to us

    cdef bint flush(self) noexcept


cdef class Peer:
    cdef readonly uint32_t number             # among the peers of this worker
    cdef readonly str name
    cdef readonly bint is_up
    cdef readonly str fault                   # why the connection must end; None: it need not
    cdef readonly PeerOwner owner             # of the frames that it sends on our connections
    cdef readonly list links                  # ElsewhereLink, by number
    cdef bint is_lent                         # it may send on our connections of links
    cdef PeerCounts counts                    # None: what it counts is counted here
    cdef ChannelTable _channels
    cdef list _guests                         # by the peer's slots; None where there is none
    cdef list _link_connections               # ours, by number
    cdef uint32_t *_said_connections          # of each link: ours that are signed on, as the peer was told
    cdef View *_views                         # by our slots
    cdef uint32_t _view_count
    cdef uint32_t *_unsaid                    # slots of what was told and is not said yet
    cdef uint32_t _unsaid_count
    cdef uint32_t _unsaid_room
    cdef uint8_t *_out
    cdef size_t _out_size
    cdef size_t _out_room
    cdef uint32_t kept_places                 # of messages that wait for it to be there
    cdef bint is_full                         # something did not find room, and waits for it
    cdef uint64_t _connections                # so far: the place of a position of its answers
    cdef Stats _stats                         # None: it is joined to nothing yet
    cdef PeerMeters _meters

    cdef void count_in(self, Stats stats)
    cdef bint has_room(self, size_t size) noexcept nogil
    cdef const uint8_t *output(self, size_t *size) noexcept nogil
    cdef void note_sent(self, size_t size) noexcept nogil
    cdef uint8_t *_reserve(self, size_t size) noexcept
    cdef uint8_t *_find_room(self, size_t size) noexcept
    cdef bint _wrote(self, int size) noexcept
    cdef void fail(self, str why) noexcept
    cdef void go_up(self) noexcept
    cdef void go_down(self) noexcept
    # As a front end.
    cdef View *_view(self, Channel channel) noexcept
    cdef View *_open_view(self, uint32_t slot, uint32_t generation) noexcept nogil
    cdef bint _introduce(self, TerminalChannel channel, View *view) noexcept
    cdef bint hand_over(self, TerminalChannel channel, uint16_t partition, Span headers, Span message) noexcept
    cdef void close_terminal(self, Channel channel) noexcept
    cdef void take_answer(self, const MeshRecord *record, int64_t now_ns) noexcept
    cdef void take_handled(self, const MeshRecord *record) noexcept
    cdef void take_hang_up(self, const MeshRecord *record) noexcept
    cdef void _note_told(self, Channel channel) noexcept
    cdef void _count(self, Channel channel, View *view, uint32_t in_flight) noexcept
    cdef void forget_views(self) noexcept
    # As an owner.
    cdef Guest guest(self, const MeshRecord *record)
    cdef Guest open_guest(self, const MeshRecord *record, list listeners)
    cdef Guest close_guest(self, const MeshRecord *record)
    cdef list take_guests(self)
    # Of links.
    cdef bint send_answer_home(self, uint16_t link, Span headers, Span message) noexcept
    cdef void say_what_is_new(self, uint64_t now_ms) noexcept
    cdef void _say_counts(self, uint64_t now_ms) noexcept
    cdef void _say_outstanding(self) noexcept
    cdef void take_count(self, const MeshRecord *record, uint64_t now_ms) noexcept
