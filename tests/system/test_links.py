"""Links and connections over their whole life: lost and found again, refused, drained, and many at the same time."""

import asyncio
import contextlib
import itertools
import signal
import socket
from pathlib import Path

import pytest
import pytest_asyncio

from switch.simulators.faults import Fault, FaultRule

from .conftest import running
from .daemon import Daemon, until
from .installation import CARDS, TERMINALS
from .terminal import Terminal
from .unruly import UnrulyIssuer, hold, in_reverse

DIALECTS = ["cup", "iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary"]


@contextlib.asynccontextmanager
async def issuers_of(installation, **dialects):
    """Unruly issuers by name of their link; stopped at the end."""
    issuers = {}
    try:
        for name, dialect in dialects.items():
            link = name.replace("_", "-")
            issuers[link] = installation.issuer(link, dialect, UnrulyIssuer)
            await issuers[link].listen()
        yield issuers
    finally:
        for issuer in issuers.values():
            await issuer.stop()


@contextlib.asynccontextmanager
async def one_bank(installation, *, ready=True, **link):
    """A daemon with one listener and one bank; gives both and a terminal's connection."""
    async with issuers_of(installation, bank_a="iso87-ascii") as issuers:
        installation.listener()
        installation.link(port=issuers["bank-a"].port, **link)
        async with (
            running(installation, ready=ready) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"]) as terminal,
        ):
            yield daemon, issuers["bank-a"], terminal


# --- a link's life ----------------------------------------------------------------------------------------------------


async def test_link_comes_back_after_the_issuer_was_away(installation):
    async with one_bank(installation) as (daemon, bank, terminal):
        assert await terminal.code() == "00"
        await bank.stop()
        await daemon.event("link down", link="bank-a")
        assert (await daemon.get("/readyz"))[0] == 503
        assert await terminal.code() == "91"
        await bank.restart()
        await daemon.event("link up", link="bank-a", times=2)
        assert await daemon.is_ready()
        assert await terminal.code() == "00"


async def test_link_that_is_refused_at_sign_on_takes_nothing_and_tries_again(installation):
    async with issuers_of(installation, bank_a="iso87-ascii") as issuers:
        bank = issuers["bank-a"]
        bank.refuse_network.add("sign_on")
        installation.listener()
        installation.link(port=bank.port)
        async with running(installation, ready=False) as daemon:
            await daemon.event("link connection lost", reason="issuer refused the sign-on", times=2)
            assert not daemon.said("link up")
            assert bank.counters.network["sign_on"] >= 2
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                assert await terminal.code() == "91"
                assert await daemon.metric("authswitch_link_network_failures_total", link="bank-a") >= 2
                bank.refuse_network.clear()
                await daemon.event("link up", link="bank-a")
                assert await terminal.code() == "00"


async def test_sign_on_that_is_not_answered_is_given_up(installation):
    async with issuers_of(installation, bank_a="iso87-ascii") as issuers:
        bank = issuers["bank-a"]
        bank.ignore_network.add("sign_on")
        installation.listener()
        installation.link(port=bank.port, echo_timeout_ms=100)
        async with running(installation, ready=False) as daemon:
            await daemon.event("link connection lost", reason="issuer did not answer", times=2)
            bank.ignore_network.clear()
            await daemon.event("link up", link="bank-a")


async def test_idle_link_is_tested_and_a_silent_one_connected_again(installation):
    async with one_bank(installation, echo_interval_ms=100, echo_timeout_ms=200) as (daemon, bank, terminal):
        await until(lambda: bank.counters.network["echo_test"] >= 3)
        assert bank.counters.connections == 1
        bank.ignore_network.add("echo_test")
        await daemon.event("link connection lost", reason="issuer did not answer")
        bank.ignore_network.clear()
        await daemon.event("link up", times=2)
        assert await terminal.code() == "00"


async def test_echo_test_of_the_issuer_is_answered(installation):
    async with one_bank(installation) as (_daemon, bank, _terminal):
        bank.echo()
        await until(lambda: bank.counters.echoes_answered == 1)
        assert bank.counters.unexpected == 0


async def test_several_connections_share_the_work(installation):
    async with one_bank(installation, connections=3) as (daemon, bank, terminal):
        await daemon.event("link up")
        await until(lambda: bank.counters.network["sign_on"] == 3)

        async def has_all():
            return (await daemon.status())["links"][0]["connections"] == 3

        await until(has_all)
        used = set()

        def note(issuer, exchange, answer):
            used.add(exchange.connection)
            issuer.deliver(exchange, answer)

        bank.mangle = note
        for _ in range(6):
            assert await terminal.code() == "00"
        assert len(used) == 3


# --- failover ---------------------------------------------------------------------------------------------------------


async def test_second_link_is_asked_when_the_first_is_down_but_never_after_a_request_was_sent(installation):
    async with issuers_of(installation, bank_a="iso87-ascii", bank_b="iso87-binary") as issuers:
        first, second = issuers["bank-a"], issuers["bank-b"]
        installation.routes = {"622500": "bank-a:1|bank-b:2"}
        installation.listener()
        installation.link("bank-a", port=first.port, timeout_ms=300)
        installation.link("bank-b", "iso87-binary", port=second.port)
        async with running(installation) as daemon:
            await daemon.event("link up", link="bank-a")
            await daemon.event("link up", link="bank-b")
            async with await Terminal.connect(installation, daemon.ports["pos"]) as terminal:
                assert await terminal.code() == "00"
                assert (first.counters.requests, second.counters.requests) == (1, 0)
                # The first has the request when its line breaks: nobody else may be asked.
                first.faults.add(FaultRule(fault=Fault.CLOSE_AFTER_RECEIVE, count=1))
                assert await terminal.code() == "98"
                assert second.counters.requests == 0
                await daemon.counted("authswitch_reversals_acknowledged_total", 1, link="bank-a")
                await first.stop()
                await until(lambda: len(daemon.said("link down", link="bank-a")) == 2)
                assert await terminal.code() == "00"
                assert second.counters.requests == 1
                await first.restart()
                await daemon.event("link up", link="bank-a", times=3)
                assert await terminal.code() == "00"
                assert second.counters.requests == 1


async def test_link_that_times_out_again_and_again_is_spared_until_it_answers_an_echo_test(installation):
    link = {"timeout_ms": 100, "timeouts_to_unhealthy": 2, "echo_interval_ms": 200, "reversal": {"interval_ms": 200}}
    async with one_bank(installation, **link) as (daemon, bank, terminal):
        bank.ignore_network.add("echo_test")
        bank.mangle = hold
        assert await terminal.code() == "98"
        assert await terminal.code() == "98"
        await daemon.event("link suspended", link="bank-a")
        requests = bank.counters.requests
        assert await terminal.code() == "91"
        assert len([1 for exchange, _ in bank.held if exchange.message.mti[1] == "2"]) == 2
        assert bank.counters.requests >= requests
        bank.mangle = None
        bank.ignore_network.clear()
        # The echo test that was left unanswered is still under way; a broken line ends it.
        bank.drop_connections()
        await daemon.event("link up", link="bank-a", times=2)
        assert await terminal.code() == "00"
        await daemon.counted("authswitch_reversals_acknowledged_total", 2, link="bank-a")


# --- approvals that cannot be told ------------------------------------------------------------------------------------


async def test_approval_for_a_terminal_that_has_gone_is_reversed(installation):
    async with one_bank(installation) as (daemon, bank, terminal):
        bank.mangle = hold
        terminal.send(installation.request())
        await until(lambda: bank.held)
        terminal.reset()
        await daemon.event("terminal connection closed")
        bank.mangle = None
        bank.deliver(*bank.held.pop())
        await daemon.counted("authswitch_reversals_acknowledged_total", 1, link="bank-a")
        assert await daemon.metric("authswitch_undelivered_answers_total", listener="pos") == 1
        assert bank.counters.reversals == 1


async def test_answer_goes_to_the_connection_that_asked_last(installation):
    async with one_bank(installation) as (daemon, bank, terminal):
        bank.mangle = hold
        request = installation.request()
        terminal.send(request)
        await until(lambda: bank.held)
        async with await Terminal.connect(installation, daemon.ports["pos"]) as again:
            again.send(request)
            await daemon.counted("authswitch_duplicates_joined_total", 1, listener="pos")
            terminal.reset()
            await daemon.event("terminal connection closed")
            bank.deliver(*bank.held.pop())
            assert (await again.answer()).text(39) == "00"
        assert bank.counters.requests == 1
        assert await daemon.metric("authswitch_reversals_total", link="bank-a") == 0


async def test_request_before_a_broken_frame_is_answered_before_the_connection_is_closed(installation):
    async with one_bank(installation) as (_daemon, bank, terminal):
        terminal.writer.write(terminal.profile.framing.wrap(installation.request()) + b"\xff\xff garbage")
        assert (await terminal.answer()).text(39) == "00"
        assert await terminal.is_closed()
        assert bank.counters.reversals == 0


# --- drain ------------------------------------------------------------------------------------------------------------


async def test_drain_finishes_what_is_in_flight_signs_off_and_ends(installation):
    async with one_bank(installation) as (daemon, bank, terminal):
        bank.mangle = hold
        asked = [installation.request(terminal=TERMINALS[number]) for number in range(3)]
        terminal.send(*asked)
        await until(lambda: len(bank.held) == 3)
        async with await Terminal.connect(installation, daemon.ports["pos"]) as idle:
            daemon.signal()
            await daemon.event("draining")
            assert (await daemon.get("/readyz"))[0] == 503
            # Those who have nothing in flight are sent away, nobody new is let in, and nothing new is begun.
            assert await idle.is_closed()
        with pytest.raises(ConnectionRefusedError):
            await Terminal.connect(installation, daemon.ports["pos"])
        assert await terminal.code() == "91"
        assert bank.counters.network["sign_off"] == 0
        for exchange, answer in bank.held:
            bank.deliver(exchange, answer)
        assert [(await terminal.answer()).text(39) for _ in asked] == ["00"] * 3
        assert await daemon.ended() == 0
        assert bank.counters.network["sign_off"] == 1
        assert bank.counters.connections == 1, "a link that was signed off must not be connected again"
        assert daemon.said("drained")
        assert not daemon.said("drained with work left")


async def test_drain_waits_until_a_reversal_is_acknowledged(installation):
    async with one_bank(installation, timeout_ms=200, reversal={"interval_ms": 100}) as (daemon, bank, terminal):
        bank.mangle = hold
        assert await terminal.code() == "98"
        await until(lambda: len(bank.held) >= 2)
        daemon.signal()
        await daemon.event("draining")
        bank.mangle = None
        assert await daemon.ended() == 0
        assert not daemon.said("drained with work left")


async def test_second_signal_ends_at_once(installation):
    async with one_bank(installation) as (daemon, bank, terminal):
        bank.mangle = hold
        terminal.send(installation.request())
        await until(lambda: bank.held)
        daemon.signal()
        await daemon.event("draining")
        daemon.end_status = 1
        again = "signal taken for the same as before"
        for count in itertools.count(1):
            daemon.signal(signal.SIGINT)
            await until(lambda times=count: len(daemon.said(again)) == times or daemon.said("ending at once"))
            if daemon.said("ending at once"):
                break
        assert daemon.said(again), "to the process, and to its group: meant once"
        assert await daemon.ended(3) == 1
        assert daemon.said("drained with work left", in_flight=1)


async def test_port_that_is_taken_is_told_in_one_line(installation):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        installation.listener(bind=f"127.0.0.1:{taken.getsockname()[1]}")
        installation.link(port=1)
        daemon = Daemon(installation.write())
        with pytest.raises(AssertionError, match="ended before"):
            await daemon.start()
        assert await daemon.ended() == 1
    assert "address already in use" in daemon.log.lower()
    assert "Traceback" not in daemon.log


async def test_drain_can_be_asked_of_the_admin_side(installation):
    async with one_bank(installation) as (daemon, bank, _terminal):
        assert (await daemon.get("/drain", "POST"))[0] == 202
        assert await daemon.ended() == 0
        assert bank.counters.network["sign_off"] == 1


# --- many conversations -----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(new_installation):
    """A daemon with a listener for each dialect and two banks."""
    installation = new_installation()
    async with issuers_of(installation, bank_a="iso87-ascii", bank_b="iso93-binary") as issuers:
        for dialect in DIALECTS:
            installation.listener(dialect, dialect)
        installation.listener("narrow", "cup", requests_in_flight_max=4)
        installation.routes = {"622500": "bank-a:1", "400000": "bank-b:1"}
        installation.link("bank-a", port=issuers["bank-a"].port, connections=2)
        installation.link("bank-b", "iso93-binary", port=issuers["bank-b"].port)
        installation.limits["output_buffer_bytes_max"] = 65_536
        async with running(installation) as daemon:
            await daemon.event("link up", link="bank-a")
            await daemon.event("link up", link="bank-b")
            yield installation, daemon, issuers


@pytest.mark.parametrize("bank", ["bank-a", "bank-b"])
async def test_terminals_of_all_dialects_at_once(crowd, bank):
    installation, daemon, _ = crowd
    card = CARDS[bank]

    async def pay(number, dialect):
        async with await Terminal.connect(installation, daemon.ports[dialect], dialect) as terminal:
            identity = TERMINALS[number]
            codes = [await terminal.code(identity, card=card, amount_minor=1000 + number) for _ in range(3)]
            codes.append(await terminal.code(identity, card=card, kind="balance_inquiry", amount_minor=0))
            return codes

    answers = await asyncio.gather(*(pay(number, dialect) for number, dialect in enumerate(DIALECTS)))
    approved = {"iso93-ascii": "000", "iso93-binary": "000"}
    assert answers == [[approved.get(dialect, "00")] * 4 for dialect in DIALECTS]


@pytest.mark.parametrize("listener", ["cup", "narrow"])
async def test_answers_come_in_any_order_each_to_its_own_request(crowd, listener):
    installation, daemon, issuers = crowd
    count = 30 if listener == "cup" else 4
    issuers["bank-a"].mangle = in_reverse(count)
    try:
        async with await Terminal.connect(installation, daemon.ports[listener]) as terminal:
            asked = [
                installation.request(terminal=TERMINALS[number], amount_minor=2000 + number) for number in range(count)
            ]
            terminal.send(*asked)
            answers = [await terminal.answer() for _ in asked]
    finally:
        issuers["bank-a"].mangle = None
    expected = [terminal.profile.scan(request) for request in asked]
    assert [answer.text(11) for answer in answers] != [request.text(11) for request in expected]
    by_stan = {answer.text(11): answer for answer in answers}
    for request in expected:
        answer = by_stan.pop(request.text(11))
        assert answer.text(39) == "00"
        assert (answer.text(41), answer.text(4)) == (request.text(41), request.text(4))


async def test_connection_is_read_no_further_while_too_much_is_in_flight(crowd):
    installation, daemon, issuers = crowd
    bank = issuers["bank-a"]
    bank.mangle = hold
    try:
        async with await Terminal.connect(installation, daemon.ports["narrow"]) as terminal:
            asked = [installation.request(amount_minor=3000 + number) for number in range(12)]
            terminal.send(*asked)
            await until(lambda: len(bank.held) == 4)
            assert (await daemon.status())["in_flight"] == 4
            # Others are served meanwhile, and each answer makes room for one more request.
            async with await Terminal.connect(installation, daemon.ports["narrow"]) as other:
                assert await other.code(card=CARDS["bank-b"]) == "00"
            for count in range(12):
                await until(lambda: bank.held)
                bank.deliver(*bank.held.pop(0))
                assert (await terminal.answer()).text(39) == "00", count
    finally:
        bank.mangle = None
        bank.held.clear()


async def test_one_shot_connections_leave_nothing_behind(crowd):
    installation, daemon, _ = crowd

    async def one_shot(number):
        async with await Terminal.connect(installation, daemon.ports["cup"]) as terminal:
            return await terminal.code(TERMINALS[number % 40])

    memory = descriptors = 0
    for wave in range(3):
        codes = [code for _ in range(10) for code in await asyncio.gather(*map(one_shot, range(40)))]
        assert codes == ["00"] * 400

        async def all_left():
            return await daemon.metric("authswitch_connections") == 0

        await until(all_left)
        if wave:
            assert daemon.resident_bytes - memory < 2 << 20
            assert daemon.descriptors == descriptors
        memory, descriptors = daemon.resident_bytes, daemon.descriptors


async def test_client_that_does_not_read_is_cut_and_nobody_else_notices(crowd):
    installation, daemon, _ = crowd
    before = daemon.resident_bytes
    request = installation.request()
    async with await Terminal.connect(installation, daemon.ports["cup"]) as other:
        # Repeats get the stored answer, so that no limit of requests in flight slows them.
        assert (await other.ask(request)).text(39) == "00"
        frame = other.profile.framing.wrap(request)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", daemon.ports["cup"]))

            async def talk_on():
                while True:
                    await loop.sock_sendall(deaf, frame * 200)

            with pytest.raises(ConnectionError):
                await asyncio.wait_for(talk_on(), 20)
        await daemon.counted("authswitch_slow_consumers_total", 1)
        assert await other.code() == "00"
    assert daemon.resident_bytes - before < 16 << 20


async def test_client_that_does_not_read_cannot_keep_its_place(installation):
    """A connection that is to be closed goes, even when the last of its answers is never read."""
    async with one_bank(installation) as (daemon, _bank, terminal):
        request = installation.request()
        terminal.send(request)
        _, answer, _ = await terminal.receive()
        frame = terminal.profile.framing.wrap(request)
        size = len(terminal.profile.framing.wrap(answer))
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", daemon.ports["pos"]))
            sent = 0
            # Until a few answers, less than a transport's limit, wait in the daemon because the kernel is full.
            while sent * size <= in_kernel(deaf):
                sent += 350
                await loop.sock_sendall(deaf, frame * 350)
                await daemon.counted("authswitch_duplicates_repeated_total", sent)
            await loop.sock_sendall(deaf, b"\xff\xff")
            await daemon.counted("authswitch_frame_errors_total", 1)

            async def is_gone():
                return (await daemon.status())["listeners"][0]["connections"] == 1

            await until(is_gone)


def in_kernel(client):
    """Bytes on their way to a socket: those that wait to be read, and those that wait to be sent to it."""
    port = client.getsockname()[1]
    waiting = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues = line.split()[:5]
        sending, receiving = (int(queue, 16) for queue in queues.split(":"))
        if int(remote.partition(":")[2], 16) == port:
            waiting += sending
        elif int(local.partition(":")[2], 16) == port:
            waiting += receiving
    return waiting
