"""How the journal stands in its files: heads of segments and of batches. ``docs/journal.md`` describes every byte.

All integers are little-endian. A batch begins at a multiple of 8 and is one write and one synchronization; its records
are sealed with the segment's own key, and a checksum covers it as it stands in the file.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.crypto.sealing cimport SEAL_KEY_BYTES, SEAL_NONCE_BYTES, SEAL_TAG_BYTES, Sealer

cdef enum:
    FORMAT_VERSION = 5
    # The oldest that is read: without DELIVERED, LATE, CLOSED, causes, moments, references to originals, and NUMBERS.
    FORMAT_VERSION_MIN = 1
    SEGMENT_HEAD_BYTES = 128
    SEGMENT_SEALED_BYTES = 56         # of the head, authenticated together with the wrapped key
    BATCH_HEAD_BYTES = 64
    BATCH_SEALED_BYTES = 40           # of the head, authenticated together with the records
    BATCH_ALIGNMENT = 8
    BATCH_BYTES_MAX = 1 << 28
    BATCH_MAGIC = 0x48435442          # "BTCH"
    JOURNAL_ID_BYTES = 16
    KEY_ID_BYTES = 8

cdef enum BatchKind:
    BATCH_RECORDS = 1
    BATCH_NAMES = 2                   # what link and listener numbers mean; takes no positions

cdef enum BatchPacking:
    PACKING_NONE
    PACKING_LZ4                       # LZ4's block format

cdef packed struct SegmentHead:
    uint8_t magic[8]
    uint32_t version
    uint32_t head_size
    int64_t first_position
    int64_t low_water                 # no record before it is needed for what was open when the segment began
    int64_t created_us
    uint8_t journal_id[JOURNAL_ID_BYTES]
    uint8_t nonce[SEAL_NONCE_BYTES]
    uint8_t wrapped_key[SEAL_KEY_BYTES]
    uint8_t key_tag[SEAL_TAG_BYTES]
    uint8_t key_id[KEY_ID_BYTES]      # of the key that wraps; zeros in segments of versions that knew only one
    uint32_t crc

cdef packed struct BatchHead:
    uint32_t magic
    uint32_t size                     # of the whole batch, padding included
    int64_t first_position
    uint32_t count
    uint32_t sealed_size
    uint32_t clear_size               # of the records, unsealed and unpacked
    uint8_t kind
    uint8_t packing
    uint8_t reserved[2]
    int64_t wall_us                   # when it was sealed
    uint8_t tag[SEAL_TAG_BYTES]
    uint8_t reserved_2[4]
    uint32_t crc                      # over the whole batch, with zero in this place

cdef enum BatchFault:
    BATCH_FINE
    BATCH_ABSENT                      # zeros: nothing was written here
    BATCH_DAMAGED                     # not a batch, cut short, or its checksum does not fit
    BATCH_FORGED                      # its checksum fits, but its seal does not


cdef uint32_t batch_size(uint32_t sealed_size) noexcept nogil
"""Bytes of a batch in its file, padding included."""

cdef void close_segment_head(SegmentHead *head) noexcept nogil
"""Set magic, version and checksum."""

cdef bint segment_head_is_whole(const SegmentHead *head) noexcept nogil

cdef int close_batch(uint8_t *batch, Sealer sealer, uint64_t offset) noexcept nogil
"""Seal, in place, the ``sealed_size`` clear bytes behind the filled head, pad and set the checksum; 0 or -1."""

cdef int check_batch(const uint8_t *data, uint64_t left, BatchHead *head) noexcept nogil
"""Read the head of the batch at ``data`` and check it all but for its seal; a ``BatchFault``."""

cdef int open_batch(const uint8_t *batch, const BatchHead *head, Sealer sealer, uint64_t offset,
                    uint8_t *clear) noexcept nogil
"""Unseal into ``clear``, with room for ``sealed_size`` bytes; a ``BatchFault``."""
