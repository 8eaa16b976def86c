"""Log lines on their way out: a bounded queue and a thread that writes, so that nobody waits for whoever reads them."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections import deque
from typing import Protocol, TextIO

LINES_MAX = 10_000
LINE_BYTES_MAX = 65_536
BATCH_BYTES = 65_536
NON_BLOCKING_POLL_SECONDS = 0.05
LOGGER = "switch.base.log"


class Out(Protocol):
    """Where lines go."""

    def write(self, data: bytes) -> None:
        """Write all of it, however long that takes.

        Raises:
            OSError: it cannot be written.
            ValueError: the stream is closed.
        """


class DescriptorOut:
    """A file descriptor, such as standard error's: written to without a buffer in between."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_torn = False

    def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: such as that nobody reads any more, or that the disk is full.
        """
        rest = memoryview(b"\n" + data if self._is_torn else data)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:  # whoever shares it has made it non-blocking
                time.sleep(NON_BLOCKING_POLL_SECONDS)
            else:
                rest = rest[written:]
                self._is_torn = bool(rest)  # should the rest not follow


class StreamOut:
    """A stream without a descriptor, such as a test's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self._stream.write(data.decode())
        self._stream.flush()


def out_of(stream: TextIO) -> Out:
    """How to write to a stream."""
    try:
        return DescriptorOut(stream.fileno())
    except (OSError, ValueError):
        return StreamOut(stream)


class DirectWriter(logging.Handler):
    """Writes each line at once, for a process that has no thread and must not wait: what finds no room is dropped.

    Args:
        descriptor: Where the lines go.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._out = DescriptorOut(descriptor)
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it as dropped."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
            if len(line) <= select.PIPE_BUF and self._room.poll(0):
                self._out.write(line)
                return
        except Exception:  # noqa: S110 - there is nobody to tell
            pass
        self.drop()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Standard error is no place to complain about it."""

    def drop(self) -> None:
        """Count a line that was not written."""
        self.dropped += 1


class LogWriter(logging.Handler):
    """Queues lines for a thread of its own. No call waits for the stream, and none raises.

    At most ``lines_max`` lines wait; what finds no room, cannot be written or cannot be put into words is dropped and
    counted, and where lines are missing one says how many.

    Args:
        out: Where the lines go.
        lines_max: Lines that may wait.
    """

    def __init__(self, out: Out, lines_max: int = LINES_MAX) -> None:
        super().__init__()
        self._out = out
        self._lines_max = lines_max
        # Reentrant: an object that is collected while a line is queued may have something to say, too.
        self._state = threading.Condition(threading.RLock())
        self._waiting: deque[bytes | int] = deque()  # lines, and how many are missing where
        self._missing = 0  # behind the newest that waits
        self._writing_since: float | None = None
        self._is_closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    # --- for everybody --------------------------------------------------------------------------------------------

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or count it as dropped."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        except Exception:
            line = b""
        with self._state:
            if not 0 < len(line) <= LINE_BYTES_MAX or len(self._waiting) >= self._lines_max or self._is_closing:
                self._drop()
                return
            if self._missing:
                self._waiting.append(self._missing)
                self._missing = 0
            self._waiting.append(line)
            self._state.notify_all()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Standard error is no place to complain about it."""

    def drop(self) -> None:
        """Count a line that came not so far as to be queued."""
        with self._state:
            self._drop()

    def _drop(self) -> None:
        self.dropped += 1
        self._missing += 1
        self._state.notify_all()

    @property
    def waiting(self) -> int:
        """Lines that have not been written."""
        return len(self._waiting)

    @property
    def stuck_seconds(self) -> float:
        """For how long the stream has not taken what is being written; 0 when nothing is."""
        since = self._writing_since
        return 0.0 if since is None else time.monotonic() - since

    def finish(self, seconds: float) -> bool:
        """Write what waits, for at most so long, and take no more; whether all was written."""
        deadline = time.monotonic() + seconds
        with self._state:
            self._is_closing = True
            self._state.notify_all()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        lost = 0
        while True:
            with self._state:
                while not self._waiting and not self._missing and not self._is_closing:
                    self._state.wait()
                batch = self._take()
                if not batch:
                    return
                self._writing_since = time.monotonic()
            lost = self._write(batch, lost)
            with self._state:
                self._writing_since = None
                if lost and self._is_closing:
                    return

    def _take(self) -> list[bytes | int]:
        """The oldest lines, as many as go into one write; the places of missing ones among them."""
        batch: list[bytes | int] = []
        size = 0
        while self._waiting and size < BATCH_BYTES:
            entry = self._waiting.popleft()
            batch.append(entry)
            size += len(entry) if isinstance(entry, bytes) else 0
        if not self._waiting and self._missing:
            batch.append(self._missing)
            self._missing = 0
        return batch

    def _write(self, batch: list[bytes | int], lost: int) -> int:
        """Write a batch behind the ``lost`` lines that could not be written; how many are lost now."""
        parts = [self._words_for(lost)] if lost else []
        parts += [entry if isinstance(entry, bytes) else self._words_for(entry) for entry in batch]
        try:
            self._out.write(b"".join(parts))
        except Exception:
            with self._state:
                self.dropped += sum(isinstance(entry, bytes) for entry in batch)
            return lost + sum(1 if isinstance(entry, bytes) else entry for entry in batch)
        return 0

    def _words_for(self, count: int) -> bytes:
        """The line that stands where others are missing."""
        with contextlib.suppress(Exception):
            record = logging.LogRecord(LOGGER, logging.WARNING, "", 0, "log lines were dropped", (), None)
            record.dropped = count
            return self.format(record).encode() + b"\n"
        return b"log lines were dropped\n"
