"""What a rehearsal of risk rules found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from switch.base.currencies import amount_words
from switch.journal.rehearsing import Hit, Rehearsal

MERCHANTS_SHOWN = 5


class Report:
    """A rehearsal in words, and as a document.

    Args:
        found: The rehearsal.
        zone: In which times are shown.
        not_here: Of which partitions other nodes have the journals, in words; empty: of none.
    """

    def __init__(self, found: Rehearsal, zone: ZoneInfo, not_here: str = "") -> None:
        self._found = found
        self._not_here = not_here
        self._zone = zone

    def document(self) -> dict[str, Any]:
        """For programs: sums are in minor units, by numeric currency."""
        found = self._found
        return {
            "requests": found.requests,
            "not_here": self._not_here or None,
            "from": self._shown(found.begins_us),
            "to": self._shown(found.ends_us),
            "rules": {rule: _facts(hit) for rule, hit in _most_first(found.rules)},
            "bands": {name: {"then": found.thens[name], **_facts(hit)} for name, hit in found.bands.items()},
            "difference": {
                "newly_refused": _facts(found.newly),
                "no_more_refused": _facts(found.no_more),
                "refused_as_before": _facts(found.as_before),
            },
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        found = self._found
        if self._not_here:
            yield f"{self._not_here}; what was asked there is not looked at, nor counted"
        if not found.requests:
            yield "no request was asked in that time"
            return
        yield f"{found.requests:,} requests from {self._shown(found.begins_us)} to {self._shown(found.ends_us)}"
        for rule, hit in _most_first(found.rules):
            yield ""
            yield f"rule {rule}: {_counted(hit)}"
            yield from _whom(hit)
        for name, hit in found.bands.items():
            yield ""
            yield f"{'exit' if found.thens[name] == 'exit' else 'band'} {name}, {found.thens[name]}: {_counted(hit)}"
            if hit.requests and found.thens[name] not in ("pass", "exit"):
                yield from _whom(hit)
        if not found.rules and not any(
            _refuses(found.thens[name]) and hit.requests for name, hit in found.bands.items()
        ):
            yield "no rule would have refused any of them"
        yield ""
        yield "against the rules in force:"
        yield f"  refused now, and not before: {_counted(found.newly)}"
        yield f"  refused before, and no more: {_counted(found.no_more)}"
        yield f"  refused as before: {_counted(found.as_before)}"

    def _shown(self, wall_us: int | None) -> str | None:
        if wall_us is None:
            return None
        return datetime.fromtimestamp(wall_us / 1e6, UTC).astimezone(self._zone).isoformat(timespec="seconds")


def _whom(hit: Hit) -> Iterator[str]:
    yield f"  approved and never taken back: {hit.stood:,}, {_sums(hit.stood_sums)}"
    yield f"  cards {len(hit.cards):,}, terminals {len(hit.terminals):,}, merchants {len(hit.merchants):,}"
    for merchant, requests in hit.merchants.most_common(MERCHANTS_SHOWN):
        yield f"  merchant {merchant}: {requests:,}"


def _refuses(then: str) -> bool:
    return then in ("refuse", "shadow")


def _most_first(rules: dict[str, Hit]) -> list[tuple[str, Hit]]:
    return sorted(rules.items(), key=lambda item: (-item[1].requests, item[0]))


def _sums(sums: Counter[int]) -> str:
    return " + ".join(amount_words(minor, currency or None) for currency, minor in sorted(sums.items())) or "nothing"


def _counted(hit: Hit) -> str:
    return f"{hit.requests:,} request{'s' * (hit.requests != 1)}, {_sums(hit.sums)}"


def _facts(hit: Hit) -> dict[str, Any]:
    return {
        "requests": hit.requests,
        "sums": {f"{currency:03d}": minor for currency, minor in sorted(hit.sums.items())},
        "approved": hit.stood,
        "approved_sums": {f"{currency:03d}": minor for currency, minor in sorted(hit.stood_sums.items())},
        "cards": len(hit.cards),
        "terminals": len(hit.terminals),
        "merchants": len(hit.merchants),
        "merchants_most": [
            {"merchant": merchant, "requests": requests}
            for merchant, requests in hit.merchants.most_common(MERCHANTS_SHOWN)
        ],
    }
