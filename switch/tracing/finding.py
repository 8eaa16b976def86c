"""Where in the journal to look: the segments of the time that is asked for, and those that may tell how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from switch.journal.opening import PartitionReader
from switch.journal.original_index import SegmentIndex
from switch.journal.replay import JournalReader, Segment, Tail
from switch.journal.search import Search
from switch.tracing.query import Query
from switch.tracing.story import Story
from switch.tracing.unknown_reversals import completed

CLOCK_SPARE = timedelta(minutes=5)
"""How far a clock may have been set back between a segment's beginning and its records."""

MOST = 200
"""Transactions that are collected; more than that is no answer for a person."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        stories: One for each transaction that was looked for, oldest first; each knows what refers to it, and to what
            it refers itself.
        looked_at: Requests among which was searched.
        begins: Of the first segment that was read; None when there is none.
        ends: When the last batch that was read was written.
        is_full: There are more.
    """

    stories: Sequence[Story]
    looked_at: int
    begins: datetime | None
    ends: datetime | None
    is_full: bool


def find_in(partitions: Sequence[PartitionReader], query: Query, window: timedelta) -> Found:
    """Look for transactions in the journals of several partitions: a terminal's are in one, a card's in any.

    Args:
        partitions: The journals.
        query: What is known.
        window: See ``find``.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    found: list[Found] = []
    for one in partitions:
        if query.terminal is None or one.holds(query.terminal):
            with one.telling():
                found.append(find(one.reader, query, window))
            for story in found[-1].stories:
                story.partition = one.partition
    stories = sorted((story for part in found for story in part.stories), key=lambda story: int(story.first["wall_us"]))
    return Found(
        stories[:MOST],
        sum(part.looked_at for part in found),
        min((part.begins for part in found if part.begins is not None), default=None),
        max((part.ends for part in found if part.ends is not None), default=None),
        len(stories) > MOST or any(part.is_full for part in found),
    )


def find(reader: JournalReader, query: Query, window: timedelta) -> Found:
    """Look for transactions.

    Reading begins with the segment of the earliest time that is asked for. Behind the latest one it goes on until
    nothing that was found is open, and for as long as a terminal may still take one of them back.

    Args:
        reader: The journal.
        query: What is known.
        window: For how long a finished transaction may be repeated or taken back.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    search = Search(
        rrn=query.rrn,
        terminal=query.terminal,
        stan=-1 if query.stan is None else query.stan,
        pan_first=query.pan_first,
        pan_last=query.pan_last,
        amount_minor=-1 if query.amount_minor is None else query.amount_minor,
        **({} if query.begins is None else {"from_us": _microseconds(query.begins)}),
        **({} if query.ends is None else {"to_us": _microseconds(query.ends)}),
        most=MOST,
    )
    segments = reader.segments
    first = _first_segment(segments, query.begins)
    ends = _read(reader, search, first, lambda number: _is_enough(search, query, segments[number], window))
    stories = [Story(records) for records in search.found]
    referring = {id(stories[number]) for number in search.referring}
    stories = completed(reader, stories)
    _relate(stories)
    for story in stories:
        if story.original is None and story.refers_to:
            _find_original(reader, story)
    return Found(
        [story for story in stories if id(story) not in referring],
        search.looked_at,
        _moment(segments[first].created_us) if segments else None,
        ends,
        search.is_full,
    )


def present(partitions: Sequence[PartitionReader]) -> datetime:
    """The present, as far as the journals know it."""
    begun = [_moment(one.reader.segments[-1].created_us) for one in partitions if one.reader.segments]
    return max([datetime.now(UTC), *begun])


def _read(reader: JournalReader, search: Search, first: int, is_enough: Callable[[int], bool]) -> datetime | None:
    """Read from a segment on. Where it is enough, only what has more of what was found: indexes say that."""
    ends: datetime | None = None
    tail: Tail | None = None
    for number in range(first, len(reader.segments)):
        if number > first and is_enough(number) and not _has_more(reader, reader.segments[number], search):
            tail = None
            continue
        tail = reader.replay(search, number, number + 1, tail)
        ends = _moment(tail.wall_us) if tail.wall_us else ends
    return ends


def _has_more(reader: JournalReader, segment: Segment, search: Search) -> bool:
    """Whether something in a segment may speak of what was found."""
    index = SegmentIndex(reader, segment)
    try:
        return not index.open_file() or any(index.holds(records[0]["position"]) for records in search.found)
    except OSError:  # It was removed meanwhile, or is damaged.
        return True


def _relate(stories: Sequence[Story]) -> None:
    """Let those that refer to one another know it."""
    by_position = {story.first["position"]: story for story in stories}
    for story in stories:
        original = by_position.get(story.refers_to)
        if original is None or story.first["position"] in {one.first["position"] for one in original.references}:
            continue  # It is known already, perhaps from another search.
        story.original = original
        if not story.is_unknown:  # which takes it back, or not, and is no void, refund or completion
            original.references.append(story)


def _find_original(reader: JournalReader, story: Story) -> None:
    """Look for what a transaction refers to, by its place, and for what else refers to that."""
    first = reader.index_of(story.refers_to)
    if not reader.segments or reader.segments[first].first_position > story.refers_to:
        return  # its segment has been removed
    search = Search(position=story.refers_to, most=MOST)
    _read(reader, search, first, lambda _number: bool(search.found))
    stories = [Story(records) for records in search.found]
    others = [one for one in stories if one.first["position"] != story.first["position"]]
    _relate(sorted([story, *others], key=lambda one: int(one.first["position"])))


def _first_segment(segments: Sequence[Segment], begins: datetime | None) -> int:
    if begins is None:
        return 0
    earliest = _microseconds(begins - CLOCK_SPARE)
    return max((number for number, segment in enumerate(segments) if segment.created_us <= earliest), default=0)


def _is_enough(search: Search, query: Query, segment: Segment, window: timedelta) -> bool:
    """Whether nothing of interest can stand in this segment and behind it."""
    begins = _moment(segment.created_us)
    if query.ends is None or begins < query.ends + CLOCK_SPARE:
        return False
    stories = [Story(records) for records in search.found]
    return all(not story.is_open and begins > story.ends + window + CLOCK_SPARE for story in stories)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _moment(wall_us: int) -> datetime:
    return datetime.fromtimestamp(wall_us / 1_000_000, UTC)
