"""What ``authswitch keys`` says of the journal's keys, and which of them it does not let go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from switch.base.error_words import words_of
from switch.cli.journal_reading import fail
from switch.journal.file_heads import key_id
from switch.journal.key_survey import KeySurvey, KeyUse, survey_keys
from switch.journal.problems import JournalError
from switch.journal.replay import JournalDamaged
from switch.keys.file import KeyFile
from switch.keys.journal_keys import WRAPPING_KEY_BYTES, journal_keys, kept_journal_keys

DERIVED = "(of the master key)"
"""Stands for the name of the key that a key file without one of the journal's own implies."""


@dataclass(frozen=True, slots=True)
class Row:
    """One key of the journal.

    Attributes:
        name: Of the key.
        identity: By which segments name it.
        use: What it opens.
        reason: Why it must stay; empty when nothing needs it.
    """

    name: str
    identity: bytes
    use: KeyUse
    reason: str

    def cells(self) -> tuple[str, str, str, str, str]:
        """For a table: name, id, how many segments, when the first and the last of them began, why it must stay."""
        days = f"{_day(self.use.oldest_us)} to {_day(self.use.newest_us)}" if self.use.segments else ""
        return self.name, self.identity.hex(), f"{self.use.segments:,}", days, self.reason or "no: it may be removed"

    def as_json(self) -> dict[str, object]:
        """For programs; times in microseconds since 1970."""
        return {
            "name": self.name,
            "id": self.identity.hex(),
            "segments": self.use.segments,
            "oldest_us": self.use.oldest_us,
            "newest_us": self.use.newest_us,
            "directories": sorted(map(str, self.use.directories)),
            "needed": self.reason or None,
        }


def rows_of(file: KeyFile, directory: Path | None, others: Sequence[Path]) -> list[Row]:
    """All keys of the journal, that of segments to come first. It ends the command in words when that cannot be told.

    Args:
        file: The key file.
        directory: Of the journal in use.
        others: Further directories.
    """
    if directory is None:
        fail("needed is --config with a configuration that names the journal (journal.directory)")
    keys = journal_keys(file)
    try:
        survey = survey_keys(directory, keys, others)
    except (JournalError, JournalDamaged) as error:
        fail(str(error))
    except OSError as error:
        fail(words_of(error, directory))
    names = [key.name for key in kept_journal_keys(file)] or [DERIVED]
    identities = [key_id(keys[at : at + WRAPPING_KEY_BYTES]) for at in range(0, len(keys), WRAPPING_KEY_BYTES)]
    return [
        Row(name, identity, survey.uses.get(identity, KeyUse()), _why(survey, identity, identities[0]))
        for name, identity in zip(names, identities, strict=True)
    ]


def refuse_needed(file: KeyFile, name: str, directory: Path | None, others: Sequence[Path]) -> None:
    """End the command in words when something needs one of the journal's keys, or nobody can tell."""
    for row in rows_of(file, directory, others):
        if row.name == name and row.reason:
            fail(f"{name} must stay: {row.reason}")


def _why(survey: KeySurvey, identity: bytes, current: bytes) -> str:
    """Why a key must stay; empty when nothing needs it."""
    if identity == current:
        return "new segments are sealed under it"
    if identity in survey.uses:
        return "segments are sealed under it"
    if survey.last != {current}:
        return "a daemon may be writing under an older key than the newest: start it once with this key file"
    return ""


def _day(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d}"
