"""Dealing out a limit among several who keep it together."""

from __future__ import annotations


def share(limit: int, sharers: int) -> int:
    """What each of so many partitions, or workers, has of a limit; at least 1."""
    return max(1, limit // sharers)
