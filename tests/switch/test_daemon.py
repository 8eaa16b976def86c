"""When the daemon is ready, and when it has drained: tried on state machines without sockets."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from switch.base.log_writer import LogWriter, StreamOut
from switch.server.daemon import Daemon
from tests.ext.seeking_world import sold
from tests.ext.test_originals_referred import referring
from tests.ext.world import World, purchase


def daemon_of(world, **store):
    """A started daemon whose state machine is a world's; ``keeps`` is what its journal says of what is owed."""
    log_writer = LogWriter(StreamOut(io.StringIO()))
    daemon = Daemon(world.config, world._parts([], None), log_writer)
    daemon._engine = world.engine
    daemon._states = world.engine.partitions.states
    daemon._stores = SimpleNamespace(outdated=list, **store) if store else None
    daemon._started = True
    return daemon


def test_one_link_of_two_makes_it_ready():
    world = World()
    daemon = daemon_of(world)
    assert daemon.readiness().reasons == ["no link is up, and none has stand-in: bank-a is down, bank-b is down"]
    for name in ("bank-a", "bank-b"):
        issuer = world.issuer(name)
        assert daemon.readiness()[:2] == ([], [])
        issuer.close()
    assert daemon.readiness().reasons != []


FAILURE = "the journal of partition 1 cannot be written: no disk"


def test_what_one_partition_of_several_lacks_sends_nobody_away():
    world = World(partitions=2)
    issuer = world.issuer("bank-a")
    failures = {1: [FAILURE]}
    daemon = daemon_of(world, failures=lambda: failures)
    assert daemon.readiness()[:2] == ([], [FAILURE])
    failures[0] = ["the journal of partition 0 cannot be written"]
    assert daemon.readiness()[:2] == (["the journal of partition 0 cannot be written", FAILURE], [])
    issuer.close()


def test_drain_waits_for_the_look_up_of_an_original():
    world, terminal, bank, request, _, told = sold()
    daemon = daemon_of(world, keeps=True)
    world.is_sought = False
    terminal.send(referring(world, "void", request, told))
    world.engine.drain()
    world.tick()
    assert not daemon._is_done()
    world.seek()
    bank.answer(bank.read_one())
    assert terminal.read_one()["39"] == "00"
    assert daemon._is_done()


@pytest.mark.parametrize("keeps", [True, False])
def test_drain_leaves_reversals_to_the_next_start_only_where_they_are_kept(keeps):
    world = World()
    daemon = daemon_of(world, keeps=keeps)
    terminal, bank = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    bank.close()
    world.advance(16)
    assert terminal.read_one()["39"] in ("68", "91")
    terminal.close()
    assert world.engine.owed == 1
    assert daemon._is_done() is keeps
