"""Approvals that come after their reversal was sent, requests that never left, and how much of both is kept."""

from __future__ import annotations

import pytest

from tests.ext.world import AT_ONCE, LINKS_AT_ONCE, ONE_ROUTE, link, purchase


@pytest.fixture
def world(make_world):
    """The usual world, whose issuers are believed at once when they do not find an original."""
    return make_world(links=LINKS_AT_ONCE)


def timed_out(world, terminal, issuer):
    """A purchase that timed out: what the issuer was asked, and its reversal."""
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(15.1)
    assert terminal.read_one()["39"] == "68"
    return asked, issuer.read_one()


def test_approval_after_a_reversal_that_was_not_found_is_reversed(world):
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(first, "25")
    assert world.engine.owed == 0
    issuer.answer(asked)
    assert world.engine.owed == 1
    second = issuer.read_one()
    assert (second["t"], second["38"], second["37"]) == ("0420", "A1B2C3", asked["37"])
    assert second["90"][4:10] == asked["11"]
    issuer.answer(second, "25")  # asked after the approval: it contradicts itself, and an operator has to see to it
    assert world.engine.owed == 1
    assert [name for name, _ in world.notes].count("reversal_not_found") == 1
    issuer.answer(asked)
    assert world.engine.owed == 1
    assert terminal.read() == []


def test_reversal_is_of_the_request_that_it_takes_back_alone(world):
    """What timed out behind it is not reversed, and has no part in that."""
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    terminal.send(purchase(world, f3="310000", f4=None))
    asked, inquired = issuer.read()
    world.advance(15.1)
    assert [one["39"] for one in terminal.read()] == ["68", "68"]
    issuer.answer(issuer.read_one(), "25")
    issuer.answer(inquired)
    assert world.engine.owed == 0
    issuer.answer(asked)
    assert world.engine.owed == 1
    assert issuer.read_one()["90"][4:10] == asked["11"]


MORE = "000000009999"


@pytest.mark.parametrize("is_owed", [True, False])
def test_approval_of_more_than_was_asked_is_taken_back_unless_it_is_not_found(world, is_owed):
    """Whoever said that, it is not known to be the request's own approval: an operator has nothing to see to."""
    terminal, issuer = world.terminal(), world.issuer()
    asked, reversed_first = timed_out(world, terminal, issuer)
    if not is_owed:
        issuer.answer(reversed_first, "25")
    issuer.answer(asked, f4=MORE)
    assert world.engine.owed == 1
    if is_owed:
        issuer.answer(reversed_first, "96")
        world.advance(11)
    issuer.answer(issuer.read_one(), "25")
    assert world.engine.owed == 0
    assert [name for name, _ in world.notes].count("reversal_not_found") == 0


@pytest.mark.parametrize("is_found", [False, True])
def test_approval_of_more_than_was_asked_leaves_the_true_one_its_word(world, is_found):
    """Nobody knows whose it is: the request's own answer is waited for as before."""
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(first, "25")
    issuer.answer(asked, f4=MORE)
    second = issuer.read_one()
    if is_found:
        issuer.answer(second)
        assert world.engine.owed == 0
    issuer.answer(asked)
    assert world.engine.owed == (0 if is_found else 1)
    if is_found:
        return
    issuer.answer(second, "25")
    world.advance(11)
    issuer.answer(issuer.read_one(), "25")
    assert world.engine.owed == 1
    assert [name for name, _ in world.notes].count("reversal_not_found") == 1


def test_what_was_sent_before_an_approval_of_more_says_nothing(world):
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(asked, f4=MORE)
    issuer.answer(first, "25")
    assert world.engine.owed == 1
    world.advance(11)
    issuer.answer(issuer.read_one(), "25")
    assert world.engine.owed == 0


def test_late_answer_without_a_response_code_does_not_end_the_wait_for_one(world):
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(first, "25")
    issuer.answer(asked, f39=None)
    assert world.engine.owed == 0
    assert world.count("link_format_errors_total") == 1
    issuer.answer(asked)
    assert issuer.read_one()["t"] == "0420"


def test_late_approval_of_a_part_is_reversed(world):
    """The issuer says once more that it does not find what it has charged by now: that counts only from there on."""
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(asked, "10", f4="000000000500")
    issuer.answer(first, "25")
    assert world.engine.owed == 1
    world.advance(11)
    second = issuer.read_one()
    assert second["90"][4:10] == asked["11"]
    issuer.answer(second)
    assert world.engine.owed == 0


def test_approval_while_the_reversal_is_at_the_issuer(world):
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(asked)
    issuer.answer(first, "25")
    assert world.engine.owed == 1
    world.advance(11)
    second = issuer.read_one()
    assert second["t"] == "0421"
    issuer.answer(second, "25")
    assert world.engine.owed == 1


@pytest.mark.parametrize("code", ["00", "94"])
def test_approval_after_a_reversal_that_was_carried_out_changes_nothing(world, code):
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(first, code)
    issuer.answer(asked)
    assert world.engine.owed == 0
    assert world.count("link_late_answers_total") == 1


@pytest.mark.parametrize("changes", [{"code": "51"}, {"f41": "10000007"}, {"mac": False}])
def test_late_answers_that_charge_nothing(world, changes):
    terminal, issuer = world.terminal(), world.issuer()
    asked, first = timed_out(world, terminal, issuer)
    issuer.answer(first, "25")
    issuer.answer(asked, **changes)
    assert world.engine.owed == 0


def test_request_that_did_not_leave_in_time_never_leaves(make_world):
    # The time-out is shorter than what a connection may wait for the journal.
    world = make_world(links=[link("bank-a", "iso87-ascii", timeout_ms=6_000)], routes=["6,,,,,,bank-a:1"])
    world.syncs = False
    terminal, issuer = world.terminal(), world.issuer()
    left, kept = purchase(world), purchase(world)
    terminal.send(left)
    world.journal.sync()
    asked = issuer.read_one()
    terminal.send(kept)
    terminal.send(purchase(world))
    world.advance(4)
    world.syncs = True
    issuer.answer(asked)
    assert len(terminal.read()) == 1
    world.advance(3)
    assert [one["39"] for one in terminal.read()] == ["91", "91"]
    assert issuer.read() == []
    assert world.engine.owed == 0
    terminal.send(purchase(world))
    assert issuer.read_one()["t"] == "0200"


def test_late_answers_of_one_link_leave_room_for_the_others(make_world):
    world = make_world(
        limits={"transactions_in_flight_max": 16},
        links=[
            link(name, "iso87-ascii", timeouts_to_unhealthy=1000, in_flight_max=16, reversal={"window": 1})
            for name in ("bank-a", "bank-b")
        ],
    )
    terminal, slow, quick = world.terminal(), world.issuer(), world.issuer("bank-b")
    codes = []
    for _ in range(8):
        terminal.send(purchase(world))
        slow.read()
        world.advance(3.9)
        codes += [one["39"] for one in terminal.read()]
    world.advance(16)
    codes += [one["39"] for one in terminal.read()]
    assert "91" in codes
    assert world.count("refused_at_limit_total", limit="late") > 0
    assert world.engine.state.transactions.in_use <= 10
    terminal = world.terminal()
    terminal.send(purchase(world, f2="4111111111111111"))
    quick.answer(quick.read_one())
    assert terminal.read_one()["39"] == "00"
    quick.close()
    slow.close()


def test_late_answers_that_matter_are_waited_for_beyond_the_limit(make_world):
    """All of these time out at once, and one in four transactions may wait for a late answer."""
    world = make_world(
        limits={"transactions_in_flight_max": 16},
        links=[link("bank-a", "iso87-ascii", timeouts_to_unhealthy=1000, reversal=AT_ONCE)],
        routes=ONE_ROUTE,
    )
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(5):
        terminal.send(purchase(world))
    oldest, *_ = issuer.read()
    world.advance(15.1)
    assert [one["39"] for one in terminal.read()] == ["68"] * 5
    for taken_back in issuer.read():
        issuer.answer(taken_back, "25" if taken_back["37"] == oldest["37"] else "00")
    assert world.engine.owed == 0
    issuer.answer(oldest)
    again = issuer.read_one()
    assert (again["t"], again["37"]) == ("0420", oldest["37"])
