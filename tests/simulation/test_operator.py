"""What issuers never find: an operator closes it where nothing is booked, and nowhere else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from .acquirer import Acquirer
from .checker import NEVER_BOOKED
from .options import Options
from .run import Run
from .world import LINKS

pytestmark = pytest.mark.usefixtures("kept_between_runs")

RRN = "62640ZZZUDPB"
ENTRY = {
    "what": "reversal",
    "not_found": 3,
    "rrn": RRN,
    "link": LINKS[0],
    "terminal": "10000001",
    "amount_minor": 10_001,
}


def closed(*, is_booked: bool, alerts: frozenset[str] = frozenset({RRN}), **changes: Any) -> list[str]:
    """Why an operator closes a reversal that an issuer does not find."""
    reasons: list[str] = []
    worker = SimpleNamespace(alerts=alerts, is_up=True, flush=lambda: None)
    issuer = SimpleNamespace(has_booked=lambda *_: is_booked)
    acquirer = SimpleNamespace(
        issuers=[issuer] * len(LINKS), workers=[worker], tally=SimpleNamespace(never_booked=0),
        _owed=lambda: [(worker, None, ENTRY | changes)],
        _close=lambda _state, _entry, reason: reasons.append(reason) or True,
    )  # fmt: skip
    Acquirer.close_what_was_never_booked(acquirer)  # type: ignore[arg-type]
    assert acquirer.tally.never_booked == len(reasons)
    return reasons


def test_what_was_never_booked_is_closed():
    assert closed(is_booked=False) == [NEVER_BOOKED]


@pytest.mark.parametrize("changes", [{"not_found": 0}, {"what": "advice"}, {"rrn": "62640ZZZUDPC"}])
def test_what_may_be_booked_yet_stays_owed(changes):
    assert closed(is_booked=False, **changes) == []


def test_what_is_booked_stays_owed():
    assert closed(is_booked=True) == []


def test_ledgers_tell_of_all_that_they_have_heard_of():
    run = Run(Options.drawn(3))
    run.execute()
    bookings = [(issuer, booking) for issuer in run.issuers for booking in issuer.ledger.values()]
    assert {booking.state for _, booking in bookings} >= {"approved", "reversed"}
    for issuer, booking in bookings:
        terminal, _, amount_minor = booking.key
        assert issuer.has_booked(terminal, amount_minor, "another")
        assert issuer.has_booked("another", 0, booking.rrn)
        assert not issuer.has_booked(terminal, amount_minor + 1_000, "another")
