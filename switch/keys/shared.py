"""Keys in memory that all processes of a daemon share: what one of them has opened outlives it.

Made before processes are forked. It is no file of any folder, and mapped nowhere, so that no core dump has it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from switch.keys.table import KeyTable

NUMBER_BYTES = 8
LOCK_SECONDS = 30.0
LOCK_POLL_SECONDS = 0.02


class BusyError(Exception):
    """Another process holds a lock, and does not let it go."""


class ProcessLock:
    """One thread of one process at a time; the kernel takes it from whoever ends."""

    def __init__(self, name: str) -> None:
        self._file: Final = os.memfd_create(name, os.MFD_CLOEXEC)
        self._threads = threading.Lock()

    @contextmanager
    def held(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold it.

        Raises:
            BusyError: Somebody else did for so long.
        """
        until_s = time.monotonic() + seconds
        if not self._threads.acquire(timeout=seconds):
            raise BusyError
        try:
            while not self._is_taken():
                if time.monotonic() > until_s:
                    raise BusyError
                time.sleep(LOCK_POLL_SECONDS)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _is_taken(self) -> bool:
        # A record lock, since a process that is forked has none of its parent's.
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class SharedKeys:
    """A table of keys, with some bytes that say whose it is, as the last process has put them.

    Args:
        name: For people who look at the process.
        head_bytes: How many bytes say whose the table is.
    """

    def __init__(self, name: str, head_bytes: int) -> None:
        self._rooms: Final = [os.memfd_create(f"{name}-{number}", os.MFD_CLOEXEC) for number in range(2)]
        self._head_bytes = head_bytes
        self._lock = ProcessLock(f"{name}-lock")

    def put(self, head: bytes, table: KeyTable) -> None:
        """Put others in their place. Who dies over it leaves those of before.

        Raises:
            BusyError: Another process does not let go of them.
            OSError: There is no memory for them.
        """
        with self._lock.held():
            newest = self._newest()
            room, number = (0, 1) if newest is None else (1 - newest[0], newest[1] + 1)
            descriptor = self._rooms[room]
            os.ftruncate(descriptor, 0)
            try:
                with memoryview(table.memory) as whole, whole[: table.size] as content:
                    _write(descriptor, head, NUMBER_BYTES)
                    _write(descriptor, content, NUMBER_BYTES + len(head))
            except OSError:
                os.ftruncate(descriptor, 0)
                raise
            os.pwrite(descriptor, number.to_bytes(NUMBER_BYTES, "big"), 0)
            os.ftruncate(self._rooms[1 - room], 0)

    @property
    def number(self) -> int:
        """How often something was put; nothing waits for it."""
        return max(int.from_bytes(os.pread(room, NUMBER_BYTES, 0), "big") for room in self._rooms)

    def head(self) -> bytes | None:
        """Whose the table is; None: nothing was put yet.

        Raises:
            BusyError: Another process does not let go of it.
        """
        with self._lock.held():
            newest = self._newest()
            return None if newest is None else os.pread(self._rooms[newest[0]], self._head_bytes, NUMBER_BYTES)

    def take(self) -> tuple[bytes, KeyTable] | None:
        """A copy of both; None: nothing was put yet.

        Raises:
            BusyError: Another process does not let go of them.
        """
        with self._lock.held():
            newest = self._newest()
            if newest is None:
                return None
            descriptor, begin = self._rooms[newest[0]], NUMBER_BYTES + self._head_bytes
            table = KeyTable(os.fstat(descriptor).st_size - begin)
            with memoryview(table.memory) as whole, whole[: table.size] as content:
                _read(descriptor, content, begin)
            table.opened()
            return os.pread(descriptor, self._head_bytes, NUMBER_BYTES), table

    def _newest(self) -> tuple[int, int] | None:
        """Which room is the newer one that was filled to its end, and its number."""
        numbers = [int.from_bytes(os.pread(room, NUMBER_BYTES, 0), "big") for room in self._rooms]
        number = max(numbers)
        return (numbers.index(number), number) if number else None


def _write(descriptor: int, content: bytes | memoryview, at: int) -> None:
    with memoryview(content) as left:
        done = 0
        while done < len(left):
            done += os.pwrite(descriptor, left[done:], at + done)


def _read(descriptor: int, content: memoryview, at: int) -> None:
    done = 0
    while done < len(content):
        done += os.preadv(descriptor, [content[done:]], at + done)
