"""Whom the end of a turn concerns, beside connections."""

from switch.mesh.peer cimport Peer
from switch.path.engine cimport Engine


cdef class Follower:
    cdef void end_turn(self) noexcept
    cdef void send(self) noexcept
    cdef void send_all(self, Engine engine, Peer peer) noexcept
    """Send what waits for a peer, and what had waited for room with it."""
