"""What is kept from issuers, link by link, as the switch takes it up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from switch.files.problems import ConfigError, Problem

NOTHING, REQUESTS, ALL = HELD = ("nothing", "requests", "all")
"""What may be kept from an issuer, as ``LinkConnections.hold_back`` calls it: new requests, or also what it is owed."""

KIND = "holds"
"""By which what is in force is known beside the rulebooks."""

TITLE = "held links"


@dataclass(frozen=True, slots=True)
class Hold:
    """A link that is held out.

    Attributes:
        link: Its name.
        held: Of ``HELD``.
        who: Who said so last.
        at: When, in text.
        why: The reason.
    """

    link: str
    held: str
    who: str
    at: str
    why: str

    @property
    def told(self) -> Mapping[str, str]:
        """As programs read it."""
        return {"link": self.link, "held": self.held, "who": self.who, "at": self.at, "why": self.why}


def body_of(holds: Iterable[Hold]) -> str:
    """All that are held out, as one text, with one hash."""
    return json.dumps([dict(hold.told) for hold in holds], sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def holds_of(body: str) -> list[Hold]:
    """What such a text says.

    Raises:
        ConfigError: It is none.
    """
    try:
        found = [_hold_of(row) for row in json.loads(body)]
    except (TypeError, KeyError, ValueError):
        raise ConfigError([Problem(TITLE, "", "cannot be read")]) from None
    strange = [hold.held for hold in found if hold.held not in HELD]
    if strange:
        reason = f"there is no way to hold a link that is called {strange[0]!r}; there are {', '.join(HELD)}"
        raise ConfigError([Problem(TITLE, "", reason)])
    return found


def _hold_of(row: Mapping[str, Any]) -> Hold:
    return Hold(*(str(row[name]) for name in ("link", "held", "who", "at", "why")))
