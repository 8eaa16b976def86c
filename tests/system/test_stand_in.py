"""Stand-in and advices by a real daemon: a line is cut, payments are approved, and the issuer hears of them later."""

import signal

import pytest

from .conftest import never_said, running
from .daemon import Daemon, until
from .terminal import Terminal

RULE = {
    "limits": [{"currency": "156", "amount_max": 20_000, "card_count_max": 3, "outstanding_max": 100_000}],
}


def with_stand_in(installation, port):
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.listener("pos", "iso87-ascii")
    installation.link(port=port, stand_in=RULE)


def daemon_of(installation):
    return Daemon(installation.write(), never_said(installation.secrets))


async def is_told(daemon):
    return await daemon.metric("authswitch_advices_waiting") == 0


async def is_up(daemon):
    return await daemon.link_state("bank-a") == "up"


async def is_down(daemon):
    return await daemon.link_state("bank-a") == "down"


async def pay(installation, terminal, **request):
    """A purchase; its answer."""
    return await terminal.ask(installation.request("iso87-ascii", **request))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_line_is_cut_and_the_daemon_restarted_in_between(installation, end):
    bank = installation.issuer("bank-a", "iso87-ascii")
    port = await bank.listen()
    with_stand_in(installation, port)
    daemon = await daemon_of(installation).start()
    await until(lambda: is_up(daemon))
    async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
        assert await terminal.code(amount_minor=100) == "00"
        await bank.stop()
        await until(lambda: is_down(daemon))
        assert await daemon.get("/readyz") == (200, "ready\n"), "it answers as configured: nobody may be sent away"
        request = installation.request("iso87-ascii", amount_minor=12_345)
        answer = await terminal.ask(request)
        assert (answer.text(39), answer.text(38)[:2]) == ("00", "SI")
        assert (await pay(installation, terminal, amount_minor=20_001)).text(39) == "91"
        assert (await terminal.ask(request)).text(38) == answer.text(38)
        assert await daemon.metric("authswitch_stand_in_outstanding", link="bank-a") == 12_345
    daemon.signal(end)
    daemon.end_status = -9 if end is signal.SIGKILL else 0
    await daemon.ended()
    assert [entry.amount_minor for entry in bank.ledger.entries] == [100]

    daemon = await daemon_of(installation).start()
    try:
        assert await daemon.metric("authswitch_stand_in_outstanding", link="bank-a") == 12_345
        async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
            assert (await terminal.ask(request)).text(38) == answer.text(38)
            assert (await pay(installation, terminal, amount_minor=500)).text(39) == "00"
            await bank.listen(port=port)
            await until(lambda: is_told(daemon))
            assert (await terminal.ask(request)).text(38) == answer.text(38)
            assert await terminal.code(amount_minor=200) == "00"
        assert await daemon.metric("authswitch_stand_in_outstanding", link="bank-a") == 0
        assert await daemon.metric("authswitch_advices_acknowledged_total", link="bank-a") == 2
    finally:
        await daemon.stop()
        await bank.stop()
    entries = [(entry.kind, entry.amount_minor, entry.state) for entry in bank.ledger.entries]
    assert entries == [
        ("purchase", 100, "approved"),
        ("advice", 12_345, "approved"),
        ("advice", 500, "approved"),
        ("purchase", 200, "approved"),
    ]
    assert bank.ledger.entries[1].rrn == answer.text(37)


async def test_terminals_advice_reaches_the_issuer_once(installation):
    bank = installation.issuer("bank-a", "iso87-ascii")
    with_stand_in(installation, await bank.listen())
    async with (
        running(installation) as daemon,
        await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
    ):
        advice = installation.request("iso87-ascii", kind="advice", amount_minor=777)
        answers = [await terminal.ask(advice) for _ in range(3)]
        assert {(answer.mti, answer.text(39), answer.text(37)) for answer in answers} == {
            ("0230", "00", answers[0].text(37))
        }
        await until(lambda: is_told(daemon))
        assert await daemon.metric("authswitch_duplicates_repeated_total") == 2
    await bank.stop()
    ((kind, amount_minor, rrn),) = [(entry.kind, entry.amount_minor, entry.rrn) for entry in bank.ledger.entries]
    assert (kind, amount_minor, rrn) == ("advice", 777, answers[0].text(37))
