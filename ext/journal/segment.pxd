"""Writes batches to segment files: one write and one synchronization a batch, the next file prepared in time.

It knows nothing of threads and clocks; whoever drives it does. It never goes back: what failed is not tried again.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.crypto.sealing cimport Sealer
from switch.journal.compression cimport PACKING_SLOTS
from switch.journal.disk cimport Disk
from switch.journal.file_heads cimport JOURNAL_ID_BYTES, KEY_ID_BYTES

cdef enum WriterStage:        # what failed
    STAGE_NONE
    STAGE_ALLOCATE            # the next segment: what is written already has room, nothing new must begin
    STAGE_HEAD
    STAGE_WRITE
    STAGE_SYNC
    STAGE_SEAL
    STAGE_GONE                # the file has no name any more: nobody would find what was written

cdef enum:
    WRITE_WAITS = 1           # nothing was written: there is no room for the next segment just now


cdef class SegmentWriter:
    cdef readonly Disk disk
    cdef readonly uint64_t segment_bytes
    cdef readonly uint64_t batch_room             # of one batch's records, bytes
    cdef uint64_t _names_room                     # of the names that a segment begins with, bytes
    cdef readonly int stage                       # of the first failure, or STAGE_NONE
    cdef readonly int error                       # its errno
    cdef readonly bint broken                     # nothing can be written any more
    cdef readonly uint64_t written                # bytes, of all segments
    cdef readonly uint64_t segments               # begun
    cdef Sealer _wrapper                          # the key that wraps the segments' keys
    cdef Sealer _sealer                           # the current segment's own key
    cdef uint8_t _journal_id[JOURNAL_ID_BYTES]
    cdef uint8_t _key_id[KEY_ID_BYTES]            # by which heads name the key that wraps
    cdef int _file
    cdef int _prepared                            # the next segment's file, or -1
    cdef uint64_t _offset
    cdef int64_t _next_position                   # of the next batch; 0: not known yet
    cdef uint64_t _filled                         # up to where zeros were written ahead
    cdef uint8_t *_out
    cdef uint32_t _slots[PACKING_SLOTS]           # scratch space of packing
    cdef uint8_t *_names
    cdef uint32_t _names_size
    cdef int64_t low_water                        # for the next segment's head; 0: all is needed

    cdef int write(self, const uint8_t *records, uint32_t size, int64_t first_position, uint32_t count,
                   int64_t wall_us) noexcept nogil
    cdef int sync(self) noexcept nogil
    cdef int prepare(self) noexcept nogil
    cdef int try_again(self) noexcept nogil
    cdef void set_names(self, const uint8_t *names, uint32_t size) noexcept nogil
    cdef int _fail(self, int stage, int status) noexcept nogil
    cdef bint _may_try_again(self) noexcept nogil
    cdef int _prepare(self) noexcept nogil
    cdef int _rotate(self, int64_t first_position, int64_t wall_us) noexcept nogil
    cdef int _put_batch(self, int kind, const uint8_t *records, uint32_t size, int64_t first_position,
                        uint32_t count, int64_t wall_us) noexcept nogil
