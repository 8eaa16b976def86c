"""What is refused, in words for who asked for it."""

from __future__ import annotations


class RefusedError(Exception):
    """A change that is not made; the words say why, and name no secret."""
