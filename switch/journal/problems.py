"""What keeps a daemon from using its journal."""

from __future__ import annotations


class JournalError(Exception):
    """The journal cannot be used; the text says why, and what to do."""
