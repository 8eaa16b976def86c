"""What this worker has counted lately, kept to be told to other nodes."""

import os

cimport cython
from libc.stdlib cimport calloc, free
from switch.base.invariant cimport ensure
from switch.base.shared_memory cimport SharedMemory

KEPT = COUNTS_KEPT

cdef enum:
    START_BYTES = 7           # of a random number: nobody lives to see the end of the numbers behind it


@cython.final
@cython.no_gc
cdef class CountLog:

    def __cinit__(self, bint is_shared=False):
        cdef size_t size = sizeof(CountNumbers) + COUNTS_KEPT * sizeof(Counted)
        if is_shared:
            self._memory = SharedMemory(size)
            self.numbers = <CountNumbers *>self._memory.start
        else:
            self.numbers = <CountNumbers *>calloc(1, size)
        if self.numbers == NULL:
            raise MemoryError("no memory for what other nodes are told of counts")
        self._entries = <Counted *>(self.numbers + 1)
        self.numbers.start = int.from_bytes(os.urandom(START_BYTES), "little") + 1
        self.numbers.first = self.numbers.next = self.numbers.start

    def __dealloc__(self):
        if self._memory is None:
            free(self.numbers)

    cdef void append(self, const Counted *counted) noexcept nogil:
        """An entry counts from when the next number says so: who dies before that leaves none."""
        cdef CountNumbers *numbers = self.numbers
        if numbers.next - numbers.first == <uint64_t>COUNTS_KEPT:
            numbers.first += 1
        self._entries[numbers.next % <uint64_t>COUNTS_KEPT] = counted[0]
        numbers.next += 1

    cdef const Counted *at(self, uint64_t number) noexcept nogil:
        ensure(self.numbers.first <= number < self.numbers.next, b"a count that is told is kept")
        return &self._entries[number % <uint64_t>COUNTS_KEPT]
