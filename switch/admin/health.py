"""What the admin side asks of the daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Health(Protocol):
    """The daemon as its operators see it. Every call returns at once."""

    def live(self) -> bool:
        """Whether the process does its work; when not, restart it."""

    def unready_reasons(self) -> Sequence[str]:
        """Why no new connection should be sent here; empty when all is well."""

    def status(self) -> Mapping[str, Any]:
        """What is going on, in values that JSON knows: links, listeners, what is in flight."""

    def drain(self) -> None:
        """Finish what is in flight, accept nothing new, and end. Calling it again changes nothing."""
