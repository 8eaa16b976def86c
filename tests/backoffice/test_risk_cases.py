"""Cases that bands of risk rules raise: kept until the store has them, and opened there once."""

from __future__ import annotations

import asyncio
import contextlib
import json
from unittest.mock import Mock

from sqlalchemy import select

from switch.merchants.binding_tables import CASES
from switch.merchants.cases import close_case
from switch.merchants.risk_cases import RaisedCase, RaisedCaseFolder
from switch.server import risk_cases
from switch.server.risk_cases import RaisedCaseKeeper
from switch.store.changing import changing
from tests.system.daemon import until

LOOK = ("often-declined@2/busy", "look at the shop", "898000000000001", "T1", 3, 777)


def opened(store):
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(select(CASES).order_by(CASES.c.id)).mappings()]


def keeper_of(folder, store, raised, *, tells=True):
    return RaisedCaseKeeper(RaisedCaseFolder(folder), raised, Mock(store=store, head=Mock(number=0)), tells=tells)


@contextlib.asynccontextmanager
async def watching(keeper):
    task = asyncio.create_task(keeper.watch())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def kept(keeper, raised, *cases):
    raised.extend(cases)
    async with watching(keeper):
        await until(lambda: not raised)


async def test_a_case_is_opened_once_about_a_merchant(store, tmp_path):
    raised = []
    keeper = keeper_of(tmp_path, store, raised)
    await kept(keeper, raised, LOOK, (*LOOK[:3], "T2", 3, 778), ("other@1/band", "", *LOOK[2:]))
    keeper.tell_store()
    first, second = opened(store)
    assert (first["subject"], first["row"], first["state"]) == ("merchants", "898000000000001", "open")
    assert {first["kind"], second["kind"]} == {"rule often-declined@2/busy", "rule other@1/band"}
    facts = [json.loads(one["facts"]) for one in (first, second)]
    assert {
        "rule": "often-declined@2/busy",
        "reason": "look at the shop",
        "terminal": "T1",
        "request": "partition 3, position 777",
    } in facts
    assert not list(tmp_path.glob("*.json")), "the store has them"
    await kept(keeper, raised, LOOK)
    keeper.tell_store()
    assert len(opened(store)) == 2


async def test_another_one_is_raised_when_the_first_is_closed_and_an_hour_is_over(store, tmp_path, monkeypatch):
    monkeypatch.setattr(risk_cases, "AGAIN_SECONDS", 0.0)
    raised = []
    keeper = keeper_of(tmp_path, store, raised)
    for _ in range(2):
        await kept(keeper, raised, LOOK)
        keeper.tell_store()
    (only,) = opened(store)
    with changing(store, "reviewer", "nothing wrong") as change:
        close_case(change, anybody(), only["id"])
    await kept(keeper, raised, LOOK)
    keeper.tell_store()
    assert [one["state"] for one in opened(store)] == ["closed", "open"]


def anybody():
    actor = Mock()
    actor.name = "reviewer"
    return actor


async def test_what_one_worker_keeps_another_tells_also_after_a_restart(store, tmp_path):
    raised = []
    other = keeper_of(tmp_path, store, raised, tells=False)
    await kept(other, raised, LOOK)
    other.tell_store()
    assert opened(store) == []
    keeper_of(tmp_path, None, []).tell_store()
    assert opened(store) == []
    keeper_of(tmp_path, store, []).tell_store()
    assert [one["row"] for one in opened(store)] == ["898000000000001"]


async def test_a_long_rule_has_a_file_and_a_kind_of_its_own(store, tmp_path):
    raised = []
    keeper = keeper_of(tmp_path, store, raised)
    long = "é" * 100 + "@1/band"
    await kept(keeper, raised, (long, *LOOK[1:]))
    keeper.tell_store()
    (only,) = opened(store)
    assert json.loads(only["facts"])["rule"] == long
    assert RaisedCase(*LOOK).row != RaisedCase(long, *LOOK[1:]).row
