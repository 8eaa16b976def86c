"""A disk in memory that knows what would outlive a loss of power, and fails when it is told to."""

from __future__ import annotations

import errno
import os

from switch.journal.lives import LIVES_NAME


class MemoryDisk:
    """Plays the disk of ``ScriptedDisk``: what was written is safe after ``sync``, names after their own."""

    def __init__(self):
        self.files = {}  # name: bytearray, as the process sees it
        self.beside = {}  # the same of how often the journal was begun
        self.handles = {}
        self.safe = {}  # name: bytes, as a loss of power leaves it
        self.safe_content = {}  # id of the bytearray: bytearray
        self.unsafe = {}  # id of the bytearray: writes since the last sync
        self.calls = []  # names of all calls that change something
        self.fail_at = None  # fail the call of this number (counted from 0), with
        self.error = errno.EIO
        self.torn = None  # the failing write leaves so many bytes
        self.room = None
        self.full = errno.ENOSPC  # how it says that there is no room

    def _call(self, what):
        self.calls.append(what)
        if self.fail_at is not None and len(self.calls) - 1 >= self.fail_at:
            raise OSError(self.error, os.strerror(self.error))

    def _where(self, name):
        return self.beside if name.startswith(LIVES_NAME) else self.files

    def names(self):
        return [*self.files, *self.beside]

    def free_bytes(self):
        return self.room

    def create(self, name, size):
        self._call("create")
        if self.room is not None and size > self.room:
            raise OSError(self.full, os.strerror(self.full))
        if name in self._where(name):
            raise FileExistsError(errno.EEXIST, "exists")
        self._where(name)[name] = bytearray(size)
        return self.open(name, True)

    def open(self, name, writable):
        if name not in self._where(name):
            raise FileNotFoundError(errno.ENOENT, "none")
        handle = len(self.handles) + 3
        self.handles[handle] = self._where(name)[name]
        return handle

    def close(self, file):
        self.handles[file] = None

    def size(self, file):
        return len(self.handles[file])

    def read(self, file, size, offset):
        return bytes(self.handles[file][offset : offset + size])

    def write(self, file, data, offset):
        content = self.handles[file]
        try:
            self._call("write")
        except OSError:
            if self.torn is not None and len(self.calls) - 1 == self.fail_at:
                content[offset : offset + self.torn] = data[: self.torn]
            raise
        assert offset + len(data) <= len(content), "written beyond what was allocated"
        content[offset : offset + len(data)] = data
        self.unsafe.setdefault(id(content), []).append((offset, data))

    def truncate(self, file, size):
        self._call("truncate")
        del self.handles[file][size:]

    def sync(self, file):
        self._call("sync")
        content = self.handles[file]
        safe = self.safe_content.setdefault(id(content), bytearray(len(content)))
        for offset, data in self.unsafe.pop(id(content), []):
            safe[offset : offset + len(data)] = data
        del safe[len(content) :]

    def rename(self, old, new):
        self._call("rename")
        self._where(new)[new] = self._where(old).pop(old)

    def remove(self, name):
        self._call("remove")
        del self._where(name)[name]

    def sync_directory(self):
        self._call("sync_directory")
        self.safe = {**self.files, **self.beside}

    def copy(self):
        """The same files on another disk, as after the end of the process."""
        other = MemoryDisk()
        other.files = {name: bytearray(content) for name, content in self.files.items()}
        other.beside = {name: bytearray(content) for name, content in self.beside.items()}
        return other

    def after_power_loss(self):
        """Another disk with what is certainly still there."""
        other = MemoryDisk()
        for name, content in self.safe.items():
            kept = self.safe_content.get(id(content), bytes(len(content)))
            other._where(name)[name] = bytearray(kept)
        return other
