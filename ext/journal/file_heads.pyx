"""How the journal stands in its files: heads of segments and of batches."""

import hashlib

from libc.string cimport memcmp, memcpy, memset
from switch.base.checksum cimport crc32c
from switch.base.invariant cimport ensure

cdef const char *SEGMENT_MAGIC = "ASWJRNL1"


def key_id(bytes wrapping_key not None):
    """By what a segment's head names the key that wraps its own one: 8 bytes of which the key cannot be told."""
    return hashlib.blake2b(wrapping_key, digest_size=KEY_ID_BYTES, person=b"journal key").digest()


cdef uint32_t batch_size(uint32_t sealed_size) noexcept nogil:
    return (BATCH_HEAD_BYTES + sealed_size + BATCH_ALIGNMENT - 1) & ~<uint32_t>(BATCH_ALIGNMENT - 1)


cdef uint32_t head_checksum(const SegmentHead *head) noexcept nogil:
    return crc32c(0, <const uint8_t *>head, SEGMENT_HEAD_BYTES - sizeof(uint32_t))


cdef void close_segment_head(SegmentHead *head) noexcept nogil:
    memcpy(head.magic, SEGMENT_MAGIC, sizeof(head.magic))
    head.version = FORMAT_VERSION
    head.head_size = SEGMENT_HEAD_BYTES
    head.crc = head_checksum(head)


cdef bint segment_head_is_whole(const SegmentHead *head) noexcept nogil:
    return memcmp(head.magic, SEGMENT_MAGIC, sizeof(head.magic)) == 0 and head.crc == head_checksum(head)


cdef uint32_t batch_checksum(const uint8_t *batch, uint32_t size) noexcept nogil:
    cdef uint8_t zero[4]
    memset(zero, 0, sizeof(zero))
    cdef uint32_t crc = crc32c(0, batch, BATCH_HEAD_BYTES - sizeof(uint32_t))
    crc = crc32c(crc, zero, sizeof(zero))
    return crc32c(crc, batch + BATCH_HEAD_BYTES, size - BATCH_HEAD_BYTES)


cdef void nonce_of(uint64_t offset, uint8_t *nonce) noexcept nogil:
    """A batch's nonce is its place: nothing is ever written twice to one place under one key."""
    memset(nonce, 0, SEAL_NONCE_BYTES)
    memcpy(nonce, &offset, sizeof(offset))


cdef int close_batch(uint8_t *batch, Sealer sealer, uint64_t offset) noexcept nogil:
    cdef uint8_t nonce[SEAL_NONCE_BYTES]
    cdef BatchHead *head = <BatchHead *>batch
    cdef uint8_t *content = batch + BATCH_HEAD_BYTES
    ensure(offset % BATCH_ALIGNMENT == 0 and offset >= SEGMENT_HEAD_BYTES, b"a batch stands where one may begin")
    ensure(head.sealed_size <= BATCH_BYTES_MAX, b"a batch is not longer than one is read")
    head.magic = BATCH_MAGIC
    head.size = batch_size(head.sealed_size)
    memset(head.reserved, 0, sizeof(head.reserved))
    memset(head.reserved_2, 0, sizeof(head.reserved_2))
    nonce_of(offset, nonce)
    if sealer.seal(nonce, batch, BATCH_SEALED_BYTES, content, head.sealed_size, content, head.tag) != 0:
        return -1
    memset(content + head.sealed_size, 0, head.size - BATCH_HEAD_BYTES - head.sealed_size)
    head.crc = batch_checksum(batch, head.size)
    return 0


cdef int check_batch(const uint8_t *data, uint64_t left, BatchHead *head) noexcept nogil:
    if left < BATCH_HEAD_BYTES:
        return BATCH_DAMAGED if left else BATCH_ABSENT
    memcpy(head, data, BATCH_HEAD_BYTES)
    if head.magic == 0 and head.size == 0:
        return BATCH_ABSENT
    if (head.magic != BATCH_MAGIC or head.size > left or head.size > BATCH_BYTES_MAX
            or head.sealed_size > BATCH_BYTES_MAX or head.clear_size > BATCH_BYTES_MAX
            or head.size != batch_size(head.sealed_size)):
        return BATCH_DAMAGED
    return BATCH_FINE if head.crc == batch_checksum(data, head.size) else BATCH_DAMAGED


cdef int open_batch(const uint8_t *batch, const BatchHead *head, Sealer sealer, uint64_t offset,
                    uint8_t *clear) noexcept nogil:
    cdef uint8_t nonce[SEAL_NONCE_BYTES]
    nonce_of(offset, nonce)
    cdef int status = sealer.unseal(nonce, batch, BATCH_SEALED_BYTES, batch + BATCH_HEAD_BYTES, head.sealed_size,
                                    head.tag, clear)
    return BATCH_FINE if status == 0 else BATCH_FORGED
