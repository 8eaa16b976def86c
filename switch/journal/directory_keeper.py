"""A thread that looks after the journal's directory: notices at once when it is gone, and removes old segments."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.journal.ages import Ages
from switch.journal.commit import JournalFiles
from switch.journal.disk import FileDisk
from switch.journal.guarded_time import Moment
from switch.journal.original_index import index_name
from switch.journal.posted import needed_by_books
from switch.journal.replay import SEGMENT_NAME
from switch.journal.retention import SegmentFile, Segments, expired, needed_from

LOOK_SECONDS = 0.25
LOOKS_A_LISTING = 4
"""So often names are compared, even when the directory says that none has changed: its clock is coarse."""
RETENTION_SECONDS = 10.0
JUMP_TOLD_SECONDS = 3_600.0
"""How long the metric tells of a jump of the clock."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """When a segment is removed.

    Attributes:
        age_min_s: Younger ones never are.
        age_max_s: Older ones are.
        bytes_max: Of all together; above it the oldest are. None: no limit.
        posted: Whether one must have been posted into the books.
    """

    age_min_s: float
    age_max_s: float
    bytes_max: int | None
    posted: bool = False


class Keeper:
    """Looks after the directory of a journal that has been recovered. ``look`` and ``retain`` are what its thread does.

    Args:
        journal: The journal; condemned when its directory is lost.
        disk: Its directory.
        rules: When a segment is removed.
        stats: Where series are registered.
        moment: Reads the clocks.
        partition: Whose journal it is, as its series say; the keeper of the first one tells of the clock as well.
    """

    def __init__(
        self,
        journal: JournalFiles,
        disk: FileDisk,
        rules: Rules,
        stats: Stats,
        moment: Callable[[], Moment] = Moment.now,
        *,
        partition: int = 0,
    ) -> None:
        labels = {"partition": str(partition)}
        self._tells_clock = partition == 0
        self._journal = journal
        self._disk = disk
        self._rules = rules
        self._moment = moment
        self._segments = Segments(disk)
        self._stats = stats
        self._removed = {
            reason: stats.counter(
                "authswitch_journal_segments_removed_total",
                "Segments removed by retention.",
                {**labels, "reason": reason},
            )
            for reason in ("age", "size")
        }
        self._bytes = stats.gauge("authswitch_journal_segments_bytes", "Size of all segments.", labels)
        self._above = stats.gauge(
            "authswitch_journal_above_limit_bytes", "Above retention_bytes, in segments that must stay.", labels
        )
        self._jumps = stats.counter("authswitch_clock_jumps_total", "Times that the wall clock was set.")
        self._jump = stats.gauge(
            "authswitch_clock_jump_seconds",
            "By how much the wall clock was set within the last hour, either way.",
            rule="max",
        )
        self._jump_seen_s = 0.0
        self._known: Mapping[str, int] = {}
        self._changed_ns = -1
        self._looks = 0
        self._leaving: set[str] = set()
        self._files: list[SegmentFile] = []
        self._ages: Ages | None = None
        self._is_trouble_told = False
        self._is_above_told = False
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    # --- the thread -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look from now on, in a thread."""
        self.look()
        self._thread = threading.Thread(target=self._run, name="journal-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        rest_s = 0.0
        while not self._end.is_set() and not self._journal.lost:
            self.look()
            if rest_s <= 0:
                rest_s = RETENTION_SECONDS
                self.retain()
            rest_s -= LOOK_SECONDS
            self._end.wait(LOOK_SECONDS)

    # --- whether the directory is there ---------------------------------------------------------------------------

    def look(self) -> None:
        """Condemn the journal when its directory, or a segment that is needed, is not what it was."""
        if reason := self._disk.lost() or self._missing():
            self._journal.condemn(reason)

    def _missing(self) -> str:
        """Which segment is not there any more, or another file than before, in words; empty when all are."""
        changed_ns = self._disk.changed_ns()
        self._looks += 1
        if changed_ns == self._changed_ns and self._looks % LOOKS_A_LISTING:
            return ""
        found = {name: inode for name, inode in self._disk.files().items() if SEGMENT_NAME.fullmatch(name)}
        gone = sorted(
            name for name, inode in self._known.items() if found.get(name) != inode and name not in self._leaving
        )
        self._known, self._changed_ns = found, changed_ns
        self._leaving &= found.keys()
        for name in gone:
            if name in found:
                return f"segment {name} is another file than before"
            if self._is_needed(name):
                return f"segment {name} was removed"
            log.warning("journal segment removed by somebody else", segment=name)
        return ""

    def _is_needed(self, name: str) -> bool:
        """Whether a segment must stay; of one that was never looked at nobody knows, so it must."""
        names = [file.name for file in self._files]
        if self._ages is None or name not in names:
            return True
        first = needed_from(self._files, self._ages.age_s, low_water=self._low_water(), age_min_s=self._rules.age_min_s)
        return names.index(name) >= first

    def _low_water(self) -> int:
        """The position before which nothing is needed."""
        if not self._rules.posted:
            return self._journal.low_water
        return min(self._journal.low_water, needed_by_books(Path(self._disk.path)))

    # --- retention ------------------------------------------------------------------------------------------------

    def retain(self) -> None:
        """Remove what may go, and say so."""
        try:
            self._retain()
            self._is_trouble_told = False
        except OSError as error:
            if not self._is_trouble_told:
                log.warning("old journal segments cannot be removed", reason=str(error))
            self._is_trouble_told = True

    def _retain(self) -> None:
        moment = self._moment()
        self._files = self._segments.files()
        if self._ages is None:
            self._ages = Ages(self._disk, self._files, moment)
        ages = self._ages
        self._tell_jump(ages.look(self._files, moment), moment)
        going = expired(
            self._files,
            ages.age_s,
            low_water=self._low_water(),
            age_min_s=self._rules.age_min_s,
            age_max_s=self._rules.age_max_s,
            bytes_max=self._rules.bytes_max,
        )
        for file, reason in going:
            last_s = self._segments.last_record_s(file.name)
            self._leaving.add(file.name)
            self._disk.unlink(file.name)
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(index_name(file.name))
            self._stats.add(self._removed[reason], 1)
            log.info(
                "journal segment removed",
                segment=file.name,
                first_record=_time(file.began_s),
                last_record=None if last_s is None else _time(last_s),
                size=file.size,
                reason=reason,
                age_seconds=round(ages.age_s(file)),
            )
        ages.save()
        self._measure(sum(file.size for file in self._files) - sum(file.size for file, _ in going))

    def _measure(self, total: int) -> None:
        above = 0 if self._rules.bytes_max is None else max(total - self._rules.bytes_max, 0)
        self._stats.set(self._bytes, total)
        self._stats.set(self._above, above)
        if above and not self._is_above_told:
            log.warning("the journal is larger than retention_bytes: nothing in it may go yet", bytes=total)
        self._is_above_told = above > 0

    def _tell_jump(self, jump_s: float, moment: Moment) -> None:
        if not self._tells_clock:
            return
        if jump_s:
            self._jump_seen_s = moment.boot_s
            self._stats.add(self._jumps, 1)
            self._stats.set(self._jump, round(abs(jump_s)))
            log.warning(
                "the clock was set: no journal segment is older for it",
                seconds=round(jump_s, 1),
                now=_time(moment.wall_s),
            )
        elif moment.boot_s - self._jump_seen_s > JUMP_TOLD_SECONDS:
            self._stats.set(self._jump, 0)


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s since 1970"
