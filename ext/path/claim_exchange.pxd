"""What keepers and claimants tell each other: directly within a worker, over the mesh between workers."""

from switch.machine.partitions cimport Partitions
from switch.mesh.mesh cimport Mesh
from switch.mesh.peer cimport Peer
from switch.mesh.records cimport MeshRecord


cdef void exchange_claims(Partitions partitions, Mesh mesh) noexcept
"""Tell what there is to tell; to be called every few milliseconds. ``mesh`` is None where there is no other worker."""

cdef void greet_peer(Partitions partitions, Mesh mesh, Peer peer) noexcept
"""A peer is there: say again what its partitions have not noted, and ask what became of their claims."""

cdef void take_claim_record(Partitions partitions, Mesh mesh, Peer peer, const MeshRecord *record) noexcept
"""A record that speaks of claims."""
