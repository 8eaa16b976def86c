"""Links that somebody holds out: no new request goes there, what is there is finished, what is owed is sent."""

from __future__ import annotations

import pytest

from tests.ext.test_engine_stand_in import RULE
from tests.ext.test_owed import listed, owed_one
from tests.ext.world import link, purchase, reversal


@pytest.fixture
def world(make_world):
    """Cards 6 go to bank-a, then to bank-b; cards 4 to bank-b alone."""
    return make_world(
        links=[link("bank-a", "iso87-ascii"), link("bank-b", "iso87-ascii")],
        routes=["6,,,,,,bank-a:1|bank-b:2", "4,,,,,,bank-b:1"],
    )


def hold(world, what="requests", name="bank-a"):
    world.link(name).connections.hold_back(what)


def test_new_requests_go_to_the_next_link_and_come_back(world):
    terminal, first, second = world.terminal(), world.issuer("bank-a"), world.issuer("bank-b")
    hold(world)
    assert world.link("bank-a").connections.held == "requests"
    assert world.link("bank-a").connections.state_name == "up"
    terminal.send(purchase(world))
    second.answer(second.read_one())
    assert terminal.read_one()["39"] == "00"
    assert first.read() == []
    hold(world, "nothing")
    terminal.send(purchase(world))
    first.answer(first.read_one())
    assert terminal.read_one()["39"] == "00"


def test_without_another_link_it_is_told_that_the_issuer_cannot_be_asked(world):
    terminal, second = world.terminal(), world.issuer("bank-b")
    world.issuer("bank-a")
    hold(world)
    hold(world, name="bank-b")
    assert terminal.ask(purchase(world))["39"] == "91"
    assert second.read() == []
    assert world.count("refused_at_limit_total") == 0


def test_what_is_in_flight_is_finished(world):
    terminal, issuer = world.terminal(), world.issuer("bank-a")
    terminal.send(purchase(world))
    asked = issuer.read_one()
    hold(world, "all")
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"


def test_what_times_out_is_reversed_though_it_is_held(world):
    terminal, issuer = world.terminal(), world.issuer("bank-a")
    terminal.send(purchase(world))
    issuer.read_one()
    hold(world)
    world.advance(15.1)
    assert terminal.read_one()["39"] == "68"
    told = issuer.read_one()
    assert told["t"] == "0420"
    issuer.answer(told)
    assert world.engine.owed == 0


def test_what_it_is_owed_waits_where_that_is_held_with_it(world):
    terminal, issuer = world.terminal(), world.issuer("bank-a")
    _, first = owed_one(world, terminal, issuer)
    hold(world, "all")
    issuer.answer(first, "96")
    assert listed(world)[0]["state"] == "link held"
    assert listed(world)[0]["next_attempt_seconds"] is None
    world.advance(600, step=10)
    assert [one for one in issuer.read() if one["t"][1] == "4"] == []
    hold(world)
    world.advance(1)
    again = issuer.read()[-1]
    assert again["t"] == "0421"
    issuer.answer(again)
    assert world.engine.owed == 0


def test_a_terminal_takes_back_what_it_paid_there(world):
    terminal, issuer = world.terminal(), world.issuer("bank-a")
    asked = purchase(world)
    terminal.send(asked)
    issuer.answer(issuer.read_one())
    terminal.read_one()
    hold(world)
    assert terminal.ask(reversal(world, asked))["39"] == "00"
    world.tick()
    told = issuer.read_one()
    assert told["t"] == "0420"
    issuer.answer(told)
    assert world.engine.owed == 0


def test_a_repeat_gets_its_answer(world):
    terminal, issuer = world.terminal(), world.issuer("bank-a")
    asked = purchase(world)
    terminal.send(asked)
    issuer.answer(issuer.read_one())
    answer = terminal.read_one()
    hold(world, "all")
    terminal.send(asked)
    assert terminal.read_one()["38"] == answer["38"]


def test_stand_in_answers_for_it(make_world):
    world = make_world(links=[link("bank-a", "iso87-ascii", stand_in=RULE)], routes=["6,,,,,,bank-a:1"])
    terminal, issuer = world.terminal(), world.issuer("bank-a")
    hold(world)
    answer = terminal.ask(purchase(world))
    assert answer["39"] == "00"
    assert answer["38"].startswith("SI")
    world.tick()
    told = issuer.read_one()
    assert told["t"] == "0220"
    issuer.answer(told)
    assert world.engine.owed == 0


def test_a_way_to_hold_that_there_is_not_changes_nothing(world):
    with pytest.raises(KeyError):
        hold(world, "everything")
    assert world.link("bank-a").connections.held == "nothing"
