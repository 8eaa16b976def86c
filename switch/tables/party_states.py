"""The states of merchants and terminals, and the classes of merchants, as rows of the registry have them."""

from __future__ import annotations

from datetime import datetime

STATES = ("active", "suspended", "closed")
AWAITING = "awaiting"
"""A terminal that awaits its first sign-in, which puts it into service."""

TERMINAL_STATES = (*STATES, AWAITING)
UNTIL = f"{AWAITING} until "
"""How such a terminal's state begins in the rows that the switch reads; behind it the moment, in ISO 8601."""

MERCHANT_CLASSES = ("company", "small")
"""Of a merchant: one with a licence, or a person with an identity number alone."""

IDENTITY_DIGITS = 64
"""Of the keyed hash, in hex, that all merchants of one identity have."""

LATEST_S = (1 << 32) - 1


def awaiting_until(moment: datetime) -> str:
    """The state of a terminal that may sign in for the first time until then."""
    return f"{UNTIL}{moment.isoformat(timespec='seconds')}"


def read_terminal_state(text: str) -> tuple[int, int]:
    """A state's place among ``TERMINAL_STATES``, and until when it may last, in seconds since 1970; 0: for good.

    Raises:
        ValueError: It is none.
    """
    if text in STATES:
        return STATES.index(text), 0
    if not text.startswith(UNTIL):
        raise ValueError(f"unknown state {text!r}; known are {', '.join(STATES)}")
    try:
        until = datetime.fromisoformat(text.removeprefix(UNTIL))
    except ValueError:
        raise ValueError(f"{text!r} names no moment") from None
    if until.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return TERMINAL_STATES.index(AWAITING), min(max(int(until.timestamp()), 0), LATEST_S)
