"""Late approvals whose reversal found no room: the next start owes it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from switch.journal.carry_forward import keep_up
from switch.journal.recovery import RecoveryFailed
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.numbers import spend_numbers
from tests.ext.test_journal_unended import LIMITS, SEGMENT_BYTES, run_on
from tests.ext.world import LINKS_AT_ONCE, link, purchase

PART = "000000000500"


def timed_out(*, is_mismatched=False, **changes):
    """A purchase that nobody answered in time, or not with what belongs to it: its world, its issuer, what that was
    asked, and the reversal."""
    world = JournalWorld(**{"links": LINKS_AT_ONCE} | changes, begins=False)
    world.begin(SEGMENT_BYTES)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    if is_mismatched:
        issuer.answer(asked, f41="10000007")
    world.advance(15.1)
    assert terminal.read_one()["39"] == "68"
    return world, issuer, asked, issuer.read_one()


def of_type(world, name):
    world.sync()
    return [record for record in records_of(world.memory)[0] if record["type"] == name]


@pytest.mark.parametrize(("is_mismatched", "cause"), [(False, "timeout"), (True, "mismatched_answer")])
def test_reversal_that_found_no_room_is_owed_by_the_next_start(is_mismatched, cause):
    world, issuer, asked, taken_back = timed_out(is_mismatched=is_mismatched)
    issuer.answer(taken_back, "25")
    spend_numbers(world)
    issuer.answer(asked)
    assert (len(of_type(world, "LATE")), len(of_type(world, "REVERSAL"))) == (1, 1)
    for _ in range(2):
        world = world.killed(links=LINKS_AT_ONCE)
        assert world.engine.owed == 1
        sent = world.issuer().read_one()
        assert (sent["t"][:3], sent["37"], sent["38"]) == ("042", asked["37"], "A1B2C3")
        assert sent["90"][4:10] == asked["11"]
    assert [record["cause"] for record in of_type(world, "REVERSAL")] == [cause, "late_approval"]


def test_so_is_that_of_an_approval_of_more_than_was_asked():
    world, issuer, asked, taken_back = timed_out()
    issuer.answer(taken_back, "25")
    spend_numbers(world)
    issuer.answer(asked, f4="000000009999")
    world.sync()
    world = world.killed(links=LINKS_AT_ONCE)
    assert world.engine.owed == 1
    issuer = world.issuer()
    issuer.answer(issuer.read_one(), "25")
    assert world.engine.owed == 0
    assert [record["cause"] for record in of_type(world, "REVERSAL")] == ["timeout", "mismatched_answer"]


def test_after_a_restart_an_approval_of_more_than_was_asked_makes_nothing_known():
    world, issuer, asked, _ = timed_out()
    issuer.answer(asked, f4="000000009999")
    world.sync()
    world = world.killed(links=LINKS_AT_ONCE)
    issuer = world.issuer()
    issuer.answer(issuer.read_one(), "25")
    assert world.engine.owed == 0


def test_it_is_owed_however_late_the_crash_comes():
    world, issuer, asked, taken_back = timed_out(limits=LIMITS)
    issuer.answer(taken_back, "25")
    world.advance(1)
    spend_numbers(world)
    issuer.answer(asked)
    issuer.close()
    run_on(world)
    after = world.killed(links=LINKS_AT_ONCE, later_s=50_000)
    assert after.engine.owed == 1
    assert after.issuer().read_one()["90"][4:10] == asked["11"]


def test_a_crash_in_the_recovery_loses_nothing():
    world, issuer, asked, taken_back = timed_out()
    issuer.answer(taken_back, "25")
    spend_numbers(world)
    issuer.answer(asked)
    world.sync()
    calls = len(world.killed(links=LINKS_AT_ONCE).memory.calls)
    for number in range(calls):
        disk = world.memory.copy()
        disk.fail_at = number
        with suppress(OSError, RecoveryFailed):
            JournalWorld(disk, now_s=world.now_s, links=LINKS_AT_ONCE)
        again = JournalWorld(disk.copy(), now_s=world.now_s + 1, links=LINKS_AT_ONCE)
        assert again.engine.owed == 1, number


@pytest.mark.parametrize("code", ["00", "94"])
def test_what_its_issuer_has_taken_back_is_not_owed(code):
    world, issuer, asked, taken_back = timed_out()
    issuer.answer(taken_back, code)
    issuer.answer(asked)
    world.sync()
    assert world.killed(links=LINKS_AT_ONCE).engine.owed == 0


def test_what_is_declined_late_is_not_owed():
    world, issuer, asked, taken_back = timed_out()
    issuer.answer(taken_back, "25")
    issuer.answer(asked, "51")
    world.sync()
    assert world.killed(links=LINKS_AT_ONCE).engine.owed == 0


def test_a_reversal_that_is_owed_anyway_is_not_owed_twice():
    world, issuer, asked, _ = timed_out()
    issuer.answer(asked)
    world.sync()
    world = world.killed(links=LINKS_AT_ONCE)
    assert world.engine.owed == 1
    issuer = world.issuer()
    issuer.answer(issuer.read_one())
    world.sync()
    assert world.killed(links=LINKS_AT_ONCE).engine.owed == 0


def test_the_part_that_was_approved_is_what_is_taken_back():
    world, issuer, asked, taken_back = timed_out()
    issuer.answer(taken_back, "25")
    spend_numbers(world)
    issuer.answer(asked, "10", f4=PART)
    (late,) = of_type(world, "LATE")
    assert (late["approved_minor"], len(of_type(world, "REVERSAL"))) == (int(PART), 1)
    assert world.killed(links=LINKS_AT_ONCE).issuer().read_one()["4"] == PART


@pytest.mark.parametrize("is_carried", [False, True])
def test_late_approval_is_known_after_its_reversal_was_written_again(is_carried):
    """Its issuer does not find then what it has approved: that waits for an operator."""
    world, issuer, asked, taken_back = timed_out()
    issuer.answer(taken_back, "96")
    issuer.answer(asked)
    if is_carried:
        keep_up(world.engine.state, world.journal, carry_records=0)
    world.sync()
    world = world.killed(links=LINKS_AT_ONCE)
    issuer = world.issuer()
    for _ in range(200):
        world.advance(1, step=0.5)
        for one in issuer.read():
            issuer.answer(one, "25")
    assert world.count("promised_reversals_not_found_total") == 1
    assert world.engine.owed == 1


def test_reversal_that_is_owed_names_the_part():
    """Written down as a whole before the part was approved, and once more since."""
    world, issuer, asked, taken_back = timed_out()
    assert taken_back["4"] == asked["4"]
    issuer.answer(asked, "10", f4=PART)
    world.sync()
    for carries in (True, False):
        world = world.killed(links=LINKS_AT_ONCE)
        again = world.issuer().read_one()
        assert (again["t"], again["4"], again["90"][4:10]) == ("0421", PART, asked["11"])
        if carries:
            keep_up(world.engine.state, world.journal, 0)
            world.sync()


@pytest.mark.parametrize("is_killed", [False, True])
def test_reversal_that_is_owed_names_the_whole_where_the_dialect_wants_it(tmp_path, is_killed):
    path = tmp_path / "whole.toml"
    path.write_text('extends = "iso87-ascii"\n[partial_approval]\nreversal_amount = "requested"\n')
    links = [link("bank-a", str(path))]
    world, issuer, asked, taken_back = timed_out(links=links, routes=["6,,,,,,bank-a:1"])
    issuer.answer(taken_back, "25")
    issuer.answer(asked, "10", f4=PART)
    if is_killed:
        world.sync()
        world = world.killed(links=links, routes=["6,,,,,,bank-a:1"])
        issuer = world.issuer()
    world.advance(60, step=1)
    again = issuer.read()[0]
    assert (again["t"], again["4"]) == ("0421", asked["4"])
