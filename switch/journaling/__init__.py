"""The journal's operator side: opening it, recovery at start, retention, and the tools that read it."""

from switch.journaling.replaying import Progress, Replayed, replay_into
from switch.journaling.store import JournalError, Store

__all__ = ["JournalError", "Progress", "Replayed", "Store", "replay_into"]
