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
from switch.mesh.hand_over import offer
from switch.server import mates
from switch.server.introduction import Introduction, agreement
from switch.server.mates import RING_BYTES, Mates
from switch.server.place import Place
from tests.ext.mesh_records import written
from tests.ext.mesh_world import COUNT, Pair
from tests.ext.test_mesh_ring import held
from tests.ext.world import link

WORKERS = 2
EPOCH = 7
OUTPUT_BYTES_MAX = 1 << 16
DEADLINE_SECONDS = 10.0


class Machine:
    """Two workers in one process, each with its part in finding the other."""

    def __init__(self, folder):
        self.folder = folder
        self.pair = Pair(links=[link("bank-a", "iso87-ascii")], routes=["6,,,,,,bank-a:1"])
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
            Introduction(self.config, place, COUNT, dict.fromkeys(place.owned, EPOCH)) for place in places
        ]

    def hello(self, **changes):
        """What worker 1 says."""
        says = {"worker": 1, "partitions": COUNT, "digest": agreement(self.config, COUNT)}
        return written("hello", says | {"node": self.config.switch.name, "owned": {1: EPOCH}} | changes)

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


OTHERS = "it has other listeners, links, nodes or partitions"
NOT_ITS_OWN = "worker {} of node test owns other partitions than it says"
STRANGERS = {
    "other listeners or links": ({"digest": bytes(32)}, OTHERS),
    "other partitions": ({"partitions": COUNT + 1}, OTHERS),
    "more than its own": ({"owned": {0: 1, 1: 1}}, NOT_ITS_OWN.format(1)),
    "somebody else's": ({"owned": {0: 1}}, NOT_ITS_OWN.format(1)),
    "none": ({"owned": {}}, NOT_ITS_OWN.format(1)),
    "a number that there is not": (
        {"worker": 2, "owned": {2: 1}},
        NOT_ITS_OWN.format(2),
    ),
    "another node": ({"node": "b"}, "node b is not in the configuration"),
    "itself": ({"worker": 0, "owned": {0: 1, 2: 1}}, "that worker does not call here"),
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


async def test_who_owned_a_partition_before_is_not_believed_any_more(machine):
    await meet(machine)
    line = await refused(machine, machine.hello(owned={1: EPOCH - 1}))
    assert line["reason"].startswith(f"partition 1: epoch {EPOCH - 1} is older than {EPOCH}, which has spoken here")
    assert machine.peers[0].is_up, "the present owner goes on"
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(await machine.call())
        pair = offer(connection, RING_BYTES)
        stack.callback(pair.close)
        pair.outgoing.put(machine.hello(owned={1: EPOCH + 1}))
        pair.wake_peer()
        await until(lambda: any(line.get("reason") == "it has called again" for line in machine.log))
    await until(lambda: machine.log[-1].get("reason", "").startswith(f"partition 1: epoch {EPOCH} is older"))


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
