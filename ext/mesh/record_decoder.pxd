"""Reads the mesh's records from bytes as they lie in a ring or in what was read from a connection."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.mesh.records cimport MeshFault, MeshJournal, MeshRecord
from switch.tables.count_log cimport Counted


cdef int read_record(const uint8_t *data, size_t size, size_t size_max, MeshRecord *record,
                     MeshFault *fault) noexcept nogil
"""The record at ``data``; a ``MeshStatus``.

Complete: its parts are borrowed from ``data``; the next one begins ``record.size`` bytes further. Incomplete:
``record.size`` is what the whole takes, 0 when that cannot be told yet. Faulty: ``fault`` says what is wrong and where;
nothing behind it can be read. A record longer than ``size_max`` is a fault as soon as its head is there.

Every number in the record is a checked copy. The parts are not: where another process may write into ``data``, their
bytes may change while they are read, their places and sizes may not."""

cdef int owned_partition(const MeshRecord *hello, uint32_t place, MeshJournal *journal) noexcept nogil
"""One of the partitions that the sender of a HELLO owns, of ``hello.owned_count``, ascending; -1 when there is no such
place, or when it has been overwritten since the record was read."""

cdef bint is_plain_text(const uint8_t *text, size_t size) noexcept nogil
"""Whether it has graphic ASCII characters alone, as names of nodes and addresses."""

cdef bint is_control(uint8_t byte) noexcept nogil

cdef str mesh_fault_words(const MeshFault *fault)
"""What is wrong with a record, in one line that holds no byte of any message."""

cdef object mesh_fault_error(const MeshFault *fault)
"""The same as a ``MeshRecordError``."""

cdef int counted_by(const MeshRecord *record, uint64_t now_ms, Counted *counted) noexcept nogil
"""What a COUNTED says, its moment by the clock of here; -1 when it has been changed since it was read."""
