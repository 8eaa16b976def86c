"""A disk with a cache that power loss empties in any order, and with every way to fail."""

from __future__ import annotations

import errno
import os
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from switch.journal.lives import LIVES_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""

SEEN_ZEROS = 4_096
"""Of the room that a file has and nobody has written, so much is shown: a megabyte of zeros tells nobody more."""


@dataclass
class Inode:
    """A file, whatever its name.

    Attributes:
        size: Its length; what lies behind ``data`` is zeros.
        data: What a reader sees.
        durable: What is on the platter.
        durable_size: How long it is there.
        pending: What was written since the last synchronization: place and bytes.
        ends: Where what was written ended each time that it was made durable.
    """

    size: int
    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    durable_size: int = 0
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


Content = tuple[dict[str, Inode], dict[str, Inode], list[tuple[str, Inode | None]]]
"""Of a disk: names as they are seen, as they are durable, and what has changed between."""


class PowerCutError(OSError):
    """The machine is off: the call never comes back."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "power is off")


class SimulatedDisk:
    """One directory, as the journal's seam wants it (``switch.journal.disk.ScriptedDisk``).

    Attributes:
        is_off: Nothing works until ``restart``.
        calls_left: The process is killed in the middle of the call after so many; None: it is not.
        is_short: Whether a write of so many bytes is cut short.
        ever_rotted: Whether something on it was, at some time, not what was written.
        sync_fails, write_fails, is_full: Faults that are switched on.
    """

    def __init__(self, draw: Random, is_short: Callable[[int], bool]) -> None:
        self._draw = draw
        self.is_short = is_short
        self._rotten: tuple[Inode, int, int] | None = None
        self.ever_rotted = False
        self._names: dict[str, Inode] = {}
        self._durable_names: dict[str, Inode] = {}
        self._changes: list[tuple[str, Inode | None]] = []
        self._handles: dict[int, Inode] = {}
        self._next_handle = count(3)
        self.is_off = False
        self.calls_left: int | None = None
        self.sync_fails = self.write_fails = self.is_full = False

    # --- the journal's calls --------------------------------------------------------------------------------------

    def create(self, name: str, size: int) -> int:
        """A new file with its room."""
        self._count_call()
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if name in self._names:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        inode = Inode(size)
        self._change(name, inode)
        return self._open(inode)

    def open(self, name: str, writable: bool) -> int:
        """A handle of a file that is there."""
        self._count_call()
        if name not in self._names:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self._open(self._names[name])

    def close(self, file: int) -> None:
        """Give a handle back."""
        self._handles.pop(file, None)

    def size(self, file: int) -> int:
        """Bytes, without most of those that nobody has written."""
        inode = self._handles[file]
        return min(inode.size, len(inode.data) + SEEN_ZEROS)

    def read(self, file: int, size: int, offset: int) -> bytes:
        """What is there."""
        self._count_call()
        inode = self._handles[file]
        wanted = max(min(size, inode.size - offset), 0)
        return bytes(inode.data[offset : offset + wanted]).ljust(wanted, b"\0")

    def write(self, file: int, data: bytes, offset: int) -> int:
        """Into the cache; how many bytes were taken."""
        inode = self._handles.get(file)
        if self.is_short(len(data)):
            data = data[: self._draw.randrange(1, len(data))]
        if self.write_fails and not self.is_off:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        try:
            self._count_call()
        except PowerCutError:
            if inode is not None:
                self._put(inode, data[: self._draw.randrange(len(data) + 1)], offset)
            raise
        if inode is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._put(inode, data, offset)
        return len(data)

    def truncate(self, file: int, size: int) -> None:
        """Cut a file; as everywhere here, what is cut is read as zeros."""
        self._count_call()
        inode = self._handles[file]
        inode.size = size
        del inode.data[size:]
        inode.pending.append((size, b""))

    def sync(self, file: int) -> None:
        """Make a file's content durable; after a failure the cache is clean, and the disk has nothing of it."""
        self._count_call()
        inode = self._handles[file]
        if self.sync_fails:
            inode.pending.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if inode.pending:
            inode.ends.append(len(inode.data))
        inode.durable[:] = inode.data
        inode.durable_size = inode.size
        inode.pending.clear()

    def rename(self, old: str, new: str) -> None:
        """Change a name."""
        self._count_call()
        inode = self._names[old]
        self._change(old, None)
        self._change(new, inode)

    def remove(self, name: str) -> None:
        """Take a file away."""
        self._count_call()
        if name not in self._names:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._change(name, None)

    def sync_directory(self) -> None:
        """Make names durable."""
        self._count_call()
        if self.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._durable_names = dict(self._names)
        self._changes.clear()

    def names(self) -> list[str]:
        """All of them."""
        return list(self._names)

    def free_bytes(self) -> int | None:
        """Enough, or nothing."""
        return 0 if self.is_full else 1 << 40

    # --- for somebody who only reads beside it ---------------------------------------------------------------------

    def content(self, name: str) -> bytes:
        """What a reader sees of a file.

        Raises:
            FileNotFoundError: There is none.
        """
        if name not in self._names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return bytes(self._names[name].data)

    def _open(self, inode: Inode) -> int:
        handle = next(self._next_handle)
        self._handles[handle] = inode
        return handle

    def _change(self, name: str, inode: Inode | None) -> None:
        if inode is None:
            del self._names[name]
        else:
            self._names[name] = inode
        self._changes.append((name, inode))

    def _count_call(self) -> None:
        if self.is_off:
            raise PowerCutError
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                self.is_off = True
                raise PowerCutError

    @staticmethod
    def _put(inode: Inode, data: bytes, offset: int) -> None:
        if len(inode.data) < offset:
            inode.data.extend(bytes(offset - len(inode.data)))
        inode.data[offset : offset + len(data)] = data
        inode.size = max(inode.size, offset + len(data))
        inode.pending.append((offset, data))

    # --- what happens to it ---------------------------------------------------------------------------------------

    def restart(self) -> None:
        """The process is gone, and another one comes: what was written is still in the cache."""
        self._handles.clear()
        self.is_off = False
        self.calls_left = None

    def lose_power(self) -> None:
        """The machine goes off: of what was not synchronized any part may be on the disk, and any part may not."""
        for inode in {id(one): one for one in (*self._names.values(), *self._durable_names.values())}.values():
            self._settle(inode)
        # The file system's own journal keeps the order of its names; how far it has come nobody knows.
        names = dict(self._durable_names)
        for name, inode in self._changes[: self._draw.randrange(len(self._changes) + 1)]:
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode
        self._names, self._durable_names = names, dict(names)
        self._changes.clear()

    def _settle(self, inode: Inode) -> None:
        draw = self._draw
        survives = draw.choice((0.0, 0.3, 0.7, 1.0))
        content = inode.durable
        for offset, data in inode.pending:
            if not data:
                if draw.random() < survives:
                    del content[offset:]
                    inode.durable_size = offset
                continue
            if len(content) < offset + len(data):
                content.extend(bytes(offset + len(data) - len(content)))
            start = 0
            while start < len(data):
                end = min(len(data), start + SECTOR - (offset + start) % SECTOR)
                if draw.random() < survives:
                    content[offset + start : offset + end] = data[start:end]
                start = end
        inode.pending.clear()
        inode.size = inode.durable_size = max(inode.durable_size, inode.size)
        inode.data[:] = content

    def copied(self) -> Content:
        """A copy of what is on it."""
        return deepcopy((self._names, self._durable_names, self._changes))

    def exchanged(self, content: Content) -> Content:
        """Put something else on it; what was there."""
        before = (self._names, self._durable_names, self._changes)
        self._names, self._durable_names, self._changes = content
        self._handles.clear()
        return before

    @property
    def has_rotted(self) -> bool:
        """Whether something on it is not what was written."""
        return self._rotten is not None

    def rot(self) -> bool:
        """Change one bit of what was written well before the end of the journal; whether there was any."""
        written = [inode for name, inode in sorted(self._names.items()) if len(inode.ends) > 3 and name != LIVES_NAME]
        if not written or self.has_rotted:
            return False
        inode = self._draw.choice(written)
        self._rotten = (inode, self._draw.randrange(inode.ends[-3]), 1 << self._draw.randrange(8))
        self._flip(*self._rotten)
        self.ever_rotted = True
        return True

    def restore(self) -> None:
        """Bring back from a copy what has rotted."""
        if self._rotten is not None:
            self._flip(*self._rotten)
            self._rotten = None

    @staticmethod
    def _flip(inode: Inode, at: int, mask: int) -> None:
        for content in (inode.data, inode.durable):
            if at < len(content):
                content[at] ^= mask
