"""What makes thousands of engines of one configuration quick to build: nothing here changes what they do."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

from switch.server import assembly

if TYPE_CHECKING:
    from collections.abc import Callable

M_MMAP_THRESHOLD = -3
MMAP_THRESHOLD_BYTES = 1 << 17
POLICIES = (
    "_answer_composer",
    "_request_composer",
    "_steps",
    "advice_attempt_steps",
    "advice_steps",
    "answer_steps",
    "network_answer_steps",
    "network_steps",
    "reference_steps",
    "request_steps",
    "request_unkept",
    "reversal_steps",
    "unknown_reversal_steps",
)


@cache
def hurry() -> None:
    """Once a process: work the dialects' policies out once, let big tables be fresh pages instead of cleared ones."""
    for name in POLICIES:
        setattr(assembly, name, _remembered(getattr(assembly, name)))
    assembly.Composer = _remembered(assembly.Composer)  # type: ignore[misc]
    # Otherwise the C library learns to keep what is freed, and then has to clear megabytes for each link.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def give_back() -> None:
    """Let the system have the memory that earlier runs have left in pieces."""
    ctypes.CDLL(None).malloc_trim(0)


def _key(argument: Any) -> object:
    if isinstance(argument, (list, frozenset)) and all(isinstance(one, int) for one in argument):
        return tuple(argument)  # numbers of fields
    return argument if isinstance(argument, (str, bool)) else id(argument)


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """By the identity of dialects and specs, which live as long as the world does, and of steps, remembered as well."""
    known: dict[tuple[object, ...], tuple[Any, object]] = {}

    def remembering(*arguments: Any, **named: Any) -> Any:
        key = (*map(_key, arguments), *named.items())
        if key not in known:
            known[key] = function(*arguments, **named), arguments  # which keep their identity while they live
        return known[key][0]

    return remembering
