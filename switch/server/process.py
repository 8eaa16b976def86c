"""What the process asks of the kernel: file descriptors enough, and that its memory is nobody's to read."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from switch.base.log import configure_logging, get_logger
from switch.base.log_writer import LogWriter
from switch.base.start_signals import hear_no_more
from switch.config import Config

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
STEP_PREFIX = "switch."
EXIT_BROKEN_STEP = 70
LAST_WORDS_SECONDS = 2.0
STANDARD_ERROR = 2
LOG_SECONDS = 2.0
"""How long the end of the process waits for whoever reads the log."""

log = get_logger(__name__)


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


def begin_collections() -> None:
    """Look for cyclic garbage from now on, but not in what was loaded so far: it stays.

    A worker that is forked afterwards shares the pages of all that with the others, since no collection writes to them.
    """
    gc.freeze()
    gc.enable()


def protect_memory() -> None:
    """Leave no core file, and let no other process of the same user attach or read: keys are in the clear in here.

    Raises:
        OSError: The kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A handler of core files that the kernel pipes them to does not look at the limit, only at this.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the process cannot be kept out of core files")


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, however that does.

    Args:
        parent: Its process id, as it was before the fork.

    Raises:
        OSError: The kernel refuses, or the parent has ended already.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the process cannot be bound to its parent")
    if os.getppid() != parent:
        raise ProcessLookupError("the parent has ended")


@contextmanager
def process_log(config: Config) -> Iterator[LogWriter]:
    """The log of this process, which tells of broken steps too; waited for at the end, as long as somebody reads it."""
    log_writer = configure_logging(config.log.format, config.log.level, lines_max=config.log.waiting_lines_max)
    watch_for_broken_steps(log_writer)
    try:
        yield log_writer
    finally:
        hear_no_more()
        if not log_writer.finish(LOG_SECONDS):
            silence_standard_error()


def watch_for_broken_steps(log_writer: LogWriter) -> None:
    """End the process at once when a compiled step raises; send what Python says on standard error to the log.

    A step of the state machine raises nothing, unless memory runs out or it has a mistake; and what it has left half
    done cannot be gone on with: a payment without its answer, an approval without its reversal. A crash is what the
    journal is for: what was asked and has no outcome is reversed by the next start.
    """

    def on_unraisable(raised: UnraisableHookArgs) -> None:
        where = raised.object
        error = f"{raised.exc_type.__name__}: {raised.exc_value}"
        if not isinstance(where, str) or not where.startswith(STEP_PREFIX):
            log.error("error that nobody could be told of", where=type(where).__name__, error=error)
            return
        log.critical("a step was broken off: the process ends", where=where, error=error)
        log_writer.finish(LAST_WORDS_SECONDS)
        os._exit(EXIT_BROKEN_STEP)

    def on_thread(raised: threading.ExceptHookArgs) -> None:
        name = None if raised.thread is None else raised.thread.name
        log.error("a thread ended", thread=name, exc_info=raised.exc_value)

    sys.unraisablehook = on_unraisable
    threading.excepthook = on_thread
    logging.captureWarnings(True)


def silence_standard_error() -> None:
    """Let nothing more be said on standard error: it is full, and the end of the process must not wait for it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STANDARD_ERROR)
    os.close(null)
