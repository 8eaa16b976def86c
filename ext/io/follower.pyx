"""Whom the end of a turn concerns, beside connections."""


cdef class Follower:
    """Does nothing; for what has something to do then."""

    cdef void end_turn(self) noexcept:
        """All who were ready were heard, and what may leave was written."""

    cdef void send(self) noexcept:
        """Hand what waits for the peer to its transport, as far as that takes it."""

    cdef void send_all(self, Engine engine, Peer peer) noexcept:
        self.send()
        if peer.is_full and peer.waiting_bytes == 0:
            peer.is_full = False
            engine.flush_gated()
            self.send()
