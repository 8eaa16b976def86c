"""Where the registry takes clear keys from."""

from __future__ import annotations

from typing import Protocol


class KeySource(Protocol):
    """A key file that is open, or a mapping in tests."""

    def get(self, name: str, /) -> bytes | None:
        """The clear key of this name, or None."""
