"""The journal's operator side: opening it, recovery at start, retention, and the tools that read it."""

from switch.journaling.store import JournalError, Replayed, Store

__all__ = ["JournalError", "Replayed", "Store"]
