"""Faults of the simulated issuer: what a terminal sees of each, and when they strike."""

from __future__ import annotations

import random

import pytest

from switch.simulators.faults import Fault, FaultPlan, FaultRule, parse_fault
from switch.simulators.issuer import IssuerSettings
from tests.switch.simulated import NO_RULES, fleet_for, mac_of, serving, settled

FaultCase = tuple[Fault, dict[str, int], int]
FAULT_CASES: list[FaultCase] = [
    (Fault.IGNORE, {"missing": 1}, 0),
    (Fault.CLOSE, {"missing": 1, "connection_failures": 1}, 0),
    (Fault.DROP_ANSWER, {"missing": 1}, 1),
    (Fault.LATE_ANSWER, {"missing": 1}, 1),
    (Fault.DUPLICATE_ANSWER, {"answered": 1, "duplicate": 1}, 1),
    (Fault.WRONG_STAN, {"missing": 1, "mismatched": 1}, 1),
    (Fault.WRONG_MAC, {"answered": 1, "wrong_mac": 1}, 1),
    (Fault.GARBAGE, {"missing": 1, "unreadable": 1}, 1),
    (Fault.CLOSE_AFTER_RECEIVE, {"missing": 1, "connection_failures": 1}, 1),
    (Fault.UNSOLICITED, {"answered": 1, "mismatched": 1}, 1),
    (Fault.SLOW_WRITE, {"answered": 1}, 1),
]


@pytest.mark.parametrize(("fault", "seen", "booked"), FAULT_CASES, ids=lambda case: getattr(case, "value", None))
async def test_a_fault_strikes_once_and_is_noticed(fault: Fault, seen: dict[str, int], booked: int) -> None:
    mac = mac_of("iso87-ascii")
    rules = (FaultRule(fault=fault, count=1),)
    settings = IssuerSettings(rules=NO_RULES, faults=rules, late_ms=60_000)
    async with serving("iso87-ascii", settings, mac) as (issuer, port):
        fleet = fleet_for(port, terminals=1, mac=mac, timeout_ms=1000 if fault is Fault.SLOW_WRITE else 60)
        await fleet.start()
        await fleet.work(count=1)
        first = fleet.counters.document()
        ledger_after_first = len(issuer.ledger.entries)
        await settled(lambda: fleet.counters.wrong >= sum(seen.get(name, 0) for name in ("duplicate", "mismatched")))
        await fleet.stop()
    names = ("answered", "missing", "mismatched", "duplicate", "wrong_mac", "unreadable", "connection_failures")
    counted = {name: getattr(fleet.counters, name) for name in names}
    assert {name: count for name, count in counted.items() if count} == seen
    assert ledger_after_first == booked
    assert first["sent"] == 1
    assert issuer.faults.struck == {fault: 1}


async def test_a_late_answer_is_counted_as_late() -> None:
    settings = IssuerSettings(rules=NO_RULES, faults=(FaultRule(fault=Fault.LATE_ANSWER, count=1),), late_ms=150)
    async with serving("iso87-ascii", settings, None) as (_, port):
        fleet = fleet_for(port, terminals=1, timeout_ms=20)
        await fleet.start()
        await fleet.work(count=1)
        await settled(lambda: fleet.counters.late == 1)
        await fleet.stop()
    assert (fleet.counters.missing, fleet.counters.wrong) == (1, 0)


def test_faults_strike_by_count_after_a_number_of_requests() -> None:
    plan = FaultPlan([parse_fault("drop-answer=2x@3"), parse_fault("garbage=1x@4")], random.Random(1))
    struck = [plan.next_fault() for _ in range(8)]
    assert struck == [None, None, None, Fault.DROP_ANSWER, Fault.DROP_ANSWER, Fault.GARBAGE, None, None]
    plan.add(parse_fault("close=1x@1"))
    assert [plan.next_fault() for _ in range(3)] == [None, Fault.CLOSE, None]
    plan.add(parse_fault("close=100%"))
    plan.clear()
    assert plan.next_fault() is None


def test_faults_strike_by_probability() -> None:
    plan = FaultPlan([parse_fault("wrong-mac=10%")], random.Random(1))
    struck = sum(plan.next_fault() is Fault.WRONG_MAC for _ in range(10_000))
    assert 850 < struck < 1150


@pytest.mark.parametrize(
    "text", ["", "drop-answer", "drop-answer=", "nonsense=1x", "close=x", "close=101%", "close=0x"]
)
def test_faults_that_nobody_knows_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|probability|count"):
        parse_fault(text)
