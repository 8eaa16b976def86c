"""The rules of field policies: where one field of a composed message comes from.

============================ =========================================================================================
``forward``, ``request``     the field of the same key of the terminal's request
``issuer``                   the field of the same key of the issuer's answer
``original``                 the same field of the request as it went to the issuer
``forward:KEY`` and so on    the field of another key
``compute:SLOT``             a value of the switch (``switch.wire.slots``)
``constant:TEXT``            always the same
``default:TEXT``             as ``forward``, and this text where the request has no such field
``drop``                     nothing
============================ =========================================================================================
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from switch.dialect.model import Rule
from switch.wire.slots import SLOTS


class Origin(NamedTuple):
    """One place that a field may come from."""

    source: str
    """``request``, ``answer``, ``slot`` or ``constant``."""
    argument: str
    """A key (empty: the field's own), a slot or the text."""


MESSAGES = {"forward": "request", "request": "request", "original": "request", "issuer": "answer"}
"""What each word for a message is to the composer."""

WORDS = {
    "request": ("forward", "default", "constant", "compute", "drop"),
    "advice": ("forward", "default", "constant", "compute", "drop"),
    "reference": ("forward", "default", "constant", "compute", "drop"),
    "unknown_reversal": ("forward", "default", "constant", "compute", "drop"),
    "answer": ("request", "issuer", "constant", "compute", "drop"),
    "reversal": ("original", "constant", "compute", "drop"),
    "network_answer": ("request", "constant", "compute", "drop"),
    "network": ("constant", "compute", "drop"),
}
"""The words that make sense in each policy."""


def parse_rule(rule: Rule, policy: str) -> list[Origin]:
    """The places that a field comes from, in the order in which they are tried; none when it is dropped.

    Args:
        rule: What the dialect file says.
        policy: The table in which it stands, one of ``WORDS``.

    Raises:
        ValueError: It is no rule of that policy.
    """
    origins: list[Origin] = []
    for alternative in [rule] if isinstance(rule, str) else rule:
        origins.extend(_parse_one(alternative, policy))
    return origins


def _parse_one(rule: str, policy: str) -> list[Origin]:
    word, colon, argument = rule.partition(":")
    if word not in WORDS[policy]:
        raise ValueError(f"needed one of {', '.join(WORDS[policy])}, got {rule!r}")
    if word == "drop" and not colon:
        return []
    if word in MESSAGES and bool(colon) == bool(argument):
        return [Origin(MESSAGES[word], argument)]
    if word == "compute" and argument in SLOTS:
        return [Origin("slot", argument)]
    if word == "constant" and argument:
        return [Origin("constant", argument)]
    if word == "default" and argument:
        return [Origin("request", ""), Origin("constant", argument)]
    if word == "compute":
        near = get_close_matches(argument, SLOTS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"compute needs one of {', '.join(SLOTS)}, got {argument!r}{hint}")
    raise ValueError(f"no rule: {rule!r}")
