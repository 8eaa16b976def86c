"""An issuer that does not find the original of a reversal, and books it afterwards: how long it is asked again."""

from __future__ import annotations

import pytest

from switch.saf.owed_entries import close_entry, list_entries, note_overdue
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.world import LINKS, link, purchase, reversal

HORIZON_S = 1_800
PAUSE_MAX_S = 600


def timed_out(world, terminal, issuer):
    """A purchase that timed out: what the issuer was asked, and its reversal."""
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(15.1)
    assert terminal.read_one()["39"] == "68"
    return asked, issuer.read_one()


def next_attempt(world, issuer):
    """The next message to the issuer, however long that takes; None when nothing is owed any more."""
    for _ in range(PAUSE_MAX_S // 5 * 2):
        if not world.engine.owed:
            return None
        if attempts := issuer.read():
            (attempt,) = attempts
            return attempt
        world.advance(5, step=5)
    raise AssertionError("what is owed is never sent")


def let_pass(world, issuer, seconds, code):
    """Time passes, in which the issuer answers every attempt with one code."""
    until_s = world.now_s + seconds
    while world.now_s < until_s:
        for attempt in issuer.read():
            issuer.answer(attempt, code)
        world.advance(min(5, until_s - world.now_s), step=5)


def test_not_found_ends_a_reversal_only_behind_the_horizon(world):
    terminal, issuer = world.terminal(), world.issuer()
    began_s = world.now_s
    asked, attempt = timed_out(world, terminal, issuer)
    attempts, sent_s = 0, world.now_s
    while attempt is not None:
        assert attempt["t"] == ("0421" if attempts else "0420")
        assert (attempt["37"], attempt["90"][4:10]) == (asked["37"], asked["11"])
        attempts += 1
        sent_s = world.now_s
        issuer.answer(attempt, "25")
        attempt = next_attempt(world, issuer)
    assert HORIZON_S < sent_s - began_s < HORIZON_S + 1.3 * PAUSE_MAX_S
    assert attempts > 5
    assert world.count("reversals_unfound_total", link="bank-a") == attempts - 1
    assert world.count("reversals_not_found_total", link="bank-a") == 1
    assert world.count("reversals_acknowledged_total", link="bank-a") == 1


def test_not_found_counts_by_when_its_attempt_left(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.read_one()
    issuer.close()
    while not world.engine.owed:
        world.advance(0.25)
    world.advance(HORIZON_S - 0.001, step=HORIZON_S)
    issuer = world.issuer()
    attempt = issuer.read_one()
    world.advance(0.002)
    issuer.answer(attempt, "25")
    assert world.engine.owed == 1, "what it has not found may have been booked since"
    issuer.answer(next_attempt(world, issuer), "25")
    assert world.engine.owed == 0


@pytest.mark.parametrize("later_s", [70, 600, 1_700])
def test_what_is_booked_after_it_was_not_found_is_taken_back(world, later_s):
    """The approval may come long after anybody waits for it, or never: the reversal goes out again all the same."""
    terminal, issuer = world.terminal(), world.issuer()
    asked, attempt = timed_out(world, terminal, issuer)
    booked_s = world.now_s + later_s
    while world.now_s < booked_s:
        issuer.answer(attempt, "25")
        attempt = next_attempt(world, issuer)
    assert attempt["90"][4:10] == asked["11"]
    issuer.answer(attempt)
    assert world.engine.owed == 0


def test_over_restarts():
    world = JournalWorld()
    terminal, issuer = world.terminal(), world.issuer()
    asked, attempt = timed_out(world, terminal, issuer)
    issuer.answer(attempt, "25")
    world.sync()
    for times in (1, 2):
        world = world.killed(later_s=60)
        (entry,) = list_entries(world.engine.state)[1]
        assert (entry["rrn"], entry["not_found"]) == (asked["37"], times)
        assert HORIZON_S - 200 < entry["bookable_seconds"] < HORIZON_S
        issuer = world.issuer()
        attempt = next_attempt(world, issuer)
        assert attempt["90"][4:10] == asked["11"]
        issuer.answer(attempt, "25")
        assert world.engine.owed == 1
        world.sync()
    let_pass(world, issuer, HORIZON_S + 2 * PAUSE_MAX_S, "25")
    world.sync()
    records = records_of(world.memory)[0]
    assert [one["times"] for one in records if one["type"] == "UNFOUND"][:3] == [1, 2, 3]
    (ended,) = [one for one in records if one["type"] == "REVERSED"]
    assert ended["reason"] == 23
    assert world.killed().engine.owed == 0


def test_what_is_looked_for_is_not_overdue(make_world):
    world = make_world(links=[link("bank-a", "iso87-ascii", reversal={"alert_seconds": 60}), LINKS[1]])
    terminal, issuer = world.terminal(), world.issuer()
    _, attempt = timed_out(world, terminal, issuer)
    issuer.answer(attempt, "25")
    world.advance(90)
    (entry,) = list_entries(world.engine.state)[1]
    assert (entry["not_found"], entry["overdue"], entry["cause"]) == (1, False, "timeout")
    assert note_overdue(world.engine.state)[0][1] == 0
    let_pass(world, issuer, HORIZON_S, "96")
    assert note_overdue(world.engine.state)[0][1] == 1


def test_an_entry_that_is_looked_for_keeps_its_place(make_world):
    world = make_world(limits={"reversals_max": 1})
    terminal, issuer = world.terminal(), world.issuer()
    _, attempt = timed_out(world, terminal, issuer)
    issuer.answer(attempt, "25")
    let_pass(world, issuer, HORIZON_S - 60, "25")
    assert world.terminal().ask(purchase(world))["39"] == "96"
    assert world.count("refused_at_limit_total", limit="reversals") == 1
    let_pass(world, issuer, 2 * PAUSE_MAX_S, "25")
    terminal = world.terminal()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"


class TestStans:
    """A number that an issuer may still be told of again stands for nothing else."""

    def taken(self, world, issuer, stan):
        """Whether a new purchase gets the STAN, when its turn has come."""
        world.skip_to_stan(stan)
        terminal = world.terminal()
        terminal.send(purchase(world))
        asked = issuer.read_one()
        issuer.answer(asked)
        terminal.read_one()
        return int(asked["11"]) == stan

    @pytest.mark.parametrize("dialect", ["cup", "iso87-ascii"])
    def test_is_held_while_its_reversal_is_owed(self, make_world, dialect):
        """In one dialect the reversal bears its original's STAN, in the other it names it."""
        world = make_world(links=[link("bank-a", dialect), LINKS[1]])
        terminal, issuer = world.terminal(), world.issuer()
        asked, attempt = timed_out(world, terminal, issuer)
        issuer.answer(attempt, "96")
        let_pass(world, issuer, 80, "96")  # no late answer is waited for any more
        assert not self.taken(world, issuer, int(asked["11"]))
        let_pass(world, issuer, PAUSE_MAX_S, "00")
        assert world.engine.owed == 0
        assert self.taken(world, issuer, int(asked["11"]))

    def test_is_held_over_a_restart(self):
        world = JournalWorld()
        terminal, issuer = world.terminal("iso"), world.issuer()
        asked, _ = timed_out(world, terminal, issuer)
        world.sync()
        world = world.killed()
        terminal, issuer = world.terminal("iso"), world.issuer()
        world.sync()
        issuer.read()
        world.skip_to_stan(int(asked["11"]))
        terminal.send(purchase(world, f11="000777"))
        world.sync()
        assert int(issuer.read_one()["11"]) == int(asked["11"]) + 2, "the next one is the reversal's own"

    def test_of_an_advice_is_held_over_a_restart(self):
        world = JournalWorld()
        terminal, issuer = world.terminal("iso"), world.issuer()
        assert terminal.ask(purchase(world, t="0220", f38="654321"))["39"] == "00"
        world.tick()
        told = issuer.read_one()
        world.sync()
        world = world.killed()
        terminal, issuer = world.terminal("iso"), world.issuer()
        issuer.answer(issuer.read_one(), "96")
        world.skip_to_stan(int(told["11"]))
        terminal.send(purchase(world, f11="000777"))
        world.sync()
        assert int(issuer.read_one()["11"]) == int(told["11"]) + 1


def test_promised_of_an_approval_it_is_kept_until_an_operator_closes_it():
    """The issuer has approved it, and says that it does not know it: the terminal was told that it is taken back."""
    world = JournalWorld()
    terminal, issuer = world.terminal(), world.issuer()
    bought = purchase(world)
    terminal.send(bought)
    issuer.answer(issuer.read_one())
    world.sync()
    assert terminal.read_one()["39"] == "00"
    terminal.send(reversal(world, bought))
    world.sync()
    assert terminal.read_one()["39"] == "00"
    let_pass(world, issuer, HORIZON_S + 10 * PAUSE_MAX_S, "25")
    (entry,) = list_entries(world.engine.state)[1]
    assert (entry["cause"], entry["overdue"]) == ("terminal", True)
    assert entry["not_found"] > 5
    assert len(world.told("reversal_not_found")) == 1
    assert world.count("promised_reversals_not_found_total", link="bank-a") == 1
    world.sync()
    world = world.killed(later_s=60)
    issuer = world.issuer()
    let_pass(world, issuer, 2 * PAUSE_MAX_S, "25")
    assert [one["not_found"] > entry["not_found"] for one in list_entries(world.engine.state)[1]] == [True]
    assert world.told("reversal_not_found") == [], "once is enough"
    close_entry(world.engine.state, rrn=entry["rrn"], name="Mei Lin", reason="not charged, by phone")
    world.sync()
    assert world.killed().engine.owed == 0
