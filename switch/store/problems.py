"""Why the store cannot be used, or does not do what it is asked for."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used, in words that are safe to show: no password, no value of a row."""


class RefusedError(Exception):
    """What somebody asked for is against the rules; the words say why, and name no secret."""


class NotAllowedError(RefusedError):
    """Somebody asks for what he may not do."""


class TooManyError(RefusedError):
    """Somebody asks for more than there is room for; later there may be."""


class NoSuchError(RefusedError):
    """What somebody asks for is not there."""


class UnfitError(RefusedError):
    """What somebody said does not fit where it is kept: it is too long, nothing, or no text."""
