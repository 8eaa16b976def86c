"""The journal's operator side: opening it, recovery at start, retention, and the tools that read it."""

from switch.journaling.replaying import Replayed, replay_into
from switch.journaling.store import JournalError, Store

__all__ = ["JournalError", "Replayed", "Store", "replay_into"]
