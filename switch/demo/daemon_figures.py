"""What the switch says of its own time: what its journal's writes take, and the processor time of its process."""

from __future__ import annotations

import os
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

_WRITES = "authswitch_journal_sync_seconds"
_ANSWERS = "authswitch_answers_total"
_SAMPLE = re.compile(r"(?P<name>authswitch_\w+)(?:\{[^}]*\})? (?P<value>\S+)")


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over one process, or over several that came one after the other.

    Attributes:
        writes: Batches that the journal has made durable.
        writes_s: The time of all of them.
        answers: Messages sent to terminals.
        processor_s: Processor time of the process, its start included only in what began before the first look.
    """

    writes: float = 0.0
    writes_s: float = 0.0
    answers: float = 0.0
    processor_s: float = 0.0

    def __add__(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(
            self.writes + other.writes,
            self.writes_s + other.writes_s,
            self.answers + other.answers,
            self.processor_s + other.processor_s,
        )

    @property
    def write_us(self) -> float | None:
        """Of one write on average, in microseconds."""
        return self.writes_s / self.writes * 1e6 if self.writes else None

    @property
    def work_us(self) -> float | None:
        """Processor time for one answer on average, in microseconds."""
        return self.processor_s / self.answers * 1e6 if self.answers else None


def read_figures(exposition: str, processor_s: float = 0.0) -> Figures:
    """Sum up what an exposition of the switch says."""
    sums = {f"{_WRITES}_count": 0.0, f"{_WRITES}_sum": 0.0, _ANSWERS: 0.0}
    for line in exposition.splitlines():
        match = _SAMPLE.match(line)
        if match is not None and match["name"] in sums:
            sums[match["name"]] += float(match["value"])
    writes, writes_s, answers = sums.values()
    return Figures(writes, writes_s, answers, processor_s)


def ask_figures(admin: str, pid: int | None, idle_s: float, timeout_s: float = 2.0) -> Figures:
    """Ask a switch on loopback.

    Args:
        admin: Its admin address.
        pid: Of its process.
        idle_s: Processor time that it had used before the first request.
        timeout_s: For how long an answer is waited for.

    Raises:
        OSError: Nobody answers.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{admin}/metrics", timeout=timeout_s) as answer:
        return read_figures(answer.read().decode("utf-8", "replace"), max(0.0, processor_time(pid) - idle_s))


def processor_time(pid: int | None) -> float:
    """Seconds of processor time that a process has used, as Linux counts it; 0 where that cannot be known."""
    if pid is None:
        return 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
