"""A terminal's own reversal of a payment that is not known: its request, and what an issuer is owed for it, as one.

The request ends in an OUTCOME with the number that the terminal was told. What the issuer is owed stands beside it, as
a REVERSAL that names no original and has a number of its own; and an OUTCOME that keeps the payment from being charged,
should it still come, has the payment's STAN. The three are written one behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from switch.dialect.kinds import Kind
from switch.journal.replay import JournalDamaged, JournalReader, Listing
from switch.journal.search import Search
from switch.tracing.story import Record, Story

REACH = 4
"""So many records on each side of one of them the others may stand."""

SAME_MAX = 200
"""Transactions with the same number among which the one of a place is sought."""


def completed(reader: JournalReader, stories: Sequence[Story]) -> list[Story]:
    """The same, each terminal's reversal of an unknown payment whole, and once.

    Args:
        reader: The journal.
        stories: What was found, oldest first.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    known = {int(story.first["position"]): story for story in stories}
    whole: dict[int, Story] = {}
    found = []
    for story in stories:
        owed = _owed_for(reader, story)
        if owed is None:
            found.append(story)
            continue
        position = int(owed["position"])
        if position not in whole:
            whole[position] = _whole(reader, owed, known)
        if story.overtakes:
            story.promise = whole[position]
            found.append(story)
        elif whole[position] not in found:
            found.append(whole[position])
    # What keeps the payment out says nothing more, unless that has come.
    return [one for one in found if one.promise is None or one.promise not in found or one.told_us is not None]


def _owed_for(reader: JournalReader, story: Story) -> Record | None:
    """The REVERSAL that a terminal's reversal of an unknown payment has left; None when the story is none of one."""
    first = story.first
    if _is_owed(first):
        return first
    if first["type"] != "OUTCOME" or story.kind != Kind.REVERSAL or not (story.overtakes or story.is_promised):
        return None
    near = _near(reader, int(first["position"]))
    if story.overtakes:
        behind = near.get(first["position"] + 1)
        return behind if behind is not None and _is_owed(behind) else None
    for place in range(first["position"] - 1, first["position"] - REACH, -1):
        record = near.get(place)
        if record is None or record["type"] == "OUTCOME":
            return None
        if _is_owed(record) and record["pan"] == first.get("pan"):
            return record
    return None


def _is_owed(record: Record) -> bool:
    return (
        record["type"] == "REVERSAL"
        and not record["original"]
        and not record["replaces"]
        and record.get("listener") is not None
    )


def _whole(reader: JournalReader, owed: Record, known: Mapping[int, Story]) -> Story:
    """What is owed, behind the request that it was promised to."""
    position = int(owed["position"])
    alone = known.get(position) or _at(reader, owed, Search(rrn=owed["rrn"], most=SAME_MAX))
    near = _near(reader, position)
    for place in range(position + 1, position + REACH):
        record = near.get(place)
        if record is not None and record["type"] == "OUTCOME":
            break
    else:
        return alone
    if record["intent"] or record.get("kind") != Kind.REVERSAL or record["pan"] != owed["pan"]:
        return alone
    request = known.get(place) or _at(reader, record, Search(rrn=record["rrn"], most=SAME_MAX))
    behind = sorted([*request.records[1:], *alone.records], key=lambda one: int(one["position"]))
    return Story([request.first, *behind], dialects=request.dialects)


def _at(reader: JournalReader, first: Record, search: Search) -> Story:
    """All of what begins with a record."""
    stories = [Story([first])]
    for number in range(reader.index_of(first["position"]), len(reader.segments)):
        reader.replay(search, number, number + 1)
        stories = [Story(one) for one in search.found if one[0]["position"] == first["position"]] or stories
        if not stories[0].is_open:
            break
    return stories[0]


def _near(reader: JournalReader, position: int) -> dict[int, Record]:
    """The records about a place, by their own."""
    found: dict[int, Record] = {}

    def take(record: Record) -> None:
        found[int(record["position"])] = record

    for place in range(position - REACH, position + REACH + 1):
        segment = reader.segments[reader.index_of(place)]
        if place in found or place < segment.first_position:
            continue
        listing = Listing(take)
        reader.read_names_of(segment, listing)
        with suppress(JournalDamaged):  # there may be nothing behind it yet
            reader.read_at(segment, reader.place_of(segment, place)[0], listing)
    return found
