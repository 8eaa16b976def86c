"""Where the records of originals stand: an index of each segment of the journal, by what may be asked for."""

import os

cimport cython
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcpy, memset
from switch.base.checksum cimport crc32c
from switch.base.invariant cimport ensure
from switch.base.siphash cimport siphash
from switch.dialect.reasons cimport takes_note
from switch.journal.file_heads cimport BATCH_ALIGNMENT, KEY_ID_BYTES, SEGMENT_HEAD_BYTES
from switch.journal.file_heads import key_id
from switch.journal.records cimport (
    RECORD_ADVICE, RECORD_CANCELLED, RECORD_CLAIM, RECORD_CLAIM_STATE, RECORD_CLOSED, RECORD_INTENT, RECORD_OUTCOME,
    RECORD_REFERS, RECORD_REVERSAL, RECORD_REVERSED,
)
from switch.machine.request_record cimport TERMINAL_BYTES, unpack_digits

cdef enum:
    BY_NUMBER = 1
    BY_RRN
    BY_CARD
    BY_POSITION
    BY_REFERENCE
    KEY_ROOM = 64
    PAN_ROOM = 20
    PLACES_FIRST = 1024
    INDEX_MAGIC_BYTES = 8

INDEX_MAGIC = b"ASWINDX4"

cdef packed struct IndexHead:
    uint8_t magic[INDEX_MAGIC_BYTES]
    uint8_t journal_id[16]
    int64_t first_position
    int64_t next_position
    uint64_t count
    uint64_t read_to
    uint8_t secret_id[KEY_ID_BYTES]   # of the secret under which keys are hashed
    uint32_t checksum         # of all before
    uint8_t reserved[4]


cdef inline uint32_t _checksum_of_head(const IndexHead *head) noexcept nogil:
    return crc32c(0, <const uint8_t *>head, <const uint8_t *>&head.checksum - <const uint8_t *>head)


cdef inline uint32_t _checksum_of_page(const Page *page, uint32_t begun) noexcept nogil:
    return crc32c(begun, <const uint8_t *>page, sizeof(Page) - sizeof(page.checksum))


cdef inline uint64_t _pages_of(uint64_t count) noexcept nogil:
    return (count + PAGE_PLACES - 1) // PAGE_PLACES


cdef uint64_t key_of_number(const SipKey *secret, const uint8_t *terminal, uint32_t stan) noexcept nogil:
    cdef uint8_t text[KEY_ROOM]
    text[0] = BY_NUMBER
    memcpy(text + 1, terminal, TERMINAL_BYTES)
    memcpy(text + 1 + TERMINAL_BYTES, &stan, sizeof(stan))
    return siphash(secret, text, 1 + TERMINAL_BYTES + sizeof(stan))


cdef uint64_t key_of_rrn(const SipKey *secret, const uint8_t *rrn) noexcept nogil:
    cdef uint8_t text[KEY_ROOM]
    text[0] = BY_RRN
    memcpy(text + 1, rrn, 12)
    return siphash(secret, text, 13)


cdef uint64_t key_of_card(const SipKey *secret, const uint8_t *terminal, const uint8_t *pan, int pan_digits,
                          int64_t amount_minor) noexcept nogil:
    cdef uint8_t text[KEY_ROOM]
    cdef int size = 1 + TERMINAL_BYTES
    text[0] = BY_CARD
    memcpy(text + 1, terminal, TERMINAL_BYTES)
    memcpy(text + size, &amount_minor, sizeof(amount_minor))
    size += <int>sizeof(amount_minor)
    memcpy(text + size, pan, pan_digits)
    return siphash(secret, text, size + pan_digits)


cdef uint64_t _key_of_place(const SipKey *secret, uint8_t sort, int64_t position) noexcept nogil:
    cdef uint8_t text[KEY_ROOM]
    text[0] = sort
    memcpy(text + 1, &position, sizeof(position))
    return siphash(secret, text, 1 + sizeof(position))


cdef uint64_t key_of_position(const SipKey *secret, int64_t position) noexcept nogil:
    return _key_of_place(secret, BY_POSITION, position)


cdef uint64_t key_of_reference(const SipKey *secret, int64_t position) noexcept nogil:
    return _key_of_place(secret, BY_REFERENCE, position)


cdef int by_key(const void *one, const void *other) noexcept nogil:
    cdef const Place *a = <const Place *>one
    cdef const Place *b = <const Place *>other
    if a.key != b.key:
        return -1 if a.key < b.key else 1
    if a.batch != b.batch:
        return -1 if a.batch < b.batch else 1
    return <int>(a.record > b.record) - <int>(a.record < b.record)


def index_name(str segment not None):
    """The file that holds the index of a segment."""
    return segment.removesuffix(".journal") + ".index"


@cython.final
cdef class SegmentIndex(Visitor):
    """Empty when it is made: ``read_on`` fills it, ``open_file`` takes it from its file.

    Args:
        reader: By which the segment is read.
        segment: Which one.
    """

    def __cinit__(self, JournalReader reader not None, Segment segment not None):
        memcpy(&self._secret, <const uint8_t *><const char *>reader.index_secret, sizeof(SipKey))
        self.reader = reader
        self.disk = reader.disk
        self.segment = segment
        self.read_to = SEGMENT_HEAD_BYTES
        self.next_position = segment.first_position

    def __dealloc__(self):
        self._give_back()

    cdef int _give_back(self) noexcept:
        free(self._places)
        free(self._next)
        free(self._heads)
        self._places = NULL
        self._next = self._heads = NULL
        self._room = self._mask = 0

    # --- in memory ------------------------------------------------------------------------------------------------

    def read_on(self):
        """Take in what was written since.

        Raises:
            OSError: The file cannot be read.
            JournalDamaged: A batch is whole, but cannot be opened.
        """
        self.read_to, self.next_position = self.reader.read_on(self.segment, self.read_to, self.next_position, self)

    cdef int take(self, const Record *record) except -1:
        cdef int type = record.head.type
        if type == RECORD_INTENT:
            self._put_request(&record.request, record.intent.rrn)
        elif type == RECORD_ADVICE and record.advice.replaces == 0:
            self._put_request(&record.request, record.advice.rrn)
        elif type == RECORD_OUTCOME and record.outcome.intent:
            self._put(key_of_position(&self._secret, record.outcome.intent))
        elif type == RECORD_REVERSAL and record.reversal.original:
            self._put(key_of_position(&self._secret, record.reversal.original))
        elif type == RECORD_CANCELLED and record.cancelled.original:
            self._put(key_of_position(&self._secret, record.cancelled.original))
        elif type == RECORD_REVERSED and record.reversed.original and not takes_note(record.reversed.reason):
            self._put(key_of_position(&self._secret, record.reversed.original))
        elif type == RECORD_CLOSED and record.closed.original:
            self._put(key_of_position(&self._secret, record.closed.original))
        elif type == RECORD_CLAIM:
            self._put(key_of_reference(&self._secret, record.claimed.original))
        elif type == RECORD_CLAIM_STATE:
            self._put(key_of_position(&self._secret, record.claim_state.claim))
            if record.claim_state.original:
                self._put(key_of_position(&self._secret, record.claim_state.original))
        elif type == RECORD_REFERS:
            self._put(key_of_position(&self._secret, record.refers.request))
        return 0

    cdef int _put_request(self, const RequestPart *request, const uint8_t *rrn) except -1:
        cdef uint8_t pan[PAN_ROOM]
        self._put(key_of_number(&self._secret, request.terminal, request.stan))
        self._put(key_of_rrn(&self._secret, rrn))
        if request.pan_digits:
            unpack_digits(request.pan, request.pan_digits, pan)
            self._put(key_of_card(&self._secret, request.terminal, pan, request.pan_digits, request.amount_minor))
        if request.refers_to:
            self._put(key_of_reference(&self._secret, request.refers_to))
        return 0

    cdef int _put(self, uint64_t key) except -1:
        cdef Place *place
        cdef uint32_t *head
        if self.count == self._room:
            self._grow()
        ensure(self.count < self._room and not self.is_filed, b"a place lies within its index")
        place = &self._places[self.count]
        place.key = key
        place.batch = <uint32_t>(self.reader.batch_offset // BATCH_ALIGNMENT)
        place.record = self.reader.batch_record
        head = &self._heads[key & self._mask]
        self._next[self.count] = head[0]
        self.count += 1
        head[0] = <uint32_t>self.count
        return 0

    cdef int _grow(self) except -1:
        cdef uint64_t room = max(2 * self._room, <uint64_t>PLACES_FIRST)
        cdef uint64_t i
        cdef Place *places = <Place *>realloc(self._places, room * sizeof(Place))
        cdef uint32_t *next_places
        cdef uint32_t *heads
        if places == NULL:
            raise MemoryError
        self._places = places
        next_places = <uint32_t *>realloc(self._next, room * sizeof(uint32_t))
        if next_places == NULL:
            raise MemoryError
        self._next = next_places
        heads = <uint32_t *>calloc(room, sizeof(uint32_t))
        if heads == NULL:
            raise MemoryError
        free(self._heads)
        self._heads = heads
        self._room = room
        self._mask = room - 1
        for i in range(self.count):
            self._next[i] = heads[places[i].key & self._mask]
            heads[places[i].key & self._mask] = <uint32_t>i + 1
        return 0

    cdef list places_of(self, uint64_t key):
        cdef uint32_t number
        cdef list found = []
        if self.is_filed:
            return self._places_in_file(key)
        if self.count == 0:
            return found
        number = self._heads[key & self._mask]
        while number:
            ensure(number <= self.count, b"a chain of an index leads to its places")
            if self._places[number - 1].key == key:
                found.append((<uint64_t>self._places[number - 1].batch * BATCH_ALIGNMENT,
                              self._places[number - 1].record))
            number = self._next[number - 1]
        found.reverse()
        return found

    def holds(self, int64_t position):
        """Whether something in it speaks of the transaction that begins at a position."""
        return bool(self.places_of(key_of_position(&self._secret, position))
                    or self.places_of(key_of_reference(&self._secret, position)))

    # --- in a file ------------------------------------------------------------------------------------------------

    def open_file(self):
        """Take the index from its file; whether there is one that is whole, of this segment, and under this secret."""
        cdef IndexHead head
        cdef int64_t size
        cdef bytes name = index_name(self.segment.name).encode()
        cdef int file = self.disk.open(name, False)
        if file < 0:
            return False
        try:
            size = self.disk.size(file)
            if size < <int64_t>sizeof(IndexHead) or self.disk.read(
                    file, <uint8_t *>&head, sizeof(IndexHead), 0) != sizeof(IndexHead):
                return False
        finally:
            self.disk.close(file)
        if (head.magic[:INDEX_MAGIC_BYTES] != INDEX_MAGIC or head.journal_id[:16] != self.segment.journal_id
                or head.first_position != self.segment.first_position
                or head.secret_id[:KEY_ID_BYTES] != key_id(self.reader.index_secret)
                or head.checksum != _checksum_of_head(&head)
                or size != <int64_t>(sizeof(IndexHead) + _pages_of(head.count) * sizeof(Page))):
            return False
        self._give_back()
        self._seal = head.checksum
        self.count = head.count
        self.next_position = head.next_position
        self.read_to = head.read_to
        self.is_filed = True
        return True

    def write_file(self):
        """Write the index of a sealed segment, which was read to its end, to its file, and give its memory back.

        Raises:
            OSError: The disk does not take it; the index stays in memory.
        """
        cdef IndexHead head
        cdef bytes secret_id = key_id(self.reader.index_secret)
        cdef bytes name = index_name(self.segment.name).encode()
        cdef uint64_t size = _pages_of(self.count) * sizeof(Page)
        cdef Page *pages = <Page *>calloc(1, size + 1)
        cdef int file, status
        if pages == NULL:
            raise MemoryError
        memset(&head, 0, sizeof(IndexHead))
        memcpy(head.magic, <const uint8_t *><const char *>INDEX_MAGIC, INDEX_MAGIC_BYTES)
        memcpy(head.journal_id, <const uint8_t *><const char *>self.segment.journal_id, 16)
        head.first_position = self.segment.first_position
        head.next_position = self.next_position
        head.count = self.count
        head.read_to = self.read_to
        memcpy(head.secret_id, <const uint8_t *><const char *>secret_id, KEY_ID_BYTES)
        head.checksum = _checksum_of_head(&head)
        try:
            self._fill(pages, head.checksum)
            self.disk.remove(name)                    # what an end in the middle of this has left
            file = well(self.disk.create(name, sizeof(IndexHead) + size))
            try:
                with nogil:
                    status = self.disk.write(file, <const uint8_t *>pages, size, sizeof(IndexHead)) if size else 0
                    if status == 0:
                        status = self.disk.sync(file)
                    # The head last: without it the file is none.
                    if status == 0:
                        status = self.disk.write(file, <const uint8_t *>&head, sizeof(IndexHead), 0)
                well(status)
            finally:
                self.disk.close(file)
        finally:
            free(pages)
        self._give_back()
        self._seal = head.checksum
        self.is_filed = True

    cdef int _fill(self, Page *pages, uint32_t seal) except -1:
        """Put the places into pages, in order."""
        cdef Place *ordered = <Place *>malloc(self.count * sizeof(Place) + 1)
        cdef uint64_t i
        if ordered == NULL:
            raise MemoryError
        with nogil:
            if self.count:
                memcpy(ordered, self._places, self.count * sizeof(Place))
            qsort(ordered, self.count, sizeof(Place), by_key)
            for i in range(self.count):
                pages[i // PAGE_PLACES].places[i % PAGE_PLACES] = ordered[i]
            for i in range(_pages_of(self.count)):
                pages[i].number = i
                pages[i].checksum = _checksum_of_page(&pages[i], seal)
        free(ordered)
        return 0

    def forget_file(self):
        """Begin anew, since the file is not what it was."""
        self._give_back()
        self.is_filed = False
        self.count = 0
        self.read_to = SEGMENT_HEAD_BYTES
        self.next_position = self.segment.first_position

    def _places_in_file(self, uint64_t key):
        """Search the sorted pages: where one should be is known from its key, since keys are spread evenly.

        Raises:
            OSError: The file is gone, or not what it was.
        """
        cdef Page page
        cdef uint64_t low = 0, high = _pages_of(self.count), guess, count, i
        cdef int file = well(self.disk.open(index_name(self.segment.name).encode(), False))
        cdef list found = []
        cdef bint halves = False
        try:
            # Narrow down to the last page that begins before this key, or the first one.
            while high - low > 1:
                if halves:
                    guess = low + (high - low) // 2
                else:
                    guess = low + <uint64_t>(<double>(high - low) * spread(key, low, high, _pages_of(self.count)))
                    guess = min(max(guess, low + 1), high - 1)
                halves = not halves
                self._read_page(file, &page, guess)
                if page.places[0].key < key:
                    low = guess
                else:
                    high = guess
            while low < _pages_of(self.count):
                self._read_page(file, &page, low)
                count = min(<uint64_t>PAGE_PLACES, self.count - low * PAGE_PLACES)
                for i in range(count):
                    if page.places[i].key == key:
                        found.append((<uint64_t>page.places[i].batch * BATCH_ALIGNMENT, page.places[i].record))
                    elif page.places[i].key > key:
                        return found
                low += 1
        finally:
            self.disk.close(file)
        return found

    cdef int _read_page(self, int file, Page *page, uint64_t number) except -1:
        cdef int64_t size
        with nogil:
            size = self.disk.read(file, <uint8_t *>page, sizeof(Page), sizeof(IndexHead) + number * sizeof(Page))
        if (well(size) != <int64_t>sizeof(Page) or page.number != number
                or page.checksum != _checksum_of_page(page, self._seal)):
            raise OSError(f"{index_name(self.segment.name)} is damaged at page {number}")
        return 0


cdef inline double spread(uint64_t key, uint64_t low, uint64_t high, uint64_t count) noexcept nogil:
    """Which part of the way from ``low`` to ``high`` a key should stand at, in a file of ``count`` pages."""
    cdef double at = <double>key / 18446744073709551616.0 * <double>count
    if at <= <double>low:
        return 0.0
    if at >= <double>high:
        return 1.0
    return (at - <double>low) / <double>(high - low)


cdef int64_t well(int64_t status) except -1:
    """What a disk's call gave, when it was well.

    Raises:
        OSError: it was not.
    """
    if status < 0:
        raise OSError(-status, os.strerror(-status))
    return status
