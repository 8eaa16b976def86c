"""A terminal takes a payment back and is told yes, and its issuer says that it does not know it: who tells of it."""

from __future__ import annotations

import asyncio
import json
import weakref

import pytest
from typer.testing import CliRunner

from switch.admin.saf import saf_routes
from switch.admin.server import AdminServer
from switch.cli.reversals import app
from switch.config import Address
from switch.journal.boot import boot_identity
from switch.saf.owed_entries import close_entry
from switch.server.saf import SafDesk
from tests.ext.test_booking_horizon import HORIZON_S, PAUSE_MAX_S, let_pass
from tests.ext.world import START_S, change, purchase, reversal
from tests.switch.test_admin import Daemon
from tests.switch.test_tracing import Lived

PROMISED = "1 of them: the terminal was told that its payment is taken back, and the issuer does not find it."


@pytest.fixture
def lived(tmp_path):
    one = Lived(tmp_path)
    yield one
    one.world.settle()
    one.end()


def in_vain(lived):
    """An approval that its terminal takes back, of which the issuer then knows nothing: what the issuer was asked."""
    request, asked = lived.pay()
    lived.terminal.send(reversal(lived.world, request))
    assert lived.terminal.read_one()["39"] == "00"
    lived.settle()
    lived.issuer.answer(lived.issuer.read_one(), "25")
    lived.settle()
    return asked


def wall_s(lived):
    """What its wall clock shows."""
    return START_S + lived.world.now_s


def by_the_journal(lived, *options):
    """What the command says when no daemon runs."""
    lived.journal.commit()
    arguments = ["list", str(lived.folder / "switch.toml"), "--directory", str(lived.folder / "journal"), *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def by_the_daemon(lived, *options):
    """What it says of a daemon that does."""

    async def ask():
        desk = SafDesk(lived.world.engine, lived.world.stats, lambda: True)
        routes = saf_routes(weakref.proxy(desk))
        server = AdminServer(lived.world.stats, Daemon(), Address("127.0.0.1", 0), routes=routes)
        await server.start()
        result = await asyncio.to_thread(CliRunner().invoke, app, ["list", "--admin", str(server.address), *options])
        await server.stop()
        return result

    result = asyncio.run(ask())
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("ask", [by_the_journal, by_the_daemon])
def test_the_list_says_so(lived, ask):
    asked = in_vain(lived)
    (entry,) = json.loads(ask(lived, "--json"))["owed"]
    assert (entry["rrn"], entry["cause"], entry["not_found"]) == (asked["37"], "terminal", 1)
    output = ask(lived)
    assert "terminal, and told yes; not found by the issuer (25), 1 time" in output
    assert PROMISED in output
    assert "authswitch reversals close" in output


@pytest.mark.parametrize("ask", [by_the_journal, by_the_daemon])
def test_the_list_says_nothing_of_the_kind_of_a_timeout(lived, ask):
    """Nobody was promised anything, and the issuer is right not to know a request that never came to it."""
    lived.terminal.send(purchase(lived.world))
    lived.issuer.read_one()
    lived.world.advance(15.1)
    lived.issuer.answer(lived.issuer.read_one(), "25")
    output = ask(lived)
    assert "timeout; not found by the issuer (25), 1 time" in output
    assert "of them" not in output


def test_the_trace_says_so_until_an_operator_closes_it(lived):
    rrn = in_vain(lived)["37"]
    judged, one = lived.verdict(rrn)
    assert judged["code"] == "reversal_under_way"
    assert "which the issuer does not find (25), 1 time so far, though the terminal was told" in judged["words"]
    assert judged["money"] == (
        "not certain: ask the issuer whether the charge stands; the reversal is sent until the issuer acknowledges it "
        "or an operator closes it; the merchant is not credited"
    )
    assert any(step["record"] == "UNFOUND" for step in one["steps"])
    let_pass(lived.world, lived.issuer, HORIZON_S + 2 * PAUSE_MAX_S, "25")
    assert lived.verdict(rrn)[0]["code"] == "reversal_under_way", "the issuer had approved it"
    lived.restart()
    assert lived.verdict(rrn)[0]["code"] == "reversal_under_way"
    lived.world.advance(1)
    for attempt in lived.issuer.read():
        lived.issuer.answer(attempt, "25")
    close_entry(lived.world.engine.state, rrn=rrn, name="Mei Lin", reason="not charged")
    judged, _ = lived.verdict(rrn)
    assert judged["code"] == "reversal_closed"
    assert "closed by Mei Lin" in judged["words"]
    assert judged["words"].endswith("because not charged; the issuer did not find it (25)")


def test_the_trace_of_a_payment_that_nobody_knows(lived):
    """It is asked for as long as it may be booked; then it is not certain what the card's holder paid."""
    never = purchase(lived.world)
    lived.terminal.send(change(reversal(lived.world, never), f37=None))
    lived.settle()
    assert lived.terminal.read_one()["39"] == "00"
    for wanted in lived.world.engine.take_wanted():
        lived.world.engine.settle(wanted, None)
    lived.settle()
    attempt = lived.issuer.read_one()
    lived.issuer.answer(attempt, "25")
    judged, _ = lived.verdict(attempt["37"])
    assert judged["words"].startswith("a terminal's own reversal, accepted, delivered at ")
    assert ", of a payment that is not known here; " in judged["words"]
    assert "; reversal under way since" in judged["words"]
    assert "or until the issuer can no longer book it" in judged["money"]
    assert PROMISED in by_the_journal(lived)
    let_pass(lived.world, lived.issuer, HORIZON_S + 2 * PAUSE_MAX_S, "25")
    assert lived.world.engine.owed == 0
    judged, _ = lived.verdict(attempt["37"])
    assert judged["code"] == "reversed"
    assert "since the issuer does not find it (25)" in judged["words"]
    assert judged["money"].startswith("not certain: ")


class TestAges:
    """How long something is owed, by the journal alone."""

    @pytest.fixture
    def clocks(self, monkeypatch):
        """Set the clocks that the command looks at."""

        def set_to(*, wall_s, boot_s, boot=None):
            monkeypatch.setattr("switch.tracing.owed.time.time", lambda: wall_s)
            monkeypatch.setattr("switch.tracing.owed.since_boot_ns", lambda: round(boot_s * 1e9))
            monkeypatch.setattr("switch.tracing.owed.boot_identity", lambda: boot or boot_identity())

        return set_to

    def age_s(self, lived):
        (entry,) = json.loads(by_the_journal(lived, "--json"))["owed"]
        return entry["age_seconds"]

    @pytest.mark.parametrize("set_s", [0, -86_400, 31_536_000])
    def test_a_wall_clock_that_is_set_changes_none(self, lived, clocks, set_s):
        in_vain(lived)
        (entry,) = json.loads(by_the_daemon(lived, "--json"))["owed"]
        stored_s = lived.world.now_s - entry["age_seconds"]
        lived.world.advance(500, step=5)
        clocks(wall_s=wall_s(lived) + 100 + set_s, boot_s=lived.world.now_s + 100)
        assert self.age_s(lived) == pytest.approx(lived.world.now_s + 100 - stored_s, abs=2.2)

    def test_behind_another_boot_a_day_is_believed(self, lived, clocks):
        in_vain(lived)
        clocks(wall_s=wall_s(lived) + 3_600, boot_s=5, boot="another")
        assert self.age_s(lived) == pytest.approx(3_600, abs=4)
        clocks(wall_s=wall_s(lived) + 31_536_000, boot_s=5, boot="another")
        assert self.age_s(lived) == pytest.approx(86_400, abs=4)
        clocks(wall_s=wall_s(lived) - 31_536_000, boot_s=5, boot="another")
        assert self.age_s(lived) == pytest.approx(0, abs=4)

    def test_what_is_asked_again_because_it_may_be_booked_is_not_overdue(self, lived, clocks):
        with (lived.folder / "switch.toml").open("a") as config:
            config.write("reversal = { alert_seconds = 60 }\n")
        in_vain(lived)
        for seconds, is_overdue in ((HORIZON_S - 60, False), (HORIZON_S + 60, True)):
            clocks(wall_s=wall_s(lived) + seconds, boot_s=lived.world.now_s + seconds)
            (entry,) = json.loads(by_the_journal(lived, "--json"))["owed"]
            assert entry["overdue"] == is_overdue
