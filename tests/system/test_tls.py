"""TLS on listeners and links, whichever side calls."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import warnings

import pytest
import pytest_asyncio

from switch.server.terminals import TLS_HANDSHAKE_SECONDS as HANDSHAKE_SECONDS

from .conftest import running
from .daemon import until
from .installation import MAC, TERMINALS
from .terminal import Terminal

FIRST, SECOND, THIRD = TERMINALS[:3]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(new_installation):
    """A daemon with a listener for each way to use TLS."""
    installation = new_installation()
    bank = installation.issuer()
    secrets = installation.secrets
    own = {"certificate": secrets.switch[0], "private_key": secrets.switch[1]}
    asking = {**own, "client_ca": secrets.authority.certificate, "client_certificate": "required"}
    installation.listener("plain-tls", tls=own)
    installation.listener("newest", tls={**own, "minimum_version": "1.3"})
    installation.listener("bound", tls=asking)
    installation.listener("door", tls={**asking, "client_identity": "any"})
    installation.listener("small", tls=own, connections_max=3)
    installation.certificates[THIRD] = "counter-3"
    installation.link(port=await bank.listen())
    try:
        async with running(installation) as daemon:
            yield installation, daemon
    finally:
        await bank.stop()


@pytest.fixture(scope="module")
def certificates(secrets):
    """Of terminals: by name, who it says and what is wrong with it."""
    authority, stranger = secrets.authority, secrets.stranger
    return {
        "first": authority.issue("terminal-first", FIRST),
        "third": authority.issue("terminal-third", "counter-3"),
        "third's id": authority.issue("terminal-third-id", THIRD),
        "first and second": authority.issue_to_both("terminal-both", FIRST, SECOND),
        "concentrator": authority.issue("terminal-concentrator", "concentrator"),
        "expired": authority.issue("terminal-expired", FIRST, valid_for=dt.timedelta(hours=-1)),
        "stranger's": stranger.issue("terminal-stranger", FIRST),
    }


async def call(world, listener, context):
    installation, daemon = world
    return await Terminal.connect(installation, daemon.ports[listener], tls=context)


async def refused(world, listener, context):
    """The handshake fails, at once or (TLS 1.3) when the first answer should come; and it is counted."""
    installation, daemon = world
    failures = await daemon.metric("authswitch_tls_handshake_failures_total", listener=listener)
    with pytest.raises((OSError, EOFError)):
        async with await call(world, listener, context) as terminal:
            await terminal.ask(installation.request())
    await daemon.counted("authswitch_tls_handshake_failures_total", failures + 1, listener=listener)


def only(context, version):
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize(
    ("listener", "version"),
    [
        ("plain-tls", ssl.TLSVersion.TLSv1_2),
        ("plain-tls", ssl.TLSVersion.TLSv1_3),
        ("newest", ssl.TLSVersion.TLSv1_3),
    ],
)
async def test_version_is_spoken(world, listener, version):
    installation, _ = world
    context = only(installation.secrets.authority.client_context(), version)
    async with await call(world, listener, context) as terminal:
        spoken = terminal.writer.get_extra_info("ssl_object").version()
        assert spoken == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert await terminal.code() == "00"


async def test_old_versions_are_refused(world):
    installation, _ = world
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = only(installation.secrets.authority.client_context(), ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    await refused(world, "plain-tls", context)
    await refused(world, "newest", only(installation.secrets.authority.client_context(), ssl.TLSVersion.TLSv1_2))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_no_session_tickets_are_given(world, version):
    context = only(world[0].secrets.authority.client_context(), version)
    async with await call(world, "plain-tls", context) as terminal:
        assert await terminal.code() == "00"
        session = terminal.writer.get_extra_info("ssl_object").session
        assert session is None or not session.has_ticket


async def test_connections_in_their_handshake_count_as_connections(installation):
    """Whoever says nothing on a TLS port holds a place, and only as long as a handshake may take."""
    secrets = installation.secrets
    bank = installation.issuer()
    installation.listener(tls={"certificate": secrets.switch[0], "private_key": secrets.switch[1]}, connections_max=50)
    installation.listener("plain")
    installation.limits["connections_max"] = 10_000
    installation.link(port=await bank.listen())
    context = secrets.authority.client_context()
    async with running(installation) as daemon, contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(bank.stop)
        silent = []
        for _ in range(50):
            silent.append(socket.create_connection(("127.0.0.1", daemon.ports["pos"])))
            stack.callback(silent[-1].close)
        with pytest.raises(OSError):  # noqa: PT011
            await Terminal.connect(installation, daemon.ports["pos"], tls=context)
        await daemon.counted("authswitch_connections_refused_total", 1, listener="pos", why="limit")
        async with await Terminal.connect(installation, daemon.ports["plain"]) as terminal:
            assert await terminal.code() == "00"
        silent.pop().close()
        await daemon.counted("authswitch_tls_handshake_failures_total", 1, listener="pos")
        async with await Terminal.connect(installation, daemon.ports["pos"], tls=context) as terminal:
            assert await terminal.code() == "00"
        # The others are cut when their time is over.
        silent[0].settimeout(HANDSHAKE_SECONDS + 5)
        assert await asyncio.to_thread(silent[0].recv, 1) == b""
        await daemon.counted("authswitch_tls_handshake_failures_total", 50, listener="pos")


async def test_large_and_many_messages_pass_through_tls(world):
    installation, _ = world
    async with await call(world, "plain-tls", installation.secrets.authority.client_context()) as terminal:
        asked = [installation.request(amount_minor=100 + number) for number in range(50)]
        terminal.send(*asked)
        answers = [await terminal.answer() for _ in asked]
        assert {answer.text(39) for answer in answers} == {"00"}
        assert len({answer.text(11) for answer in answers}) == 50


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("certificate", [None, "expired", "stranger's"])
@pytest.mark.parametrize("listener", ["bound", "door"])
async def test_listener_that_asks_for_a_certificate_lets_only_good_ones_in(
    world, certificates, listener, certificate, version
):
    context = world[0].secrets.authority.client_context(certificates.get(certificate))
    await refused(world, listener, only(context, version))


@pytest.mark.parametrize(
    ("certificate", "terminal", "code"),
    [
        ("first", FIRST, "00"),
        ("first", SECOND, "97"),
        ("first", THIRD, "97"),
        ("third", THIRD, "00"),
        ("third's id", THIRD, "97"),
        ("concentrator", FIRST, "97"),
    ],
)
async def test_identity_is_bound_to_the_certificate(world, certificates, certificate, terminal, code):
    context = world[0].secrets.authority.client_context(certificates[certificate])
    async with await call(world, "bound", context) as connection:
        assert await connection.code(terminal) == code
        assert await connection.code(terminal) == code


async def test_certificate_with_two_names_names_nobody(world, certificates):
    _, daemon = world
    refusals = await daemon.metric("authswitch_connections_refused_total", listener="bound", why="identity")
    context = world[0].secrets.authority.client_context(certificates["first and second"])
    with contextlib.suppress(OSError, EOFError):
        async with await call(world, "bound", context) as connection:
            assert await connection.is_closed()
    await daemon.counted("authswitch_connections_refused_total", refusals + 1, listener="bound", why="identity")


async def test_certificate_that_opens_the_door_serves_any_terminal(world, certificates):
    context = world[0].secrets.authority.client_context(certificates["concentrator"])
    async with await call(world, "door", context) as connection:
        for terminal in (FIRST, SECOND, THIRD):
            assert await connection.code(terminal) == "00"


async def test_client_that_trusts_another_authority_goes_away(world):
    installation, daemon = world
    with pytest.raises(ssl.SSLCertVerificationError):
        await call(world, "plain-tls", installation.secrets.stranger.client_context())
    async with await call(world, "plain-tls", installation.secrets.authority.client_context()) as terminal:
        assert await terminal.code() == "00"
    assert daemon.child.returncode is None


async def test_handshakes_under_way_count_as_connections(world):
    """Those who connect and say nothing take places of their listener, and give them back when they go."""
    installation, daemon = world
    context = installation.secrets.authority.client_context()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(await Terminal.connect(installation, daemon.ports["small"]))
        async with await call(world, "small", context) as terminal:
            assert await terminal.code() == "00"
            with pytest.raises(OSError):  # noqa: PT011 - reset or end of file, as the kernel likes
                await call(world, "small", context)
        await daemon.counted("authswitch_connections_refused_total", 1, listener="small", why="limit")
    await daemon.counted("authswitch_tls_handshake_failures_total", 2, listener="small")
    for _ in range(5):
        async with await call(world, "small", context) as terminal:
            assert await terminal.code() == "00"


# --- links ------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def bank(installation, **keys):
    issuer = installation.issuer(**keys)
    try:
        yield issuer
    finally:
        await issuer.stop()


@pytest.mark.parametrize("mutual", [False, True], ids=["issuer only", "mutual"])
async def test_link_that_we_call_over_tls(installation, mutual):
    secrets = installation.secrets
    context = secrets.authority.server_context(secrets.issuer, secrets.authority if mutual else None)
    tls = {"ca": secrets.authority.certificate, "server_name": "bank.example"}
    if mutual:
        tls |= {"certificate": secrets.switch[0], "private_key": secrets.switch[1]}
    async with bank(installation) as issuer:
        installation.listener()
        installation.link(port=await issuer.listen(tls=context), tls=tls)
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"]) as terminal,
        ):
            assert await terminal.code() == "00"


def untrusted(secrets):
    """Issuers that must not be trusted: the TLS context of each, and what our configuration says of it."""
    authority = secrets.authority
    expired = authority.issue("issuer-expired", "issuer", ["bank.example"], dt.timedelta(hours=-1))
    old = authority.server_context(secrets.issuer)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    good = authority.server_context(secrets.issuer)
    return {
        "wrong-name": (good, {"server_name": "other.example"}),
        "wrong-authority": (good, {"ca": secrets.stranger.certificate}),
        "expired": (authority.server_context(expired), {}),
        "plain-issuer": (None, {}),
        "wants-a-certificate": (authority.server_context(secrets.issuer, authority), {}),
        "old-version": (old, {"minimum_version": "1.3"}),
    }


async def test_links_that_we_call_are_not_trusted(installation):
    """They never come up; the reason is in the log; the terminal is told that the issuer is not there."""
    secrets = installation.secrets
    installation.listener()
    async with contextlib.AsyncExitStack() as stack:
        for name, (context, keys) in untrusted(secrets).items():
            issuer = await stack.enter_async_context(bank(installation))
            tls = {"ca": secrets.authority.certificate, "server_name": "bank.example", **keys}
            shared = {"mac": {"algorithm": MAC, "key": "link/bank-a/zak"}, "pin": {"key": "link/bank-a/zpk"}}
            installation.link(name, port=await issuer.listen(tls=context), tls=tls, **shared)
        names = [link["name"] for link in installation.links]
        installation.routes = {"622500": "|".join(f"{name}:1" for name in names)}
        async with running(installation, ready=False) as daemon:
            for name in names:
                line = await daemon.event("link connection lost", link=name, times=2)
                assert line["reason"], name
            assert not daemon.said("link up")
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                assert await terminal.code() == "91"


def accepting(installation, **keys):
    """A link on which the issuer calls; the addresses in ``peers`` may."""
    installation.listener()
    installation.link(mode="accept", bind="127.0.0.1:0", peers=["127.0.0.1/32"], **keys)


async def test_issuer_calls_us(installation):
    async with bank(installation) as issuer:
        accepting(installation, connections=2)
        async with running(installation, ready=False) as daemon:
            issuer.call("127.0.0.1", daemon.links["bank-a"])
            await daemon.event("link up", link="bank-a")
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                assert await terminal.code() == "00"
                # A line that breaks is called again by the issuer.
                issuer.drop_connections()
                await daemon.event("link up", link="bank-a", times=2)
                assert await terminal.code() == "00"


def mutual_tls(secrets, peer_name):
    """For a link on which the issuer calls, with a certificate of that name."""
    return {
        "ca": secrets.authority.certificate,
        "certificate": secrets.switch[0],
        "private_key": secrets.switch[1],
        "peer_name": peer_name,
    }


async def test_issuer_is_known_by_its_certificate_wherever_it_calls_from(installation):
    """Another holder of a certificate of the same authority is not the issuer; no ``peers`` are needed."""
    secrets = installation.secrets
    other = secrets.authority.issue("other-bank", "bank-b", ["bank-b.example"])
    async with bank(installation) as issuer, bank(installation) as impostor:
        installation.listener()
        installation.link(mode="accept", bind="127.0.0.1:0", tls=mutual_tls(secrets, "ISSUER"))
        async with running(installation, ready=False) as daemon:
            port = daemon.links["bank-a"]
            impostor.call("127.0.0.1", port, secrets.authority.client_context(other), "localhost")
            await daemon.event("link connection refused", peer="127.0.0.1", reason="certificate of somebody else")
            assert not daemon.said("link up")
            issuer.call("127.0.0.1", port, secrets.authority.client_context(secrets.issuer), "localhost")
            await daemon.event("link up", link="bank-a")
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                assert await terminal.code() == "00"
            assert impostor.counters.network["sign_on"] == 0


async def test_strangers_in_their_handshake_leave_the_issuer_its_place(installation):
    secrets = installation.secrets
    async with bank(installation) as issuer:
        accepting(installation, tls=mutual_tls(secrets, "bank.example"), connect_timeout_ms=60_000)
        async with running(installation, ready=False) as daemon:
            port = daemon.links["bank-a"]
            with contextlib.ExitStack() as stack:
                for _ in range(20):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                issuer.call("127.0.0.1", port, secrets.authority.client_context(secrets.issuer), "localhost")
                await daemon.event("link up", link="bank-a")


async def test_issuer_calls_us_over_mutual_tls(installation):
    secrets = installation.secrets
    tls = mutual_tls(secrets, "bank.example")
    async with bank(installation) as issuer, bank(installation) as impostor, bank(installation) as nobody:
        accepting(installation, tls=tls)
        async with running(installation, ready=False) as daemon:
            port = daemon.links["bank-a"]
            forged = secrets.stranger.issue("impostor", "issuer")
            impostor.call("127.0.0.1", port, secrets.authority.client_context(forged), "localhost")
            nobody.call("127.0.0.1", port)
            await until(lambda: impostor.counters.connections + nobody.counters.connections >= 3)
            assert not daemon.said("link up")
            reasons = {line["reason"] for line in daemon.said("link connection refused", link="bank-a")}
            assert any("certificate verify failed" in reason for reason in reasons), reasons
            issuer.call("127.0.0.1", port, secrets.authority.client_context(secrets.issuer), "localhost")
            await daemon.event("link up", link="bank-a")
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                assert await terminal.code() == "00"
            assert impostor.counters.network["sign_on"] == nobody.counters.network["sign_on"] == 0


async def test_unknown_peers_and_too_many_are_refused(installation):
    async with bank(installation) as issuer:
        accepting(installation)
        async with running(installation, ready=False) as daemon:
            port = daemon.links["bank-a"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0))
            assert await is_cut(reader)
            writer.close()
            await daemon.event("link connection refused", peer="127.0.0.9", reason="unknown peer")
            issuer.call("127.0.0.1", port)
            await daemon.event("link up", link="bank-a")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await is_cut(reader)
            writer.close()
            await daemon.event("link connection refused", peer="127.0.0.1", reason="too many connections")
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                assert await terminal.code() == "00"


async def is_cut(reader):
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        return True
