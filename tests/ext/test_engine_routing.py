"""Which link a request goes to: priorities, weights, health, and failover before anything was sent."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.ext.world import CARD, VISA, link, purchase

BANKS = ("bank-a", "bank-b", "bank-c")


@pytest.fixture
def banks(make_world):
    """A world with three links of one dialect, and the routes that a test asks for."""

    def build(*routes, **changes):
        return make_world(links=[link(name, "iso87-ascii", **changes) for name in BANKS], routes=routes)

    return build


def asked_at(issuers):
    """How many requests each issuer was asked since it was looked at last."""
    return [sum(one["t"] == "0200" for one in issuer.read()) for issuer in issuers]


def test_lowest_priority_first(banks):
    world = banks("6,,,,,,bank-c:3|bank-b:2|bank-a:1")
    terminal, issuers = world.terminal(), [world.issuer(name) for name in BANKS]
    for _ in range(5):
        terminal.send(purchase(world))
    assert asked_at(issuers) == [5, 0, 0]
    issuers[0].close()
    terminal.send(purchase(world))
    assert asked_at(issuers[1:]) == [1, 0]
    issuers[1].close()
    terminal.send(purchase(world))
    assert asked_at(issuers[2:]) == [1]
    issuers[2].close()
    assert terminal.ask(purchase(world))["39"] == "91"
    back = world.issuer("bank-a")
    terminal.send(purchase(world))
    assert asked_at([back]) == [1]


def test_weights_share_one_priority(banks):
    world = banks("6,,,,,,bank-a:1*3|bank-b:1*1|bank-c:2", timeouts_to_unhealthy=10_000)
    terminal, issuers = world.terminal(), [world.issuer(name) for name in BANKS]
    share = Counter()
    for _ in range(400):
        terminal.send(purchase(world))
        for number, issuer in enumerate(issuers):
            for asked in issuer.read():
                share[number] += 1
                issuer.answer(asked)
        assert terminal.read_one()["39"] == "00"
    assert share[2] == 0
    assert 250 < share[0] < 350
    issuers[0].close()
    for _ in range(5):
        terminal.send(purchase(world))
    assert asked_at(issuers[1:]) == [5, 0]


def test_failover_when_a_link_is_full(banks):
    world = banks("6,,,,,,bank-a:1|bank-b:2", in_flight_max=2)
    terminal, issuers = world.terminal(), [world.issuer(name) for name in BANKS]
    for _ in range(3):
        terminal.send(purchase(world))
    assert asked_at(issuers) == [2, 1, 0]


def test_no_failover_after_a_request_was_sent(banks):
    world = banks("6,,,,,,bank-a:1|bank-b:2")
    terminal, first, second = world.terminal(), world.issuer("bank-a"), world.issuer("bank-b")
    request = purchase(world)
    terminal.send(request)
    first.read_one()
    first.close()
    terminal.send(request)
    world.advance(14)
    assert second.read() == []
    world.advance(2)
    assert terminal.read_one()["39"] == "68"
    assert second.read() == []
    assert terminal.ask(request)["39"] == "68"
    # What it is owed stays with the first link.
    assert (world.link("bank-a").saf.depth, world.link("bank-b").saf.depth) == (1, 0)


def test_failover_from_a_suspended_link(banks):
    world = banks("6,,,,,,bank-a:1|bank-b:2", timeouts_to_unhealthy=1)
    terminal, first, second = world.terminal(), world.issuer("bank-a"), world.issuer("bank-b")
    terminal.send(purchase(world))
    first.read()
    world.advance(15.1)
    terminal.read_one()
    assert world.link("bank-a").connections.state_name == "suspended"
    terminal.send(purchase(world))
    assert asked_at([first, second])[1] == 1


def test_routes_by_card_kind_currency_and_amount(banks):
    world = banks(
        "622500,622599,,,,,bank-b:1",
        "6,,balance_inquiry,,,,bank-c:1",
        "6,,,,100000,,bank-c:1",
        "6,,,,,,bank-a:1",
        "4,,,840,,,bank-b:1",
        "4,,,156,,,bank-c:1",
    )
    terminal, issuers = world.terminal(), [world.issuer(name) for name in BANKS]

    def goes_to(**changes):
        terminal.send(purchase(world, **changes))
        return asked_at(issuers).index(1)

    assert goes_to(f2="6225000000000014") == 1
    assert goes_to(f2="6226000000000003") == 0
    assert goes_to(f2="6226000000000003", f4="000000100000") == 2
    assert goes_to(f2="6226000000000003", f3="310000", f4=None) == 2
    assert goes_to(f2=VISA, f49="840") == 1
    assert goes_to(f2=VISA) == 2
    assert terminal.ask(purchase(world, f2=VISA, f49="978"))["39"] == "15"
    assert terminal.ask(purchase(world, f2="5555555555554444"))["39"] == "15"


def test_longest_range_first(banks):
    world = banks("6,,,,,,bank-a:1", f"{CARD},,,,,,bank-b:1", "62250000,62250000,,,,,bank-c:1")
    terminal, issuers = world.terminal(), [world.issuer(name) for name in BANKS]
    for card in (CARD, "6225000000000022", "6225010000000005"):
        terminal.send(purchase(world, f2=card))
    assert asked_at(issuers) == [1, 1, 1]


def test_link_that_cannot_write_the_request(banks):
    world = banks("6,,,,,,bank-a:1")
    terminal, issuer = world.terminal(), world.issuer("bank-a")
    # The issuer's dialect allows frames of 4096 bytes, and so does the terminal's: more cannot come in.
    terminal.send(purchase(world, **{f"f{number}": "X" * 700 for number in (46, 47, 48, 59)}))
    assert issuer.read_one()["59"] == "X" * 700
