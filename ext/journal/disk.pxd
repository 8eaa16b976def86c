"""What the journal needs of a disk: files of a directory, allocated, written at a place, made durable.

The journal's own code calls nothing else, so that a simulator can own the disk. No call makes a Python object or needs
the GIL. Each gives 0, a handle or a number of bytes when well, else minus the number of the error (errno).
"""

from libc.stdint cimport uint8_t, uint64_t, int64_t


cdef class Disk:
    cdef int create(self, const char *name, uint64_t size) noexcept nogil
    """A new file of ``size`` bytes, all zeros, whose room is allocated; its handle."""
    cdef int open(self, const char *name, bint writable) noexcept nogil
    """A handle of a file that is there."""
    cdef int close(self, int file) noexcept nogil
    cdef int64_t size(self, int file) noexcept nogil
    cdef int64_t read(self, int file, uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil
    """As many bytes as there are, at most ``size``; how many."""
    cdef int write(self, int file, const uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil
    """All of the bytes, or an error."""
    cdef int64_t write_some(self, int file, const uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil
    """As many of the bytes as are taken at once; how many."""
    cdef int fill(self, int file, uint64_t offset, uint64_t size) noexcept nogil
    """Write zeros where zeros are, if that makes what is written there later cheaper; by default nothing."""
    cdef int truncate(self, int file, uint64_t size) noexcept nogil
    cdef int sync(self, int file) noexcept nogil
    """What was written to the file is durable when this gives 0; -ESTALE when the file has no name any more."""
    cdef int rename(self, const char *old, const char *new) noexcept nogil
    cdef int remove(self, const char *name) noexcept nogil
    cdef int sync_directory(self) noexcept nogil
    """Names that were made, changed or removed are durable when this gives 0."""


cdef class FileDisk(Disk):
    cdef readonly str path
    cdef int _directory
    cdef uint8_t *_zeros


cdef class ScriptedDisk(Disk):
    cdef object _script
