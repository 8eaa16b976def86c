"""How many partitions a journal has, changed: new journals are written from the old ones, and take their place at once.

Nothing is changed in the old journals. The new ones are made beside them, under the name that the old ones shall have;
when all of them are durable, the two directories change places in one step.
"""

from __future__ import annotations

import heapq
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from switch.config.consistency import too_many_numberings
from switch.files.durable import put_durably, sync_folder
from switch.journal.boot import boot_identity, since_boot_ns
from switch.journal.disk import FileDisk, exchange
from switch.journal.lives import LIFE_MAX, begin_life, read_lives
from switch.journal.merging import read_ahead
from switch.journal.opening import PartitionReader, naming, open_reader
from switch.journal.original_search import Finder
from switch.journal.partitions import (
    FOLDER_MODE,
    Layout,
    PartitionsError,
    held_alone,
    lay_out,
    partition_folder,
    read_layout,
    write_layout,
)
from switch.journal.positions import Position
from switch.journal.resuming import JOURNAL_ID_BYTES, first_needed
from switch.journal.rewriting import BATCH_BYTES, NewJournal, OldJournal, RawListing, Rewriter
from switch.journal.segment import SegmentWriter
from switch.journal.survey import Survey
from switch.keys.journal_keys import WRAPPING_KEY_BYTES
from switch.machine.numbering import INSTANCES_MAX

UNFINISHED_NAME = "unfinished"
"""A file in a directory that has not taken its place."""

FRESH_FORMAT = "%Y%m%dT%H%M%SZ"
FRESH_NAME = re.compile(r"\.[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")
"""What stands behind the directory's name where the new journals are made."""

NS_A_SECOND = 1_000_000_000
DAY_SECONDS = 86_400
PROBES_MAX = (1 << 32) - 1
"""Of a look-up: however many segments there are, it is certain."""
TOLD_RECORDS = 100_000
"""Progress is told after so many."""

SEND_THEM = "start the daemon, wait until `authswitch reversals list` shows nothing, and drain it"
END_THEM = f"the next start ends them, and takes back what may be charged: {SEND_THEM}"

RawRecord = tuple[int, int, bytes, dict[int, str], dict[int, str], tuple[int, int] | None]
"""What ``RawListing`` gives."""

TerminalOf = Callable[[str | None, str | None, bytes], str | None]


class NotDrainedError(PartitionsError):
    """Something in the journals has not come to its end."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done.

    Attributes:
        directory: Of the journals.
        partitions: How many there shall be.
        wrapping_keys: As ``switch.keys.journal_keys`` gives them.
        segment_bytes: Size of the new files.
        window_s: How long a finished request may be repeated, its time under way included.
        kept_s: So much of the past is taken along.
        instance: Of the switch.
        instances: How many switches there are.
        reserved_to: Behind what else is known to be reserved of reference numbers; 0: nothing is.
        terminal_of: Finds the terminal of a message, as ``Rewriter`` takes it.
        tell: Is told from time to time how many records have been written.
    """

    directory: Path
    partitions: int
    wrapping_keys: bytes
    segment_bytes: int
    window_s: float
    kept_s: float
    instance: int
    instances: int
    reserved_to: int
    terminal_of: TerminalOf
    tell: Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Changed:
    """What was done.

    Attributes:
        before: How many partitions there were.
        kept: Where the old journals are now.
        records: Written into the new ones.
        left: Left behind, since they refer to what is older than all that was taken along.
        claimed: Voids, refunds and completions whose payment is in another partition now, and is claimed there.
        unplaced: Ended reversals whose terminal is not known, left behind.
        reserved_to: Reference numbers begin here.
    """

    before: int
    kept: Path
    records: int
    left: int
    claimed: int
    unplaced: int
    reserved_to: int


@dataclass(frozen=True, slots=True)
class _Source:
    """One old journal: what stands in it from where it is taken along, and what its own time is now."""

    one: PartitionReader
    first_position: int
    next_position: int
    survey: Survey
    now_ns: int


def change_partitions(change: Change, write_numbers: Callable[[int], object]) -> Changed | None:
    """Change how many partitions there are; None when there are so many.

    Args:
        change: What is to be done.
        write_numbers: Writes down up to where numbers are reserved, beside the journals: before these take their place.

    Raises:
        OSError: Something cannot be read or written.
        JournalDamaged: A journal is damaged.
        LivesDamagedError: How often one was begun cannot be read.
        NotDrainedError: Something has not come to its end.
        PartitionsError: It cannot be done, or a daemon has the directory.
    """
    if change.instances * change.partitions > INSTANCES_MAX:
        raise PartitionsError(too_many_numberings(change.instances, change.partitions))
    with held_alone(change.directory):
        _clear(change.directory)
        layout = read_layout(change.directory) or lay_out(change.directory, None)
        before = layout.count
        if before == change.partitions:
            return None
        if len(layout.here) != before:
            raise PartitionsError(
                f"{change.directory}: has the journals of {layout}: those of several nodes cannot be changed together"
            )
        sources = list(_surveyed(change, before))
        if reasons := list(_unfinished(sources, change.window_s)):
            raise NotDrainedError(f"{change.directory}: {'; '.join(reasons)}")
        reserved_to = max([change.reserved_to, *(source.survey.reserved_to for source in sources)])
        fresh = _fresh_name(change.directory)
        try:
            rewriter, records = _write(change, before, sources, fresh, reserved_to)
            _make_durable(fresh)
            if reserved_to:
                write_numbers(reserved_to)
            _swap(fresh, change.directory)
        except BaseException:
            _discard(fresh)
            raise
        _take_mark_away(change.directory)
    return Changed(before, fresh, records, rewriter.left, rewriter.claimed, rewriter.unplaced, reserved_to)


# --- what there is ----------------------------------------------------------------------------------------------------


def _surveyed(change: Change, count: int) -> Iterator[_Source]:
    boot, now_ns = boot_identity(), since_boot_ns()
    for number in range(count):
        with naming(number):
            folder = partition_folder(change.directory, number)
            one = PartitionReader(number, count, folder, open_reader(folder, change.wrapping_keys))
            if not one.reader.segments:
                continue
            first = first_needed(one.reader, now_ns, boot, int(max(change.kept_s, change.window_s) * NS_A_SECOND))
            survey = Survey()
            tail = one.reader.replay(survey, first)
        first_position = one.reader.segments[first].first_position
        yield _Source(one, first_position, tail.next_position, survey, _present(survey, boot, now_ns))


def _present(survey: Survey, boot: str, now_ns: int) -> int:
    """A journal's own time now. Where nobody knows how much went by since its last record, none did."""
    if not survey.has_clock:
        return max(survey.elapsed_ns, time.time_ns())
    goes_on = bool(boot) and survey.boot == boot
    return max(survey.elapsed_ns, now_ns + survey.offset_ns) if goes_on else max(survey.elapsed_ns, 0)


def _unfinished(sources: Sequence[_Source], window_s: float) -> Iterator[str]:
    """What has not come to its end, and what to do about it."""
    for what, found, advice in (
        ("requests have no outcome", [source.survey.requests for source in sources], END_THEM),
        (
            "reversals or advices are owed",
            [source.survey.entries | source.survey.late for source in sources],
            SEND_THEM,
        ),
    ):
        places = [
            (source.one.partition, min(positions))
            for source, positions in zip(sources, found, strict=True)
            if positions
        ]
        if places:
            yield f"{sum(map(len, found)):,} {what} (the first at {Position(*places[0])}): {advice}"
    untold = [
        (source.one.partition, position, (source.now_ns - ended_ns) / NS_A_SECOND)
        for source in sources
        for position, ended_ns in source.survey.untold.items()
        if (source.now_ns - ended_ns) / NS_A_SECOND < window_s
    ]
    if untold:
        left_s = window_s - min(age_s for _, _, age_s in untold)
        first = Position(*untold[0][:2])
        yield (
            f"nobody knows whether {len(untold):,} approvals were told (the first at {first}): their terminals may ask "
            f"again. Start the daemon and leave it running for {left_s:,.0f} s more, then drain it"
        )


# --- what becomes of it -----------------------------------------------------------------------------------------------


def _write(
    change: Change, before: int, sources: Sequence[_Source], fresh: Path, reserved_to: int
) -> tuple[Rewriter, int]:
    """Write the new journals; how many records they have together."""
    _begin(fresh)
    links = sorted(set().union(*(source.survey.links for source in sources)))
    listeners = sorted(set().union(*(source.survey.listeners for source in sources)))
    present_ns = max([source.now_ns for source in sources], default=since_boot_ns())
    journals = []
    epoch = _epoch(change.directory, before)
    for number in range(change.partitions):
        folder = partition_folder(fresh, number)
        folder.mkdir(mode=FOLDER_MODE)
        numbers = {
            "reserved_to": reserved_to,
            "day_max": max([source.survey.day_max for source in sources], default=0),
            "day_floor": max([source.survey.day_floor for source in sources], default=0),
            "stan": 0,
            "instance": change.instance * change.partitions + number,
        }
        disk = FileDisk(str(folder), exclusive=True)
        begin_life(disk, secrets.randbelow(LIFE_MAX) + 1, 0, epoch + 1)
        writer = SegmentWriter(
            disk,
            change.wrapping_keys[:WRAPPING_KEY_BYTES],
            os.urandom(JOURNAL_ID_BYTES),
            segment_bytes=change.segment_bytes,
            batch_room=BATCH_BYTES,
        )
        journals.append(
            NewJournal(
                writer,
                links=links,
                listeners=listeners,
                numbers=numbers,
                boot=boot_identity(),
                offset_ns=present_ns - since_boot_ns(),
            )
        )
    olds = {
        source.one.partition: OldJournal(source.one.partition, source.first_position, source.next_position)
        for source in sources
    }
    rewriter = Rewriter(
        journals,
        links=links,
        listeners=listeners,
        terminal_of=change.terminal_of,
        olds=olds,
        became_of=_Ends(change, sources).of,
    )
    records = (_of_source(source, present_ns) for source in sources)
    ordered = in_order({source.one.partition: one for source, one in zip(sources, records, strict=True)})
    for written, (partition, (elapsed_ns, raw)) in enumerate(ordered, 1):
        rewriter.take(olds[partition], raw, elapsed_ns)
        if written % TOLD_RECORDS == 0:
            change.tell(written)
    for journal in journals:
        journal.finish(time.time_ns() // 1000)
    return rewriter, sum(journal.next_position - 1 for journal in journals)


def _epoch(directory: Path, count: int) -> int:
    """How often the old journals were begun: the new ones have lived longer than each of them."""
    lives = [read_lives(FileDisk(str(partition_folder(directory, number)), exclusive=False)) for number in range(count)]
    return max(max(of_one, default=0) for of_one in lives)


class _Ends:
    """What became of requests, as the old journals say: nothing is under way any more."""

    def __init__(self, change: Change, sources: Sequence[_Source]) -> None:
        self._change = change
        self._folders = {source.one.partition: source.one.folder for source in sources}
        self._finders: dict[int, Finder] = {}

    def of(self, partition: int, position: int, kind: int) -> tuple[int, int]:
        """As ``Finder.became_of``; a journal is looked into when it is asked for the first time."""
        if partition not in self._finders:
            disk = FileDisk(str(self._folders[partition]), exclusive=False)
            self._finders[partition] = Finder(
                disk,
                self._change.wrapping_keys,
                days=self._change.kept_s / DAY_SECONDS,
                probes=PROBES_MAX,
            )
        return self._finders[partition].became_of(position, kind)


def in_order(sources: Mapping[int, Iterator[tuple[int, RawRecord]]]) -> Iterator[tuple[int, tuple[int, RawRecord]]]:
    """The records of all partitions with their times, oldest first, each behind the claim that it refers to.

    The journals' own times say too little for that: they tell one tick from the next, and where a machine was started
    anew they may be hours apart.

    Args:
        sources: The records of each partition, in their order.
    """
    heads = {partition: head for partition, records in sources.items() if (head := next(records, None)) is not None}
    times = [(elapsed_ns, partition) for partition, (elapsed_ns, _) in heads.items()]
    heapq.heapify(times)
    while times:
        elapsed_ns, partition = times[0]
        if partition not in heads:
            heapq.heappop(times)
            continue
        if heads[partition][0] != elapsed_ns:  # it has run ahead
            heapq.heapreplace(times, (heads[partition][0], partition))
            continue
        first = _first_of(heads, partition)
        yield first, heads[first]
        if (head := next(sources[first], None)) is None:
            del heads[first]
        else:
            heads[first] = head


def _first_of(heads: Mapping[int, tuple[int, RawRecord]], partition: int) -> int:
    """The partition whose next record comes before another one's next, or that one."""
    seen = set()
    while (behind := heads[partition][1][-1]) is not None and partition not in seen:
        keeper, position = behind
        if keeper not in heads or heads[keeper][1][1] > position:
            break
        seen.add(partition)
        partition = keeper
    return partition


def _of_source(source: _Source, present_ns: int) -> Iterator[tuple[int, RawRecord]]:
    """The records of one partition, each with its time by the new journals, in which it is as old as it was."""
    for raw in read_ahead(source.one, RawListing, source.first_position):
        yield raw[0] + present_ns - source.now_ns, raw


# --- the directory ----------------------------------------------------------------------------------------------------


def older_journals(directory: Path) -> list[Path]:
    """Those that a change has left beside the ones in use, and that nobody has removed."""
    beside = sorted(directory.parent.glob(f"{directory.name}.*"))
    return [one for one in beside if FRESH_NAME.fullmatch(one.suffix) and not (one / UNFINISHED_NAME).exists()]


def _fresh_name(directory: Path) -> Path:
    """Where the new journals are made, and the old ones are kept: beside, under a name with the date."""
    stem = f"{directory.name}.{datetime.now(UTC):{FRESH_FORMAT}}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 100))]
    return next(path for path in map(directory.with_name, names) if not os.path.lexists(path))


def _begin(fresh: Path) -> None:
    """Make the directory, and say in it that it is not finished."""
    fresh.mkdir(mode=FOLDER_MODE)
    put_durably(fresh / UNFINISHED_NAME, b"authswitch partitions change has not ended: this may be removed\n")
    sync_folder(fresh.parent)


def _make_durable(fresh: Path) -> None:
    count = 0
    while (folder := partition_folder(fresh, count)).is_dir():
        for file in folder.iterdir():
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(folder)
        count += 1
    write_layout(fresh, Layout(count, range(count)))


def _swap(fresh: Path, directory: Path) -> None:
    try:
        exchange(str(fresh), str(directory))
    except OSError as error:
        raise PartitionsError(
            f"{directory}: cannot change places with {fresh.name}: {error.strerror}. It must be a folder like others, "
            "on a file system that can do that (ext4, xfs, btrfs, tmpfs): where one is mounted on it, move the journal "
            "to a folder in there, and set journal.directory"
        ) from error
    sync_folder(directory.parent)


def _take_mark_away(directory: Path) -> None:
    (directory / UNFINISHED_NAME).unlink(missing_ok=True)
    sync_folder(directory)


def _clear(directory: Path) -> None:
    """After a crash: what has taken its place is finished, and what has not is removed."""
    _take_mark_away(directory)
    for beside in directory.parent.glob(f"{directory.name}.*"):
        _discard(beside)


def _discard(beside: Path) -> None:
    """Remove a directory, if it says that it has not taken its place; it says so until nothing else is left of it."""
    names = {inner.name for inner in beside.iterdir()} if beside.is_dir() else set()
    has_begun = FRESH_NAME.fullmatch(beside.suffix) and names <= {f"{UNFINISHED_NAME}.next"} and beside.is_dir()
    if UNFINISHED_NAME in names or has_begun:
        for inner in beside.iterdir():
            if inner.is_dir():
                shutil.rmtree(inner)
            elif inner.name != UNFINISHED_NAME:
                inner.unlink()
        shutil.rmtree(beside)
