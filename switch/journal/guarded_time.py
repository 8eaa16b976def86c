"""Time that has really elapsed: a clock that is set forward makes nothing older.

The wall clock may be set, by a year if somebody mistypes. The boot clock (``CLOCK_BOOTTIME``) cannot, but begins anew
with each boot. Guarded time goes on by the boot clock while a boot lasts, over restarts of the process, too; from one
boot to the next it goes on by the wall clock, and by a day at most.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
UNWATCHED_SECONDS_MAX = 86_400.0
"""From one boot to the next, and between what an older version wrote, no more is believed to have elapsed."""

JUMP_SECONDS = 10.0
"""By more than this the wall clock was set; what is less is taken for its being steered."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the clocks show.

    Attributes:
        wall_s: Seconds since 1970.
        boot_s: Seconds since the machine was booted, sleep included.
        boot_id: Names this boot.
    """

    wall_s: float
    boot_s: float
    boot_id: str

    @classmethod
    def now(cls) -> Self:
        """Just now.

        Raises:
            OSError: The kernel does not name the boot.
        """
        boot_id = BOOT_ID_FILE.read_text(encoding="ascii").strip()
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), boot_id)


@dataclass(slots=True)
class GuardedTime:
    """Seconds that never go faster than time does, told as seconds since 1970 (and late by what was not believed).

    Attributes:
        time_s: The time.
        seen: What the clocks showed then.
    """

    time_s: float
    seen: Moment

    def advance(self, moment: Moment) -> float:
        """Go on to a moment; by how many seconds the wall clock was set meanwhile (0: it was not)."""
        shown_s = moment.wall_s - self.seen.wall_s
        if moment.boot_id == self.seen.boot_id:
            elapsed_s = max(moment.boot_s - self.seen.boot_s, 0.0)
        else:
            elapsed_s = believed(shown_s)
        self.time_s += elapsed_s
        self.seen = moment
        jump_s = shown_s - elapsed_s
        return jump_s if abs(jump_s) > JUMP_SECONDS else 0.0

    def written(self) -> dict[str, Any]:
        """What a file keeps of it."""
        seen = self.seen
        return {"time_s": self.time_s, "wall_s": seen.wall_s, "boot_s": seen.boot_s, "boot_id": seen.boot_id}

    @classmethod
    def read(cls, kept: Any) -> Self:
        """Go on with what ``written`` gave.

        Raises:
            ValueError, TypeError, KeyError: It is something else.
        """
        moment = Moment(float(kept["wall_s"]), float(kept["boot_s"]), str(kept["boot_id"]))
        return cls(float(kept["time_s"]), moment)


def believed(shown_s: float) -> float:
    """What may have elapsed where only a wall clock tells."""
    return min(max(shown_s, 0.0), UNWATCHED_SECONDS_MAX)
