"""Where in the journal to look: the segments of the time that is asked for, and those that may tell how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from switch.replay import JournalReader, Segment, Tail
from switch.search import Search
from switch.tracing.query import Query
from switch.tracing.story import Story

CLOCK_SPARE = timedelta(minutes=5)
"""How far a clock may have been set back between a segment's beginning and its records."""

MOST = 200
"""Transactions that are collected; more than that is no answer for a person."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        stories: One for each transaction, oldest first.
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
    ends: datetime | None = None
    tail: Tail | None = None
    for number in range(first, len(segments)):
        if number > first and _is_enough(search, query, segments[number], window):
            break
        tail = reader.replay(search, number, number + 1, tail)
        ends = _moment(tail.wall_us) if tail.wall_us else ends
    return Found(
        [Story(records) for records in search.found],
        search.looked_at,
        _moment(segments[first].created_us) if segments else None,
        ends,
        search.is_full,
    )


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
