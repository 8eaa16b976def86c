"""The records of one TCP connection: walks each chunk that was read, keeps only the incomplete end of it.

Of a ring's bytes ``read_record`` (``switch.mesh.record_decoder``) reads directly: there a record is never cut.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t
from switch.mesh.records cimport MeshFault, MeshRecord
from switch.wire.framing cimport FrameBuffer


@cython.final
@cython.no_gc
cdef class RecordStream:
    """``begin(chunk)``, then ``next`` until it says MESH_INCOMPLETE or MESH_FAULTY, then ``end()``. A caller may stop
    before that: ``end()`` keeps the rest, and ``begin(NULL, 0)`` goes on with it."""
    cdef FrameBuffer tail
    cdef const uint8_t *_chunk
    cdef size_t _left
    cdef uint32_t _given                    # bytes of the tail under the record that was given last
    cdef readonly size_t record_bytes_max

    cdef void begin(self, const uint8_t *data, size_t size) noexcept nogil
    """Borrow a chunk, of at most 64 KiB, until ``end()``."""

    cdef int next(self, MeshRecord *record, MeshFault *fault) noexcept nogil
    """The next record, a ``MeshStatus``. Its pointers hold until the following ``next`` or ``end``. After a fault the
    stream cannot be read further."""

    cdef void _drop_given(self) noexcept nogil
    cdef int end(self) noexcept nogil
    """Keep what was not given yet; 0, or -1 when there is no memory, or a longer chunk than may be."""

    cdef uint32_t partial_size(self) noexcept nogil
    """Bytes kept after ``end()``: 0 when no record is pending."""

    cdef void clear(self) noexcept nogil
    """Forget everything, for a connection that is gone."""
