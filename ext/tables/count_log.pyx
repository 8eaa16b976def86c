"""What this worker has counted lately, kept to be told to other nodes."""

import os

cimport cython
from libc.stdlib cimport calloc, free
from switch.base.invariant cimport ensure

KEPT = COUNTS_KEPT

cdef enum:
    START_BYTES = 7           # of a random number: nobody lives to see the end of the numbers behind it


@cython.final
@cython.no_gc
cdef class CountLog:

    def __cinit__(self):
        self._entries = <Counted *>calloc(COUNTS_KEPT, sizeof(Counted))
        if self._entries == NULL:
            raise MemoryError("no memory for what other nodes are told of counts")
        self.start = int.from_bytes(os.urandom(START_BYTES), "little") + 1
        self.first = self.next = self.start

    def __dealloc__(self):
        free(self._entries)

    cdef void append(self, const Counted *counted) noexcept nogil:
        self._entries[self.next % <uint64_t>COUNTS_KEPT] = counted[0]
        self.next += 1
        if self.next - self.first > <uint64_t>COUNTS_KEPT:
            self.first += 1

    cdef const Counted *at(self, uint64_t number) noexcept nogil:
        ensure(self.first <= number < self.next, b"a count that is told is kept")
        return &self._entries[number % <uint64_t>COUNTS_KEPT]
