"""What a simulated issuer does wrong, how often, and when."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

_FORM = re.compile(
    r"(?P<fault>[a-z-]+)=(?:(?P<percent>[0-9]+(?:\.[0-9]+)?)%|(?P<count>[0-9]+)x)(?:@(?P<after>[0-9]+))?\Z"
)


class Fault(StrEnum):
    """One way to go wrong with one request.

    Only ``IGNORE`` and ``CLOSE`` leave the request out of the ledger: in all other cases the issuer has booked it, so
    that the question is what the acquirer makes of what it sees, or does not see.
    """

    IGNORE = "ignore"
    """Neither book the request nor answer it."""
    CLOSE = "close"
    """Close the connection as soon as the request is there, without booking it."""
    DROP_ANSWER = "drop-answer"
    """Book, and never answer."""
    LATE_ANSWER = "late-answer"
    """Book, and answer after ``late_ms`` more than the latency."""
    DUPLICATE_ANSWER = "duplicate-answer"
    """Answer twice, the same bytes."""
    WRONG_STAN = "wrong-stan"
    """Answer under the STAN of another request on the connection (or a made-up one), with a correct MAC."""
    WRONG_MAC = "wrong-mac"
    """Answer with a MAC that does not verify."""
    GARBAGE = "garbage"
    """A well-framed message of random bytes instead of the answer."""
    CLOSE_AFTER_RECEIVE = "close-after-receive"
    """Book, then close the connection instead of answering."""
    UNSOLICITED = "unsolicited"
    """An answer to a request that nobody made, before the right one."""
    SLOW_WRITE = "slow-write"
    """The answer in single bytes; what follows on the connection waits behind it."""


UNBOOKED = frozenset({Fault.IGNORE, Fault.CLOSE})


class FaultRule(BaseModel):
    """When one fault strikes: with a probability, for so many requests, after so many requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: Fault
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    count: Annotated[int, Field(ge=1)] | None = None
    """At most so many times; None: no limit."""
    after: Annotated[int, Field(ge=0)] = 0
    """So many financial requests are left alone first."""


def parse_fault(text: str) -> FaultRule:
    """Read the command line's form: ``drop-answer=1%``, ``wrong-mac=3x`` (the first three), ``close=1x@100``.

    Raises:
        ValueError: The text has another form, or names no fault.
    """
    match = _FORM.match(text)
    if match is not None and match["fault"] not in set(Fault):
        raise ValueError(f"fault: there is no {match['fault']}; needed one of {', '.join(Fault)}")
    if match is None:
        raise ValueError(f"fault: needed NAME=P% or NAME=Nx, then @AFTER if wanted, got {text!r}")
    fault, after = Fault(match["fault"]), int(match["after"] or 0)
    if match["percent"]:
        if not 0 <= float(match["percent"]) <= 100:
            raise ValueError(f"fault: needed 0 to 100 %, got {match['percent']}%")
        return FaultRule(fault=fault, probability=float(match["percent"]) / 100, after=after)
    if int(match["count"]) < 1:
        raise ValueError(f"fault: needed 1x or more, got {match['count']}x")
    return FaultRule(fault=fault, count=int(match["count"]), after=after)


class FaultPlan:
    """Decides for each request which fault strikes it, if any; the first rule that does wins."""

    def __init__(self, rules: Sequence[FaultRule], generator: random.Random) -> None:
        self._rules = list(rules)
        self._left = [rule.count for rule in rules]
        self._generator = generator
        self._requests = 0
        self.struck: dict[Fault, int] = {}

    def add(self, rule: FaultRule) -> None:
        """One more rule, from now on (its ``after`` counts from here)."""
        self._rules.append(rule.model_copy(update={"after": self._requests + rule.after}))
        self._left.append(rule.count)

    def clear(self) -> None:
        """No faults from now on."""
        self._rules.clear()
        self._left.clear()

    def next_fault(self) -> Fault | None:
        """The fault for the next request."""
        self._requests += 1
        for number, rule in enumerate(self._rules):
            if self._requests <= rule.after or self._left[number] == 0:
                continue
            if rule.probability < 1 and self._generator.random() >= rule.probability:
                continue
            left = self._left[number]
            if left is not None:
                self._left[number] = left - 1
            self.struck[rule.fault] = self.struck.get(rule.fault, 0) + 1
            return rule.fault
        return None
