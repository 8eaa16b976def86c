"""What a number means that a terminal was told, and under which nothing is owed: another number may stand for it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from switch.config import ConfigError, load_config
from switch.config.key_file import read_journal_keys
from switch.journal.opening import open_partitions
from switch.journal.problems import JournalError
from switch.journal.replay import JournalDamaged
from switch.keys import KeyFileError
from switch.tracing.finding import find_in, present
from switch.tracing.query import QueryError, parse_key


def rrn_owed(config_file: Path | None, directory: Path | None, rrn: str) -> str | None:
    """The number under which an issuer is owed what a terminal was told ``rrn`` for.

    None where the journal says nothing of that, or cannot be read.
    """
    if config_file is None:
        return None
    try:
        config = load_config(config_file)
        where = config.journal.directory if directory is None else directory
        if where is None or config.keys is None:
            return None
        window = timedelta(seconds=config.limits.duplicate_window_seconds)
        partitions = open_partitions(where, read_journal_keys(config.keys))
        stories = find_in(partitions, parse_key(rrn, present(partitions)), window).stories
    except (ConfigError, KeyFileError, JournalDamaged, JournalError, OSError, QueryError):
        return None
    return next((story.rrn_owed for story in stories if story.rrn_owed is not None), None)


def hint(config_file: Path | None, rrn: str) -> str:
    """What to do with a number under which nothing is owed."""
    return f"`authswitch trace {config_file or 'CONFIG'} {rrn}` tells what became of it"


def under(rrn: str, owed: str) -> str:
    """That a number is a terminal's, and which one is its issuer's."""
    return f"RRN {rrn} is what the terminal was told; the reversal is owed under RRN {owed}"
