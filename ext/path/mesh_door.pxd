"""What other workers say: frames of their terminals for partitions of ours, answers to ours, and what was told."""

from libc.stdint cimport uint8_t
from switch.machine.channel cimport Channel
from switch.machine.partitions cimport Partitions
from switch.mesh.mesh cimport Mesh
from switch.mesh.peer cimport Peer
from switch.mesh.record_stream cimport RecordStream


cdef size_t hear(Partitions partitions, Mesh mesh, Peer peer, const uint8_t *data, size_t size) noexcept
"""Take the whole records at ``data``; how many bytes these were. With a fault the peer has one."""

cdef void hear_stream(Partitions partitions, Mesh mesh, Peer peer, RecordStream stream, const uint8_t *data,
                      size_t size) noexcept
"""Take the records that a chunk of at most 64 KiB completes; the stream keeps the rest. A fault is the peer's then."""

cdef void lose(Partitions partitions, Peer peer) noexcept
"""The connection with a peer is gone: what it was given and has not said to be told, nobody knows; the rest was not."""

cdef void reverse_undelivered(Partitions partitions, Channel channel) noexcept
"""A connection is gone: approvals among what never left on it are reversed."""

cdef bint flush_elsewhere(Channel channel) noexcept
"""Give a peer what may leave on a channel whose socket is there; whether that was all."""
