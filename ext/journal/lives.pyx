"""The lives of a partition's journal, in the file ``lives`` beside its segments."""

import os

from libc.errno cimport EEXIST, ENOENT
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, memset
from switch.base.checksum cimport crc32c
from switch.journal.disk cimport Disk

LIVES_NAME = "lives"
LIFE_MAX = 2**32 - 1
"""The largest number of a life."""

cdef enum:
    SLOTS = 2
    SLOT_BYTES = 512          # a disk writes so much whole, or not at all
    FILE_BYTES = SLOTS * SLOT_BYTES
    CHECKED_FROM = 12         # of a slot

cdef const char *NAME = b"lives"
cdef const char *FRESH_NAME = b"lives.new"
cdef const uint8_t *MAGIC = b"ASWLIVES"


class LivesDamagedError(ValueError):
    """Neither slot is as it was written."""


cdef int _require(int64_t status) except -1:
    """Give a handle or 0 on; the error of the disk as an OSError."""
    if status < 0:
        raise OSError(-status, os.strerror(-status), LIVES_NAME)
    return <int>status


cdef uint32_t _checksum(const LivesSlot *slot) noexcept nogil:
    return crc32c(0, <const uint8_t *>slot + CHECKED_FROM, sizeof(LivesSlot) - CHECKED_FROM)


cdef bint _is_whole(const LivesSlot *slot) noexcept nogil:
    return (memcmp(slot.magic, MAGIC, sizeof(slot.magic)) == 0 and slot.checksum == _checksum(slot)
            and 1 <= slot.count <= LIVES_KEPT and slot.epoch >= slot.count)


cdef int _read(Disk disk, LivesSlot *newest) except -2:
    """The slot of the newest life, copied; -1 where there is no file."""
    cdef uint8_t content[FILE_BYTES]
    cdef LivesSlot slot
    cdef int64_t size
    cdef int place, found = -1
    cdef int file = disk.open(NAME, False)
    if file == -ENOENT:
        return -1
    _require(file)
    memset(content, 0, FILE_BYTES)
    size = disk.read(file, content, FILE_BYTES, 0)
    disk.close(file)
    _require(0 if size > 0 else size)
    for place in range(SLOTS):
        memcpy(&slot, content + place * SLOT_BYTES, sizeof(slot))
        if _is_whole(&slot) and (found < 0 or slot.epoch > newest.epoch):
            newest[0] = slot
            found = place
    if found < 0:
        raise LivesDamagedError(
            f"{LIVES_NAME}: is not as it was written: bring it back from a copy that is as new as the journal; where "
            "there is none remove it, and restart all other workers and nodes")
    return found


cdef dict _as_dict(const LivesSlot *slot):
    cdef uint32_t i
    return {slot.epoch - i: (slot.lives[i].number, slot.lives[i].began) for i in range(slot.count)}


def read_lives(Disk disk not None):
    """The latest lives by their epochs, the newest first."""
    cdef LivesSlot newest
    return {} if _read(disk, &newest) < 0 else _as_dict(&newest)


def begin_life(Disk disk not None, uint32_t life, uint64_t began, uint64_t epoch_min=1):
    """Raise the epoch durably; all lives that are known, this one first."""
    cdef LivesSlot before, slot
    cdef int place
    memset(&before, 0, sizeof(before))
    place = _read(disk, &before)
    memset(&slot, 0, sizeof(slot))
    memcpy(slot.magic, MAGIC, sizeof(slot.magic))
    slot.epoch = before.epoch + 1
    slot.count = min(before.count + 1, <uint32_t>LIVES_KEPT)
    memcpy(slot.lives + 1, before.lives, (slot.count - 1) * sizeof(Life))
    if slot.epoch < epoch_min:
        slot.epoch = epoch_min
        slot.count = 1                    # nothing is known of those between
    slot.lives[0] = Life(life, began)
    slot.checksum = _checksum(&slot)
    if place < 0:
        _create(disk, &slot)
    else:
        _write_slot(disk, &slot, (place + 1) % SLOTS)
    return _as_dict(&slot)


cdef int _create(Disk disk, const LivesSlot *slot) except -1:
    cdef int status, file = disk.create(FRESH_NAME, FILE_BYTES)
    if file == -EEXIST:                   # of a start that did not come to its end
        _require(disk.remove(FRESH_NAME))
        file = disk.create(FRESH_NAME, FILE_BYTES)
    _require(file)
    status = disk.write(file, <const uint8_t *>slot, sizeof(LivesSlot), 0)
    if status == 0:
        status = disk.sync(file)
    disk.close(file)
    _require(status)
    _require(disk.rename(FRESH_NAME, NAME))
    return _require(disk.sync_directory())


cdef int _write_slot(Disk disk, const LivesSlot *slot, int place) except -1:
    cdef int status, file = _require(disk.open(NAME, True))
    status = disk.write(file, <const uint8_t *>slot, sizeof(LivesSlot), place * SLOT_BYTES)
    if status == 0:
        status = disk.sync(file)
    disk.close(file)
    return _require(status)
