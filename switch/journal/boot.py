"""Which start of which machine the clock counts from that nobody can set."""

from __future__ import annotations

import time
from pathlib import Path

from switch.journal.guarded_time import BOOT_ID_FILE

CLOCK_OFFSETS = Path("/proc/self/timens_offsets")
BOOT_CLOCK = "boottime"


def boot_identity() -> str:
    """The kernel's name of this start, and how far the clock is shifted for this container; empty when not known."""
    try:
        started = BOOT_ID_FILE.read_text(encoding="ascii").strip()
    except OSError:
        return ""
    try:
        lines = [line.split() for line in CLOCK_OFFSETS.read_text().splitlines()]
    except OSError:
        lines = []
    shifts = [" ".join(line[1:]) for line in lines if line and line[0] == BOOT_CLOCK]
    return f"{started} {shifts[0]}" if shifts and shifts[0].strip("0 ") else started


def since_boot_ns() -> int:
    """Nanoseconds since the machine was started, as the hot path's calendar has them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
