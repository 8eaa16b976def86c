"""Between workers: who may go on is told so, nobody is told more than he needs, and nothing is left of before."""

from __future__ import annotations

import pytest

from tests.ext.mesh_world import COUNT, TERMINALS, THERE, Pair, asked_by
from tests.ext.world import DONE, FULL, link

ONE_LINK = {
    "links": [link("bank-a", "iso87-ascii")],
    "routes": ["6,,,,,,bank-a:1", "4,,,,,,bank-a:1"],
}


@pytest.fixture
def pair():
    """Each connection may have one request under way."""
    one = Pair(terminal={"requests_in_flight_max": 1}, **ONE_LINK)
    yield one
    one.settle()


@pytest.fixture
def wide():
    one = Pair(**ONE_LINK)
    yield one
    one.settle()


def fill(pair, *requests):
    """A terminal with one request under way and others behind it, unread; and nobody has anything to do."""
    terminal = pair.first.terminal()
    frames = [terminal.frame(terminal.encode(request)) for request in requests]
    assert terminal.feed(b"".join(frames)) == FULL
    assert terminal.channel.in_flight == 1
    pair.first.engine.woken()
    return terminal


def goes_on(pair, terminal):
    """Whether the terminal's connection is looked at again by itself, and what it has still to say."""
    assert terminal.channel in pair.first.engine.woken()
    return terminal.feed(b"")


# --- who waits at its limit goes on -----------------------------------------------------------------------------------


def test_a_connection_at_its_limit_goes_on_when_its_request_is_given_up(pair):
    pair.part()
    terminal = fill(pair, *(asked_by(pair.first, THERE) for _ in range(2)))
    pair.first.advance(1.1)
    assert terminal.channel.in_flight == 0
    assert goes_on(pair, terminal) == FULL
    pair.meet()


def test_a_connection_at_its_limit_goes_on_when_its_message_was_looked_at(pair):
    no_request = {**asked_by(pair.first, THERE), "t": "0210"}
    terminal = fill(pair, no_request, asked_by(pair.first, THERE))
    pair.second.engine.hear(pair.second.peer, pair.first.peer.take_output())
    pair.second.engine.woken()
    pair.first.engine.hear(pair.first.peer, pair.second.peer.take_output())
    assert terminal.channel.in_flight == 0
    assert goes_on(pair, terminal) == FULL


def test_a_connection_at_its_limit_goes_on_when_its_worker_is_lost(pair):
    terminal = fill(pair, *(asked_by(pair.first, THERE) for _ in range(2)))
    pair.part()
    assert terminal.channel.in_flight == 0
    assert goes_on(pair, terminal) == FULL
    pair.meet()


def test_an_owner_wakes_who_gave_it_a_frame(pair):
    """What it has looked at is told although nothing comes of it."""
    terminal = fill(pair, {**asked_by(pair.first, THERE), "t": "0210"}, asked_by(pair.first, THERE))
    pair.carry()
    assert terminal.channel.in_flight == 0


def test_nothing_waits_for_an_absent_worker_in_a_drain(pair):
    """Else whatever a connection has still to say is waited for, one request after the other."""
    pair.part()
    pair.first.engine.drain()
    terminal = pair.first.terminal()
    frames = [terminal.frame(terminal.encode(asked_by(pair.first, THERE))) for _ in range(5)]
    assert terminal.feed(b"".join(frames)) == DONE
    assert (terminal.channel.in_flight, pair.first.engine.at_others) == (0, 0)
    assert terminal.read() == [], "nobody is told no of what the absent worker may have approved"
    assert pair.first.count("mesh_refused_total") == 5
    pair.meet()


# --- what is said of requests under way -------------------------------------------------------------------------------


def test_a_request_is_under_way_until_its_answer_is_given(wide):
    """An answer that waits for the owner's journal is still to come."""
    terminal, issuer = wide.first.terminal(), wide.second.issuer()
    terminal.send(asked_by(wide.first, THERE))
    asked = issuer.read_one()
    wide.second.syncs = False
    issuer.answer(asked)
    terminal.send({**asked_by(wide.first, THERE), "t": "0210"})  # of which only is said that it was looked at
    wide.carry()
    assert (terminal.channel.in_flight, wide.first.engine.at_others) == (1, 1)
    wide.second.syncs = True
    wide.second.sync()
    assert terminal.read_one()["39"] == "00"
    wide.carry()
    assert (terminal.channel.in_flight, wide.first.engine.at_others) == (0, 0)


def test_what_was_said_of_requests_under_way_is_not_said_again(wide):
    terminal = wide.first.terminal()
    issuer = wide.second.issuer()
    wide.carry()
    said = []
    for type_ in ("0200", "0210", "0200", "0200", "0210", "0210"):
        terminal.send({**asked_by(wide.first, THERE), "t": type_})
        wide.second.engine.hear(wide.second.peer, wide.first.peer.take_output())
        wide.second.engine.woken()
        said.append(bool(wide.second.peer.waiting_bytes))
        wide.carry()
    assert said == [False, True, False, False, True, True]
    for asked in issuer.read():
        issuer.answer(asked)
    wide.second.sync()
    assert len(terminal.read()) == 3


# --- what is over -----------------------------------------------------------------------------------------------------


def test_nothing_of_an_earlier_connection_is_sent_on_the_next(wide):
    for worker in wide.workers:
        worker.peer.ping()
        assert worker.peer.waiting_bytes
        worker.engine.part(worker.peer)
        worker.engine.meet(worker.peer)
        assert worker.peer.waiting_bytes == 0


def test_nothing_is_decided_behind_what_cannot_be_read(wide):
    terminal, issuer = wide.first.terminal(), wide.second.issuer()
    broken = asked_by(wide.first, THERE)
    del broken["11"]
    for request in (broken, asked_by(wide.first, THERE)):
        terminal.send(request)
    wide.carry()
    assert issuer.read() == []
    assert terminal.read() == []
    assert terminal.hung_up == "message cannot be read"


# --- where answers belong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("partition", range(COUNT))
def test_the_first_and_last_stan_of_each_partition_find_it(wide, partition, is_last):
    """Also when its answer comes to another worker, which knows by the number whose it is."""
    owner, other = (wide.first, wide.second) if partition < 2 else (wide.second, wide.first)
    states = owner.engine.partitions.states
    numbering = states[partition if owner is wide.first else 0].numbering
    theirs = other.issuer()
    wide.carry()
    at = numbering.instance * numbering.span + numbering.next
    numbering.begin_behind(numbering.next - at % numbering.stan_count + numbering.stan_count - is_last)
    for _ in "ab":  # more is asked for, and given
        owner.tick()
        wide.carry()
        owner.sync()
    terminal = owner.terminal()
    terminal.send(asked_by(owner, TERMINALS[partition]))
    asked = theirs.read_one()
    assert int(asked["11"]) == numbering.stan_first + is_last * (numbering.stan_count - 1)
    theirs.answer(asked)
    owner.sync()
    assert terminal.read_one()["39"] == "00"
