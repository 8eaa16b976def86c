"""Connections that begin with a PROXY header: cut anywhere, late, wrong, gone, or given up while they arrive."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from switch.config import Address
from switch.config.value_types import Network
from switch.server.acceptor import Acceptor
from switch.server.header_wait import HeaderRefusedError
from switch.server.peer import Peer, is_among
from tests.ext.proxy_headers import LOCAL, UNSPECIFIED, proxy_header, start

SECONDS_MAX = 10


class Taken:
    """Stands for a connection: keeps the socket as it was handed over."""

    def __init__(self, peer):
        self.peer = peer
        self.socket = None

    def open(self, fd):
        self.socket = socket.socket(fileno=fd)


class Host:
    """Whoever is welcome, and what became of them."""

    def __init__(self):
        self.taken = []
        self.parted = []

    def welcome(self, _peer):
        return True

    def receive(self, peer):
        self.taken.append(Taken(peer))
        return self.taken[-1]

    def part(self, peer, error):
        self.parted.append((peer, error))

    def run_short(self):
        raise AssertionError("nothing is short")


@contextlib.asynccontextmanager
async def accepting(seconds=SECONDS_MAX, bind="127.0.0.1", *, awaits_header=True):
    """A host, its acceptor, and a function that calls."""
    host = Host()
    acceptor = Acceptor(
        host,
        "listener[pos].bind",
        Address(bind, 0),
        backlog=64,
        context=None,
        handshake_seconds=seconds,
        awaits_header=awaits_header,
    )
    await acceptor.start()
    with contextlib.ExitStack() as stack:

        def call():
            made = stack.enter_context(socket.create_connection((acceptor.address.host, acceptor.address.port)))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made

        try:
            yield host, acceptor, call
        finally:
            acceptor.close()
            for taken in host.taken:
                taken.socket.close()


async def until(done):
    async with asyncio.timeout(SECONDS_MAX):
        # Nobody tells of it: what is looked at is what the event loop has done meanwhile.
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0)


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


STREAMS = {
    "203.0.113.7": proxy_header("203.0.113.7"),
    "2001:db8::7": proxy_header("2001:db8::7"),
}


@pytest.mark.parametrize("address", STREAMS)
async def test_header_that_is_cut_at_every_byte(address):
    header, follows = STREAMS[address], b"\x00\x04next"
    async with accepting() as (host, acceptor, call):
        for cut in range(1, len(header) + len(follows)):
            terminal = call()
            terminal.sendall((header + follows)[:cut])
            await until(lambda cut=cut: len(host.taken) + acceptor.arriving == cut)
            terminal.sendall((header + follows)[cut:])
            await until(lambda cut=cut: len(host.taken) == cut)
            taken = host.taken[-1]
            assert taken.peer == Peer(address, "127.0.0.1")
            taken.socket.settimeout(SECONDS_MAX)
            assert taken.socket.recv(len(follows), socket.MSG_WAITALL) == follows
        assert (acceptor.arriving, host.parted) == (0, [])


async def test_header_byte_by_byte():
    header = STREAMS["2001:db8::7"]
    async with accepting() as (host, _, call):
        terminal = call()
        for byte in header:
            assert not host.taken
            terminal.sendall(bytes([byte]))
            for _ in range(3):
                await asyncio.sleep(0)
        await until(lambda: host.taken)


async def test_header_and_first_frame_in_one_segment():
    """What follows is still with the kernel, whole."""
    async with accepting() as (host, _, call):
        call().sendall(STREAMS["203.0.113.7"] + b"frame" * 100)
        await until(lambda: host.taken)
        host.taken[0].socket.settimeout(SECONDS_MAX)
        assert host.taken[0].socket.recv(1 << 16) == b"frame" * 100


async def test_balancer_that_speaks_for_itself_keeps_its_address():
    async with accepting() as (host, _, call):
        call().sendall(start(LOCAL, UNSPECIFIED, 0))
        await until(lambda: host.taken)
        assert host.taken[0].peer == Peer("127.0.0.1")


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"", "PROXY header: byte 0: needed 16 more bytes, got none, the peer has closed the connection"),
        (STREAMS["203.0.113.7"][:20], "byte 20: needed 8 more bytes, got none, the peer has closed the connection"),
        (b"PROXY TCP4 ", "a PROXY header of version 1: needed version 2"),
        (b"\x00\x04next", "no PROXY header: byte 0 of its signature: needed 0D, got 00"),
    ],
)
async def test_what_is_no_header_is_refused(stream, words):
    async with accepting() as (host, acceptor, call):
        terminal = call()
        terminal.sendall(stream)
        terminal.shutdown(socket.SHUT_WR)
        await until(lambda: host.parted)
        ((peer, error),) = host.parted
        assert (peer, error.why, acceptor.arriving) == (Peer("127.0.0.1"), "header", 0)
        assert words in str(error)
        terminal.settimeout(SECONDS_MAX)
        with contextlib.suppress(ConnectionResetError):
            assert terminal.recv(1) == b""


async def test_reset_within_the_header():
    async with accepting() as (host, acceptor, call):
        terminal = call()
        terminal.sendall(b"\r\n")
        await until(lambda: acceptor.arriving)
        terminal.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        terminal.close()
        await until(lambda: host.parted)
        assert str(host.parted[0][1]) == (
            "PROXY header: byte 2: needed 14 more bytes, got none: Connection reset by peer"
        )


async def test_half_a_header_is_not_awaited_for_ever():
    before = descriptors()
    async with accepting(seconds=0.05) as (host, acceptor, call):
        terminals = [call() for _ in range(20)]
        for terminal in terminals:
            terminal.sendall(STREAMS["203.0.113.7"][:17])
        await until(lambda: len(host.parted) == 20)
        assert {error.why for _, error in host.parted} == {"late"}
        assert str(host.parted[0][1]) == "PROXY header: byte 17: needed 11 more bytes, got none, not in time"
        assert (acceptor.arriving, host.taken) == (0, [])
    assert descriptors() == before


async def test_nothing_is_left_of_what_was_given_up_while_it_arrived():
    before = descriptors()
    async with accepting() as (host, acceptor, call):
        for _ in range(20):
            call().sendall(b"\r\n\r")
        await until(lambda: acceptor.arriving == 20)
        acceptor.close()
        assert host.parted == [(Peer("127.0.0.1"), None)] * 20
        await asyncio.sleep(0)
        assert (acceptor.arriving, host.taken) == (0, [])
    assert descriptors() == before


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
@pytest.mark.asyncio
async def test_all_addresses_of_both_kinds():
    """As the production sample says; whoever calls over IPv4 is known by that address."""
    async with accepting(bind="::", awaits_header=False) as (host, acceptor, _):
        for count, address in enumerate(["127.0.0.1", "::1"], 1):
            with socket.create_connection((address, acceptor.address.port)):
                await until(lambda count=count: len(host.taken) == count and host.taken[-1].socket is not None)
                assert host.taken[-1].peer == Peer(address)


def test_error_says_whether_it_came_too_late():
    error = HeaderRefusedError("late", "words")
    assert (error.why, str(error)) == ("late", "words")


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%lo", True),
        ("::a01:203", False),
    ],
)
def test_addresses_in_networks(host, inside):
    networks = TypeAdapter(list[Network]).validate_python(["10.0.0.0/8", "2001:db8::/32", "fe80::/10"])
    assert is_among(host, networks) == inside
