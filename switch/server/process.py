"""What the process asks of the kernel: file descriptors enough, and that its memory is nobody's to read."""

from __future__ import annotations

import contextlib
import ctypes
import resource

PR_SET_DUMPABLE = 4


def raise_descriptor_limit(needed: int) -> int:
    """Raise the soft limit of file descriptors to what is needed, as far as the hard one allows; gives what it is then.

    The hard limit is left alone: whoever set it meant it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed if soft == resource.RLIM_INFINITY else soft
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    # The kernel's own limit (fs.nr_open) may be below an unlimited hard one.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def protect_memory() -> None:
    """Leave no core file, and let no other process of the same user attach or read: keys are in the clear in here.

    Raises:
        OSError: The kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A handler of core files that the kernel pipes them to does not look at the limit, only at this.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the process cannot be kept out of core files")
