"""Who asks for reversals of payments that never were takes no room from payments, nor their turn from reversals."""

from __future__ import annotations

import pytest

from switch.config.models import LimitsSection
from switch.path.engine import full_tables
from tests.ext.journal_world import JournalWorld
from tests.ext.world import CARD, LINKS, ONE_ROUTE, VISA, change, link, original_data, purchase, reversal

FLOODER, STRANGER = "10000003", "10000002"
OF_FLOODER = {"f41": FLOODER, "f42": "898000000000002"}
OF_STRANGER = {"f41": STRANGER}
SMALL = {"reversals_max": 80, "terminal_share_percent": 25}
DEFAULT = {"reversals_max": LimitsSection.model_fields["reversals_max"].default, "terminal_share_percent": 25}


def bogus(world, **fields):
    """A reversal of a payment that never was."""
    return reversal(world, purchase(world, **fields))


def codes(line, requests):
    """What the terminal is told of each."""
    told = []
    for request in requests:
        line.send(request)
        told.append(line.read_one()["39"])
    return told


def drain(world, issuer):
    """The issuer knows none of the originals, until nothing is owed."""
    while world.engine.owed:
        world.tick()
        for one in issuer.read():
            issuer.answer(one, "25")


@pytest.mark.parametrize(("limits", "times"), [(SMALL, 200), (DEFAULT, 3_000)])
def test_reversals_of_payments_that_never_were_leave_room_for_payments(make_world, limits, times):
    world = make_world(limits=limits | {"duplicate_window_count_max": 1_000_000})
    flooder, stranger = world.terminal(), world.terminal()
    told = codes(flooder, (bogus(world, **OF_FLOODER) for _ in range(times)))
    accepted = told.count("00")
    assert told == ["00"] * accepted + ["96"] * (times - accepted)
    room = limits["reversals_max"]
    assert accepted <= room // 4 * 25 // 100
    if limits is SMALL:
        assert world.count("refused_at_limit_total", limit="terminal_reversals") == times - accepted
    assert full_tables(world.engine.state) == []
    issuer = world.issuer()
    for _ in range(16):
        stranger.send(purchase(world, **OF_STRANGER))
        (asked,) = [one for one in issuer.read() if one["t"] == "0200"]
        issuer.answer(asked)
        assert stranger.read_one()["39"] == "00"


def test_what_was_acknowledged_leaves_its_terminal_room(make_world):
    """A terminal has its share of what is owed now, not of what it has ever asked for."""
    world = make_world(limits=SMALL | {"duplicate_window_count_max": 1_000_000})
    line, issuer = world.terminal(), world.issuer()
    for _ in range(SMALL["reversals_max"]):
        assert codes(line, [bogus(world, **OF_FLOODER)]) == ["00"]
        issuer.answer(issuer.read_one())
        world.tick()
        assert world.engine.owed == 0


def test_many_terminals_together_get_a_quarter_of_the_store(make_world):
    world = make_world(limits=SMALL | {"terminal_share_percent": 100}, links=LINKS[:1], routes=ONE_ROUTE)
    line = world.terminal()
    told = codes(line, (bogus(world, **fields) for _ in range(30) for fields in (OF_FLOODER, OF_STRANGER)))
    assert told == ["00"] * 20 + ["96"] * 40
    assert world.count("refused_at_limit_total", limit="unknown_reversals") == 40
    assert full_tables(world.engine.state) == []


def test_one_link_does_not_take_what_others_need(make_world):
    world = make_world(limits=SMALL | {"terminal_share_percent": 100})
    line = world.terminal()
    told = codes(line, (bogus(world, **OF_FLOODER) for _ in range(30)))
    assert told.count("00") == 10
    assert world.count("refused_at_limit_total", limit="link_reversals") == 20
    assert codes(line, [bogus(world, f2=VISA, **OF_STRANGER)]) == ["00"]


def test_all_links_together_get_a_quarter_of_the_store(make_world):
    links = [link(name, "iso87-ascii") for name in ("bank-a", "bank-b", "bank-c")]
    routes = ["6,,,,,,bank-a:1", "4,,,,,,bank-b:1", "5,,,,,,bank-c:1"]
    world = make_world(limits=SMALL | {"terminal_share_percent": 100}, links=links, routes=routes)
    cards = (CARD, VISA, "5555555555554444")
    told = codes(world.terminal(), (bogus(world, f2=card, **OF_FLOODER) for _ in range(30) for card in cards))
    assert 0 < told.count("00") <= SMALL["reversals_max"] // 4


def test_payments_can_be_taken_back_when_no_more_are_accepted(make_world):
    world = make_world(limits={"reversals_max": 16}, links=LINKS[:1], routes=ONE_ROUTE)
    issuer, line = world.issuer(), world.terminal()
    paid = [purchase(world) for _ in range(16)]
    for request in paid:
        line.send(request)
        issuer.answer(issuer.read_one())
        assert line.read_one()["39"] == "00"
    issuer.close()
    assert codes(line, (reversal(world, request) for request in paid[:14])) == ["00"] * 14
    issuer = world.issuer()
    issuer.read()
    assert full_tables(world.engine.state) == ["reversals_max"]
    assert line.ask(purchase(world))["39"] == "96"
    assert codes(line, (reversal(world, request) for request in paid[14:])) == ["00"] * 2
    assert world.engine.owed == 16


def test_approvals_that_wait_to_leave_count_as_what_may_have_to_be_taken_back(make_world):
    """Their terminals may hang up before they have them."""
    world = make_world(limits={"reversals_max": 16}, links=LINKS[:1], routes=ONE_ROUTE)
    issuer, line, other = world.issuer(), world.terminal(), world.terminal()
    for _ in range(14):
        line.send(purchase(world))
    questions = issuer.read()
    assert len(questions) == 14
    world.syncs = False
    for question in questions:
        issuer.answer(question)
    assert world.engine.state.transactions.in_use == 0
    other.send(purchase(world))
    world.syncs = True
    assert other.read_one()["39"] == "96"
    assert issuer.read() == []
    assert [answer["39"] for answer in line.read()] == ["00"] * 14
    assert other.send(purchase(world)) == 0
    assert len(issuer.read()) == 1


def test_a_link_that_owes_its_share_gets_no_more_payments(make_world):
    world = make_world(
        limits={"reversals_max": 64},
        links=[link("bank-a", "iso87-ascii", timeouts_to_unhealthy=10_000), LINKS[1]],
    )
    silent, other, line = world.issuer(), world.issuer("bank-b"), world.terminal()
    told = []
    for _ in range(60):
        line.send(purchase(world))
        told += [one["39"] for one in line.read()]
    assert set(told) == {"91"}
    assert 30 < 60 - len(told) < 40
    assert world.count("refused_at_limit_total", limit="link_reversals") == len(told)
    silent.read()
    line.send(purchase(world, f2=VISA))
    other.answer(other.read_one())
    assert line.read_one()["39"] == "00"


def test_reversals_of_many_terminals_take_turns(make_world):
    """Behind those that one terminal asks for another's waits for no more than a few."""
    world = make_world(
        limits={"reversals_max": 4_000},
        links=[link("bank-a", "iso87-ascii", reversal={"window": 1})],
        routes=ONE_ROUTE,
    )
    line = world.terminal()
    assert set(codes(line, (bogus(world, f4="000000000001", **OF_FLOODER) for _ in range(500)))) == {"00"}
    assert codes(line, [bogus(world, f4="000000000002", **OF_STRANGER)]) == ["00"]
    issuer = world.issuer()
    amounts = []
    for _ in range(4):
        world.tick()
        asked = issuer.read_one()
        amounts.append(asked["4"])
        issuer.answer(asked, "25")
    assert "000000000002" in amounts[:3]
    drain(world, issuer)


def test_reversals_of_our_payments_go_before_those_of_none(make_world):
    world = make_world(
        limits={"reversals_max": 4_000},
        links=[link("bank-a", "iso87-ascii", reversal={"window": 4})],
        routes=ONE_ROUTE,
    )
    issuer, line = world.issuer(), world.terminal()
    paid = [purchase(world, **OF_FLOODER) for _ in range(6)]
    for request in paid:
        line.send(request)
        issuer.answer(issuer.read_one())
        line.read_one()
    issuer.close()
    codes(line, (bogus(world, f4="000000000001", **OF_FLOODER) for _ in range(100)))
    codes(line, (reversal(world, request, **OF_FLOODER) for request in paid))
    issuer = world.issuer()
    world.tick()
    ours = 0
    asked = []
    while ours < 6:
        asked += issuer.read()
        assert world.link("bank-a").saf.strangers_at_issuer <= 2  # half of the window
        one = asked.pop(0)
        ours += one["4"] != "000000000001"
        issuer.answer(one, "00" if one["4"] != "000000000001" else "25")
        world.tick()
    assert world.link("bank-a").saf.strangers >= 95
    for one in asked:
        issuer.answer(one, "25")
    drain(world, issuer)


def test_what_is_due_again_waits_its_turn(make_world):
    world = make_world(
        links=[link("bank-a", "iso87-ascii", reversal={"window": 1, "interval_ms": 1_000})], routes=ONE_ROUTE
    )
    line, issuer = world.terminal(), world.issuer()
    codes(line, (bogus(world, f4="000000000001", **OF_FLOODER) for _ in range(20)))
    world.tick()
    for _ in range(20):
        issuer.answer(issuer.read_one(), "96")  # not now: all of them are sent again
        world.tick()
    world.advance(3)
    codes(line, [bogus(world, f4="000000000002", **OF_STRANGER)])
    amounts = []
    for _ in range(4):
        for asked in issuer.read():
            amounts.append(asked["4"])
            issuer.answer(asked, "25")
        world.tick()
    assert "000000000002" in amounts[:3]


def test_shares_go_on_after_a_restart():
    world = JournalWorld(limits=SMALL)
    line = world.terminal()
    told = codes(line, (bogus(world, **OF_FLOODER) for _ in range(12)))
    assert told.count("96") > 3
    world = world.killed(limits=SMALL)
    assert world.engine.state.saf.strangers == told.count("00")
    line = world.terminal()
    for _ in range(100):
        world.stan()  # of before the restart
    assert codes(line, [bogus(world, **OF_FLOODER)]) == ["96"]
    assert codes(line, [bogus(world, **OF_STRANGER)]) == ["00"]


def test_a_void_of_what_such_a_link_approved_gets_no_further_either(make_world):
    """It goes to the issuer of its sale, and needs room for its own reversal as any request does."""
    world = make_world(
        limits={"reversals_max": 64},
        links=[link("bank-a", "iso87-ascii", timeouts_to_unhealthy=10_000), LINKS[1]],
    )
    bank, line = world.issuer(), world.terminal()
    sale = purchase(world)
    line.send(sale)
    bank.answer(bank.read_one())
    number = line.read_one()["37"]
    told = []
    while not told:
        line.send(purchase(world))
        told += line.read()
    bank.read()
    void = change(sale, f3="020000", f11=world.stan(), f37=number, f90=original_data(sale))
    assert line.ask(void)["39"] == "91"
    assert bank.read() == []
    assert world.count("refused_at_limit_total", limit="link_reversals") == 2
