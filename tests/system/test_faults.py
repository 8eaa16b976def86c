"""The real switch between issuers that go wrong: every answer is right, and all money is accounted for in the end."""

from __future__ import annotations

import asyncio
import io
import signal
from pathlib import Path

import pytest
from rich.console import Console

from switch.demo.run import Demo, DemoSettings
from switch.simulators.faults import Fault, FaultRule

SECONDS_MAX = 60.0
SILENT = (Fault.IGNORE, Fault.DROP_ANSWER, Fault.LATE_ANSWER, Fault.WRONG_MAC)
NOISY = (Fault.DUPLICATE_ANSWER, Fault.WRONG_STAN, Fault.GARBAGE, Fault.UNSOLICITED, Fault.SLOW_WRITE)
BROKEN = (Fault.CLOSE, Fault.CLOSE_AFTER_RECEIVE)


def test_every_fault_has_its_turn() -> None:
    assert {*SILENT, *NOISY, *BROKEN} == set(Fault)


async def break_off(demo: Demo, faults: tuple[Fault, ...], count: int, *, lines_break: bool) -> None:
    """End as Ctrl-C does, when every fault has had its turn at each issuer, however fast this machine is."""
    wanted = [dict.fromkeys(faults, count)] * 2
    while [issuer.faults.struck for issuer in demo.issuers] != wanted:  # noqa: ASYNC110 - they tell nobody
        await asyncio.sleep(0.05)
    if lines_break:
        for issuer in demo.issuers:
            issuer.drop_connections()
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("faults", "count", "lines_break"),
    [(SILENT, 4, False), (NOISY, 4, False), (BROKEN, 1, True)],
    ids=["silent", "noisy", "broken"],
)
async def test_money_is_accounted_for(faults: tuple[Fault, ...], count: int, lines_break: bool, tmp_path: Path) -> None:
    output = io.StringIO()
    rules = tuple(FaultRule(fault=fault, count=count, after=20 + 25 * place) for place, fault in enumerate(faults))
    settings = DemoSettings(seconds=SECONDS_MAX, rate=300, terminals=12, faults=rules, link_timeout_ms=400)
    demo = Demo(settings, tmp_path, Console(file=output, width=200))
    ending = asyncio.create_task(break_off(demo, faults, count, lines_break=lines_break))
    assert await demo.run(), output.getvalue()
    assert ending.done()
    assert "missing answers: 0  wrong answers: 0" in output.getvalue()
    assert sum(issuer.ledger.totals().reversed_count for issuer in demo.issuers) > 0
