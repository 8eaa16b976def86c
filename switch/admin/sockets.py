"""A Unix socket for the admin side: its owner's alone, taken over from a daemon that died, not from one that lives."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
from array import array
from collections.abc import Callable
from pathlib import Path

MODE = 0o600
GROUP_MODE = 0o660
BACKLOG = 64
CONNECT_SECONDS = 1.0
CREDENTIALS = struct.Struct("3i")
"""Of a peer: process, user, group."""

SO_PEERGROUPS = 59
"""Of Linux: the further groups of a peer. Python has no name for it."""

GROUPS_BYTES_MAX = 1024
"""So much does Python take; of who has more groups only the first one is looked at."""


class UnixSocket:
    """The listening end, until ``close``.

    A lock beside it (``.lock``) keeps two daemons that start at the same time from taking it from each other.

    Args:
        path: Where it is.
        group: The id of a group whose members may use it, too.

    Raises:
        OSError: it cannot be had.
    """

    def __init__(self, path: Path, group: int | None = None) -> None:
        self._path = path
        self._group = group
        try:
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as error:
            raise OSError(error.errno, f"unix:{path} cannot be made: {error.strerror}") from error
        try:
            self._take()
        except OSError:
            os.close(self._lock)
            raise

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(self._path) from None
        self._remove_stale()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.bind(str(self._path))
            self._path.chmod(MODE)  # before anybody can connect
            if self._group is not None:
                os.chown(self._path, -1, self._group)
                self._path.chmod(GROUP_MODE)
            self.socket.listen(BACKLOG)
            self.socket.setblocking(False)
            self._inode = self._path.stat().st_ino
        except OSError:
            self.socket.close()
            raise

    def _remove_stale(self) -> None:
        """Take the socket of a daemon that died out of the way."""
        try:
            is_socket = self._path.is_socket()
            self._path.lstat()
        except FileNotFoundError:
            return
        if not is_socket:
            raise OSError(errno.EEXIST, f"{self._path} is there, and is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_SECONDS)
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink()
                return
        raise _in_use(self._path)

    def close(self) -> None:
        """Give it up, unless somebody else has put another one there."""
        self.socket.close()
        try:
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass
        os.close(self._lock)


class LocalPeer(asyncio.Protocol):
    """A new connection of a Unix socket: handed on when its peer is root, our own user or of a group, else closed.

    Args:
        accept: Makes the protocol that goes on with it.
        refused: Told the user of one that was closed.
        group: Whose members are heard, too.
    """

    def __init__(
        self, accept: Callable[[], asyncio.Protocol], refused: Callable[[int], None], group: int | None = None
    ) -> None:
        self._accept = accept
        self._refused = refused
        self._group = group

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is."""
        descriptor = transport.get_extra_info("socket").fileno()
        user = peer_user(descriptor)
        if user not in (0, os.geteuid()) and (self._group is None or self._group not in peer_groups(descriptor)):
            self._refused(user)
            transport.close()
            return
        protocol = self._accept()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def peer_user(descriptor: int) -> int:
    """The user of a Unix socket's peer, as the kernel noted it when it connected.

    Raises:
        OSError: it is no such socket.
    """
    with socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_STREAM) as own:
        _, user, _ = CREDENTIALS.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return int(user)


def peer_groups(descriptor: int) -> set[int]:
    """The groups of a Unix socket's peer, as ``peer_user`` has its user.

    Raises:
        OSError: it is no such socket.
    """
    with socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_STREAM) as own:
        _, _, group = CREDENTIALS.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        try:
            more = own.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_BYTES_MAX)
        except OSError:
            more = b""
    return {group, *array("i", more)}


def _in_use(path: Path) -> OSError:
    return OSError(errno.EADDRINUSE, f"another daemon listens on unix:{path}")
