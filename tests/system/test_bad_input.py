"""Bad input from terminals and issuers: refused or answered as the design says, counted, and nobody else disturbed."""

import asyncio
import contextlib
import errno
import random
import resource
import socket
import ssl
import time
from collections import Counter

import pytest
import pytest_asyncio

from switch.simulators.faults import Fault, FaultRule
from switch.simulators.messages import answer_mti

from .conftest import running
from .daemon import until
from .installation import CARDS, TERMINALS
from .terminal import Terminal
from .unruly import UnrulyIssuer

MESSAGE_SIZE_MAX = {"cup": 2048, "iso87-ascii": 4096}
PORTS = {"cup": "pos", "iso87-ascii": "ascii"}
SILENT_CONNECTIONS = 10_000
MEBIBYTE = 1 << 20
CLOSED_SECONDS_MAX = 30


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    """As many file descriptors as we are allowed; the daemon inherits that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(new_installation):
    """A daemon, a well-behaved bank A and an unruly bank B."""
    installation = new_installation()
    good = installation.issuer("bank-a")
    bad = installation.issuer("bank-b", kind=UnrulyIssuer)
    secrets = installation.secrets
    tls = {"certificate": secrets.switch[0], "private_key": secrets.switch[1]}
    installation.listener("pos", "cup", connections_max=12_000)
    installation.listener("ascii", "iso87-ascii")
    installation.listener("secure", "cup", tls=tls)
    installation.listener("hasty", "cup", partial_frame_timeout_ms=300, idle_timeout_ms=1_000)
    installation.routes = {"622500": "bank-a:1", "400000": "bank-b:1"}
    installation.link("bank-a", port=await good.listen())
    installation.link("bank-b", port=await bad.listen(), timeout_ms=400, reversal={"interval_ms": 200})
    installation.links[-1] |= {"timeouts_to_unhealthy": 1_000, "partial_frame_timeout_ms": 500}
    try:
        async with running(installation) as daemon:
            await daemon.event("link up", link="bank-a")
            await daemon.event("link up", link="bank-b")
            yield installation, daemon, bad
    finally:
        await good.stop()
        await bad.stop()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def bystander(world):
    """A terminal on a connection of its own that is served before, during and after each test; nothing stays behind."""
    installation, daemon, bad = world
    async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
        assert await terminal.code(TERMINALS[30]) == "00"
        yield terminal
        assert await terminal.code(TERMINALS[30]) == "00"
        await until(lambda: bad.mangle is None)

        async def is_settled():
            status = await daemon.status()
            return status["in_flight"] == 0 and status["reversals_waiting"] == 0

        await until(is_settled)


@contextlib.asynccontextmanager
async def caller(world, dialect="cup", listener=None):
    installation, daemon, _ = world
    port = daemon.ports[listener or PORTS[dialect]]
    async with await Terminal.connect(installation, port, dialect) as terminal:
        yield terminal


# --- messages ---------------------------------------------------------------------------------------------------------


def damaged(message, change):
    """A message in which one stretch of bytes is replaced by another."""
    old, new = change
    assert old in message
    return message.replace(old, new, 1)


def set_bit(message, number):
    """A CUP message whose bitmap says that a field is there."""
    changed = bytearray(message)
    changed[2 + (number - 1) // 8] |= 0x80 >> (number - 1) % 8
    return bytes(changed)


ANSWERED = {
    "bit without a spec": lambda world: ("cup", set_bit(world[0].request("cup"), 27), "30"),
    "length above the field's": lambda world: (
        "cup",
        damaged(world[0].request("cup"), (b"156\x00\x11", b"156\x00\x99")),
        "30",
    ),
    "length past the end": lambda world: ("cup", world[0].request("cup")[:-14], "30"),
    "wrong BCD": lambda world: ("cup", damaged(world[0].request("cup"), (b"\x02\x20\x00", b"\x0a\x20\x00")), "30"),
    "non-digits in a numeric field": lambda world: (
        "iso87-ascii",
        damaged(world[0].request("iso87-ascii"), (b"022" + b"00", b"0x2" + b"00")),
        "30",
    ),
    "MTI of no message": lambda world: ("cup", b"\x06" + world[0].request("cup")[1:], "A0"),
    "MTI of no message, without a MAC": lambda world: (
        "iso87-ascii",
        b"0600" + world[0].request("iso87-ascii", signed=False)[4:],
        "12",
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
async def test_message_with_mti_and_stan_is_answered(world, case):
    _, daemon, _ = world
    dialect, message, code = ANSWERED[case](world)
    errors = await daemon.metric("authswitch_format_errors_total", listener=PORTS[dialect])
    async with caller(world, dialect) as terminal:
        _, _, answer = await send_and_receive(terminal, message)
        assert answer.mti == answer_mti(f"{message[0]:02d}00" if dialect == "cup" else message[:4].decode())
        assert answer.text(39) == code
        if code == "30":
            await daemon.counted("authswitch_format_errors_total", errors + 1, listener=PORTS[dialect])
        # The connection goes on.
        assert await terminal.code() == "00"


async def send_and_receive(terminal, message):
    terminal.send(message)
    return await terminal.receive()


CLOSED = {
    "nothing but an MTI": lambda world: ("cup", b"\x02\x00"),
    "one byte": lambda world: ("cup", b"\x02"),
    "MTI that is no number": lambda world: ("cup", b"\xab\xcd" + world[0].request("cup")[2:]),
    "MTI of letters": lambda world: ("iso87-ascii", b"ABCD" + world[0].request("iso87-ascii")[4:]),
    "bit without a spec before the STAN": lambda world: ("cup", set_bit(world[0].request("cup"), 5)),
    "wrong BCD before the STAN": lambda world: (
        "cup",
        damaged(world[0].request("cup", amount_minor=12_34), (b"\x12\x34", b"\x1f\x34")),
    ),
    "non-digits before the STAN": lambda world: (
        "iso87-ascii",
        damaged(world[0].request("iso87-ascii", amount_minor=12_34), (b"000000001234", b"000000001x34")),
    ),
    "hex bitmap with blanks": lambda world: (
        "iso87-ascii",
        damaged(world[0].request("iso87-ascii"), (b"0200" + b"7", b"0200" + b" ")),
    ),
    "empty bitmap": lambda world: ("cup", b"\x02\x00" + bytes(8)),
    "nothing after the bitmap": lambda world: ("cup", world[0].request("cup")[:10]),
}


@pytest.mark.parametrize("case", CLOSED)
async def test_message_without_mti_or_stan_is_counted_and_closes(world, case):
    _, daemon, _ = world
    dialect, message = CLOSED[case](world)
    errors = await daemon.metric("authswitch_format_errors_total", listener=PORTS[dialect])
    async with caller(world, dialect) as terminal:
        terminal.send(message)
        assert await terminal.is_closed()
    await daemon.counted("authswitch_format_errors_total", errors + 1, listener=PORTS[dialect])


async def test_answer_from_a_terminal_is_counted_and_passed_over(world):
    _, daemon, _ = world
    before = await daemon.metric("authswitch_unexpected_messages_total", listener="pos")
    async with caller(world) as terminal:
        terminal.send(b"\x02\x10" + world[0].request("cup")[2:])
        await daemon.counted("authswitch_unexpected_messages_total", before + 1, listener="pos")
        assert await terminal.code() == "00"


async def test_every_prefix_of_a_message_is_refused(world):
    """Cut off anywhere, in a right frame: answered 30, or closed; never approved and never left without an end."""
    message = world[0].request("cup")
    answered = 0
    for end in range(1, len(message)):
        async with caller(world) as terminal:
            terminal.send(message[:end])
            with contextlib.suppress(EOFError, ConnectionError):
                _, _, answer = await terminal.receive(5)
                answered += 1
                assert answer.text(39) in ("30", "A0"), end
    assert 0 < answered < len(message)


# --- frames -----------------------------------------------------------------------------------------------------------


async def frame_is_refused(world, dialect, data):
    _, daemon, _ = world
    listener = PORTS[dialect]
    errors = await daemon.metric("authswitch_frame_errors_total", listener=listener)
    async with caller(world, dialect) as terminal:
        terminal.writer.write(data)
        assert await terminal.is_closed()
    await daemon.counted("authswitch_frame_errors_total", errors + 1, listener=listener)


@pytest.mark.parametrize("dialect", ["cup", "iso87-ascii"])
async def test_frame_above_the_limit_is_refused_by_its_length(world, dialect):
    """As soon as the length is known: not a byte of the message has to come."""
    await frame_is_refused(world, dialect, (MESSAGE_SIZE_MAX[dialect] + 100).to_bytes(2, "big"))


async def test_frame_that_is_shorter_than_its_headers_is_refused(world):
    await frame_is_refused(world, "cup", b"\x00\x05\x60\x00\x00\x00\x00")


async def is_cut_off(terminal):
    """Send no more, and read until the switch has closed. It may do that at any moment, before we shut our side too:
    then that is no connection any more, for which Python has no ``ConnectionError``."""
    try:
        terminal.writer.write_eof()
        await asyncio.wait_for(terminal.reader.read(), CLOSED_SECONDS_MAX)
    except ConnectionError:
        return
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


@pytest.mark.parametrize("dialect", ["cup", "iso87-ascii"])
async def test_random_bytes_close_the_connection(world, dialect, bystander):
    _, daemon, _ = world
    listener = PORTS[dialect]
    errors = ("authswitch_frame_errors_total", "authswitch_format_errors_total")
    before = sum([await daemon.metric(name, listener=listener) for name in errors])
    memory = daemon.resident_bytes
    generator = random.Random(8583)
    for _ in range(20):
        async with caller(world, dialect) as terminal:
            terminal.writer.write(generator.randbytes(65_536))
            await is_cut_off(terminal)
    assert await bystander.code() == "00"
    assert sum([await daemon.metric(name, listener=listener) for name in errors]) >= before + 20
    assert daemon.resident_bytes - memory < 8 * MEBIBYTE


async def test_flood_of_bad_messages_does_not_fill_the_log(world, bystander):
    _, daemon, _ = world
    bad = world[0].request("cup")[:-14]
    async with caller(world) as terminal:
        for _ in range(30):
            terminal.send(*[bad] * 60)
            for _ in range(60):
                await terminal.receive()
        assert await bystander.code() == "00"
    by_second = Counter(line["time"][:19] for line in daemon.said("format error"))
    assert max(by_second.values()) <= 20


async def test_tls_client_on_a_plain_port(world):
    installation, daemon, _ = world
    errors = await daemon.metric("authswitch_frame_errors_total", listener="pos")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await Terminal.connect(installation, daemon.ports["pos"], tls=installation.secrets.authority.client_context())
    await daemon.counted("authswitch_frame_errors_total", errors + 1, listener="pos")


async def test_plain_client_on_a_tls_port(world):
    installation, daemon, _ = world
    failures = await daemon.metric("authswitch_tls_handshake_failures_total", listener="secure")
    async with caller(world, listener="secure") as terminal:
        terminal.send(installation.request())
        # A TLS alert may precede the end; never an answer.
        with contextlib.suppress(ConnectionError):
            assert len(await asyncio.wait_for(terminal.reader.read(), 5)) <= 7
    await daemon.counted("authswitch_tls_handshake_failures_total", failures + 1, listener="secure")
    context = installation.secrets.authority.client_context()
    async with await Terminal.connect(installation, daemon.ports["secure"], tls=context) as terminal:
        assert await terminal.code() == "00"


async def test_frame_that_never_ends_is_given_up_however_it_trickles(world):
    installation, daemon, _ = world
    terminal = await Terminal.connect(installation, daemon.ports["hasty"])
    frame = terminal.profile.framing.wrap(bytes(MESSAGE_SIZE_MAX["cup"]))
    began = time.monotonic()

    async def trickle():
        for byte in frame:
            terminal.writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    async with terminal:
        trickling = asyncio.create_task(trickle())
        assert await terminal.is_closed(CLOSED_SECONDS_MAX)
        trickling.cancel()
    assert time.monotonic() - began > 0.25
    await daemon.event("terminal connection closed", listener="hasty", reason="frame was not finished in time")


async def test_frame_in_single_bytes_is_answered(world):
    async with caller(world) as terminal:
        for byte in terminal.profile.framing.wrap(world[0].request()):
            terminal.writer.write(bytes([byte]))
            await terminal.writer.drain()
        assert (await terminal.answer()).text(39) == "00"


async def test_silent_connection_is_closed(world):
    async with caller(world, listener="hasty") as terminal:
        assert await terminal.is_closed(CLOSED_SECONDS_MAX)
    await world[1].event("terminal connection closed", listener="hasty", reason="idle")


# --- very many connections --------------------------------------------------------------------------------------------


async def test_thousands_of_silent_connections_disturb_nobody(world, bystander):
    """From several loopback addresses, as many as the limit of file descriptors lets us hold, at most 10,000."""
    installation, daemon, _ = world
    room, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(SILENT_CONNECTIONS, room - 600)
    memory = daemon.resident_bytes
    held = []
    try:
        await asyncio.to_thread(open_silently, held, count, daemon.ports["pos"])
        await daemon.counted("authswitch_connections", count, listener="pos")
        grown = daemon.resident_bytes - memory
        assert grown < count * 8192, "a silent connection costs more than 8 KiB"
        took = []
        for _ in range(20):
            began = time.monotonic()
            assert await bystander.code() == "00"
            took.append(time.monotonic() - began)
        assert min(took) < 0.05, "each message waits for the silent ones"  # others may be busy here, too
        async with await Terminal.connect(installation, daemon.ports["pos"]) as newcomer:
            assert await newcomer.code() == "00"
    finally:
        for connection in held:
            connection.close()

    async def all_left():
        return await daemon.metric("authswitch_connections", listener="pos") <= 2

    await until(all_left)
    before = daemon.resident_bytes
    held.clear()
    try:
        await asyncio.to_thread(open_silently, held, count // 2, daemon.ports["pos"])
        await daemon.counted("authswitch_connections", count // 2, listener="pos")
    finally:
        for connection in held:
            connection.close()
    await until(all_left)
    assert daemon.resident_bytes - before < 4 * MEBIBYTE, "memory grows with each wave"


def open_silently(held, count, port):
    """Open connections from several addresses and say nothing."""
    for number in range(count):
        connection = socket.socket()
        held.append(connection)
        connection.bind((f"127.0.0.{2 + number % 8}", 0))
        connection.connect(("127.0.0.1", port))


async def test_connections_above_the_limit_are_closed_and_counted(installation):
    bank = installation.issuer()
    installation.listener(connections_max=5)
    installation.link(port=await bank.listen())
    async with running(installation) as daemon, contextlib.AsyncExitStack() as stack:
        inside = [
            await stack.enter_async_context(await Terminal.connect(installation, daemon.ports["pos"])) for _ in range(5)
        ]
        for terminal in inside:
            assert await terminal.code() == "00"
        async with await Terminal.connect(installation, daemon.ports["pos"]) as outside:
            assert await outside.is_closed()
        await daemon.counted("authswitch_connections_refused_total", 1, listener="pos", why="limit")
        inside[0].close()
        await daemon.event("terminal connection closed", listener="pos")
        async with await Terminal.connect(installation, daemon.ports["pos"]) as outside:
            assert await outside.code() == "00"
    await bank.stop()


# --- issuers ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mangling(bank, mangle):
    """Do this to the answer of the next financial request; reversals are answered as they should be."""

    def once(issuer, exchange, answer):
        if exchange.message.mti[1] == "4":
            issuer.deliver(exchange, answer)
        else:
            issuer.mangle = None
            mangle(issuer, exchange, answer)

    bank.mangle = once
    yield
    bank.mangle = None


async def outcome(world, counter, mangle, code="98", reversals=1):
    """Let bank B do something to one answer; check what the terminal is told, what is counted and what is reversed."""
    _, daemon, bank = world
    counted = await daemon.metric(counter, link="bank-b")
    reversed_before = await daemon.metric("authswitch_reversals_acknowledged_total", link="bank-b")
    with mangling(bank, mangle):
        async with caller(world) as terminal:
            assert await terminal.code(card=CARDS["bank-b"]) == code
            # Nothing else comes: the next answer is that to the next request.
            assert await terminal.code() == "00"
    await daemon.counted(counter, counted + 1, link="bank-b")
    if reversals:
        await daemon.counted("authswitch_reversals_acknowledged_total", reversed_before + reversals, link="bank-b")
    else:
        assert await daemon.metric("authswitch_reversals_total", link="bank-b") == reversed_before


def send_raw(data):
    """Send bytes instead of the answer."""
    return lambda issuer, exchange, answer: exchange.connection.send(data)


async def test_issuer_that_answers_garbage_in_a_right_frame(world):
    await outcome(world, "authswitch_link_format_errors_total", send_raw(b"\x00\x10" + b"\x00\xff" * 8))


async def test_issuer_that_answers_garbage_without_a_frame(world):
    _, daemon, _ = world
    ups = len(daemon.said("link up", link="bank-b"))
    await outcome(world, "authswitch_link_frame_errors_total", send_raw(b"\xff" * 40))
    await daemon.event("link up", link="bank-b", times=ups + 1)


async def test_issuer_that_answers_twice(world):
    def twice(issuer, exchange, answer):
        issuer.deliver(exchange, answer)
        issuer.deliver(exchange, answer)

    await outcome(world, "authswitch_link_unmatched_answers_total", twice, code="00", reversals=0)


async def test_issuer_that_answers_a_stan_that_nobody_has(world):
    def astray(issuer, exchange, answer):
        issuer.deliver(exchange, issuer._compose(exchange.message, exchange.decision, stan="999999"))

    await outcome(world, "authswitch_link_unmatched_answers_total", astray)


async def test_issuer_that_answers_with_a_wrong_mac(world):
    def forge(issuer, exchange, answer):
        issuer.deliver(exchange, answer[:-1] + (b"0" if answer[-1:] != b"0" else b"1"))

    await outcome(world, "authswitch_link_mac_failures_total", forge)


async def test_issuer_that_answers_without_a_response_code(world):
    def silent_on_the_code(issuer, exchange, answer):
        pieces = issuer.profile.echo(exchange.message)
        issuer.deliver(exchange, issuer.profile.signed(answer_mti(exchange.message.mti), pieces, issuer._mac))

    await outcome(world, "authswitch_link_format_errors_total", silent_on_the_code)


async def test_issuer_that_closes_in_the_middle_of_an_answer(world):
    _, daemon, _ = world
    ups = len(daemon.said("link up", link="bank-b"))

    def half(issuer, exchange, answer):
        exchange.connection.send(issuer.frame(exchange, answer)[: len(answer) // 2])
        exchange.connection.close()

    await outcome(world, "authswitch_link_timeouts_total", half)
    await daemon.event("link up", link="bank-b", times=ups + 1)


async def test_issuer_that_never_finishes_an_answer(world):
    _, daemon, _ = world
    ups = len(daemon.said("link up", link="bank-b"))

    # What comes later, as the answer to the reversal, is taken for the rest.
    await outcome(world, "authswitch_link_timeouts_total", send_raw(b"\x0f\xa0" + bytes(100)))
    await daemon.event("link connection lost", link="bank-b", reason="frame was not finished in time")
    await daemon.event("link up", link="bank-b", times=ups + 1)


async def test_issuer_that_sends_requests(world):
    def ask(issuer, exchange, answer):
        exchange.connection.send(issuer.frame(exchange, b"0200" + answer[4:]))
        issuer.deliver(exchange, answer)

    await outcome(world, "authswitch_link_unexpected_messages_total", ask, code="00", reversals=0)


async def test_late_answer_changes_nothing(world):
    _, daemon, _ = world
    late = await daemon.metric("authswitch_link_late_answers_total", link="bank-b")

    def linger(issuer, exchange, answer):
        asyncio.get_running_loop().call_later(0.6, issuer.deliver, exchange, answer)

    await outcome(world, "authswitch_link_timeouts_total", linger)
    await daemon.counted("authswitch_link_late_answers_total", late + 1, link="bank-b")


async def test_issuer_that_answers_one_under_the_stan_of_the_other(world):
    """Two terminals ask, and each gets the other's answer: neither is told anything that was meant for the other."""
    _, daemon, bank = world
    mismatched = await daemon.metric("authswitch_link_mismatched_answers_total", link="bank-b")
    exchanges = []

    def swap(issuer, exchange, answer):
        if exchange.message.mti[1] == "4":
            issuer.deliver(exchange, answer)
            return
        exchanges.append(exchange)
        if len(exchanges) == 2:
            one, other = exchanges
            issuer.deliver(one, issuer.under_stan_of(one, other))
            issuer.deliver(other, issuer.under_stan_of(other, one))

    bank.mangle = swap
    try:
        async with caller(world) as one, caller(world) as other:
            codes = await asyncio.gather(
                one.code(TERMINALS[1], card=CARDS["bank-b"], amount_minor=50_00),
                other.code(TERMINALS[2], card=CARDS["bank-b"], amount_minor=70_00),
            )
    finally:
        bank.mangle = None
    assert codes == ["98", "98"]
    await daemon.counted("authswitch_link_mismatched_answers_total", mismatched + 2, link="bank-b")


async def test_issuer_at_its_worst_costs_no_memory(world, bystander):
    """All faults in turn, very often; then everything is as before."""
    installation, daemon, bank = world
    faults = (Fault.GARBAGE, Fault.DUPLICATE_ANSWER, Fault.WRONG_STAN, Fault.WRONG_MAC, Fault.UNSOLICITED)
    for fault in faults:
        bank.faults.add(FaultRule(fault=fault, probability=0.2))
    try:
        for wave in range(2):
            if wave:
                memory = daemon.resident_bytes
            async with caller(world) as terminal:
                asked = [installation.request(card=CARDS["bank-b"], amount_minor=100 + n) for n in range(60)]
                terminal.send(*asked)
                codes = [(await terminal.answer()).text(39) for _ in asked]
                assert set(codes) <= {"00", "98"}
                assert await bystander.code() == "00"
    finally:
        bank.faults.clear()
    assert daemon.resident_bytes - memory < 4 * MEBIBYTE
