"""Transactions that are under way: a pool of fixed size, and lists in order of their deadlines."""

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset
from switch.base.invariant cimport ensure
from switch.base.live_counts cimport live
from switch.wire.compact_index cimport keep_places, places_of, recall_places
from switch.wire.kept_copy cimport keep_copy

cdef extern from "string.h" nogil:
    void explicit_bzero(void *at, size_t size)


@cython.final
cdef class DeadlineList:
    """A first-in first-out list of transactions that share one time-out."""

    def __cinit__(self):
        self.head = TRANSACTION_NONE
        self.tail = TRANSACTION_NONE
        self.count = 0


@cython.final
cdef class TransactionTable:
    """A pool of ``room`` transactions, allocated once. Memory is touched only as far as the pool was ever used."""

    def __cinit__(self, uint32_t room):
        if not 1 <= room <= 10_000_000:
            raise ValueError(f"room for transactions is {room}, must be 1 to 10,000,000")
        self._pool = <Transaction *>calloc(room, sizeof(Transaction))
        self._blocks = <uint8_t *>malloc(<size_t>room * TRANSACTION_BLOCK_BYTES)
        if self._pool == NULL or self._blocks == NULL:
            raise MemoryError
        self.room = room
        self.in_use = 0
        # A transaction never used has next == 0; the free list counts from one so that zeroed memory needs no pass.
        self._free = 0

    def __dealloc__(self):
        cdef TransactionHandle number
        if self._pool != NULL:
            for number in range(self.room):
                if self._pool[number].apart != NULL:
                    free(self._pool[number].apart)
                    live.message_blocks -= 1
        free(self._pool)
        free(self._blocks)

    cdef TransactionHandle open(self) noexcept nogil:
        """A free transaction, zeroed; TRANSACTION_NONE when the pool is used up."""
        if self.in_use == self.room:
            return TRANSACTION_NONE
        cdef TransactionHandle number = self._free
        cdef Transaction *transaction = &self._pool[number]
        ensure(transaction.state == TRANSACTION_FREE, b"no transaction is given out twice")
        # next holds the successor in the free list relative to this one, less one: zeroed memory chains itself.
        self._free = number + 1 + transaction.next
        memset(transaction, 0, sizeof(Transaction))
        transaction.state = TRANSACTION_OPENED
        transaction.next = TRANSACTION_NONE
        transaction.previous = TRANSACTION_NONE
        self.in_use += 1
        return number

    @cython.boundscheck(False)
    cdef Transaction *at(self, TransactionHandle number) noexcept nogil:
        """The transaction of a number that ``open`` gave."""
        ensure(self._pool[number].state != TRANSACTION_FREE, b"a transaction that is looked at is open")
        return &self._pool[number]

    cdef bint still_seeks(self, TransactionHandle number, uint64_t inquiry) noexcept nogil:
        """Whether the request that a look-up was asked for waits for it: its place may be another's by now, or free."""
        cdef const Transaction *transaction = &self._pool[number]
        return transaction.state == TRANSACTION_SEEKING and transaction.departure == inquiry

    cdef int keep_messages(self, TransactionHandle number, Spec request_spec, const MessageIndex *request,
                           const uint64_t *request_unkept, Spec sent_spec, const MessageIndex *sent,
                           const uint64_t *sent_unkept) noexcept nogil:
        """Copy both messages without the fields that are not kept, and the request's index, into the transaction's
        block; 0, or -1 when memory is short. ``request`` is NULL for a message that no terminal asked for,
        ``sent`` for one that was not sent."""
        cdef Transaction *transaction = &self._pool[number]
        cdef uint32_t place_count = 0 if request == NULL else places_of(request, request_unkept)
        cdef size_t places_size = place_count * sizeof(FieldPlace)
        cdef size_t size = places_size + (0 if sent == NULL else sent.size) + (0 if request == NULL else request.size)
        cdef uint8_t *block = self._blocks + <size_t>number * TRANSACTION_BLOCK_BYTES
        ensure(transaction.apart == NULL, b"a transaction keeps one pair of messages")
        if size > TRANSACTION_BLOCK_BYTES:
            block = <uint8_t *>malloc(size)
            if block == NULL:
                return -1
            transaction.apart = block
            live.message_blocks += 1
        transaction.places = <FieldPlace *>block
        transaction.place_count = place_count
        transaction.request = block + places_size
        transaction.request_size = 0
        if request != NULL:
            transaction.request_mti = request.mti
            keep_places(request_spec, request, request_unkept, transaction.places)
            transaction.request_size = keep_copy(request_spec, request, request_unkept, transaction.request)
        transaction.sent = transaction.request + transaction.request_size
        transaction.sent_size = 0 if sent == NULL else keep_copy(sent_spec, sent, sent_unkept, transaction.sent)
        return 0

    cdef void recall_request(self, const Transaction *transaction, MessageIndex *index) noexcept nogil:
        """The index of the terminal's request, over the kept copy."""
        ensure(transaction.request != NULL, b"a request that is recalled was kept")
        index.data = transaction.request
        index.size = transaction.request_size
        index.mti = transaction.request_mti
        recall_places(transaction.places, transaction.place_count, index)

    cdef void drop_messages(self, TransactionHandle number) noexcept nogil:
        """Give the messages up, as when only a late answer is waited for."""
        cdef Transaction *transaction = &self._pool[number]
        # The request may hold what its answer repeats and nobody may keep any longer.
        if transaction.request_size:
            explicit_bzero(transaction.request, transaction.request_size)
        if transaction.apart != NULL:
            free(transaction.apart)
            live.message_blocks -= 1
            transaction.apart = NULL
        explicit_bzero(&transaction.mac_key, sizeof(transaction.mac_key))
        transaction.request = NULL
        transaction.sent = NULL
        transaction.places = NULL
        transaction.place_count = 0
        transaction.request_size = 0
        transaction.sent_size = 0

    cdef void close(self, TransactionHandle number) noexcept nogil:
        """Return a transaction, which is in no list any more, to the pool."""
        cdef Transaction *transaction = &self._pool[number]
        ensure(transaction.state != TRANSACTION_FREE, b"no transaction is closed twice")
        self.drop_messages(number)
        transaction.state = TRANSACTION_FREE
        transaction.next = self._free - number - 1
        self._free = number
        self.in_use -= 1

    cdef TransactionHandle overdue(self, DeadlineList deadlines, int64_t now_ns) noexcept nogil:
        """The first transaction of a list, if its deadline has come; else TRANSACTION_NONE."""
        if deadlines.head != TRANSACTION_NONE and self.at(deadlines.head).deadline_ns <= now_ns:
            return deadlines.head
        return TRANSACTION_NONE

    cdef void append(self, DeadlineList deadlines, TransactionHandle number) noexcept nogil:
        """Put a transaction, its deadline set, at the end of a list."""
        cdef Transaction *transaction = &self._pool[number]
        transaction.next = TRANSACTION_NONE
        transaction.previous = deadlines.tail
        if deadlines.tail == TRANSACTION_NONE:
            deadlines.head = number
        else:
            self._pool[deadlines.tail].next = number
        deadlines.tail = number
        deadlines.count += 1

    cdef void remove(self, DeadlineList deadlines, TransactionHandle number) noexcept nogil:
        """Take a transaction out of the list that holds it."""
        cdef Transaction *transaction = &self._pool[number]
        if transaction.previous == TRANSACTION_NONE:
            ensure(deadlines.head == number, b"a transaction that none precedes is its list's first")
            deadlines.head = transaction.next
        else:
            ensure(self._pool[transaction.previous].next == number, b"who precedes a transaction points at it")
            self._pool[transaction.previous].next = transaction.next
        if transaction.next == TRANSACTION_NONE:
            ensure(deadlines.tail == number and deadlines.count > 0, b"what none follows is its list's last")
            deadlines.tail = transaction.previous
        else:
            ensure(self._pool[transaction.next].previous == number, b"who follows a transaction points at it")
            self._pool[transaction.next].previous = transaction.previous
        deadlines.count -= 1
