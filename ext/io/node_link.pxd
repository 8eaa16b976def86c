"""A peer on another machine: what it says comes as chunks of a stream, what it is told is written once a turn."""

from libc.stdint cimport uint8_t
from switch.io.connection cimport Reactor
from switch.io.follower cimport Follower
from switch.mesh.peer cimport Peer
from switch.mesh.record_stream cimport RecordStream

cdef class NodeLink(Follower):
    cdef Reactor _reactor
    cdef readonly Peer peer
    cdef RecordStream _stream
    cdef object _write
    cdef object _on_lost
    cdef bint _is_over
    cdef bint _is_paused                      # the transport takes no more for now
    cdef bint _is_ending                      # the reason why was given already

    cdef void _hear(self, const uint8_t *data, size_t size) noexcept
    cdef void end_turn(self) noexcept
    cdef void send(self) noexcept
    cdef void _end_with(self, str why)
