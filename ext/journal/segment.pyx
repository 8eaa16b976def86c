"""Writes batches to segment files: one write and one synchronization a batch, the next file prepared in time."""

import os

cimport cython
from libc.errno cimport EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC, ESTALE
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from switch.base.invariant cimport ensure
from switch.crypto.libcrypto cimport OPENSSL_cleanse, RAND_bytes
from switch.crypto.sealing cimport SEAL_KEY_BYTES, SEAL_NONCE_BYTES
from switch.journal.compression cimport pack
from switch.journal.file_heads cimport (
    BATCH_ALIGNMENT, BATCH_HEAD_BYTES, BATCH_NAMES, BATCH_RECORDS, KEY_ID_BYTES, PACKING_LZ4, PACKING_NONE,
    SEGMENT_HEAD_BYTES, SEGMENT_SEALED_BYTES, BatchHead, SegmentHead, batch_size, close_batch, close_segment_head,
)
from switch.journal.file_heads import key_id

cdef enum:
    NAME_ROOM = 40
    FILLED_AHEAD_BYTES = 1 << 20
    NAMES_ROOM = 131072       # of links and listeners with their numbers

PREPARED_NAME = "next.segment"
SEGMENT_SUFFIX = ".journal"
STAGES = {
    STAGE_NONE: "",
    STAGE_ALLOCATE: "the next segment cannot be allocated",
    STAGE_HEAD: "the next segment cannot be begun",
    STAGE_WRITE: "a batch cannot be written",
    STAGE_SYNC: "a batch cannot be made durable",
    STAGE_SEAL: "a batch cannot be sealed",
    STAGE_GONE: "the segment was removed while it was written",
}


@cython.final
cdef class SegmentWriter:
    """The journal's end, where it grows.

    Args:
        disk: Where its files are.
        wrapping_key: 32 bytes; wraps the key of each segment.
        journal_id: 16 bytes that all segments of one journal share.
        segment_bytes: Size of a segment file.
        batch_room: Bytes of one batch's records at most.
    """

    def __cinit__(self, Disk disk not None, bytes wrapping_key not None, bytes journal_id not None, *,
                  uint64_t segment_bytes, uint64_t batch_room):
        if len(wrapping_key) != SEAL_KEY_BYTES or len(journal_id) != JOURNAL_ID_BYTES:
            raise ValueError("a journal needs a wrapping key of 32 bytes and an identity of 16")
        self._names_room = min(batch_room, <uint64_t>NAMES_ROOM)
        if segment_bytes < 2 * batch_room + self._names_room + 4096:
            raise ValueError(f"a segment of {segment_bytes} bytes has no room for two batches of {batch_room} bytes")
        self.disk = disk
        self.segment_bytes = segment_bytes
        self.batch_room = batch_room
        self._wrapper = Sealer()
        self._wrapper.set_key(wrapping_key)
        cdef bytes named = key_id(wrapping_key)
        memcpy(self._key_id, <const uint8_t *><const char *>named, KEY_ID_BYTES)
        self._sealer = Sealer()
        memcpy(self._journal_id, <const uint8_t *><const char *>journal_id, JOURNAL_ID_BYTES)
        self._file = -1
        self._prepared = -1
        self._out = <uint8_t *>malloc(BATCH_HEAD_BYTES + max(batch_room, <uint64_t>NAMES_ROOM) + BATCH_ALIGNMENT)
        self._names = <uint8_t *>malloc(NAMES_ROOM)
        if self._out == NULL or self._names == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._out)
        free(self._names)

    @property
    def reason(self):
        """Why something failed, in words; empty when nothing did."""
        return f"{STAGES[self.stage]}: {os.strerror(self.error)}" if self.stage else ""

    def begin(self, int64_t first_position, int64_t wall_us, bytes names not None):
        """Begin the first segment of this run; every run has a segment, and so a key, of its own.

        Args:
            first_position: Of the first record to come.
            wall_us: The time, in microseconds since 1970.
            names: What the numbers of links and listeners mean, as ``switch.journal.records`` writes it.

        Raises:
            OSError: it cannot be written.
        """
        self.set_names(names, <uint32_t>len(names))
        if self._rotate(first_position, wall_us) != 0:
            raise OSError(self.error, self.reason)

    def close(self):
        """Give the files back; the last segment is cut to what it holds."""
        if self._file >= 0:
            self.disk.truncate(self._file, self._offset)
            self.disk.close(self._file)
            self._file = -1
        if self._prepared >= 0:
            self.disk.close(self._prepared)
            self.disk.remove(PREPARED_NAME.encode())
            self._prepared = -1
        self.broken = True

    @cython.linetrace(False)                 # who calls it holds a mutex
    cdef void set_names(self, const uint8_t *names, uint32_t size) noexcept nogil:
        """What the next segment begins with."""
        if size <= self._names_room:
            memcpy(self._names, names, size)
            self._names_size = size

    cdef int _fail(self, int stage, int status) noexcept nogil:
        if self.stage == STAGE_NONE or stage != STAGE_ALLOCATE:
            self.stage = stage
            self.error = -status
        if stage != STAGE_ALLOCATE:
            self.broken = True
        return -1

    cdef int write(self, const uint8_t *records, uint32_t size, int64_t first_position, uint32_t count,
                   int64_t wall_us) noexcept nogil:
        """Seal and write one batch, in a new segment when this one has no room; 0, -1 or WRITE_WAITS.

        ``sync`` must follow. WRITE_WAITS leaves everything as it was: the same batch may be given once more later.
        """
        if self.broken:
            return -1
        ensure(self._next_position in (0, first_position), b"no position is left out from batch to batch")
        ensure(count > 0 and size > 0, b"a batch has a record")
        if self._offset + batch_size(size) > self.segment_bytes:
            if self._prepared < 0 and (self.stage or self._prepare() != 0) and self._may_try_again():
                return WRITE_WAITS
            if self._rotate(first_position, wall_us) != 0:
                self.broken = True
                return -1
        self._next_position = first_position + count
        return self._put_batch(BATCH_RECORDS, records, size, first_position, count, wall_us)

    cdef int sync(self) noexcept nogil:
        """Make what was written durable; 0 or -1. Then see to it that the next segment has its room in time."""
        if self.broken:
            return -1
        ensure(self._file >= 0, b"what is made durable has a file")
        cdef int status = self.disk.sync(self._file)
        if status < 0:
            return self._fail(STAGE_GONE if status == -ESTALE else STAGE_SYNC, status)
        return 0

    cdef int prepare(self) noexcept nogil:
        """Allocate the next segment when this one is half full; 0 or -1. A failure leaves what is begun its room."""
        if self.broken or self._prepared >= 0 or self.stage or self._offset < self.segment_bytes // 2:
            return 0
        return self._prepare()

    cdef bint _may_try_again(self) noexcept nogil:
        """Whether what failed is an allocation for want of room: no record was touched by it."""
        return (self.stage == STAGE_ALLOCATE and not self.broken
                and self.error in (ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM))

    cdef int try_again(self) noexcept nogil:
        """Allocate the next segment once more where there was no room for it; 0, or -1 when there is none yet.

        Nothing else is ever tried again.
        """
        if not self._may_try_again():
            return -1
        self.stage = STAGE_NONE
        self.error = 0
        return self._prepare()

    cdef int _prepare(self) noexcept nogil:
        ensure(self._prepared < 0, b"one segment is prepared at a time")
        cdef int file = self.disk.create(b"next.segment", self.segment_bytes)
        if file < 0:
            return self._fail(STAGE_ALLOCATE, file)
        self._prepared = file
        return 0

    cdef int _rotate(self, int64_t first_position, int64_t wall_us) noexcept nogil:
        cdef uint8_t key[SEAL_KEY_BYTES]
        cdef char name[NAME_ROOM]
        cdef SegmentHead head
        cdef int status
        if self._prepared < 0 and (self.stage or self._prepare() != 0):
            return -1
        memset(&head, 0, sizeof(SegmentHead))
        head.first_position = first_position
        head.low_water = min(self.low_water, first_position)
        head.created_us = wall_us
        memcpy(head.journal_id, self._journal_id, JOURNAL_ID_BYTES)
        memcpy(head.key_id, self._key_id, KEY_ID_BYTES)
        if RAND_bytes(key, SEAL_KEY_BYTES) != 1 or RAND_bytes(head.nonce, SEAL_NONCE_BYTES) != 1:
            return self._fail(STAGE_SEAL, 0)
        close_segment_head(&head)
        status = self._wrapper.seal(head.nonce, <const uint8_t *>&head, SEGMENT_SEALED_BYTES, key, SEAL_KEY_BYTES,
                                    head.wrapped_key, head.key_tag)
        close_segment_head(&head)
        self._sealer.set_key(key)
        OPENSSL_cleanse(key, SEAL_KEY_BYTES)
        if status != 0:
            return self._fail(STAGE_SEAL, 0)
        ensure(self._prepared >= 0 and self._prepared != self._file, b"the next segment is another file")
        if self._file >= 0:
            self.disk.truncate(self._file, self._offset)      # only to give room back
            self.disk.close(self._file)
        self._file = self._prepared
        self._prepared = -1
        self._offset = SEGMENT_HEAD_BYTES
        self._filled = 0
        status = self.disk.write(self._file, <const uint8_t *>&head, SEGMENT_HEAD_BYTES, 0)
        if status < 0:
            return self._fail(STAGE_HEAD, status)
        if self._put_batch(BATCH_NAMES, self._names, self._names_size, first_position, 0, wall_us) != 0:
            return -1
        snprintf(name, NAME_ROOM, "%020lld.journal", <long long>first_position)
        status = self.disk.sync(self._file)
        if status >= 0:
            status = self.disk.rename(b"next.segment", name)
        if status >= 0:
            status = self.disk.sync_directory()
        if status < 0:
            return self._fail(STAGE_HEAD, status)
        self.segments += 1
        return 0

    cdef int _put_batch(self, int kind, const uint8_t *records, uint32_t size, int64_t first_position,
                        uint32_t count, int64_t wall_us) noexcept nogil:
        ensure(size <= max(self.batch_room, self._names_room), b"records fit into the room of a batch")
        ensure(self._file >= 0 and not self.broken, b"a batch is written to a file that takes it")
        ensure(self._offset + batch_size(size) <= self.segment_bytes, b"a batch ends within its segment")
        cdef BatchHead *head = <BatchHead *>self._out
        cdef uint32_t packed_size = pack(records, size, self._out + BATCH_HEAD_BYTES, size, self._slots)
        cdef int status
        ensure(packed_size <= size, b"records are not packed into more than they were")
        head.first_position = first_position
        head.count = count
        head.sealed_size = packed_size if packed_size else size
        head.clear_size = size
        head.kind = <uint8_t>kind
        head.packing = PACKING_LZ4 if packed_size else PACKING_NONE
        head.wall_us = wall_us
        if packed_size == 0:
            memcpy(self._out + BATCH_HEAD_BYTES, records, size)
        if close_batch(self._out, self._sealer, self._offset) != 0:
            return self._fail(STAGE_SEAL, 0)
        status = self.disk.write(self._file, self._out, head.size, self._offset)
        if status < 0:
            return self._fail(STAGE_WRITE, status)
        ensure(head.size % BATCH_ALIGNMENT == 0, b"a batch ends where one may begin")
        self._offset += head.size
        self.written += head.size
        if self._offset > self._filled:
            self._filled = min(self._offset + FILLED_AHEAD_BYTES, self.segment_bytes)
            status = self.disk.fill(self._file, self._offset, self._filled - self._offset)
            if status < 0:
                return self._fail(STAGE_WRITE, status)
        return 0
