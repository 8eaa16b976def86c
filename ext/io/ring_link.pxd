"""A peer in another process of this node: what it says is read from a ring, what it is told is written to another."""

from switch.io.connection cimport Reactor
from switch.io.follower cimport Follower
from switch.mesh.peer cimport Peer
from switch.mesh.ring cimport RingPair

cdef class RingLink(Follower):
    cdef readonly Peer peer
    cdef readonly RingPair pair
    cdef Reactor _reactor
    cdef object _on_lost
    cdef bint _is_over
    cdef bint _looks_again

    cdef void send(self) noexcept
    cdef void _hear(self) noexcept
    cdef void _end_with(self, str why)
