"""The switch as a child process: started, listened to, drained."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Any

import switch

_LINES_KEPT_MAX = 200
_LINE_BYTES_MAX = 1 << 20


class DaemonError(Exception):
    """The switch did not start, or ended before its time; the text holds its last words."""


class Daemon:
    """``authswitch serve`` in a session of its own, so that Ctrl-C in the terminal reaches it only through us."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._serving = asyncio.Event()
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT_MAX)
        """The last of what it wrote."""
        self.listeners: dict[str, tuple[str, int]] = {}
        """Host and port by name."""
        self.admin = ""
        """``host:port`` of its admin side."""
        self.replayed: dict[str, Any] = {}
        """What it found in its journal when it started."""

    @property
    def pid(self) -> int | None:
        """Of its process."""
        return None if self._process is None else self._process.pid

    async def start(self, timeout_s: float = 120.0) -> None:
        """Start it, and wait until it serves.

        Raises:
            DaemonError: It ended instead, or took too long.
        """
        root = str(Path(switch.__file__).parents[1])
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "switch",
            "serve",
            str(self._config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
            limit=_LINE_BYTES_MAX,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        serving = asyncio.create_task(self._serving.wait())
        await asyncio.wait({serving, self._reader}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not self._serving.is_set():
            serving.cancel()
            slow = not self._reader.done()
            await self.kill()
            words = f"the switch did not start within {timeout_s:g} s" if slow else "the switch did not start"
            raise DaemonError("\n".join((f"{words}:", *self.lines)))

    async def drain(self, timeout_s: float = 30.0) -> int:
        """Ask it to finish what is in flight and end; its exit status.

        Raises:
            DaemonError: It did not end in time.
        """
        process = self._process
        if process is None:
            return 0
        _send(process, signal.SIGTERM)
        try:
            status = await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError as error:
            await self.kill()
            raise DaemonError("the switch did not drain:\n" + "\n".join(self.lines)) from error
        if self._reader is not None:
            await self._reader
        return status

    async def kill(self) -> None:
        """End it at once."""
        process = self._process
        if process is not None:
            _send(process, signal.SIGKILL)
            await process.wait()
        if self._reader is not None:
            await self._reader

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stderr
        while stream is not None and (line := await stream.readline()):
            text = line.decode(errors="replace").rstrip()
            self.lines.append(text)
            try:
                event = json.loads(text)
            except ValueError:
                continue
            if not isinstance(event, dict):
                continue
            if event.get("event") == "listening":
                host, _, port = str(event["address"]).rpartition(":")
                self.listeners[str(event["listener"])] = (host, int(port))
            elif event.get("event") == "journal replayed":
                self.replayed = event
            elif event.get("event") == "serving":
                self.admin = str(event["admin"])
                self._serving.set()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal a child that has not ended; the process's own method may reap it, and its exit status would be lost."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
