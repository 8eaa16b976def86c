"""Who floods gets a bounded number of messages handled in a turn of the loop; then the others have theirs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from switch.connection import Connection, Reactor
from switch.link import LinkChannel
from switch.listener import TerminalChannel
from tests.ext.test_connection import OUTPUT_BYTES_MAX, Loop, Transport
from tests.ext.world import IssuerLine, TerminalLine, dialect, issuer_answer, purchase

MESSAGES_A_TURN = 64
FLOOD = 1000


class Floor:
    """One loop with several connections; a turn calls what was due when it began, as a real loop does."""

    def __init__(self, world):
        self.world = world
        self.loop = Loop()
        self.reactor = Reactor(world.engine, self.loop, OUTPUT_BYTES_MAX)
        self.connections = []

    def connect(self, channel):
        connection = Connection(self.reactor, channel)
        connection.connection_made(Transport())
        self.connections.append(connection)
        return connection

    def turn(self):
        self.world.sync()
        due, self.loop.due = self.loop.due, []
        for callback in due:
            callback()

    def close(self):
        for connection in self.connections:
            if connection.transport is not None:
                connection.connection_lost(None)
        self.world.now_s = self.world.calendar.now_ns / 1e9  # the reactor went by the real clock


@pytest.fixture
def floor(world):
    built = Floor(world)
    yield built
    built.close()


def terminal(floor, world):
    return floor.connect(TerminalChannel(world.listener("iso")))


def frames(world, documents):
    spoken = dialect("iso87-ascii")
    line = SimpleNamespace(dialect=spoken)
    return b"".join(spoken.framing.wrap(TerminalLine.encode(line, document)) for document in documents)


def requests(world):
    return world.count("requests_total", listener="iso")


def test_other_terminals_wait_for_one_turn_of_a_flood_at_most(world, floor):
    flooding, patient = terminal(floor, world), terminal(floor, world)
    flooding.data_received(frames(world, (purchase(world) for _ in range(FLOOD))))
    assert requests(world) == MESSAGES_A_TURN
    patient.data_received(frames(world, [purchase(world)]))
    assert requests(world) == MESSAGES_A_TURN + 1
    floor.turn()
    assert len(patient.transport.written) == 1
    while (seen := requests(world)) < FLOOD + 1:
        floor.turn()
        assert 0 < requests(world) - seen <= MESSAGES_A_TURN


def test_a_terminal_that_floods_waits_with_its_requests_in_flight(world, floor):
    """The bound on what waits for issuers holds in the same turn."""
    floor.connect(LinkChannel(world.link("bank-a")))
    flooding = terminal(floor, world)
    limit = world.listener("iso").in_flight_max
    flooding.data_received(frames(world, (purchase(world) for _ in range(FLOOD))))
    for _ in range(5):
        assert 0 < world.engine.in_flight <= limit
        floor.turn()
    assert flooding.channel.in_flight == world.engine.in_flight == limit


def test_an_issuer_that_floods_does_not_keep_terminals_waiting(world, floor):
    link = world.link("bank-a")
    issuer = floor.connect(LinkChannel(link))
    spoken = dialect("iso87-ascii")
    stray = issuer_answer(purchase(world) | {"37": "000000000001"})
    line = SimpleNamespace(dialect=spoken, mac=True)
    issuer.data_received(spoken.framing.wrap(IssuerLine.encode(line, stray)) * FLOOD)
    handled = world.count("link_unmatched_answers_total", link="bank-a")
    assert handled == MESSAGES_A_TURN
    patient = terminal(floor, world)
    patient.data_received(frames(world, [purchase(world, f2="4111111111111111")]))
    floor.turn()
    assert len(patient.transport.written) == 1
    assert world.count("link_unmatched_answers_total", link="bank-a") <= 2 * MESSAGES_A_TURN


def test_keep_alives_count_as_messages(world, floor):
    flooding = terminal(floor, world)
    flooding.data_received(bytes(2) * FLOOD)
    assert world.count("keep_alives_total", listener="iso") == MESSAGES_A_TURN
    floor.turn()
    assert world.count("keep_alives_total", listener="iso") <= 2 * MESSAGES_A_TURN
