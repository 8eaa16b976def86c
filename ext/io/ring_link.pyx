"""A peer in another process of this node: what it says is read from a ring, what it is told is written to another."""

cimport cython
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy
from switch.mesh.records cimport MESH_RECORD_BYTES_MAX

cdef enum:
    WRITTEN_AT_ONCE = 2 * MESH_RECORD_BYTES_MAX


cdef size_t whole_records(const uint8_t *output, size_t size) noexcept nogil:
    """How much of what waits can be written at once without cutting a record."""
    cdef uint32_t record
    cdef size_t whole = 0
    if size <= <size_t>WRITTEN_AT_ONCE:
        return size
    while True:
        memcpy(&record, output + whole, sizeof(record))
        if whole + record > <size_t>WRITTEN_AT_ONCE:
            return whole
        whole += record


@cython.final
cdef class RingLink(Follower):
    """Joins a peer to a pair of rings, from when both sides have said who they are until one of them is gone.

    Args:
        reactor: Drives the engine.
        peer: The other worker.
        pair: This worker's end of the rings.
        on_lost: Called with the reason, once, when the peer cannot be understood or does not read.
    """

    def __init__(self, Reactor reactor not None, Peer peer not None, RingPair pair not None, object on_lost not None):
        self._reactor = reactor
        self.peer = peer
        self.pair = pair
        self._on_lost = on_lost

    def start(self):
        """Begin."""
        self._reactor.engine.state.calendar.set_from_clock()
        self._reactor.engine.come_up(self.peer)
        self._reactor.followers.append(self)
        self._reactor.loop.add_reader(self.pair.fileno(), self._look)
        self._look()

    def stop(self):
        """End: what was not handed over yet never is; what the peer has said until now is heard."""
        if self._is_over:
            return
        self._reactor.engine.state.calendar.set_from_clock()
        self._hear()
        self._is_over = True
        self._reactor.followers.remove(self)
        self._reactor.loop.remove_reader(self.pair.fileno())
        self._reactor.engine.lose_peer(self.peer)
        self.pair.close()
        self._reactor.end_turn()
        self._reactor.engine.state.deliver_notes()

    def _look(self):
        """Hear what there is, and let everybody write what comes of it."""
        self._looks_again = False
        if self._is_over:
            return
        self.pair.drain()
        self.pair.awake()
        self._reactor.engine.state.calendar.set_from_clock()
        self._hear()
        self._reactor.end_turn()
        self._reactor.engine.state.deliver_notes()

    cdef void _hear(self) noexcept:
        cdef size_t size, taken
        cdef const uint8_t *said
        while self.peer.fault is None:
            said = self.pair.incoming.peek(&size)
            if said == NULL:
                break
            taken = self._reactor.engine.hear_peer(self.peer, said, size)
            if taken == 0:
                break
            self.pair.incoming.consume(taken)

    cdef void end_turn(self) noexcept:
        """Hand over what waits; sleep when there is nothing to hear."""
        if self._is_over or self._looks_again:
            return
        self.send_all(self._reactor.engine, self.peer)
        self.pair.wake_peer()
        if self.peer.fault is not None:
            self._end_with(self.peer.fault)
        elif self.pair.incoming.fault or self.pair.outgoing.fault:
            self._end_with(self.pair.fault)
        elif not self.pair.may_sleep():
            self._looks_again = True
            self._reactor.loop.call_soon(self._look)

    cdef void send(self) noexcept:
        cdef size_t size, part
        cdef const uint8_t *output
        cdef uint8_t *place
        while True:
            output = self.peer.output(&size)
            part = whole_records(output, size)
            if part == 0:
                return
            place = self.pair.outgoing.reserve(part)
            if place == NULL:
                return                        # the pair's event says when there is room again
            memcpy(place, output, part)
            self.pair.outgoing.commit(part)
            self.peer.note_sent(part)

    cdef void _end_with(self, str why):
        self._looks_again = True
        self._reactor.loop.call_soon(self._on_lost, why)
