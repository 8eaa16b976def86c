"""What is counted of each terminal: in one array for a worker, since each terminal belongs to one partition only."""

cimport cython
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap

cdef extern from "sys/mman.h" nogil:
    void *mremap(void *address, size_t size, size_t new_size, int flags)
    int MREMAP_MAYMOVE


@cython.final
cdef class TerminalCounts:
    """Zeros, for so many terminals."""

    def __cinit__(self, uint32_t count=0):
        cdef void *mapped = mmap(NULL, _size_of(count), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if mapped == MAP_FAILED:
            raise MemoryError
        self.of = <TerminalCount *>mapped
        self.count = count

    def grow(self, uint32_t count):
        """Zeros for terminals that came to be known, too: pages are moved, and nothing is copied."""
        cdef void *grown
        if count <= self.count:
            return
        grown = mremap(self.of, _size_of(self.count), _size_of(count), MREMAP_MAYMOVE)
        if grown == MAP_FAILED:
            raise MemoryError
        self.of = <TerminalCount *>grown
        self.count = count

    def __dealloc__(self):
        if self.of != NULL:
            munmap(self.of, _size_of(self.count))


cdef size_t _size_of(uint32_t count) noexcept nogil:
    return max(count, <uint32_t>1) * sizeof(TerminalCount)
