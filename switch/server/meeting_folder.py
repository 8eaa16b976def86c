"""The folder in which the workers of one daemon find each other: made, locked while they run, and cleared away after.

What a daemon that was killed left is removed by the next one: nobody has it locked any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "authswitch-workers-"
OURS = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class MeetingFolder:
    """A new folder of mode 0700, below the folder for temporary files; locked until ``close``, or until all have ended.

    Attributes:
        path: Where it is.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self) -> None:
        parent = Path(tempfile.gettempdir())
        clear_away(parent)
        self.path, self._lock = _made(parent)

    def close(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError), _opened(self.path.parent) as parent:
            _remove(parent, self.path.name, self._lock)
        os.close(self._lock)


def _made(parent: Path) -> tuple[Path, int]:
    """A folder, and what has it locked."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = os.open(path, FOLDER_FLAGS)
        except FileNotFoundError:  # somebody clears away, and was there before the lock
            continue
        # `systemd-tmpfiles` passes over what is locked, too.
        fcntl.flock(lock, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.lstat(), os.fstat(lock)):
                return path, lock
        os.close(lock)


def clear_away(parent: Path) -> None:
    """Remove the folders of this user that nobody has locked, as far as there is nothing but sockets in them."""
    with contextlib.suppress(OSError), _opened(parent) as within:
        for name in [one.name for one in parent.iterdir() if OURS.fullmatch(one.name)]:
            # Whatever another user puts there instead, and whenever, is neither followed nor removed.
            with contextlib.suppress(OSError):
                _clear(within, name)


def _clear(parent: int, name: str) -> None:
    """Remove a folder that nobody has locked.

    Raises:
        OSError: It is in use, not ours, or cannot be removed.
    """
    folder = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            return
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(parent, name, folder)
    finally:
        os.close(folder)


def _remove(parent: int, name: str, folder: int) -> None:
    """Remove an open folder with the sockets in it.

    Raises:
        OSError: Something else is in it, or stands where it was.
    """
    for one in os.listdir(folder):
        if stat.S_ISSOCK(os.stat(one, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(one, dir_fd=folder)
    if os.path.samestat(os.stat(name, dir_fd=parent, follow_symlinks=False), os.fstat(folder)):
        os.rmdir(name, dir_fd=parent)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
