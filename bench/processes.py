"""Processes of a measurement: started on a processor of their own, watched, and always stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0
POLL_SECONDS = 0.02
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class ProcessFailedError(RuntimeError):
    """A process of the measurement ended, or did not start in time; the message has what it said."""


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on a port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _cpu_seconds(task: Path) -> float:
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


class Process:
    """A child process, kept to one processor, or to some, where there are two or more."""

    def __init__(
        self, command: Sequence[str | Path], cpu: int | Sequence[int], log: Path, cwd: Path | None = None
    ) -> None:
        """Start it; what it says on standard error goes to ``log``."""
        cpus = ",".join(map(str, [cpu] if isinstance(cpu, int) else cpu))
        pinned = [*(["taskset", "--cpu-list", cpus] if (os.cpu_count() or 1) > 1 else []), *map(str, command)]
        self.name = Path(command[0]).name
        self._log = log
        with log.open("wb") as errors:
            self._child = subprocess.Popen(pinned, stdout=subprocess.PIPE, stderr=errors, cwd=cwd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Poll until the process does what it was started for.

        Raises:
            ProcessFailedError: it ended, or took too long.
        """
        deadline = time.monotonic() + START_SECONDS_MAX
        while not is_ready():
            if self._child.poll() is not None:
                raise ProcessFailedError(f"{self.name} ended with status {self._child.returncode}: {self.said()}")
            if time.monotonic() > deadline:
                raise ProcessFailedError(f"{self.name} was not ready in {START_SECONDS_MAX:.0f} s: {self.said()}")
            time.sleep(POLL_SECONDS)

    def output(self) -> str:
        """All that it writes on standard output, once it has ended.

        Raises:
            ProcessFailedError: it wrote nothing.
        """
        written, _ = self._child.communicate()
        if not written:
            raise ProcessFailedError(f"{self.name} ended with status {self._child.returncode}: {self.said()}")
        return written.decode()

    def said(self) -> str:
        """The end of what it wrote on standard error."""
        return self._log.read_text(errors="replace")[-2000:].strip()

    def move_helpers(self, cpu: int) -> None:
        """Let all its threads but the first run on another processor, where there is one."""
        if (os.cpu_count() or 1) > 1:
            for task in Path(f"/proc/{self._child.pid}/task").iterdir():
                if int(task.name) != self._child.pid:
                    os.sched_setaffinity(int(task.name), {cpu})

    def cpu_seconds(self) -> float:
        """Processor time so far, in the process and in the system for it."""
        return _cpu_seconds(Path(f"/proc/{self._child.pid}"))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def family_cpu_seconds(self) -> float:
        """The same of the process and its children together, those that ended not counted."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return self.cpu_seconds() + sum(_cpu_seconds(Path(f"/proc/{child}")) for child in children)

    def first_thread_cpu_seconds(self) -> float:
        """The same of its first thread alone."""
        return _cpu_seconds(Path(f"/proc/{self._child.pid}/task/{self._child.pid}"))

    def resident_bytes(self) -> int:
        """Memory that it has in use now."""
        pages = int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End it, politely first."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        if self._child.stdout:
            self._child.stdout.close()
