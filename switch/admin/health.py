"""What the admin side asks of the daemon."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

Value = TypeVar("Value")


async def answered(value: Value | Awaitable[Value]) -> Value:
    """What was answered, at once by a worker of this process or later by others."""
    if inspect.isawaitable(value):
        later: Value = await value
        return later
    return value


class Readiness(NamedTuple):
    """Whether terminals may be sent here.

    Attributes:
        reasons: Why not; empty: they may be.
        lacks: What a part of them misses all the same, and would anywhere else: who owns a partition is fixed.
        outdated: On an older copy of a journal: it turns terminals away as long as it runs, and is not waited for.
        told: What an operator should know, and nobody waits for.
    """

    reasons: Sequence[str] = ()
    lacks: Sequence[str] = ()
    outdated: bool = False
    told: Sequence[str] = ()


class Health(Protocol):
    """The daemon as its operators see it: one worker, which answers at once, or the desk of many, which asks them."""

    def live(self) -> bool:
        """Whether the process does its work; when not, restart it."""

    def readiness(self) -> Readiness | Awaitable[Readiness]:
        """Whether new connections should be sent here."""

    def status(self) -> Mapping[str, Any] | Awaitable[Mapping[str, Any]]:
        """What is going on, in values that JSON knows: links, listeners, what is in flight."""

    def drain(self) -> None:
        """Finish what is in flight, accept nothing new, and end. Calling it again changes nothing."""
