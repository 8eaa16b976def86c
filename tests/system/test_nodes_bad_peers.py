"""Whoever calls a node is believed only as far as the certificate goes, and takes nobody along whatever it does."""

import asyncio
import contextlib
import itertools
import ssl
import time

import pytest

from switch.config import load_config
from switch.machine.journal_interface import Journal
from switch.machine.partitioning import partition_of
from switch.mesh.journals_heard import JournalsHeard
from switch.mesh.record_values import decode_record, encode_record
from switch.server.introduction import Introduction
from switch.server.place import Place

from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes, is_left_unanswered, node_rows
from .terminal import Terminal
from .test_workers import SPOKEN
from .unruly import one_bank

NAME = "b/0"
LIFE, BEGAN = 1, 0
DIFFERS = "it is another version of the program"
NOT_ITS_OWN = {0: (1, LIFE, BEGAN)}
PARTITIONS = 2
FLOOD_BYTES = 64 << 20
CHUNK_RECORDS = 512
GROWTH_BYTES_MAX = 64 << 20
OWN, FAR = ([one for one in TERMINALS if partition_of(one, PARTITIONS) == number] for number in range(PARTITIONS))
REFUSED = "a node's call was refused"


@contextlib.asynccontextmanager
async def node_a(installation, new_installation):
    """Node a alone; the place of node b is free for whoever wants it."""
    async with one_bank(installation) as bank:
        nodes = Nodes(installation, new_installation(), partitions=PARTITIONS)
        daemon = nodes.daemons[0]
        try:
            await daemon.start()
            yield nodes, daemon, bank
        except BaseException:
            daemon.kill()
            raise
        await daemon.stop()


def context_of(secrets, pair=None, **versions):
    """TLS of somebody who calls with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(secrets.authority.certificate)
    if pair is not None:
        context.load_cert_chain(*pair)
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def hello_of(nodes, number, epoch=1, **changes):
    """What a node says of itself."""
    place = Place(0, 1, PARTITIONS, None, node=number, crews=(1, 1))
    journal = Journal()
    journal.live({epoch: (LIFE, BEGAN)})
    config = load_config(nodes.daemons[number].config)
    introduction = Introduction(config, place, PARTITIONS, {number: journal}, JournalsHeard(PARTITIONS))
    _, values, _ = decode_record(introduction.hello())
    return encode_record("hello", **{**values, **changes})


class Caller:
    """A connection to where node a hears others."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def call(cls, nodes, tls):
        """Call node a."""
        port = int(nodes.installations[0].nodes[0]["address"].rpartition(":")[2])
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))

    @classmethod
    async def join(cls, nodes, secrets, epoch=1):
        """Call as node b does, and be believed."""
        caller = await cls.call(nodes, context_of(secrets, secrets.nodes["b"]))
        caller.writer.write(hello_of(nodes, 1, epoch))
        await caller.kinds(1)
        caller.writer.write(encode_record("journal", partition=1, epoch=epoch, life=LIFE, position=BEGAN))
        return caller

    async def kinds(self, count):
        """The types of the next records."""
        found, heard = [], b""
        while len(found) < count:
            data = await asyncio.wait_for(self.reader.read(65_536), 10)
            assert data, "the node has closed the connection"
            heard += data
            while (record := decode_record(heard)) is not None:
                found.append(record[0])
                heard = heard[record[2] :]
        return found

    async def is_closed(self, seconds=10):
        """Whether the node ends the connection without a word."""
        try:
            return await asyncio.wait_for(self.reader.read(1), seconds) == b""
        except OSError:
            return True

    async def flood(self, chunks):
        """Send chunk after chunk, as long as it is taken, and read nothing."""
        self.writer.transport.pause_reading()
        with contextlib.suppress(OSError):
            for chunk in chunks:
                self.writer.write(chunk)
                await self.writer.drain()

    def close(self):
        """Go away."""
        self.writer.transport.abort()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def serves_its_own(installation, daemon):
    """Whether terminals of node a's partition are answered as ever."""
    async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal:
        return await terminal.code(terminal=OWN[0]) == "00"


# --- who is no node ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [slice(6), slice(6, None)], ids=["certificates", "words"])
async def test_who_has_not_the_certificate_of_a_node_is_refused(installation, new_installation, secrets, part):
    """In two parts: the log has ten such lines a second, and no more."""
    async with node_a(installation, new_installation) as (nodes, daemon, _):
        named_b = secrets.stranger.issue(f"false-b-{part.start}", "b")
        right = secrets.nodes["b"]
        old = {"maximum_version": ssl.TLSVersion.TLSv1_2}
        strangers = (
            (context_of(secrets), hello_of(nodes, 1), "peer did not return a certificate"),
            (context_of(secrets, named_b), hello_of(nodes, 1), "its certificate is not accepted"),
            (context_of(secrets, right, **old), b"", "unsupported protocol"),
            (None, b"GET / HTTP/1.0\r\n\r\n", "http request"),
            (context_of(secrets, secrets.nodes["a"]), hello_of(nodes, 1), "does not bear the name b"),
            (context_of(secrets, right), hello_of(nodes, 0), "that worker does not call here"),
            (context_of(secrets, right), hello_of(nodes, 1, node="c"), "node c is not in the configuration"),
            (context_of(secrets, right), hello_of(nodes, 1, worker=1), "owns other partitions than it says"),
            (context_of(secrets, right), hello_of(nodes, 1, owned=NOT_ITS_OWN), "owns other partitions than it says"),
            (context_of(secrets, right), hello_of(nodes, 1, digest=bytes(32)), DIFFERS),
            (context_of(secrets, right), encode_record("ping", token=1) * 9, "it does not say who it is"),
            (context_of(secrets, right), b"\xff" * 9, "what it says is no HELLO"),
        )
        for refusals, (tls, hello, reason) in enumerate(strangers[part], 1):
            with contextlib.suppress(OSError):
                async with await Caller.call(nodes, tls) as caller:
                    caller.writer.write(hello)
                    if reason == DIFFERS:  # it is said who refuses, so that the caller can tell as well
                        assert await caller.kinds(1) == ["hello"]
                    assert await caller.is_closed(), reason
            said = (await daemon.event(REFUSED, times=refusals))["reason"]
            assert reason in said.lower().replace("_", " ") or reason in said, said
        (row,) = node_rows(await daemon.status())
        assert (row["node"], row["worker"], row["connected"]) == ("b", 0, False)
        assert row["reason"] == f"its call was refused: {said}"
        assert not daemon.said("node connected")
        assert await serves_its_own(installation, daemon)


async def test_who_does_not_say_who_it_is_is_not_waited_for(installation, new_installation, secrets):
    async with node_a(installation, new_installation) as (nodes, daemon, _):
        tls = context_of(secrets, secrets.nodes["b"])
        async with contextlib.AsyncExitStack() as stack:
            silent = [await stack.enter_async_context(await Caller.call(nodes, one)) for one in (tls, tls, None)]
            silent[0].writer.write(hello_of(nodes, 1)[:-1])
            assert await serves_its_own(installation, daemon)
            async with await Caller.join(nodes, secrets):
                await daemon.event("node connected", worker=NAME)
            assert all(await asyncio.gather(*(one.is_closed() for one in silent)))
            await daemon.event(REFUSED, times=len(silent))


async def test_an_older_owner_is_told_so_and_not_believed(installation, new_installation, secrets):
    async with node_a(installation, new_installation) as (nodes, daemon, _):
        async with await Caller.join(nodes, secrets, epoch=5) as caller:
            caller.writer.write(encode_record("ping", token=1))
            while "pong" not in await caller.kinds(1):  # it has heard how far the journal is
                pass
        await daemon.event("node lost", worker=NAME)
        async with await Caller.join(nodes, secrets, epoch=4) as older:
            while not older.reader.at_eof():
                await asyncio.wait_for(older.reader.read(65_536), 10)
        assert "epoch 4 is older than 5" in (await daemon.event(REFUSED))["reason"]
        (await Caller.join(nodes, secrets, epoch=5)).close()
        await daemon.event("node connected", times=2, worker=NAME)


# --- a node that lies, floods, or says nothing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (encode_record("answer", slot=7, generation=1, frame=b"\0\0"), None),
        (encode_record("terminal_closed", slot=7, generation=1, told=0), "a terminal that it has not told of"),
        (encode_record("told", slot=7, generation=1, told=9), "a terminal that it has not told of"),
        (encode_record("terminal_open", slot=0, generation=1, listener=99, peer="", name=b""), "cannot be"),
        (encode_record("terminal_open", slot=0, generation=1, listener=0, peer="", name=b"") * 2, "twice"),
        (b"\xff" * 64, ""),
        (b"\0" * 64, ""),
        (encode_record("ping", token=1)[:4] + b"\xff" + encode_record("ping", token=1)[5:], ""),
    ],
    ids=["answer", "closed", "told", "listener", "twice", "ones", "zeros", "type"],
)
async def test_a_lie_ends_the_connection_and_nothing_else(installation, new_installation, secrets, record, reason):
    async with node_a(installation, new_installation) as (nodes, daemon, _):
        caller = await Caller.join(nodes, secrets)
        caller.writer.write(record)
        if reason is None:  # of a connection that may have ended meanwhile: passed over
            caller.writer.write(encode_record("ping", token=1))
            while "pong" not in await caller.kinds(1):
                pass
        else:
            lost = await daemon.event("node lost", worker=NAME)
            assert reason in lost["reason"]
            await caller.is_closed()
            caller = await Caller.join(nodes, secrets)
            await daemon.event("node connected", times=2, worker=NAME)
        assert await serves_its_own(installation, daemon)
        caller.close()


async def test_a_node_that_says_nothing_is_lost(installation, new_installation, secrets):
    async with node_a(installation, new_installation) as (nodes, daemon, _):
        (row,) = node_rows(await daemon.status())
        assert (row["connected"], row["reason"]) == (False, "no call yet")
        caller = await Caller.join(nodes, secrets)
        began = time.time()
        (row,) = node_rows(await daemon.status())
        assert (row["connected"], row["reason"]) == (True, None)
        assert (await daemon.event("node lost", worker=NAME))["reason"] == "it says nothing"
        caller.close()
        (row,) = node_rows(await daemon.status())
        assert (row["connected"], row["reason"]) == (False, "it says nothing")
        assert began < row["since"] <= time.time()


def again_and_again(kind, **values):
    """A flood of the same."""
    chunk = encode_record(kind, **values) * CHUNK_RECORDS
    return itertools.repeat(chunk, FLOOD_BYTES // len(chunk))


def terminals():
    """A flood of terminals that nobody has."""
    for first in range(0, 1 << 21, CHUNK_RECORDS):
        yield b"".join(
            encode_record("terminal_open", slot=slot, generation=1, listener=0, peer="127.0.0.1", name=b"n" * 200)
            for slot in range(first, first + CHUNK_RECORDS)
        )


@pytest.mark.parametrize(
    "chunks",
    [
        again_and_again("ping", token=1),
        again_and_again("link_state", link=0, state=1, connections=1),
        again_and_again("answer", slot=7, generation=1, frame=bytes(1_000)),
        terminals(),
    ],
    ids=["pings", "states", "answers", "terminals"],
)
async def test_a_flood_takes_little_memory_and_nobody_along(installation, new_installation, secrets, chunks):
    async with node_a(installation, new_installation) as (nodes, daemon, _):
        async with await Caller.join(nodes, secrets) as caller:
            before = daemon.resident_bytes
            flood = asyncio.create_task(caller.flood(chunks))
            while not flood.done():
                assert await serves_its_own(installation, daemon)
        assert await serves_its_own(installation, daemon)
        assert daemon.resident_bytes - before < GROWTH_BYTES_MAX
        await daemon.event("node lost", worker=NAME)
        (await Caller.join(nodes, secrets)).close()


async def test_what_waits_for_a_node_that_does_not_read_is_bounded(installation, new_installation, secrets):
    async with node_a(installation, new_installation) as (nodes, daemon, _):
        caller = await Caller.join(nodes, secrets)
        caller.writer.transport.pause_reading()

        async def speak():
            while True:
                caller.writer.write(encode_record("pong", token=0))
                await asyncio.sleep(0.05)

        speaking = asyncio.create_task(speak())
        before = daemon.resident_bytes
        port = daemon.ports["pos"]
        request = installation.request(SPOKEN, terminal=FAR[0])
        async with contextlib.AsyncExitStack() as stack:
            lines = [
                await stack.enter_async_context(await Terminal.connect(installation, port, SPOKEN)) for _ in "1234"
            ]
            ends = time.monotonic() + 3
            while time.monotonic() < ends and not daemon.said("node lost"):
                for line in lines:
                    line.send(*[request] * 200)
                    with contextlib.suppress(TimeoutError):  # no more is read from it
                        await asyncio.wait_for(line.writer.drain(), 0.2)
                assert await serves_its_own(installation, daemon)
        assert daemon.resident_bytes - before < GROWTH_BYTES_MAX
        speaking.cancel()
        caller.close()
        await daemon.event("node lost", worker=NAME)
        async with await Terminal.connect(installation, port, SPOKEN) as terminal:
            await is_left_unanswered(daemon, terminal, installation.request(SPOKEN, terminal=FAR[1]))
        await until(lambda: serves_its_own(installation, daemon))
