"""One connection as the state machine sees it: an identity, and bytes that wait to leave. No socket.

Output is a queue of whole frames in one buffer. Each frame carries the journal position that must be durable before it
may leave, and whether it tells a terminal of an approval, so that an approval that never left can be reversed.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.machine.duplicate cimport DuplicateWindow
from switch.machine.journal_interface cimport Journal
from switch.wire.framing cimport FrameStream

cdef struct Departure:        # one frame in the output buffer
    uint64_t position         # of its owner's journal; 0 needs no wait
    uint64_t number           # what ``departed`` was when it was queued
    uint32_t end              # offset in the buffer where the frame ends
    const int64_t *durable    # up to where that is durable
    uint32_t owner            # number of its ``FrameOwner``
    uint32_t outcome          # entry of its duplicate window whose approval this frame tells, or OUTCOME_NONE
    uint32_t serial           # of that outcome
    bint passes_none          # it stays behind all that was queued before it, whoever's that is
    int64_t since_ns          # when it was queued


cdef class Channel


cdef class FrameOwner:
    """Whose frames leave on channels: a state machine here, or another worker."""
    cdef uint32_t number                   # in the list of owners that all channels of a worker share
    cdef const int64_t *durable            # up to where the journal is durable that their frames wait for
    cdef bint is_here                      # it is a ``StateOwner``

    cdef void has_left(self, Channel channel, const Departure *departure, bint is_known) noexcept
    cdef bint is_owed(self, const Departure *departure) noexcept


cdef class StateOwner(FrameOwner):
    cdef DuplicateWindow outcomes          # told when the frame of an approval has left
    cdef Journal journal                   # told when an answer has left to a terminal


cdef class Channel:
    cdef public object owner               # the I/O layer's or the simulator's end: has hang_up(reason)
    cdef readonly uint32_t slot            # place in the engine's table of channels
    cdef readonly uint32_t generation      # tells a reused slot from the channel that had it before
    cdef readonly bint is_open
    cdef readonly bint is_leaving          # hung up: what still comes in is not looked at
    cdef bint is_dirty                     # already in the engine's list of channels with output
    cdef FrameStream stream                # what comes in
    cdef list owners                       # those of its table; a frame's is found by its number
    cdef readonly bint is_of_terminal      # what leaves is an answer
    cdef readonly bint is_elsewhere        # its socket is another worker's: what leaves goes there
    cdef readonly uint32_t in_flight       # requests of this channel that are not answered yet
    cdef int64_t last_heard_ns
    cdef int64_t waiting_since_ns          # since when the oldest frame waits; 0 when there is none
    cdef int64_t partial_since_ns          # when the pending partial frame began; 0 when there is none

    cdef uint64_t departed                 # frames ever queued: the number of the newest

    cdef uint8_t *_out
    cdef uint32_t _size
    cdef uint32_t _left                    # bytes that have left, of frames that are still kept
    cdef uint32_t _room
    cdef Departure *_departures
    cdef uint32_t _departure_first
    cdef uint32_t _departure_count
    cdef uint32_t _departure_room

    cdef uint8_t *reserve(self, uint32_t room) noexcept
    cdef int depart(self, FrameOwner owner, uint32_t size, uint64_t position, uint32_t outcome,
                    int64_t now_ns) noexcept
    cdef void stay_behind(self) noexcept
    cdef bint withdraw(self, uint64_t number) noexcept
    cdef uint32_t _place_of(self, uint64_t number) noexcept
    cdef bint _bring_forward(self, uint32_t first) noexcept
    cdef uint32_t _start_of(self, uint32_t place) noexcept
    cdef bint waits_for_journal(self) noexcept
    cdef const uint8_t *next_output(self, uint32_t *size) noexcept
    cdef bint has_more_to_send(self) noexcept
    cdef void note_left(self, uint32_t size) noexcept
    cdef void settle(self) noexcept
    cdef void settle_some(self, uint32_t most, bint is_known) noexcept
    cdef uint32_t waiting_frames(self) noexcept
    cdef const uint8_t *next_frame(self, uint32_t *size) noexcept
    cdef bytes take(self)
    cdef uint32_t next_undelivered(self, uint32_t *owner) noexcept
    cdef void _give_back(self) noexcept
    cdef void hang_up(self, str reason) noexcept
