"""Workers of one machine find each other; who calls and is none of them is sent away, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct

import pytest
import structlog

from switch.io.connection import Reactor
from switch.machine.journal_interface import Journal
from switch.mesh.hand_over import offer
from switch.mesh.record_values import decode_record
from switch.server import mates
from switch.server.introduction import OTHER_VERSION, Introduction, StrangerError, agreement
from switch.server.mates import RING_BYTES, Mates
from switch.server.place import Place, owned_by
from tests.ext.mesh_records import written
from tests.ext.mesh_world import COUNT, Pair
from tests.ext.test_mesh_ring import held
from tests.ext.world import link

WORKERS = 2
OWNED_BY = tuple(tuple(owned_by(number, WORKERS, COUNT)) for number in range(WORKERS))
EPOCH = 7
LIFE = 5
BEGAN = 100
OWNED = {1: (EPOCH, LIFE, BEGAN)}
OUTPUT_BYTES_MAX = 1 << 16
DEADLINE_SECONDS = 10.0


def own_journal(epoch=EPOCH):
    """As one that has lived before."""
    journal = Journal()
    journal.live({epoch: (LIFE, BEGAN)})
    return journal


class Machine:
    """Two workers in one process, each with its part in finding the other."""

    def __init__(self, folder):
        self.folder = folder
        self.pair = Pair(OWNED_BY, links=[link("bank-a", "iso87-ascii")], routes=["6,,,,,,bank-a:1"])
        self.pair.part()
        loop = asyncio.get_running_loop()
        self.config = self.pair.first.config
        self.peers = [worker.peer for worker in self.pair.workers]
        places = [
            Place(number, WORKERS, COUNT, worker.stats, (), folder) for number, worker in enumerate(self.pair.workers)
        ]
        self.mates = [
            Mates(place, Reactor(worker.engine, loop, OUTPUT_BYTES_MAX), [worker.peer])
            for place, worker in zip(places, self.pair.workers, strict=True)
        ]
        self.introductions = [
            Introduction(
                self.config, place, COUNT, {number: own_journal() for number in place.owned}, worker.engine.mesh.heard
            )
            for place, worker in zip(places, self.pair.workers, strict=True)
        ]

    def hello(self, **changes):
        """What worker 1 says."""
        says = {"worker": 1, "partitions": COUNT, "digest": agreement(self.config)}
        return written("hello", says | {"node": self.config.switch.name, "owned": OWNED, "asks": False} | changes)

    async def call(self):
        """A connection to worker 0, as anybody of this user can have it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, str(self.folder / "0.socket"))
        return connection

    async def stop(self):
        for one in reversed(self.mates):
            await one.stop()


async def until(condition):
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - it is asked of what others do
            await asyncio.sleep(0.005)


async def is_ended(connection):
    """Wait until the other side has closed it."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.get_running_loop().sock_recv(connection, 1) == b""


@pytest.fixture
async def machine(tmp_path):
    one = Machine(tmp_path)
    with structlog.testing.capture_logs() as one.log:
        await one.mates[0].start(one.introductions[0])
        before = held()
        yield one
        await one.mates[1].stop()
        await until(lambda: not one.peers[0].is_up)
        assert held() == before, "nothing stays open of who called"
        await one.mates[0].stop()


async def meet(machine):
    await machine.mates[1].start(machine.introductions[1])
    await until(lambda: all(peer.is_up for peer in machine.peers))


async def test_workers_meet_and_meet_again(machine):
    await meet(machine)
    assert [one.missing() for one in machine.mates] == [[], []]
    await machine.mates[1].stop()
    await until(lambda: not machine.peers[0].is_up)
    assert [one.missing() for one in machine.mates] == [[1], [0]]
    await meet(machine)


NOT_ITS_OWN = "worker {} of node test owns other partitions than it says"
STRANGERS = {
    "another version": ({"digest": bytes(32)}, OTHER_VERSION),
    "other partitions": ({"partitions": COUNT + 1}, f"it has {COUNT + 1} partitions instead of {COUNT}"),
    "more than its own": ({"owned": {0: (1, 1, 0), 1: (1, 1, 0)}}, NOT_ITS_OWN.format(1)),
    "somebody else's": ({"owned": {0: (1, 1, 0)}}, NOT_ITS_OWN.format(1)),
    "none": ({"owned": {}}, NOT_ITS_OWN.format(1)),
    "a number that there is not": (
        {"worker": 2, "owned": {2: (1, 1, 0)}},
        NOT_ITS_OWN.format(2),
    ),
    "another node": ({"node": "b"}, "node b is not in the configuration"),
    "itself": ({"worker": 0, "owned": {0: (1, 1, 0), 2: (1, 1, 0)}}, "that worker does not call here"),
}


async def refused(machine, said):
    """Call, hand over rings and say something; the reason of the refusal that is logged."""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(await machine.call())
        pair = offer(connection, RING_BYTES)
        stack.callback(pair.close)
        assert pair.outgoing.put(said)
        pair.wake_peer()
        await is_ended(connection)
    return machine.log[-1]


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_who_is_no_worker_of_this_daemon_is_refused(machine, stranger):
    changes, reason = STRANGERS[stranger]
    line = await refused(machine, machine.hello(**changes))
    assert (line["event"], line["reason"]) == ("a worker's call was refused", reason)
    assert not machine.peers[0].is_up
    await meet(machine)


# --- of journals ------------------------------------------------------------------------------------------------------


def journal_said(epoch=EPOCH, life=LIFE, position=BEGAN, partition=1):
    return written("journal", {"partition": partition, "epoch": epoch, "life": life, "position": position})


async def heard_by(pair, size):
    """So many bytes that are said to us."""
    heard = b""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(heard) < size:
            heard += pair.incoming.get(size - len(heard))
            await asyncio.sleep(0)
    return heard


def journals_in(said):
    """The records of journals behind a HELLO."""
    found = []
    while said:
        kind, values, size = decode_record(said)
        found.append((kind, values))
        said = said[size:]
    assert [kind for kind, _ in found] == ["hello", *["journal"] * (len(found) - 1)]
    return [values for _, values in found[1:]]


@contextlib.asynccontextmanager
async def called(machine, said):
    """Worker 0 called by somebody who says something; the rings."""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(await machine.call())
        pair = offer(connection, RING_BYTES)
        stack.callback(pair.close)
        assert pair.outgoing.put(said)
        pair.wake_peer()
        yield pair


async def have_a_newer_one_heard_of(machine, **changes):
    """Worker 1, as its successor will have been, says how far it is."""
    async with called(machine, machine.hello() + journal_said(**changes)):
        await until(lambda: machine.peers[0].is_up)
        newest = machine.pair.workers[0].engine.mesh.heard.newest
        wanted = {"epoch": EPOCH, "life": LIFE, "position": BEGAN, **changes}
        await until(lambda: newest(1) == (wanted["epoch"], wanted["life"], wanted["position"]))
    await until(lambda: not machine.peers[0].is_up)


OLDER = {
    "an earlier epoch": ((EPOCH, LIFE, BEGAN), {"epoch": EPOCH + 1}, f"epoch {EPOCH} is older than {EPOCH + 1}"),
    "another life": ((EPOCH, LIFE + 1, BEGAN), {}, f"two journals have epoch {EPOCH}"),
    "an earlier end": (
        (EPOCH + 1, 1, BEGAN + 8),
        {"position": BEGAN + 9},
        f"it ended at position {BEGAN + 8}, and {BEGAN + 9} was durable before",
    ),
}


@pytest.mark.parametrize("case", OLDER)
async def test_an_older_journal_is_refused_and_told_what_is_newer(machine, case):
    own, heard, reason = OLDER[case]
    await have_a_newer_one_heard_of(machine, **heard)
    async with called(machine, machine.hello(owned={1: own})) as pair:
        await until(lambda: machine.log[-1]["event"] == "a worker's call was refused")
        assert machine.log[-1]["reason"].startswith(f"partition 1: {reason}: two believe")
        said = pair.incoming.get(1 << 16)
    assert journals_in(said) == [{"partition": 1, "epoch": EPOCH, "life": LIFE, "position": BEGAN, **heard}]
    assert not machine.peers[0].is_up


@pytest.mark.parametrize("own", [(EPOCH, LIFE, BEGAN), (EPOCH + 1, 1, BEGAN + 9), (EPOCH + 3, 1, BEGAN + 50)])
async def test_who_has_all_that_was_heard_of_is_believed_whatever_its_clock(machine, own):
    await have_a_newer_one_heard_of(machine, position=BEGAN + 9)
    async with called(machine, machine.hello(owned={1: own})):
        await until(lambda: machine.peers[0].is_up)


async def test_one_that_only_asks_is_told_and_believed_nothing(machine):
    await meet(machine)
    await have_heard(machine, position=BEGAN + 3)
    async with called(machine, machine.hello(owned={1: (EPOCH + 5, 1, 0)}, asks=True)) as pair:
        size = len(machine.introductions[0].hello()) + len(journal_said())
        (journal,) = journals_in(await heard_by(pair, size))
    assert journal == {"partition": 1, "epoch": EPOCH, "life": LIFE, "position": BEGAN + 3}
    assert machine.peers[0].is_up, "the connection that there is stays"
    assert machine.pair.workers[0].engine.mesh.heard.newest(1) == (EPOCH, LIFE, BEGAN + 3)


async def have_heard(machine, **changes):
    """Worker 0 has heard of the journal of worker 1, over the connection that stands."""
    engine = machine.pair.workers[0].engine
    engine.hear(machine.peers[0], journal_said(**changes))
    assert machine.peers[0].fault is None


@pytest.mark.parametrize("case", [{"epoch": EPOCH + 1}, {"life": LIFE + 1}])
async def test_who_hears_before_it_begins_that_it_is_older_calls_nobody(machine, case):
    await meet(machine)
    await machine.mates[1].stop()
    await have_heard(machine, **case)
    await machine.mates[1].ask(machine.introductions[1])
    with pytest.raises(StrangerError, match=r"the journal of partition \[1\] here is an older copy"):
        machine.introductions[1].hello()


async def test_who_asks_and_is_not_older_begins(machine):
    await meet(machine)
    await machine.mates[1].stop()
    await have_heard(machine, position=BEGAN + 40)  # in the same life
    await machine.mates[1].ask(machine.introductions[1])
    await meet(machine)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (written("ping", {"token": 1}), "it does not say who it is"),
        (b"GET / HTTP/1.1\r\n\r\n", "what it says is no HELLO"),
        (struct.pack("<IBBH", 8, 1, 0, 0) + bytes(64), "what it says is no HELLO"),
        (struct.pack("<IBBH", 0, 1, 0, 0), "what it says is no HELLO"),
        (struct.pack("<IBBH", 16, 1, 0, 0) + bytes(8), None),
        (struct.pack("<IBBH", 24, 99, 0, 0) + bytes(16), None),
    ],
    ids=["another record", "text", "a head alone", "no size", "too short", "no type"],
)
async def test_what_is_no_greeting_is_refused(machine, said, reason):
    line = await refused(machine, said)
    assert line["event"] == "a worker's call was refused"
    assert line["reason"] == reason if reason else line["reason"].startswith("mesh: ")
    await meet(machine)


@pytest.mark.parametrize(
    "said", [b"", b"\x40\0\0\0", struct.pack("<IBBH", 96, 1, 0, 0)], ids=["nothing", "half", "head"]
)
async def test_who_does_not_say_who_it_is_is_not_waited_for(machine, monkeypatch, said):
    monkeypatch.setattr(mates, "HELLO_SECONDS", 0.05)
    line = await refused(machine, said)
    assert line["reason"] == "it did not say who it is"


async def test_who_hands_nothing_over_is_not_waited_for(machine, monkeypatch):
    monkeypatch.setattr(mates, "HELLO_SECONDS", 0.05)
    with await machine.call() as connection:
        await is_ended(connection)
    assert machine.log[-1]["reason"] == "it did not say who it is"


async def test_who_hands_over_something_else_is_refused(machine):
    with await machine.call() as connection:
        connection.send(b"ASWRINGS")
        await is_ended(connection)
    assert machine.log[-1]["reason"].startswith("hand-over of rings: needed 4 descriptors, got 0")


async def test_who_closes_at_once_is_forgotten(machine):
    (await machine.call()).close()
    await until(lambda: machine.log)
    assert machine.log[-1]["reason"] == "the peer has closed the connection before it handed over rings"


async def test_a_second_call_takes_the_place_of_the_first(machine):
    await meet(machine)
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(await machine.call())
        pair = offer(connection, RING_BYTES)
        stack.callback(pair.close)
        pair.outgoing.put(machine.hello())
        pair.wake_peer()
        await until(lambda: any(line.get("reason") == "it has called again" for line in machine.log))
        assert machine.peers[0].is_up
    # Who was there before has heard of its end, and calls again.
    await until(lambda: [line["event"] for line in machine.log].count("worker connected") >= 5)
    await until(lambda: all(peer.is_up for peer in machine.peers))


async def test_workers_are_heard_again_after_descriptors_were_short(machine, monkeypatch):
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [OSError(errno.EMFILE, "Too many open files")] * 3
    monkeypatch.setattr(mates, "AGAIN_SECONDS_MAX", 0.01)

    async def short(listening):
        if failures:
            raise failures.pop()
        return await accept(listening)

    await machine.mates[0].stop()
    monkeypatch.setattr(loop, "sock_accept", short)
    await machine.mates[0].start(machine.introductions[0])
    await meet(machine)
    assert not failures
