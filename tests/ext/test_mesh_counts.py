"""What a worker counts of the others: what they were given, what waits for them, and what had to be refused."""

from __future__ import annotations

import pytest

from switch.mesh.mesh import WAITING_MAX
from switch.server.gauges import Gauges
from tests.ext.mesh_world import COUNT, HERE, PATIENCE_MS, THERE, Pair, asked_by
from tests.ext.world import link

OTHER = {"worker": "the other"}


class Log:
    """Nothing is logged."""

    dropped = waiting = 0
    stuck_seconds = 0.0


@pytest.fixture
def pair():
    one = Pair(links=[link("bank-a", "iso87-ascii")], routes=["6,,,,,,bank-a:1"])
    yield one
    one.settle()


def counted(worker, name, labels=OTHER):
    return worker.stats.value(worker.stats.counter(f"authswitch_mesh_{name}_total", "", labels))


def refused(worker):
    """By partition."""
    return [counted(worker, "refused", {"partition": str(partition)}) for partition in range(COUNT)]


def gauged(worker):
    """Connected, frames that wait, bytes that wait."""
    Gauges(worker.engine, worker.stats, Log()).refresh()
    rules = {"connected": "min", "waiting_frames": "sum", "waiting_bytes": "sum"}
    return [
        worker.stats.value(worker.stats.gauge(f"authswitch_mesh_{name}", "", OTHER, rule))
        for name, rule in rules.items()
    ]


def test_frames_and_answers_are_counted_where_the_terminal_is(pair):
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    for _ in range(3):
        terminal.send(asked_by(pair.first, THERE))
        issuer.answer(issuer.read_one())
        pair.second.sync()
        terminal.read_one()
    terminal.send(asked_by(pair.first, HERE))
    assert (counted(pair.first, "frames"), counted(pair.first, "answers")) == (3, 3)
    assert (counted(pair.second, "frames"), counted(pair.second, "answers")) == (0, 0)


def test_what_waits_is_gauged_and_what_waits_in_vain_is_counted_by_partition(pair):
    assert gauged(pair.first) == [1, 0, 0]
    terminal = pair.first.terminal()
    pair.part()
    assert counted(pair.first, "connection_ends") == 1
    for _ in range(2):
        terminal.send(asked_by(pair.first, THERE))
    assert gauged(pair.first) == [0, 2, 0]
    assert refused(pair.first) == [0, 0, 0]
    pair.first.advance(PATIENCE_MS / 1000)
    assert terminal.read() == []
    assert gauged(pair.first) == [0, 0, 0]
    assert refused(pair.first) == [0, 0, 2]
    pair.meet()
    assert (gauged(pair.first), counted(pair.first, "connection_ends")) == ([1, 0, 0], 1)
    assert counted(pair.first, "frames") == 0


def test_what_comes_when_too_many_wait_is_counted_at_once(pair):
    pair.part()
    terminals = [pair.first.terminal() for _ in range(200)]
    sent = 0
    while sent <= WAITING_MAX:
        for terminal in terminals:
            terminal.send(asked_by(pair.first, THERE))
            sent += 1
    assert (gauged(pair.first)[1], refused(pair.first)[2]) == (WAITING_MAX, sent - WAITING_MAX)
    pair.first.advance(PATIENCE_MS / 1000)
    pair.meet()


def test_bytes_that_wait_are_gauged(pair):
    terminal = pair.first.terminal()
    pair.carries = False
    terminal.send(asked_by(pair.first, THERE))
    assert gauged(pair.first)[2] == pair.first.peer.waiting_bytes > 100
    pair.part()
    pair.meet()
