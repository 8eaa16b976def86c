"""What rings are made of: sealed memory and wake-ups, made here, and looked at when somebody else has made them."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

RING_BYTES_MIN = 1 << 16
RING_BYTES_MAX = 1 << 26
CONTROL_BYTES = 1 << 16
"""In front of a ring's bytes: a multiple of every size that a page has. See ``ext/mesh/ring.pxd`` for what is there."""

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""Nobody can cut off memory that is in use: whoever touched it would die of it."""

F_SEAL_FUTURE_WRITE = 0x10  # of linux/fcntl.h; Python 3.11 has no name for it
READ_ONLY_SEALS = fcntl.F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
EVENT_LINK = "anon_inode:[eventfd]"


class DescriptorError(ValueError):
    """A size or a descriptor of which no ring can be made."""


def check_ring_bytes(size: int) -> int:
    """The size of a ring, if it is one.

    Raises:
        DescriptorError: it is no power of two from 64 KiB to 64 MiB.
    """
    if not RING_BYTES_MIN <= size <= RING_BYTES_MAX or size & (size - 1):
        raise DescriptorError(
            f"ring: needed a power of two from {RING_BYTES_MIN} to {RING_BYTES_MAX} bytes, got {size}"
        )
    return size


def new_ring(size: int) -> int:
    """Memory for a ring of ``size`` bytes: all there, empty, and of that size for ever; its descriptor.

    Raises:
        DescriptorError: the size is none.
        OSError: there is no memory, or no descriptor.
    """
    total = CONTROL_BYTES + check_ring_bytes(size)
    memory = os.memfd_create("authswitch-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.posix_fallocate(memory, 0, total)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(memory)
        raise
    return memory


def ring_bytes(memory: int) -> int:
    """The size of the ring for which a descriptor is the memory.

    Raises:
        DescriptorError: it is no sealed memory that can be written, or not of a ring's size.
    """
    status = os.fstat(memory)
    try:
        seals = fcntl.fcntl(memory, fcntl.F_GET_SEALS)
    except OSError as error:
        raise DescriptorError(f"ring: needed memory that can be sealed: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DescriptorError("ring: needed a file in memory")
    if seals & SEALS != SEALS or seals & READ_ONLY_SEALS:
        raise DescriptorError(f"ring: needed the seals {SEALS:#x} and none against writing, got {seals:#x}")
    if fcntl.fcntl(memory, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
        raise DescriptorError("ring: needed memory that can be read and written")
    return check_ring_bytes(status.st_size - CONTROL_BYTES)


def new_event() -> int:
    """A wake-up: readable when its owner shall look."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def check_event(event: int) -> None:
    """See whether a descriptor is a wake-up that does not block.

    Raises:
        DescriptorError: it is not.
    """
    kind = str(Path(f"/proc/self/fd/{event}").readlink())
    if kind != EVENT_LINK:
        raise DescriptorError(f"wake-up: needed an eventfd, got {kind}")
    if not fcntl.fcntl(event, fcntl.F_GETFL) & os.O_NONBLOCK:
        raise DescriptorError("wake-up: needed an eventfd that does not block")
