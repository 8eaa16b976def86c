"""The real journal on a simulated disk."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from switch.journal.claim_search import look_up
from switch.journal.commit import JournalFiles
from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from switch.journal.payment_events import PaymentEvents
from switch.journal.replay import JournalDamaged, JournalReader, Listing
from switch.journal.resuming import replay_into

from .clock import MS, SECOND
from .disk import SEEN_ZEROS, SimulatedDisk

if TYPE_CHECKING:
    from switch.base.stats import Stats
    from switch.books.events import Event
    from switch.config import Config
    from switch.machine.originals import Original, Wanted
    from switch.machine.state import State

    from .options import Options
    from .tally import Tally

RECORD_BYTES_MAX = 2_048
"""Messages are short here, and so are segments: their limits are to be met."""

WRAPPING_KEY = bytes(range(32))


class Glance:
    """The disk for a thread that only reads: none of its calls is one in which the process ends."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk = disk
        self._handles: dict[int, str] = {}
        self._next_handle = count(3)

    def names(self) -> list[str]:
        """Of all files."""
        return self._disk.names()

    def open(self, name: str, writable: bool) -> int:
        """A handle of a file that is there."""
        self._disk.content(name)
        handle = next(self._next_handle)
        self._handles[handle] = name
        return handle

    def close(self, file: int) -> None:
        """Give a handle back."""
        self._handles.pop(file, None)

    def size(self, file: int) -> int:
        """Bytes that were written, and some zeros."""
        return len(self._disk.content(self._handles[file])) + SEEN_ZEROS

    def read(self, file: int, size: int, offset: int) -> bytes:
        """What is there."""
        return self._disk.content(self._handles[file])[offset : offset + size].ljust(size, b"\0")


class Storage:
    """The disk of one partition, and its journal in each of its lives.

    Args:
        config: What a journal is like.
        options: The run.
        tally: Counts faults.
        partition: Whose it is.
    """

    def __init__(self, config: Config, options: Options, tally: Tally, partition: int = 0) -> None:
        self._config = config
        self._tally = tally
        of_its_own = f"/{partition}" if partition else ""  # the first one's are those of a switch that has no other
        self._draw = options.stream(f"storage{of_its_own}")
        self._latency_ns = self._draw.choice((100_000, MS, 10 * MS))
        self._rate_slow = options.rates()["slow_disk"]
        self._rate_short = options.rates()["short_write"]
        self.disk = SimulatedDisk(options.stream(f"disk{of_its_own}"), self._is_short)
        self.has_had_trouble = False

    def new_journal(self, stats: Stats) -> JournalFiles:
        """A journal that is not begun yet."""
        self.journal = JournalFiles(self._config.journal.buffer_bytes, stats, record_bytes_max=RECORD_BYTES_MAX)
        return self.journal

    def recover(self, state: State, boot: str) -> None:
        """Read it back into a fresh state machine and begin to write, as the daemon does when it starts."""
        replay_into(
            state,
            self.journal,
            ScriptedDisk(self.disk),
            WRAPPING_KEY,
            segment_bytes=self._config.journal.segment_bytes,
            window_seconds=self._config.limits.duplicate_window_seconds,
            boot=boot,
        )

    def look_up(self, wanted: Wanted) -> tuple[Original | None, bool]:
        """The original that is wanted, and whether none means that there is none."""
        try:
            finder = Finder(ScriptedDisk(Glance(self.disk)), WRAPPING_KEY, days=30, files=False)
            return look_up(finder, wanted)
        except (OSError, JournalDamaged):
            return None, False

    def restart(self, *, loses_power: bool) -> None:
        """The process is gone, perhaps with its machine."""
        if loses_power:
            self.disk.lose_power()
        self.disk.restart()

    def heal(self) -> None:
        """Somebody has seen to the disk."""
        self.disk.sync_fails = self.disk.write_fails = self.disk.is_full = False

    def be_quick(self) -> None:
        """Let another one be the slow one."""
        self._rate_slow = 0.0

    def calm_down(self) -> None:
        """From now on it is quick and sound."""
        self._rate_slow = self._rate_short = 0.0
        self.disk.calls_left = None
        self.heal()

    def fail(self, fault: str) -> None:
        """Switch a kind of trouble on."""
        self.has_had_trouble = True
        if fault == "full_disk":
            self.disk.is_full = True
        elif self._draw.random() < 0.5:
            self.disk.sync_fails = True
        else:
            self.disk.write_fails = True

    def _is_short(self, size: int) -> bool:
        if self._rate_short and size > 1 and self._draw.random() < self._rate_short:
            self._tally.fault("short_write")
            return True
        return False

    def latency_ns(self) -> int:
        """How long the next call takes."""
        if self._rate_slow and self._draw.random() < self._rate_slow:
            self._tally.fault("slow_disk")
            return int(self._draw.random() * 3 * SECOND)
        return int(self._latency_ns * (0.5 + self._draw.random()))

    def payment_events(self) -> list[Event]:
        """What moves money in the journal, as the books are given it."""
        self.disk.restore()
        visitor = PaymentEvents(WRAPPING_KEY)
        JournalReader(ScriptedDisk(self.disk), WRAPPING_KEY).replay(visitor)
        return visitor.take_events()

    def records(self) -> list[dict[str, Any]]:
        """All that stands in the journal."""
        self.disk.restore()  # no recovery needs to have read what is older than its window
        found: list[dict[str, Any]] = []
        JournalReader(ScriptedDisk(self.disk), WRAPPING_KEY).replay(Listing(found.append))
        return found
