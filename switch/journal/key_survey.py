"""Which of the journal's keys its segments need: none may be taken away that opens one, or that one will be under."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from switch.journal.changing import older_journals
from switch.journal.opening import open_partitions


@dataclass(slots=True)
class KeyUse:
    """What one key opens.

    Attributes:
        segments: How many.
        oldest_us: When the first of them was begun, in microseconds since 1970.
        newest_us: When the last one was begun.
        directories: Where they are.
    """

    segments: int = 0
    oldest_us: int = 0
    newest_us: int = 0
    directories: set[Path] = field(default_factory=set)

    def add(self, directory: Path, created_us: int) -> None:
        """Count another segment."""
        self.oldest_us = min(self.oldest_us or created_us, created_us)
        self.newest_us = max(self.newest_us, created_us)
        self.segments += 1
        self.directories.add(directory)


@dataclass(frozen=True, slots=True)
class KeySurvey:
    """Who needs which key.

    Attributes:
        uses: By the ids of keys, for those that open a segment.
        last: The ids of the keys under which the last segment of each partition is. Each run of the daemon begins with
            segments of its own, so where they are all under one key, no run that is at work writes under another.
    """

    uses: dict[bytes, KeyUse]
    last: set[bytes]


def survey_keys(directory: Path, keys: bytes, others: Iterable[Path] = ()) -> KeySurvey:
    """Look at all segments of a journal's directory, and of what `partitions change` has left beside it.

    Args:
        directory: Of the journal in use; it need not have begun.
        keys: As ``switch.keys.journal_keys`` gives them.
        others: Further directories, such as copies.

    Raises:
        OSError: A folder or a file cannot be read.
        JournalDamaged: The head of a segment is damaged, or none of the keys opens it.
        PartitionsError: A directory is not laid out as it must be.
    """
    survey = KeySurvey({}, set())
    in_use = [directory] if directory.exists() else []
    for place in (*in_use, *older_journals(directory), *others):
        for one in open_partitions(place, keys):
            with one.telling():
                one.reader.require_keys()
            for segment in one.reader.segments:
                if segment.key_id is not None:
                    survey.uses.setdefault(segment.key_id, KeyUse()).add(place, segment.created_us)
            if place == directory and one.reader.segments and (last := one.reader.segments[-1].key_id) is not None:
                survey.last.add(last)
    return survey
