"""Rings handed over: one worker makes a pair of them and gives the other its end, over a Unix socket that joins both.

The socket's end is the end of the connection: nothing else is ever sent on it. ``docs/mesh.md`` has the message.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence

from switch.mesh.descriptors import DescriptorError, check_event, new_event, new_ring, ring_bytes
from switch.mesh.ring import RingPair

MESSAGE = struct.Struct("<8sIIQQ")
MAGIC = b"ASWRINGS"
VERSION = 1
DESCRIPTORS = 4
DESCRIPTOR = struct.Struct("i")
CREDENTIALS = struct.Struct("3i")


class HandOverError(ValueError):
    """What came is no pair of rings. Its text can be logged."""


def offer(connection: socket.socket, size: int) -> RingPair:
    """Make two rings of ``size`` bytes, give the peer its end, and return ours.

    Args:
        connection: a Unix socket that is connected to the other worker, and on which nothing was sent.
        size: bytes of each ring, a power of two from 64 KiB to 64 MiB.

    Raises:
        DescriptorError: the size is none.
        OSError: no memory, no descriptors, or the peer is gone.
    """
    made: list[int] = []
    try:
        made.append(new_ring(size))
        made.append(new_ring(size))
        made.append(new_event())
        made.append(new_event())
        pair = RingPair(*made)
    except BaseException:
        _close(made)
        raise
    try:
        _send(connection, MESSAGE.pack(MAGIC, VERSION, 0, size, size), made)
    except BaseException:
        pair.close()
        raise
    finally:
        _close(made[:2])
    return pair


def take(connection: socket.socket) -> RingPair:
    """Take the end of a pair of rings that the peer has made.

    Raises:
        BlockingIOError: nothing has come yet, on a socket that does not wait.
        HandOverError: what came is no pair of rings, or comes from another user.
        ConnectionError: the peer is gone.
        OSError: no memory to map.
    """
    _check_peer(connection)
    message, descriptors, is_whole = _receive(connection)
    try:
        _check(message, descriptors, is_whole=is_whole)
        incoming, outgoing, peer, own = descriptors
        pair = RingPair(outgoing, incoming, own, peer)
    except BaseException:
        _close(descriptors)
        raise
    _close([incoming, outgoing])
    return pair


def _send(connection: socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    if socket.send_fds(connection, [message], descriptors, socket.MSG_NOSIGNAL) != len(message):
        raise OSError("the rings could not be handed over in one message")


def _receive(connection: socket.socket) -> tuple[bytes, list[int], bool]:
    """The message, its descriptors, of which children inherit none, and whether that was all."""
    # A byte more than there may be, so that a longer message is seen. The kernel closes descriptors without room.
    message, ancillary, flags, _ = connection.recvmsg(
        MESSAGE.size + 1, socket.CMSG_SPACE(DESCRIPTORS * DESCRIPTOR.size), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = [
        descriptor
        for level, kind, data in ancillary
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for (descriptor,) in DESCRIPTOR.iter_unpack(data[: len(data) // DESCRIPTOR.size * DESCRIPTOR.size])
    ]
    return message, descriptors, not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)


def _check(message: bytes, descriptors: Sequence[int], *, is_whole: bool) -> None:
    """See whether a message hands over what it says."""
    if not message and not descriptors:
        raise ConnectionError("the peer has closed the connection before it handed over rings")
    if len(descriptors) != DESCRIPTORS or not is_whole:
        more = "" if is_whole else " or more"
        raise HandOverError(f"hand-over of rings: needed {DESCRIPTORS} descriptors, got {len(descriptors)}{more}")
    sizes = _sizes(message)
    incoming, outgoing, *events = descriptors
    try:
        found = (ring_bytes(incoming), ring_bytes(outgoing))
        for event in events:
            check_event(event)
    except DescriptorError as error:
        raise HandOverError(f"hand-over of rings: {error}") from None
    if found != sizes:
        raise HandOverError(f"hand-over of rings: needed rings of {sizes} bytes, as it says, got {found}")
    if os.path.sameopenfile(incoming, outgoing):
        raise HandOverError("hand-over of rings: both rings are the same memory")


def _sizes(message: bytes) -> tuple[int, int]:
    """What the message says: sizes of the ring from the sender, and of the one to it."""
    if len(message) != MESSAGE.size:
        raise HandOverError(f"hand-over of rings: needed a message of {MESSAGE.size} bytes, got {len(message)}")
    magic, version, reserved, outgoing, incoming = MESSAGE.unpack(message)
    if magic != MAGIC or reserved:
        raise HandOverError("hand-over of rings: this is another message")
    if version != VERSION:
        raise HandOverError(f"hand-over of rings: needed version {VERSION}, got {version}")
    return outgoing, incoming


def _check_peer(connection: socket.socket) -> None:
    """See whether the peer is of our user, as the kernel knows it."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(credentials)
    if user != os.geteuid():
        raise HandOverError(f"hand-over of rings: needed a process of user {os.geteuid()}, got one of {user}")


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
