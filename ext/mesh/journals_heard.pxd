"""What one worker has heard of the others' journals: whose copy is older than that is not believed."""

from libc.stdint cimport uint32_t
from switch.mesh.records cimport MeshJournal


cdef class JournalsHeard:
    cdef MeshJournal *_newest         # by partition
    cdef uint32_t _count

    cdef void note(self, const MeshJournal *journal) noexcept nogil
