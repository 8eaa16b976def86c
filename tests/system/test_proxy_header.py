"""Terminals behind a load balancer that says whose connection it hands on: a daemon, and headers of our own making."""

import contextlib
import socket
import ssl

import pytest
import pytest_asyncio

from tests.ext.proxy_headers import LOCAL, UNSPECIFIED, proxy_header, start

from .conftest import running
from .installation import profile_of
from .terminal import Terminal

TRUSTED = ["127.0.0.1/32", "::1"]
STRANGER = "127.0.0.7"
FROM_AFAR = proxy_header("203.0.113.7")
ADDRESSES = {"203.0.113.7": FROM_AFAR, "2001:db8::7": proxy_header("2001:db8::7")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(new_installation):
    installation = new_installation()
    bank = installation.issuer()
    own = {"certificate": installation.secrets.switch[0], "private_key": installation.secrets.switch[1]}
    installation.listener("pos", proxy_trusted=TRUSTED)
    installation.listener("tls", proxy_trusted=TRUSTED, tls=own)
    installation.listener("hasty", proxy_trusted=TRUSTED, first_message_timeout_ms=300, connections_max=20)
    installation.listener("direct")
    installation.listener("direct-ascii", dialect="iso87-ascii")
    installation.listener("direct-tls", tls=own)
    installation.link(port=await bank.listen())
    try:
        async with running(installation) as daemon:
            yield installation, daemon
    finally:
        await bank.stop()


async def connect(world, listener, **keys):
    installation, daemon = world
    tls = installation.secrets.authority.client_context() if "tls" in listener else None
    return await Terminal.connect(installation, daemon.ports[listener], tls=tls, **keys)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("listener", ["pos", "tls"])
async def test_terminal_is_known_by_its_own_address(world, listener, address):
    async with await connect(world, listener, header=ADDRESSES[address]) as terminal:
        assert await terminal.code() == "00"
    await world[1].event("terminal connection closed", listener=listener, peer=address, via="127.0.0.1")


async def test_first_message_in_the_segment_of_the_header(world):
    terminal = await connect(world, "pos")
    request = terminal.profile.framing.wrap(world[0].request())
    async with terminal:
        terminal.writer.write(FROM_AFAR + request)
        assert (await terminal.answer()).text(39) == "00"


async def test_first_tls_record_in_the_segment_of_the_header(world):
    """And one byte after the other."""
    installation, daemon = world
    for step in (1 << 16, 1):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = installation.secrets.authority.client_context()
        session = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            session.do_handshake()
        async with await Terminal.connect(installation, daemon.ports["tls"]) as terminal:
            terminal.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            hello = FROM_AFAR + outgoing.read()
            for at in range(0, len(hello), step):
                terminal.writer.write(hello[at : at + step])
            await shaken(terminal, session, incoming)


async def shaken(terminal, session, incoming):
    """Go on until the handshake is done."""
    while True:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            data = await terminal.reader.read(1 << 16)
            assert data, "the switch closed the connection"
            incoming.write(data)
        else:
            return


async def test_balancer_may_speak_for_itself(world):
    async with await connect(world, "pos", header=start(LOCAL, UNSPECIFIED, 0)) as terminal:
        assert await terminal.code() == "00"
    line = await world[1].event("terminal connection closed", listener="pos", peer="127.0.0.1")
    assert "via" not in line


async def refused(world, why, words, peer="127.0.0.1", **keys):
    """A connection that is closed, counted and told of."""
    daemon = world[1]
    before = await daemon.metric("authswitch_connections_refused_total", listener="pos", why=why)
    async with await connect(world, "pos", **keys) as terminal:
        assert await terminal.is_closed()
    await daemon.counted("authswitch_connections_refused_total", before + 1, listener="pos", why=why)
    await daemon.event("terminal connection refused", listener="pos", peer=peer, reason=words)


async def test_stranger_is_refused_whatever_it_claims(world):
    words = "its address is not in proxy_trusted"
    for header in (b"", FROM_AFAR):
        await refused(world, "untrusted", words, peer=STRANGER, local=STRANGER, header=header)


async def test_what_is_no_header_is_refused(world):
    words = "a PROXY header of version 1: needed version 2 (of HAProxy: send-proxy-v2)"
    await refused(world, "header", words, header=b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5930\r\n")
    frame = profile_of("cup").framing.wrap(world[0].request())
    await refused(world, "header", "no PROXY header: byte 0 of its signature: needed 0D, got 00", header=frame)


async def test_half_headers_hold_places_only_as_long_as_a_header_may_take(world):
    """A flood of them finds the listener's limit, and leaves nothing behind."""
    daemon = world[1]
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.ports["hasty"])))
            one.sendall(FROM_AFAR[:20])
        await daemon.counted("authswitch_connections_refused_total", 10, listener="hasty", why="limit")
        await daemon.counted("authswitch_connections_refused_total", 20, listener="hasty", why="late")
        await daemon.event(
            "terminal connection refused",
            listener="hasty",
            reason="PROXY header: byte 20: needed 8 more bytes, got none, not in time",
        )
        async with await connect(world, "hasty", header=FROM_AFAR) as terminal:
            assert await terminal.code() == "00"


UNEXPECTED = "a PROXY header (version 2) where none is expected: has the listener no proxy_trusted?"


@pytest.mark.parametrize("listener", ["direct", "direct-ascii"])
async def test_header_that_nobody_expects_is_told_of(world, listener):
    for header in (FROM_AFAR, proxy_header("2001:db8::7")):
        async with await connect(world, listener, header=header) as terminal:
            assert await terminal.is_closed()
    reason = f"frame refused (proxy-header) at byte 0: {UNEXPECTED}"
    await world[1].event("frame error", listener=listener, peer="127.0.0.1", reason=reason, times=2)


async def test_header_before_a_handshake_that_nobody_expects_is_told_of(world):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(world, "direct-tls", header=FROM_AFAR)
    await world[1].event("terminal connection refused", listener="direct-tls", peer="127.0.0.1", reason=UNEXPECTED)


async def test_address_stands_beside_what_a_terminal_did_wrong(world):
    daemon = world[1]
    async with await connect(world, "pos", header=FROM_AFAR) as terminal:
        terminal.send(b"nonsense")
        await daemon.event("format error", listener="pos", peer="203.0.113.7")
    async with await connect(world, "pos", header=FROM_AFAR) as terminal:
        terminal.writer.write(b"\xff\xff" * 40)
        assert await terminal.is_closed()
    await daemon.event("frame error", listener="pos", peer="203.0.113.7")
