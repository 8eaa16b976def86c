"""A peer on another machine: what it says comes as chunks of a stream, what it is told is written once a turn."""

cimport cython

cdef enum:
    CHUNK_BYTES = 65536           # that the stream takes at once


@cython.final
cdef class NodeLink(Follower):
    """Joins a peer to a transport, from when both sides have said who they are until one of them is gone.

    Args:
        reactor: Drives the engine.
        peer: The other worker.
        write: Takes bytes to be sent.
        on_lost: Called with the reason, once, when the peer cannot be understood or does not read.
    """

    def __init__(self, Reactor reactor not None, Peer peer not None, object write not None, object on_lost not None):
        self._reactor = reactor
        self.peer = peer
        self._stream = RecordStream()
        self._write = write
        self._on_lost = on_lost

    def start(self):
        """Begin."""
        self._reactor.engine.state.calendar.set_from_clock()
        self._reactor.engine.come_up(self.peer)
        self._reactor.followers.append(self)
        self._reactor.end_turn()
        self._reactor.engine.state.deliver_notes()

    def stop(self):
        """End: what was not handed over yet never is."""
        if self._is_over:
            return
        self._is_over = True
        self._reactor.followers.remove(self)
        self._reactor.engine.state.calendar.set_from_clock()
        self._reactor.engine.lose_peer(self.peer)
        self._reactor.end_turn()
        self._reactor.engine.state.deliver_notes()

    def receive(self, bytes data not None):
        """Hear a chunk of what the peer says, and let everybody write what comes of it."""
        if self._is_over or self._is_ending:
            return
        self._reactor.engine.state.calendar.set_from_clock()
        self._hear(data, <size_t>len(data))
        self._reactor.end_turn()
        self._reactor.engine.state.deliver_notes()

    cdef void _hear(self, const uint8_t *data, size_t size) noexcept:
        cdef size_t part
        while size and self.peer.fault is None:
            part = min(size, <size_t>CHUNK_BYTES)
            self._reactor.engine.hear_chunk(self.peer, self._stream, data, part)
            data += part
            size -= part

    def ask_for_a_word(self):
        """Let the peer say something, whatever there is to say."""
        self.peer.ping()
        self._reactor.end_turn()

    def pause(self):
        """Write nothing for now."""
        self._is_paused = True

    def resume(self):
        """Write again."""
        self._is_paused = False
        self._reactor.end_turn()

    cdef void end_turn(self) noexcept:
        """Send what waits."""
        if self._is_over or self._is_ending:
            return
        self.send_all(self._reactor.engine, self.peer)
        if self.peer.fault is not None:
            self._end_with(self.peer.fault)

    cdef void send(self) noexcept:
        if self._is_paused or self.peer.waiting_bytes == 0:
            return
        try:
            self._write(self.peer.take_output())
        except Exception as error:
            self._end_with(f"{type(error).__name__}: {error}")

    cdef void _end_with(self, str why):
        if not self._is_ending:
            self._is_ending = True
            self._reactor.loop.call_soon(self._on_lost, why)
