"""One terminal does not take all that may be under way on a link."""

from __future__ import annotations

import pytest

from tests.ext.mesh_world import MERCHANTS
from tests.ext.world import World, link, purchase

PLACES = 100
PERCENT = 25
ONE, OTHER, *_ = MERCHANTS


def a_world(**limits):
    return World(
        links=[link("bank-a", "iso87-ascii", in_flight_max=PLACES)],
        routes=["6,,,,,,bank-a:1"],
        limits={"transactions_in_flight_max": 2 * PLACES, "terminal_share_percent": PERCENT, **limits},
    )


def asked_by(world, terminal):
    return purchase(world, f41=terminal, f42=MERCHANTS[terminal])


def ask_until_refused(world):
    """What one terminal sends on many connections until it is told no: what its issuer has, and the refusal."""
    asked = 0
    while True:
        line = world.terminal()
        for _ in range(8):
            line.send(asked_by(world, ONE))
            asked += 1
            if refused := line.read():
                return asked - 1, refused[0]["39"]


def test_one_terminal_has_a_share_and_another_one_is_served():
    world = a_world()
    issuer = world.issuer()
    asked, code = ask_until_refused(world)
    assert asked == pytest.approx(PLACES * PERCENT / (100 + PERCENT), abs=1)
    assert code == "96"
    assert world.count("refused_at_limit_total", limit="terminal_in_flight") == 1
    assert len(issuer.read()) == asked
    other = world.terminal()
    other.send(asked_by(world, OTHER))
    issuer.answer(issuer.read_one())
    assert other.read_one()["39"] == "00"


def test_places_are_given_back_however_a_request_ends():
    world = a_world()
    issuer = world.issuer()
    first, _ = ask_until_refused(world)
    for asked in issuer.read()[: first // 2]:
        issuer.answer(asked)
    world.advance(20)  # the others time out, and are taken back
    for _ in range(5):
        for asked in issuer.read():
            issuer.answer(asked)
        world.advance(1)
    assert world.engine.in_flight == 0
    assert ask_until_refused(world)[0] == first


def test_everything_is_one_terminals_where_nothing_is_kept_for_others():
    world = a_world(terminal_share_percent=100)
    world.issuer()
    assert ask_until_refused(world) == (PLACES, "91")
