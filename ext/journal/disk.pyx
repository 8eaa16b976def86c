"""What the journal needs of a disk: files of a directory, allocated, written at a place, made durable."""

import os
import sys

cimport cython
from libc.errno cimport EINTR, EIO, ESTALE, errno
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from posix.stat cimport fstat, struct_stat

cdef extern from "sys/types.h" nogil:
    ctypedef long off_t
    ctypedef unsigned int mode_t

cdef extern from "fcntl.h" nogil:
    int AT_FDCWD
    int O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_CLOEXEC, O_NONBLOCK
    int openat(int directory, const char *name, int flags, ...)
    int posix_fallocate(int file, off_t offset, off_t size)

cdef extern from "unistd.h" nogil:
    ssize_t pread(int file, void *data, size_t size, off_t offset)
    ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
    int fdatasync(int file)
    int fsync(int file)
    int ftruncate(int file, off_t size)
    int unlinkat(int directory, const char *name, int flags)
    int close(int file)
    off_t lseek(int file, off_t offset, int whence)
    int SEEK_END

cdef extern from "stdio.h" nogil:
    unsigned int RENAME_EXCHANGE
    int renameat(int old_directory, const char *old, int new_directory, const char *new)
    int renameat2(int old_directory, const char *old, int new_directory, const char *new, unsigned int flags)

cdef extern from "sys/file.h" nogil:
    int LOCK_EX, LOCK_NB
    int flock(int file, int operation)

cdef enum:
    FILE_MODE = 0o600
    ZEROS_BYTES = 1 << 16


cdef class Disk:
    """Base of every disk."""

    cdef int create(self, const char *name, uint64_t size) noexcept nogil:
        return -EIO

    cdef int open(self, const char *name, bint writable) noexcept nogil:
        return -EIO

    cdef int close(self, int file) noexcept nogil:
        return -EIO

    cdef int64_t size(self, int file) noexcept nogil:
        return -EIO

    cdef int64_t read(self, int file, uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil:
        return -EIO

    cdef int write(self, int file, const uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil:
        cdef uint64_t done = 0
        cdef int64_t count
        while done < size:
            count = self.write_some(file, data + done, size - done, offset + done)
            if count == -EINTR:
                continue
            if count <= 0:
                return <int>count if count else -EIO
            done += <uint64_t>count
        return 0

    cdef int64_t write_some(self, int file, const uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil:
        return -EIO

    cdef int fill(self, int file, uint64_t offset, uint64_t size) noexcept nogil:
        return 0

    cdef int truncate(self, int file, uint64_t size) noexcept nogil:
        return -EIO

    cdef int sync(self, int file) noexcept nogil:
        return -EIO

    cdef int rename(self, const char *old, const char *new) noexcept nogil:
        return -EIO

    cdef int remove(self, const char *name) noexcept nogil:
        return -EIO

    cdef int sync_directory(self) noexcept nogil:
        return -EIO

    def names(self):
        """Names of all files."""
        raise NotImplementedError

    def free_bytes(self):
        """Bytes that may still be written; None when nobody can tell."""
        return None


@cython.final
cdef class FileDisk(Disk):
    """A directory of the file system.

    Args:
        path: The directory.
        exclusive: Keep everybody else who asks for it so away.

    Raises:
        OSError: it cannot be opened, or somebody else holds it (BlockingIOError).
    """

    def __cinit__(self, str path, *, bint exclusive):
        self._directory = -1
        self._zeros = <uint8_t *>calloc(1, ZEROS_BYTES)
        if self._zeros == NULL:
            raise MemoryError
        self.path = path
        self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if exclusive and flock(self._directory, LOCK_EX | LOCK_NB) != 0:
            raise OSError(errno, os.strerror(errno), path)

    def __dealloc__(self):
        free(self._zeros)
        if self._directory >= 0:
            close(self._directory)

    def release(self):
        """Let others have the directory; nothing can be asked of this disk any more."""
        if self._directory >= 0:
            close(self._directory)
            self._directory = -1

    def names(self):
        """Names of all files."""
        return os.listdir(self._directory)

    def free_bytes(self):
        """Bytes that may still be written."""
        room = os.fstatvfs(self._directory)
        return room.f_bavail * room.f_frsize

    def files(self):
        """Inode of each file by its name."""
        with os.scandir(self._directory) as entries:
            return {entry.name: entry.inode() for entry in entries}

    def changed_ns(self):
        """When a name was last made, changed or removed, in nanoseconds since 1970."""
        return os.fstat(self._directory).st_mtime_ns

    def sizes(self):
        """Size of each file by its name; what vanishes meanwhile is left out."""
        found = {}
        for name in os.listdir(self._directory):
            try:
                found[name] = os.stat(name, dir_fd=self._directory).st_size
            except FileNotFoundError:
                continue
        return found

    def unlink(self, str name not None):
        """Remove a file, for callers in Python."""
        os.unlink(name, dir_fd=self._directory)

    def put(self, str name not None, bytes content not None):
        """Write a small file as a whole, or not at all; for callers in Python. It is not made durable."""
        new = f"{name}.new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE, dir_fd=self._directory)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
        os.rename(new, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def open_file(self, str name not None):
        """A file to read, for callers in Python."""
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._directory)
        return os.fdopen(file, "rb", buffering=0)

    def lost(self):
        """Why the path does not lead to this directory any more, in words; empty while it does."""
        try:
            found, held = os.stat(self.path), os.fstat(self._directory)
        except OSError as error:
            return f"{self.path} cannot be found: {error.strerror}"
        if (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino):
            return f"{self.path} is another directory than at the start"
        return ""

    cdef int create(self, const char *name, uint64_t size) noexcept nogil:
        cdef int status
        cdef int file = openat(self._directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, <mode_t>FILE_MODE)
        if file < 0:
            return -errno
        status = posix_fallocate(file, 0, <off_t>size)
        if status != 0:
            close(file)
            unlinkat(self._directory, name, 0)
            return -status
        return file

    cdef int open(self, const char *name, bint writable) noexcept nogil:
        # Without waiting: somebody may have put a pipe there.
        cdef int file = openat(self._directory, name, (O_RDWR if writable else O_RDONLY) | O_CLOEXEC | O_NONBLOCK)
        return -errno if file < 0 else file

    cdef int close(self, int file) noexcept nogil:
        return -errno if close(file) != 0 else 0

    cdef int64_t size(self, int file) noexcept nogil:
        cdef off_t size = lseek(file, 0, SEEK_END)
        return -errno if size < 0 else size

    cdef int64_t read(self, int file, uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil:
        cdef uint64_t done = 0
        cdef ssize_t count
        while done < size:
            count = pread(file, data + done, size - done, <off_t>(offset + done))
            if count < 0:
                if errno == EINTR:
                    continue
                return -errno
            if count == 0:
                break
            done += <uint64_t>count
        return <int64_t>done

    cdef int64_t write_some(self, int file, const uint8_t *data, uint64_t size, uint64_t offset) noexcept nogil:
        cdef ssize_t count = pwrite(file, data, size, <off_t>offset)
        return -errno if count < 0 else count

    cdef int fill(self, int file, uint64_t offset, uint64_t size) noexcept nogil:
        # What was only allocated is marked as unwritten. The first write there changes the mark, and making that
        # durable means waiting for the file system's own journal, with all that others have in it.
        cdef uint64_t count
        cdef int status
        while size:
            count = min(size, <uint64_t>ZEROS_BYTES)
            status = self.write(file, self._zeros, count, offset)
            if status < 0:
                return status
            offset += count
            size -= count
        return 0

    cdef int truncate(self, int file, uint64_t size) noexcept nogil:
        return -errno if ftruncate(file, <off_t>size) != 0 else 0

    cdef int sync(self, int file) noexcept nogil:
        cdef struct_stat status
        if fdatasync(file) != 0 or fstat(file, &status) != 0:
            return -errno
        return -ESTALE if status.st_nlink == 0 else 0

    cdef int rename(self, const char *old, const char *new) noexcept nogil:
        return -errno if renameat(self._directory, old, self._directory, new) != 0 else 0

    cdef int remove(self, const char *name) noexcept nogil:
        return -errno if unlinkat(self._directory, name, 0) != 0 else 0

    cdef int sync_directory(self) noexcept nogil:
        return -errno if fsync(self._directory) != 0 else 0


def exchange(str one not None, str other not None):
    """Let two paths change places at once: nobody ever finds none, or one twice.

    Raises:
        OSError: They cannot; one of them is where another file system begins (EBUSY, EXDEV), or this one does not know
            how (EINVAL).
    """
    sys.audit("os.rename", one, other, -1, -1)
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        raise OSError(errno, os.strerror(errno), one, None, other)


cdef int failure(object error) noexcept:
    """Minus the number of an OSError; EIO for any other exception."""
    number = error.errno if isinstance(error, OSError) else None
    return -EIO if number is None else -<int>number


@cython.final
cdef class ScriptedDisk(Disk):
    """A disk played by a Python object with methods of the same names, as simulators and tests have it.

    The methods are ``create(name, size)`` and ``open(name, writable)``, which give a handle, ``close(file)``,
    ``size(file)``, ``read(file, size, offset)``, ``write(file, data, offset)``, ``truncate(file, size)``,
    ``sync(file)``, ``rename(old, new)``, ``remove(name)``, ``sync_directory()``, ``names()`` and ``free_bytes()``.
    An OSError is the disk's error; whatever else they raise counts as EIO.
    """

    def __init__(self, object script):
        self._script = script

    def names(self):
        """Names of all files."""
        return self._script.names()

    def free_bytes(self):
        """Bytes that may still be written; None when nobody can tell."""
        return self._script.free_bytes()

    cdef int create(self, const char *name, uint64_t size) noexcept with gil:
        try:
            return self._script.create(name.decode(), size)
        except Exception as error:
            return failure(error)

    cdef int open(self, const char *name, bint writable) noexcept with gil:
        try:
            return self._script.open(name.decode(), writable)
        except Exception as error:
            return failure(error)

    cdef int close(self, int file) noexcept with gil:
        try:
            self._script.close(file)
            return 0
        except Exception as error:
            return failure(error)

    cdef int64_t size(self, int file) noexcept with gil:
        try:
            return self._script.size(file)
        except Exception as error:
            return failure(error)

    cdef int64_t read(self, int file, uint8_t *data, uint64_t size, uint64_t offset) noexcept with gil:
        cdef bytes content
        cdef const uint8_t *start
        try:
            content = self._script.read(file, size, offset)
            if <uint64_t>len(content) > size:
                return -EIO
            start = content
            memcpy(data, start, len(content))
            return len(content)
        except Exception as error:
            return failure(error)

    cdef int64_t write_some(self, int file, const uint8_t *data, uint64_t size, uint64_t offset) noexcept with gil:
        try:
            taken = self._script.write(file, (<const char *>data)[:size], offset)
            return <int64_t>size if taken is None else taken
        except Exception as error:
            return failure(error)

    cdef int truncate(self, int file, uint64_t size) noexcept with gil:
        try:
            self._script.truncate(file, size)
            return 0
        except Exception as error:
            return failure(error)

    cdef int sync(self, int file) noexcept with gil:
        try:
            self._script.sync(file)
            return 0
        except Exception as error:
            return failure(error)

    cdef int rename(self, const char *old, const char *new) noexcept with gil:
        try:
            self._script.rename(old.decode(), new.decode())
            return 0
        except Exception as error:
            return failure(error)

    cdef int remove(self, const char *name) noexcept with gil:
        try:
            self._script.remove(name.decode())
            return 0
        except Exception as error:
            return failure(error)

    cdef int sync_directory(self) noexcept with gil:
        try:
            self._script.sync_directory()
            return 0
        except Exception as error:
            return failure(error)
