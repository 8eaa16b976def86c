"""The journal: records in sealed files, group commit, replay, recovery, retention, and what reads it."""

from switch.journal.problems import JournalError
from switch.journal.resuming import Progress, Replayed, replay_into

__all__ = ["JournalError", "Progress", "Replayed", "replay_into"]
