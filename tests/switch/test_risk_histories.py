"""Workers wait for each other's counts before they take terminals, and say so while counts are not whole."""

from __future__ import annotations

import asyncio

import pytest

from switch.server import risk_histories
from switch.server.risk_histories import count_troubles, expect_histories, uncounted, wait_for_counts
from switch.tables.risk import Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable


@pytest.fixture
def risk():
    risk = Risk.build(None, WindowTable(64), rules=[RuleTerms(name="limit", window_ms=1_000, count_max=1)])
    expect_histories(risk, [0, 3])
    return risk


async def test_it_waits_until_the_last_journal_is_counted(risk):
    waiting = asyncio.create_task(wait_for_counts(risk, asyncio.Event()))
    risk.windows.end_history(0)
    assert uncounted(risk) == 1
    assert count_troubles(risk) == (
        "risk control lacks what 1 journal(s) of this node know: its limits let more through until then",
    )
    assert not (await asyncio.wait({waiting}, timeout=4 * risk_histories.LOOK_SECONDS))[0]
    risk.windows.end_history(3)
    await asyncio.wait_for(waiting, 5)
    assert count_troubles(risk) == ()


async def test_it_waits_no_longer_than_it_may_nor_for_an_end(risk, monkeypatch):
    is_ending = asyncio.Event()
    is_ending.set()
    await asyncio.wait_for(wait_for_counts(risk, is_ending), 5)
    monkeypatch.setattr(risk_histories, "WAIT_SECONDS_MAX", 0.1)
    await asyncio.wait_for(wait_for_counts(risk, asyncio.Event()), 5)
    assert uncounted(risk) == 2


def test_without_windows_nothing_is_expected():
    risk = Risk.build(None, WindowTable(64), rules=[RuleTerms(name="ban", count_max=0)])
    expect_histories(risk, [0])
    expect_histories(None, [0])
    assert (uncounted(risk), uncounted(None)) == (0, 0)
