"""What is counted of each terminal: in one array for a worker, since each terminal belongs to one partition only."""

cimport cython
from libc.stdlib cimport calloc, free


@cython.final
cdef class TerminalCounts:
    """Zeros, for so many terminals."""

    def __cinit__(self, uint32_t count=0):
        self.count = count
        self.of = <TerminalCount *>calloc(max(count, <uint32_t>1), sizeof(TerminalCount))
        if self.of == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.of)
