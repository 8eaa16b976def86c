"""What issuers never find: an operator closes it where nothing is booked, and nowhere else."""

from __future__ import annotations

import pytest

from .checker import NEVER_BOOKED
from .issuer import Issuer
from .options import Options
from .run import Run

pytestmark = pytest.mark.usefixtures("kept_between_runs")

NEVER_FOUND = Options(9_401_614, (0, 1), 2, Options.drawn(9_401_614).faults)
"""Of one payment two reversals were owed; the first was given up, and its issuer has never booked it."""


def closed(run: Run) -> list[str]:
    journals = [storage.records() for storage in run.acquirer.storages]
    return [record["why"] for records in journals for record in records if record["type"] == "CLOSED"]


def test_what_was_never_booked_is_closed_in_the_end():
    run = Run(NEVER_FOUND)
    result = run.execute()
    assert result.violations == []
    assert result.tally.never_booked == 1
    assert closed(run).count(NEVER_BOOKED) == 1


def test_what_is_booked_stays_owed(monkeypatch):
    monkeypatch.setattr(Issuer, "has_booked", lambda *_: True)
    result = Run(NEVER_FOUND).execute()
    assert [violation.invariant for violation in result.violations] == ["convergence"]
    assert result.tally.never_booked == 0


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
