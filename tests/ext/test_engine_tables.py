"""The bounded tables at their edges: rings that wrap around, lists that are given back, the oldest that make room."""

from __future__ import annotations

import random

import pytest

from switch.machine.duplicate import DuplicateWindow
from switch.machine.saf_store import SafQueue, SafStore
from switch.machine.terminal_counts import TerminalCounts
from switch.machine.transaction import TransactionTable
from tests.ext.world import ONE_ROUTE, harmless_sides, link, purchase


@pytest.mark.parametrize(
    ("make", "least", "most"),
    [
        (TransactionTable, 1, 10_000_000),
        (lambda room: SafStore(room, TerminalCounts(1)), 1, 10_000_000),
        (lambda room: DuplicateWindow(room, 1, TerminalCounts(1), 60), 1, 50_000_000),
        (lambda room: DuplicateWindow(1, room, TerminalCounts(1), 60), 1, 50_000_000),
    ],
)
def test_rooms_have_limits(make, least, most):
    assert (make(least).room, make(least).in_use) == (1, 0)
    for room in (least - 1, most + 1):
        with pytest.raises(ValueError, match="room for"):
            make(room)


def test_pauses_of_a_queue():
    queue = SafQueue(4, 1_500, 60_000)
    assert (queue.window, queue.pause_ns, queue.pause_max_ns) == (4, 1_500_000_000, 60_000_000_000)
    assert (queue.depth, queue.at_issuer) == (0, 0)


def test_stored_answers_survive_the_end_of_the_ring(make_world, tmp_path):
    """Answers of any size, more than the ring holds, over and over: what is remembered is what was told."""
    world = make_world(
        limits={"duplicate_window_count_max": 1_500, "duplicate_window_seconds": 100}, **harmless_sides(tmp_path)
    )
    terminal, issuer = world.terminal(), world.issuer()
    dice = random.Random(4)
    told = []
    for _ in range(700):
        request = purchase(world, f48="Q" * dice.randint(1, 999), f59="P" * dice.randint(1, 999))
        terminal.send(request)
        issuer.answer(issuer.read_one(), f62="I" * dice.randint(1, 999), f63="J" * dice.randint(1, 999))
        assert terminal.read_one()["39"] == "00"
        told.append((request, terminal.raw[-1]))
        world.advance(1)
        for earlier, answer in dice.sample(told[-99:], 1):
            terminal.send(earlier)
            terminal.read_one()
            assert terminal.raw[-1] == answer
    duplicates = world.engine.state.duplicates
    assert 99 <= duplicates.in_use <= 101
    assert 300 < duplicates.held < 1_500  # what is long takes several places
    # The request as sent is stored with its answer: an approval out of the last ones can still be taken back.
    request, _ = told[-99]
    terminal.send({**request, "t": "0400", "11": world.stan(), "90": f"0200{request['11']}" + "0" * 32})
    assert terminal.read_one()["39"] == "00"
    world.tick()
    assert issuer.read_one()["4"] == request["4"]


def test_places_are_used_again_in_any_order(make_world):
    world = make_world(
        limits={"transactions_in_flight_max": 16, "duplicate_window_count_max": 8},
        links=[link("bank-a", "iso87-ascii")],
        routes=ONE_ROUTE,
    )
    terminal, issuer = world.terminal(), world.issuer()
    dice = random.Random(11)
    waiting = []
    for step in range(1_500):
        if waiting and dice.random() < 0.5:
            issuer.answer(waiting.pop(dice.randrange(len(waiting))), dice.choice(["00", "51"]))
        else:
            terminal.send(purchase(world, f4=f"{step + 1:012}"))
            waiting += issuer.read()
        for answer in terminal.read():
            assert answer["39"] in ("00", "51", "96")
        assert world.engine.state.transactions.in_use == len(waiting) <= 16
    assert len({one["11"] for one in waiting}) == len(waiting)


def test_many_reversals_acknowledged_in_any_order(make_world):
    world = make_world(
        limits={"transactions_in_flight_max": 64, "reversals_max": 256},
        links=[
            link("bank-a", "iso87-ascii", timeouts_to_unhealthy=10_000, reversal={"window": 32, "interval_ms": 1_000})
        ],
        routes=ONE_ROUTE,
    )
    terminal, issuer = world.terminal(), world.issuer()
    dice = random.Random(3)
    for _ in range(40):
        terminal.send(purchase(world))
    issuer.read()
    world.advance(15.1)
    assert world.engine.owed == 40
    waiting = issuer.read()
    acknowledged = 0
    while acknowledged < 40:
        assert world.link("bank-a").saf.at_issuer <= 32
        one = waiting.pop(dice.randrange(len(waiting)))
        if dice.random() < 0.5:
            issuer.answer(one)
            acknowledged += 1
        else:
            issuer.answer(one, "96")
            world.advance(0.1)
        waiting += issuer.read()
        while not waiting and acknowledged < 40:
            world.advance(1)
            waiting += issuer.read()
        assert world.engine.owed == 40 - acknowledged
    assert world.link("bank-a").saf.depth == 0


def test_long_messages_are_kept_apart(world):
    """A request and its translation together are longer than a block of the pool."""
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(3):
        terminal.send(purchase(world, f48="X" * 999, f59="Y" * 999))
    asked = issuer.read()
    issuer.answer(asked[0])
    issuer.answer(asked[1], "51")
    assert [one["39"] for one in terminal.read()] == ["00", "51"]
    world.advance(15.1)
    assert terminal.read_one()["39"] == "68"
    assert issuer.read_one()["11"] != asked[2]["11"]
