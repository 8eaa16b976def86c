"""What is wrong with a key file, a master key or one key in it; never with key material in the words."""

from __future__ import annotations


class KeyFileError(ValueError):
    """A key file, or one key of it, cannot be used.

    Attributes:
        file: The file in question.
        key: Name of the key, or of what else in the file; empty when it is the file as a whole.
        reason: What was needed and what was there; safe to log.
    """

    def __init__(self, file: str, key: str, reason: str) -> None:
        self.file = file
        self.key = key
        self.reason = reason
        super().__init__(": ".join(part for part in (file, key, reason) if part))


class UnreadableError(KeyFileError):
    """There is no such file, or it cannot be read: another one was meant."""


class OtherMasterKeyError(KeyFileError):
    """A key file is sealed under another master key than the one at hand."""


class RefusedPinError(KeyFileError):
    """A token does not take the PIN of its user. It counts such attempts, so no program may try again by itself."""
