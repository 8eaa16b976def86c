"""Reads the journal back: checks every byte of it, and hands each record to a visitor.

Only the last batch of the last segment may be torn: each batch is durable before the next one is written. A damaged
place that something whole follows was therefore damaged later, and nobody may go on as if it had not been there.
"""

import hashlib
import os
import re

cimport cython
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.journal.compression cimport unpack
from switch.journal.file_heads cimport (
    BATCH_ALIGNMENT, BATCH_BYTES_MAX, BATCH_FINE, BATCH_HEAD_BYTES, BATCH_MAGIC, BATCH_NAMES, BATCH_RECORDS,
    FORMAT_VERSION, FORMAT_VERSION_MIN, JOURNAL_ID_BYTES, KEY_ID_BYTES, PACKING_LZ4, PACKING_NONE, SEGMENT_HEAD_BYTES,
    SEGMENT_SEALED_BYTES, SegmentHead, check_batch, open_batch, segment_head_is_whole,
)
from switch.journal.file_heads import key_id
from switch.journal.record_text cimport describe
from switch.journal.records cimport read_record
from switch.journal.party_names import read_names
from switch.crypto.sealing cimport SEAL_KEY_BYTES

cdef enum:
    NAMES_BYTES_MAX = 1 << 18             # with the head of their batch
    FILE_BYTES_MAX = 0x7FFFFFFFFFFFFFFF

SEGMENT_NAME = re.compile(r"[0-9]{20}\.journal")
ADVICE_DAMAGED = (
    "the disk or somebody changed it after it was durable: keep a copy of the directory, see with `authswitch journal "
    "verify` what is affected, and bring the segment back from a copy before starting"
)
ADVICE_KEY_FILE = "bring back the key file that has it; `authswitch keys journal` lists which keys are there"
NO_KEY_ID = bytes(KEY_ID_BYTES)
ADVICE_KEY = "give the key file, or the master key, under which the journal was written"


class ReplayStopped(Exception):
    """Somebody did not want to wait for the end of a replay; nothing was written."""


class JournalDamaged(Exception):
    """The journal cannot be read at a place.

    Attributes:
        file: The segment.
        offset: Byte in it.
        position: Of the first record that cannot be read; None when that is not known.
        reason: What is wrong there.
        advice: What to do.
        partition: Of the journal; None where nobody has said it.
    """

    def __init__(self, str file, uint64_t offset, object position, str reason, str advice):
        place = f"{file}: byte {offset}" + ("" if position is None else f", position {position}")
        super().__init__(f"{place}: {reason}; {advice}")
        self.file = file
        self.offset = offset
        self.position = position
        self.reason = reason
        self.advice = advice
        self.partition = None

    def name_partition(self, int partition):
        """Say of which partition's journal this is."""
        if self.partition is None:
            self.partition = partition
            self.args = (f"partition {partition}: {self}",)


cdef class Visitor:
    """What is done with what is read; this one does nothing."""

    cdef int take(self, const Record *record) except -1:
        return 0

    cdef int take_clock(self, str boot, int64_t offset_ns, int64_t elapsed_ns) except -1:
        return 0

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        return 0


@cython.final
cdef class Listing(Visitor):
    """Calls back with each record as a dict: links and listeners by name, the PAN whole."""

    def __init__(self, object callback):
        self._callback = callback

    cdef int take(self, const Record *record) except -1:
        cdef dict parts = describe(record)
        for key, names in (("link", self._links), ("listener", self._listeners)):
            if parts.get(key) is not None:
                parts[key] = names.get(parts[key], f"number {parts[key]}")
        self._callback(parts)
        return 0

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        self._links = links
        self._listeners = listeners
        return 0


@cython.final
cdef class Segment:
    """The head of one segment file."""


@cython.final
cdef class Tail:
    """Where the journal ends, and what was found on the way."""


@cython.final
cdef class JournalReader:
    """All segments of a directory, in order.

    Args:
        disk: The directory.
        wrapping_keys: The keys that wrap the segments' keys, 32 bytes each, one behind the other; that of segments
            to come first.

    Raises:
        OSError: it cannot be read.
        JournalDamaged: a segment's head is damaged, or segments are of different journals.
    """

    def __cinit__(self, Disk disk not None, bytes wrapping_keys not None):
        cdef Sealer wrapper
        if not wrapping_keys or len(wrapping_keys) % SEAL_KEY_BYTES:
            raise ValueError("a journal needs wrapping keys of 32 bytes")
        self.disk = disk
        self._wrappers = {}
        for at in range(0, len(wrapping_keys), SEAL_KEY_BYTES):
            wrapper = Sealer()
            wrapper.set_key(<const uint8_t *><const char *>wrapping_keys + <Py_ssize_t>at)
            self._wrappers[key_id(wrapping_keys[at:at + SEAL_KEY_BYTES])] = wrapper
        self._sealer = Sealer()
        self.index_secret = hashlib.blake2b(wrapping_keys[:SEAL_KEY_BYTES], digest_size=16,
                                            person=b"originals").digest()
        self.segments = []
        self.look_again()

    def look_again(self):
        """See which segments there are now.

        Raises:
            OSError: The directory cannot be read.
            JournalDamaged: A segment's head is damaged, or segments are of different journals.
        """
        known = {segment.name: segment for segment in self.segments}
        self.segments = [known.get(name) or self._look_at(name)
                         for name in sorted(self.disk.names()) if SEGMENT_NAME.fullmatch(name)]
        for earlier, later in zip(self.segments, self.segments[1:]):
            if earlier.journal_id != later.journal_id:
                raise JournalDamaged(later.name, 40, None, f"it belongs to another journal than {earlier.name}",
                                     "take the files of one of the two away")

    def __dealloc__(self):
        if self._clear != NULL:
            OPENSSL_cleanse(self._clear, self._clear_room)
        if self._unpacked != NULL:
            OPENSSL_cleanse(self._unpacked, self._unpacked_room)
        free(self._data)
        free(self._clear)
        free(self._unpacked)

    def _look_at(self, str name):
        cdef SegmentHead head
        cdef Segment segment = Segment()
        cdef int file = _well(self.disk.open(name.encode(), False), name)
        try:
            segment.name = name
            segment.size = _well(self.disk.size(file), name)
            if _well(self.disk.read(file, <uint8_t *>&head, SEGMENT_HEAD_BYTES, 0), name) < SEGMENT_HEAD_BYTES:
                raise JournalDamaged(name, 0, None, "the segment's head is cut short", ADVICE_DAMAGED)
        finally:
            self.disk.close(file)
        if not segment_head_is_whole(&head):
            raise JournalDamaged(name, 0, None, "the segment's head is damaged", ADVICE_DAMAGED)
        if not FORMAT_VERSION_MIN <= head.version <= FORMAT_VERSION:
            raise JournalDamaged(name, 8, None, f"it is of format {head.version}, this program reads "
                                 f"{FORMAT_VERSION_MIN} to {FORMAT_VERSION}",
                                 "use the version of authswitch that wrote it")
        if name != f"{head.first_position:020d}.journal":
            raise JournalDamaged(name, 16, None, f"its first position is {head.first_position}", ADVICE_DAMAGED)
        segment.first_position = head.first_position
        segment.low_water = head.low_water
        segment.created_us = head.created_us
        segment.journal_id = head.journal_id[:JOURNAL_ID_BYTES]
        segment._head = (<const char *>&head)[:SEGMENT_HEAD_BYTES]
        segment._key_id = head.key_id[:KEY_ID_BYTES]
        return segment

    def require_keys(self):
        """See that each segment can be opened, and let each say under which key: ``Segment.key_id``.

        Raises:
            JournalDamaged: None of the keys opens one of them.
        """
        for segment in self.segments:
            self._unwrap(segment)

    def index_of(self, int64_t position):
        """The number of the segment that holds a position, 0 when it is before all of them."""
        cdef int index = 0
        for number, segment in enumerate(self.segments):
            if (<Segment>segment).first_position <= position:
                index = number
        return index

    def replay(self, Visitor visitor not None, int first=0, object end=None, Tail after=None):
        """Read all segments from number ``first`` on, up to number ``end`` where one is given; the ``Tail``.

        Other threads get the GIL between batches.

        Args:
            visitor: Is given each record.
            first: Number of the first segment.
            end: Number of the segment before which to stop; None for the journal's end.
            after: The tail of what was read before, which the first segment must follow.

        Raises:
            OSError: a file cannot be read.
            JournalDamaged: a place cannot be read that is not a torn tail.
            ReplayStopped: ``stop_wanted`` was set meanwhile.
        """
        cdef Tail tail = Tail()
        tail.next_position = 1 if after is None else after.next_position
        for number in range(first, len(self.segments) if end is None else min(end, len(self.segments))):
            segment = <Segment>self.segments[number]
            self.reading = number
            if (number > first or after is not None) and segment.first_position != tail.next_position:
                raise JournalDamaged(segment.name, 16, tail.next_position,
                                     f"it begins at position {segment.first_position}: records between are missing",
                                     ADVICE_DAMAGED)
            tail.next_position = segment.first_position
            self._load(segment)
            self._read_segment(segment, number == len(self.segments) - 1, visitor, tail)
        return tail

    def repair(self, Tail tail not None):
        """Cut the torn tail off, and take away what a crash has left half made; then the journal can be continued.

        Raises:
            OSError: the disk does not do it.
        """
        cdef int file
        if tail.segment is not None:
            name = tail.segment
            if tail.is_empty:
                _well(self.disk.remove(name.encode()), name)
            else:
                file = _well(self.disk.open(name.encode(), True), name)
                try:
                    if tail.torn_bytes:
                        _well(self.disk.truncate(file, tail.end), name)
                    # What was read may be in the cache only: its process may have died before it was durable.
                    _well(self.disk.sync(file), name)
                finally:
                    self.disk.close(file)
        if "next.segment" in self.disk.names():
            _well(self.disk.remove(b"next.segment"), "next.segment")
        _well(self.disk.sync_directory(), "directory")

    def clock_of(self, int number):
        """What the journal's own time goes by where segment ``number`` begins, as ``read_names`` gives it; None where
        that is not known."""
        cdef bytes names = self._names_of(<Segment>self.segments[number])
        return None if names is None else read_names(names)[3]

    cdef bytes _names_of(self, Segment segment):
        """The batch of names that a segment begins with; None where it is not whole."""
        cdef BatchHead head
        self._load(segment, SEGMENT_HEAD_BYTES + NAMES_BYTES_MAX)
        if (check_batch(self._data + SEGMENT_HEAD_BYTES, self._size - SEGMENT_HEAD_BYTES, &head) != BATCH_FINE
                or head.kind != BATCH_NAMES):
            return None
        return self._content(segment, self._data + SEGMENT_HEAD_BYTES, SEGMENT_HEAD_BYTES, &head,
                             segment.first_position)[:head.clear_size]

    def read_on(self, Segment segment not None, uint64_t offset, int64_t next_position, Visitor visitor not None, *,
                uint64_t bytes_max=FILE_BYTES_MAX, bint durable_only=False):
        """Read the batches that stand at a place of a segment (0: its beginning) and behind it, as far as they are
        whole; where the next one will stand, and its first position. For a segment that somebody else may be writing.

        Args:
            segment: The segment.
            offset: The place.
            next_position: Of the first record there.
            visitor: Is given each record.
            bytes_max: Stop behind so many bytes, or a little more.
            durable_only: Leave the last batch: none is written before the one before it is durable.

        Raises:
            OSError: The file cannot be read.
            JournalDamaged: A batch is whole, but is not what it must be.
        """
        cdef BatchHead head
        cdef Tail tail = Tail()
        cdef uint64_t begin = max(offset, <uint64_t>SEGMENT_HEAD_BYTES)
        cdef int file = _well(self.disk.open(segment.name.encode(), False), segment.name)
        offset = begin
        tail.next_position = next_position
        try:
            self._unwrap(segment)
            while offset - begin < bytes_max and self._load_batch(segment, file, offset, &head):
                if durable_only and not self._is_begun(segment, file, offset + head.size):
                    break
                self._read_batch(segment, self._data, offset, &head, visitor, tail)
                offset += head.size
        finally:
            self.disk.close(file)
        return offset, tail.next_position

    def stands_at(self, Segment segment not None, uint64_t offset):
        """What stands there: a "batch" that is whole, "something" else, or "nothing" so far; raises as ``read_on``."""
        cdef BatchHead head
        cdef int file = _well(self.disk.open(segment.name.encode(), False), segment.name)
        offset = max(offset, <uint64_t>SEGMENT_HEAD_BYTES)
        try:
            if self._load_batch(segment, file, offset, &head):
                return "batch"
            return "something" if self._is_begun(segment, file, offset) else "nothing"
        finally:
            self.disk.close(file)

    cdef bint _is_begun(self, Segment segment, int file, uint64_t offset) except -1:
        """Whether anything was written at a place, be it the beginning of a batch or not."""
        cdef uint64_t written = 0
        cdef int64_t count
        with nogil:
            count = self.disk.read(file, <uint8_t *>&written, sizeof(written), offset)
        return _well(count, segment.name) == sizeof(written) and written != 0

    def read_at(self, Segment segment not None, uint64_t offset, Visitor visitor not None):
        """Read the batch at a place of a segment.

        Raises:
            OSError: The file cannot be read.
            JournalDamaged: No whole batch stands there, or it is not what it must be.
        """
        cdef BatchHead head
        cdef Tail tail = Tail()
        cdef int file = _well(self.disk.open(segment.name.encode(), False), segment.name)
        try:
            self._unwrap(segment)
            if not self._load_batch(segment, file, offset, &head):
                raise JournalDamaged(segment.name, offset, None, "the batch here is damaged", ADVICE_DAMAGED)
            tail.next_position = head.first_position
            self._read_batch(segment, self._data, offset, &head, visitor, tail)
        finally:
            self.disk.close(file)

    def place_of(self, Segment segment not None, int64_t position):
        """Where in a segment a record stands: the place of its batch, and which record of that it is.

        Raises:
            OSError: The file cannot be read.
            JournalDamaged: The batches before it cannot be followed.
        """
        cdef BatchHead head
        cdef int64_t count
        cdef uint64_t offset = SEGMENT_HEAD_BYTES
        cdef int file = _well(self.disk.open(segment.name.encode(), False), segment.name)
        try:
            while True:
                with nogil:
                    count = self.disk.read(file, <uint8_t *>&head, sizeof(BatchHead), offset)
                if (_well(count, segment.name) < <int64_t>sizeof(BatchHead) or head.magic != BATCH_MAGIC
                        or not BATCH_HEAD_BYTES <= head.size <= <uint64_t>BATCH_BYTES_MAX):
                    raise JournalDamaged(segment.name, offset, position, "the batch here is damaged", ADVICE_DAMAGED)
                if head.kind == BATCH_RECORDS and position < head.first_position + head.count:
                    return offset, position - head.first_position
                offset += head.size
        finally:
            self.disk.close(file)

    def read_names_of(self, Segment segment not None, Visitor visitor not None):
        """Read the names with which a segment begins; raises as ``read_at``."""
        self.read_at(segment, SEGMENT_HEAD_BYTES, visitor)

    cdef int _load_batch(self, Segment segment, int file, uint64_t offset, BatchHead *head) except -1:
        """Read one batch into the buffer; whether a whole one stands there."""
        cdef int64_t count
        cdef uint64_t size = BATCH_HEAD_BYTES
        grow(&self._data, &self._data_room, size)
        with nogil:
            count = self.disk.read(file, self._data, size, offset)
        if _well(count, segment.name) < <int64_t>size:
            return False
        memcpy(head, self._data, sizeof(BatchHead))
        if head.magic != BATCH_MAGIC or not BATCH_HEAD_BYTES <= head.size <= <uint64_t>BATCH_BYTES_MAX:
            return False
        size = head.size
        grow(&self._data, &self._data_room, size)
        with nogil:
            count = self.disk.read(file, self._data, size, offset)
        return (_well(count, segment.name) == <int64_t>size
                and check_batch(self._data, size, head) == BATCH_FINE)

    cdef int _load(self, Segment segment, uint64_t most=FILE_BYTES_MAX) except -1:
        """Read the file, or ``most`` bytes of it, and unwrap its key."""
        cdef uint8_t *data
        cdef uint64_t size = min(segment.size, most)
        cdef int64_t count
        cdef int file
        if size > self._data_room:
            data = <uint8_t *>realloc(self._data, size)
            if data == NULL:
                raise MemoryError
            self._data = data
            self._data_room = size
        file = _well(self.disk.open(segment.name.encode(), False), segment.name)
        try:
            with nogil:
                count = self.disk.read(file, self._data, size, 0)
            self._size = _well(count, segment.name)
        finally:
            self.disk.close(file)
        if self._size < SEGMENT_HEAD_BYTES:
            raise JournalDamaged(segment.name, 0, None, "the segment's head is cut short", ADVICE_DAMAGED)
        return self._unwrap(segment)

    cdef int _unwrap(self, Segment segment) except -1:
        """Give the sealer the segment's key."""
        cdef uint8_t key[SEAL_KEY_BYTES]
        cdef SegmentHead *head = <SegmentHead *><char *>segment._head
        cdef Sealer wrapper
        cdef int status = -1
        if self._unwrapped == segment.name:
            return 0
        self._unwrapped = None
        for name, candidate in self._wrappers.items():
            if segment._key_id not in (name, NO_KEY_ID):
                continue
            wrapper = candidate
            status = wrapper.unseal(head.nonce, <const uint8_t *>head, SEGMENT_SEALED_BYTES, head.wrapped_key,
                                    SEAL_KEY_BYTES, head.key_tag, key)
            if status == 0:
                self._sealer.set_key(key)
                segment.key_id = name
                break
        OPENSSL_cleanse(key, SEAL_KEY_BYTES)
        if status != 0:
            if segment._key_id in self._wrappers:
                raise JournalDamaged(segment.name, 56, None, "its head was changed, though its checksum fits: the "
                                     f"journal key {segment._key_id.hex()}, which it names, is there and does not "
                                     "open it", ADVICE_DAMAGED)
            if segment._key_id == NO_KEY_ID:
                raise JournalDamaged(segment.name, 56, None, "no key of the journal opens it, and it names none",
                                     ADVICE_KEY)
            raise JournalDamaged(segment.name, 116, None,
                                 f"it is sealed under the journal key {segment._key_id.hex()}, and neither the key "
                                 "file nor the master key has that", ADVICE_KEY_FILE)
        self._unwrapped = segment.name
        return 0

    cdef int _read_segment(self, Segment segment, bint is_last, Visitor visitor, Tail tail) except -1:
        cdef BatchHead head
        cdef uint64_t offset = SEGMENT_HEAD_BYTES
        cdef uint64_t last
        cdef uint64_t again = 0           # where the file was read once more
        cdef int fault
        tail.segment = segment.name
        tail.is_empty = True
        tail.bytes_read += self._size
        while True:
            fault = check_batch(self._data + offset, self._size - offset, &head)
            if fault != BATCH_FINE and self._last_written(offset) == offset:
                break
            if fault != BATCH_FINE:
                if is_last and again != offset and self._is_followed(offset, tail.next_position):
                    # Beside a daemon that writes, the place may have been read before a batch was written there, and
                    # what follows it after the next one was.
                    again = offset
                    self._load(segment)
                    continue
                if not is_last or self._is_followed(offset, tail.next_position):
                    raise JournalDamaged(segment.name, offset, tail.next_position, "the batch here is damaged",
                                         ADVICE_DAMAGED)
                last = self._last_written(offset)
                tail.torn_bytes = last - offset
                break
            self._read_batch(segment, self._data + offset, offset, &head, visitor, tail)
            offset += head.size
            with nogil:
                pass
            if self.stop_wanted:
                raise ReplayStopped
        tail.end = offset
        return 0

    cdef const uint8_t *_content(self, Segment segment, const uint8_t *batch, uint64_t offset, const BatchHead *head,
                                 int64_t position) except NULL:
        """The ``clear_size`` bytes of a batch, unsealed and unpacked."""
        cdef const uint8_t *clear
        cdef int size, status
        grow(&self._clear, &self._clear_room, head.sealed_size)
        with nogil:
            status = open_batch(batch, head, self._sealer, offset, self._clear)
        if status != BATCH_FINE:
            raise JournalDamaged(segment.name, offset, position,
                                 "the batch's seal does not fit, though its checksum does: somebody changed it",
                                 ADVICE_DAMAGED)
        clear = self._clear
        size = 0 if head.packing == PACKING_NONE and head.clear_size == head.sealed_size else -1
        if head.packing == PACKING_LZ4:
            grow(&self._unpacked, &self._unpacked_room, head.clear_size)
            clear = self._unpacked
            with nogil:
                size = unpack(self._clear, head.sealed_size, self._unpacked, head.clear_size)
        if size != 0:
            raise JournalDamaged(segment.name, offset, position,
                                 f"the batch cannot be unpacked (packing {head.packing})",
                                 "use the version of authswitch that wrote it")
        return clear

    cdef int _read_batch(self, Segment segment, const uint8_t *batch, uint64_t offset, const BatchHead *head,
                         Visitor visitor, Tail tail) except -1:
        cdef Record record
        cdef const uint8_t *clear = self._content(segment, batch, offset, head, tail.next_position)
        cdef uint64_t at = 0
        cdef uint32_t number
        cdef int size
        if head.first_position != tail.next_position:
            raise JournalDamaged(segment.name, offset, tail.next_position,
                                 f"the batch begins at position {head.first_position}", ADVICE_DAMAGED)
        if head.kind == BATCH_NAMES:
            links, listeners, numbers, clock = read_names((<const char *>clear)[:head.clear_size])
            if clock is not None:
                visitor.take_clock(clock[0], clock[1], clock[2])
            visitor.take_names(links, listeners, numbers)
            return 0
        self.batch_offset = offset
        for number in range(head.count):
            size = read_record(clear + at, head.clear_size - at, &record)
            if size < 0:
                raise JournalDamaged(segment.name, offset, head.first_position + number,
                                     "the record here cannot be read, though its batch is whole",
                                     "use the version of authswitch that wrote it")
            record.position = head.first_position + number
            self.batch_record = number
            visitor.take(&record)
            at += <uint64_t>size
        tail.batches += 1
        tail.records += head.count
        tail.wall_us = head.wall_us
        tail.next_position = head.first_position + head.count
        tail.is_empty = False
        return 0

    cdef bint _is_followed(self, uint64_t offset, int64_t position) noexcept nogil:
        """Whether a whole batch stands anywhere behind a place."""
        cdef BatchHead head
        cdef uint32_t magic
        offset += BATCH_ALIGNMENT
        while offset + BATCH_ALIGNMENT <= self._size:
            memcpy(&magic, self._data + offset, sizeof(magic))
            if (magic == BATCH_MAGIC and check_batch(self._data + offset, self._size - offset, &head) == BATCH_FINE
                    and head.first_position >= position):
                return True
            offset += BATCH_ALIGNMENT
        return False

    cdef uint64_t _last_written(self, uint64_t offset) noexcept nogil:
        """The end of the last byte from ``offset`` on that is not zero; ``offset`` when there is none."""
        cdef uint64_t end = self._size
        while end > offset and self._data[end - 1] == 0:
            end -= 1
        return end


cdef int grow(uint8_t **room, uint64_t *size, uint64_t wanted) except -1:
    """Make room for so many bytes; what was there is lost."""
    cdef uint8_t *grown
    if wanted > size[0]:
        grown = <uint8_t *>realloc(room[0], wanted)
        if grown == NULL:
            raise MemoryError
        room[0] = grown
        size[0] = wanted
    return 0


cdef int64_t _well(int64_t status, str name) except -1:
    """What a disk's call gave, when it was well.

    Raises:
        OSError: it was not.
    """
    if status < 0:
        raise OSError(-status, os.strerror(-status), name)
    return status
