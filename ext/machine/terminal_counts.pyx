"""What is counted of each terminal: in one array for a worker, since each terminal belongs to one partition only."""

cimport cython
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset


@cython.final
cdef class TerminalCounts:
    """Zeros, for so many terminals."""

    def __cinit__(self, uint32_t count=0):
        self.count = count
        self.of = <TerminalCount *>calloc(max(count, <uint32_t>1), sizeof(TerminalCount))
        if self.of == NULL:
            raise MemoryError

    def grow(self, uint32_t count):
        """Zeros for terminals that came to be known, too."""
        cdef void *grown
        if count <= self.count:
            return
        grown = realloc(self.of, count * sizeof(TerminalCount))
        if grown == NULL:
            raise MemoryError
        self.of = <TerminalCount *>grown
        memset(self.of + self.count, 0, (count - self.count) * sizeof(TerminalCount))
        self.count = count

    def __dealloc__(self):
        free(self.of)
