"""What the admin side asks of the daemon."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")


async def answered(value: Value | Awaitable[Value]) -> Value:
    """What was answered, at once by a worker of this process or later by others."""
    if inspect.isawaitable(value):
        later: Value = await value
        return later
    return value


class Health(Protocol):
    """The daemon as its operators see it: one worker, which answers at once, or the desk of many, which asks them."""

    def live(self) -> bool:
        """Whether the process does its work; when not, restart it."""

    def unready_reasons(self) -> Sequence[str] | Awaitable[Sequence[str]]:
        """Why no new connection should be sent here; empty when all is well."""

    def passing_reasons(self) -> Sequence[str]:
        """What was missing as well when ``unready_reasons`` answered last, for so short a time that it is no reason."""

    def status(self) -> Mapping[str, Any] | Awaitable[Mapping[str, Any]]:
        """What is going on, in values that JSON knows: links, listeners, what is in flight."""

    def drain(self) -> None:
        """Finish what is in flight, accept nothing new, and end. Calling it again changes nothing."""
