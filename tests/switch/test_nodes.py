"""Workers of two machines find each other; who is none of them is sent away, whatever he has said."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from types import SimpleNamespace

import pytest
import structlog

from switch.config.mesh_sections import MeshSection, NodeSection
from switch.config.mesh_tls import mesh_context
from switch.io.connection import Reactor
from switch.mesh.record_values import decode_record, encode_record
from switch.samples.certificates import Authority
from switch.server import nodes
from switch.server.introduction import Introduction
from switch.server.nodes import Nodes
from switch.server.place import Place
from tests.ext.mesh_records import written
from tests.ext.mesh_world import COUNT, Pair
from tests.ext.world import link
from tests.switch.test_mates import own_journal, until

NAMES = ("a", "b")
EPOCH = 7
OUTPUT_BYTES_MAX = 1 << 16
RECEIVE_BYTES = 16_384
"""That a caller's socket holds."""

OUTPUT_BYTES = 4 << 20
WAIT_SECONDS_MAX = 10
LONG_SECONDS = 60
REFUSED = "a node's call was refused"
PING = written("ping", {"token": 77})


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Machines:
    """Nodes a and b in one process, each with its part in finding the other; and certificates for anybody."""

    def __init__(self, folder, crews=(1, 1)):
        self.crews = crews
        self.authority = Authority(folder, "authority")
        self.pairs = {name: self.authority.issue(name, name) for name in (*NAMES, "c")}
        self.pair = Pair(links=[link("bank-a", "iso87-ascii")], routes=["6,,,,,,bank-a:1"])
        self.pair.part()
        self.ports = [free_port() for _ in NAMES]
        sections = [
            NodeSection(name=name, address=f"127.0.0.1:{port}", workers=workers)
            for name, port, workers in zip(NAMES, self.ports, crews, strict=True)
        ]
        self.configs = [
            worker.config.model_copy(update={"nodes": sections, "mesh": self.mesh(name)})
            for name, worker in zip(NAMES, self.pair.workers, strict=True)
        ]
        self.reactors = [
            Reactor(worker.engine, asyncio.get_running_loop(), OUTPUT_BYTES_MAX) for worker in self.pair.workers
        ]
        self.peers = [worker.peer for worker in self.pair.workers]
        self.started = []

    def mesh(self, name):
        """What somebody has to show, and whom he believes."""
        pair = self.pairs[name]
        return MeshSection(
            node=name,
            certificate=pair.certificate,
            private_key=pair.private_key,
            ca=self.authority.certificate,
            silence_ms=300,
        )

    def introduction(self, node, number=0, epoch=EPOCH):
        """What a worker says of itself."""
        stats = self.pair.workers[node].stats
        place = Place(number, self.crews[node], COUNT, stats, node=node, crews=self.crews)
        journals = {owned: own_journal(epoch) for owned in place.owned}
        heard = self.pair.workers[node].engine.mesh.heard
        return place, Introduction(self.configs[node], place, COUNT, journals, heard)

    def hello(self, node, **which):
        return self.introduction(node, **which)[1].hello()

    async def start(self, node):
        """Its worker 0 listens, and calls."""
        place, introduction = self.introduction(node)
        absent = [SimpleNamespace(name="absent", is_up=False)] * (len(place.far) - 1)
        one = Nodes(self.configs[node], place, self.reactors[node], [self.peers[node], *absent])
        await one.start(introduction)
        self.started.append(one)
        return one

    async def call(self, node=0, name="b", **versions):
        """A connection to where a node hears others, by who has the certificate of that name."""
        tls = mesh_context(self.mesh(name), ssl.PROTOCOL_TLS_CLIENT)
        for version, value in versions.items():
            setattr(tls, version, value)
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.ports[node]))
        return await asyncio.open_connection(sock=connection, ssl=tls, server_hostname=NAMES[node])

    async def serve(self, name, said, **versions):
        """Stand where node a is to be heard, and say something to whoever calls."""

        async def greet(reader, writer):
            with contextlib.suppress(OSError):
                writer.write(said)
                await reader.read()
            writer.close()

        tls = mesh_context(self.mesh(name), ssl.PROTOCOL_TLS_SERVER)
        for version, value in versions.items():
            setattr(tls, version, value)
        return await asyncio.start_server(greet, "127.0.0.1", self.ports[0], ssl=tls)

    def reasons(self, event):
        return [line["reason"] for line in self.log if line["event"] == event]

    async def refusal(self, event=REFUSED):
        """The next reason of an event."""
        await until(lambda: self.reasons(event))
        return self.reasons(event)[-1]


@pytest.fixture
async def machines(tmp_path, request):
    one = Machines(tmp_path, getattr(request, "param", (1, 1)))
    with structlog.testing.capture_logs() as one.log:
        yield one
        for started in reversed(one.started):
            await started.stop()


async def records(reader, kind):
    """Wait for a record of a kind; what it says."""
    heard = b""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            while (record := decode_record(heard)) is not None:
                if record[0] == kind:
                    return record[1]
                heard = heard[record[2] :]
            data = await reader.read(65_536)
            assert data, "the node has closed the connection"
            heard += data


async def is_ended(reader):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        with contextlib.suppress(OSError):
            assert await reader.read() == b""


async def test_they_meet(machines):
    await machines.start(0)
    await machines.start(1)
    await until(lambda: all(peer.is_up for peer in machines.peers))


# --- who is called ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bears", ["b", "c"])
async def test_who_is_called_must_bear_its_nodes_name(machines, bears):
    """Although he says what node a would say."""
    server = await machines.serve(bears, machines.hello(0))
    async with server:
        await machines.start(1)
        said = await machines.refusal("worker cannot be called")
        assert said == "its certificate does not bear the name a"
        assert not machines.peers[1].is_up


@pytest.mark.parametrize("machines", [(2, 1)], indirect=True)
async def test_who_is_called_must_be_the_worker_that_was_called(machines):
    server = await machines.serve("a", machines.hello(0, number=1))
    async with server:
        await machines.start(1)
        await until(lambda: "another worker answers than was called" in machines.reasons("worker cannot be called"))
        assert not machines.peers[1].is_up


OLD = {"minimum_version": ssl.TLSVersion.TLSv1_2, "maximum_version": ssl.TLSVersion.TLSv1_2}


async def test_nobody_is_called_who_speaks_an_older_tls(machines):
    server = await machines.serve("a", machines.hello(0), **OLD)
    async with server:
        await machines.start(1)
        await machines.refusal("worker cannot be called")
        assert not machines.peers[1].is_up


async def test_nobody_is_heard_who_speaks_an_older_tls(machines):
    await machines.start(0)
    with contextlib.suppress(OSError):
        reader, writer = await machines.call(**OLD)
        writer.write(machines.hello(1))
        await is_ended(reader)
    assert "protocol" in (await machines.refusal()).lower()
    assert not machines.peers[0].is_up


# --- who calls --------------------------------------------------------------------------------------------------------


async def refused(machines, node, name, hello):
    """Call as somebody, say something, and be refused; the reason."""
    reader, writer = await machines.call(node, name)
    writer.write(hello)
    await is_ended(reader)
    writer.close()
    return await machines.refusal()


async def test_what_a_stranger_says_of_epochs_is_not_believed(machines):
    """Else whoever has any certificate of the authority could keep a node away for good."""
    await machines.start(0)
    said = await refused(machines, 0, "a", machines.hello(1, epoch=1 << 40))
    assert said == "its certificate does not bear the name b"
    await machines.start(1)
    await until(lambda: all(peer.is_up for peer in machines.peers))


async def test_a_node_is_not_called_by_those_before_it(machines):
    """It calls them itself: with two connections each could take the other's place for ever."""
    await machines.start(1)
    assert await refused(machines, 1, "a", machines.hello(0)) == "that worker does not call here"


async def test_silent_callers_make_room_for_others_in_their_order(machines, monkeypatch):
    monkeypatch.setattr(nodes, "ARRIVING_MAX", 2)
    monkeypatch.setattr(nodes, "HELLO_SECONDS", LONG_SECONDS)
    await machines.start(0)
    silent = [await asyncio.open_connection("127.0.0.1", machines.ports[0]) for _ in range(3)]
    await is_ended(silent[0][0])
    assert not silent[1][0].at_eof()
    reader, writer = await machines.call()
    writer.write(machines.hello(1))
    await is_ended(silent[1][0])
    await records(reader, "hello")
    assert not silent[2][0].at_eof()
    for _, one in (*silent, (reader, writer)):
        one.close()


# --- what is said -----------------------------------------------------------------------------------------------------


async def test_what_comes_behind_a_greeting_at_once_is_heard(machines):
    await machines.start(0)
    reader, writer = await machines.call()
    writer.write(machines.hello(1) + PING)
    assert await records(reader, "pong") == {"token": 77}
    writer.close()


async def test_who_gives_a_word_when_asked_stays(machines):
    await machines.start(0)
    reader, writer = await machines.call()
    writer.write(machines.hello(1))
    for _ in range(2 * nodes.LOOKS):
        await records(reader, "ping")
        writer.write(encode_record("pong", token=0))
    assert machines.peers[0].is_up
    writer.close()


async def test_what_was_said_is_read_before_the_end(machines, monkeypatch):
    """More than what the sockets hold, by who reads it late."""
    monkeypatch.setattr(nodes, "GOODBYE_SECONDS", LONG_SECONDS)
    started = await machines.start(0)
    reader, writer = await machines.call()
    writer.write(machines.hello(1))
    await records(reader, "hello")
    writer.transport.pause_reading()
    count = OUTPUT_BYTES // len(PING)
    for _ in range(count):
        machines.peers[0].ping()
    machines.reactors[0].turn()
    ending = asyncio.create_task(started.stop())
    await asyncio.sleep(0)
    writer.transport.resume_reading()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        heard = await reader.read()
    kinds, at = 0, 0
    while (record := decode_record(memoryview(heard)[at:])) is not None:
        kinds += record[0] == "ping"
        at += record[2]
    assert (at, kinds >= count) == (len(heard), True)
    await ending
    writer.close()
