"""The layer between sockets and the state machine, on a transport and a loop that the test moves."""

from types import SimpleNamespace

import pytest

from switch.connection import Connection, Reactor
from switch.listener import TerminalChannel
from tests.ext.world import TerminalLine, dialect, purchase

OUTPUT_BYTES_MAX = 4096


class Loop:
    """Keeps what it shall call: the tests do it themselves."""

    def __init__(self):
        self.due = []

    def call_soon(self, callback):
        self.due.append(callback)

    def call_later(self, _delay, callback):
        self.due.append(callback)
        return self

    def cancel(self):
        """Nothing that was due is called."""


class Transport:
    """Keeps what is written; closing and reading are as the test says."""

    def __init__(self):
        self.written = []
        self.closing = False
        self.aborted = False
        self.high_water = self.low_water = None

    def set_write_buffer_limits(self, high, low):
        self.high_water = high
        self.low_water = low

    def is_closing(self):
        return self.closing

    def write(self, data):
        self.written.append(data)

    def close(self):
        self.closing = True

    def abort(self):
        self.aborted = self.closing = True

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    def get_write_buffer_size(self):
        return 0


class Wire:
    """One terminal's connection and the far end of it."""

    def __init__(self, world):
        self.world = world
        self.loop = Loop()
        self.transport = Transport()
        self.dialect = dialect("iso87-ascii")
        reactor = Reactor(world.engine, self.loop, OUTPUT_BYTES_MAX)
        listener = next(one for one in world.engine.state.listeners if one.name == "iso")
        self.connection = Connection(reactor, TerminalChannel(listener))
        self.connection.connection_made(self.transport)

    def send(self, document):
        message = TerminalLine.encode(SimpleNamespace(dialect=self.dialect), document)
        self.connection.data_received(self.dialect.framing.wrap(message))

    def flush(self):
        """Let what waits leave; the issuer's side has no transport and is left to the test."""
        self.world.sync()
        dirty = self.world.engine.state.dirty
        dirty[:] = [channel for channel in dirty if isinstance(channel.owner, Connection)]
        self.connection.reactor.flush()

    def lose(self):
        self.connection.connection_lost(None)


@pytest.fixture
def wire(world):
    wire = Wire(world)
    yield wire
    if wire.connection.channel.is_open:
        wire.lose()


def test_what_one_turn_brings_is_written_at_once(world, wire):
    issuer = world.issuer()
    for _ in range(3):
        wire.send(purchase(world))
    for asked in issuer.read():
        issuer.answer(asked)
    wire.flush()
    assert len(wire.transport.written) == 1


def test_the_transport_keeps_nothing_back(wire):
    assert (wire.transport.high_water, wire.transport.low_water) == (1, 0)


def test_an_approval_for_a_transport_that_is_closing_is_reversed(world, wire):
    issuer = world.issuer()
    wire.send(purchase(world))
    asked = issuer.read_one()
    wire.transport.closing = True
    issuer.answer(asked)
    wire.flush()
    assert wire.transport.written == []
    wire.lose()
    assert world.engine.owed == 1
    world.tick()
    issuer.answer(issuer.read_one())
    assert world.engine.owed == 0


def test_a_connection_that_is_given_up_first_gets_the_answers_that_it_waits_for(world, wire):
    issuer = world.issuer()
    wire.send(purchase(world))
    asked = issuer.read_one()
    wire.connection.data_received(b"\xff\xff")
    wire.flush()
    assert not wire.transport.closing
    issuer.answer(asked)
    wire.flush()
    assert len(wire.transport.written) == 1
    assert wire.transport.closing
    wire.lose()
    assert world.engine.owed == 0


def test_an_approval_behind_a_peer_that_does_not_read_is_reversed(world, wire):
    issuer = world.issuer()
    wire.send(purchase(world))
    wire.connection.pause_writing()
    issuer.answer(issuer.read_one())
    wire.flush()
    assert wire.transport.written == []
    world.engine.abandon_untold()
    assert wire.transport.aborted
    wire.lose()
    assert world.engine.owed == 1
    world.tick()
    issuer.answer(issuer.read_one())
