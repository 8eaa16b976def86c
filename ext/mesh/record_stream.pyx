"""The records of one TCP connection: walks each chunk that was read, keeps only the incomplete end of it."""

cimport cython
from switch.mesh.record_decoder cimport mesh_fault_error, read_record
from switch.mesh.record_values cimport record_value
from switch.mesh.records cimport (
    MESH_COMPLETE,
    MESH_FAULTY,
    MESH_HEAD_BYTES,
    MESH_INCOMPLETE,
    MESH_RECORD_BYTES_MAX,
)

cdef enum:
    CHUNK_BYTES_MAX = 1 << 16     # that are read from a connection at once


@cython.final
@cython.no_gc
cdef class RecordStream:
    def __cinit__(self, size_t record_bytes_max=MESH_RECORD_BYTES_MAX):
        if not MESH_HEAD_BYTES <= record_bytes_max <= MESH_RECORD_BYTES_MAX:
            raise ValueError(f"record_bytes_max: needed {MESH_HEAD_BYTES} to {MESH_RECORD_BYTES_MAX}, "
                             f"got {record_bytes_max}")
        self.record_bytes_max = record_bytes_max
        # A whole record, or what a caller who stops early leaves of a chunk and the record before it.
        self.tail = FrameBuffer(record_bytes_max + CHUNK_BYTES_MAX)

    cdef void begin(self, const uint8_t *data, size_t size) noexcept nogil:
        self._chunk = data
        self._left = size

    cdef int next(self, MeshRecord *record, MeshFault *fault) noexcept nogil:
        cdef int status
        cdef size_t taken
        self._drop_given()
        while self.tail.size:
            status = read_record(self.tail.data + self.tail.start, self.tail.size, self.record_bytes_max, record, fault)
            if status == MESH_COMPLETE:
                self._given = record.size
            if status != MESH_INCOMPLETE or self._left == 0:
                return status
            # Only as much as this record still needs is copied; what follows it is read in place.
            taken = (record.size if record.size else MESH_HEAD_BYTES) - self.tail.size
            taken = min(taken, self._left)
            if self.tail.append(self._chunk, taken) < 0:
                return MESH_INCOMPLETE    # no memory: what is left finds none in ``end`` either
            self._chunk += taken
            self._left -= taken
        status = read_record(self._chunk, self._left, self.record_bytes_max, record, fault)
        if status == MESH_COMPLETE:
            self._chunk += record.size
            self._left -= record.size
        return status

    cdef void _drop_given(self) noexcept nogil:
        if self._given:
            self.tail.consume(self._given)
            self._given = 0

    cdef int end(self) noexcept nogil:
        cdef int result
        self._drop_given()
        result = self.tail.append(self._chunk, self._left)
        self._chunk = NULL
        self._left = 0
        return result

    cdef uint32_t partial_size(self) noexcept nogil:
        return self.tail.size

    cdef void clear(self) noexcept nogil:
        self._given = 0
        self._chunk = NULL
        self._left = 0
        self.tail.clear()

    @property
    def kept(self):
        """Bytes of a record that is not complete yet."""
        return self.partial_size()

    def feed(self, const uint8_t[::1] data not None):
        """The records that a chunk completes."""
        cdef MeshRecord record
        cdef MeshFault fault
        cdef int status
        cdef list found = []
        self.begin(&data[0] if data.shape[0] else NULL, <size_t>data.shape[0])
        while True:
            status = self.next(&record, &fault)
            if status != MESH_COMPLETE:
                break
            found.append(record_value(&record))
        if status == MESH_FAULTY:
            self.clear()
            raise mesh_fault_error(&fault)
        if self.end() < 0:
            raise MemoryError
        return found
