"""Small merchants of one person on the path: one limit at all their terminals, which a day ends and a restart keeps."""

from __future__ import annotations

import pytest

from switch.dialect.kinds import Kind
from switch.tables.registry import BOUND_MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry
from switch.tables.registry_changes import take_changes
from switch.tables.risk import Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.test_engine_risk_rules import answered
from tests.ext.test_risk_counts import restarted
from tests.ext.world import MERCHANT, OTHER_MERCHANT, purchase, reversal

DAY_S = 86_400
TERM = {
    "scope": "identity",
    "kinds": 1 << Kind.PURCHASE,
    "currency": 156,
    "sliding": False,
    "merchant_classes": 1 << 1,
}
RULES = (
    RuleTerms(name="day", window_ms=DAY_S * 1000, amount_max=2_000, **TERM),  # type: ignore[arg-type]
    RuleTerms(name="month", window_ms=31 * DAY_S * 1000, monthly=True, amount_max=3_000, **TERM),  # type: ignore[arg-type]
)
SECOND = {"f41": "10000003", "f42": OTHER_MERCHANT}
"""A payment at the other merchant's terminal; each is of 1,000."""


def held_by_one(world: JournalWorld) -> Registry:
    """Both merchants, of one person."""
    rows = [f"{merchant},Shop,active,5411,,,,small,{'1f' * 32}" for merchant in (MERCHANT, OTHER_MERCHANT)]
    merchants = "\n".join([",".join(BOUND_MERCHANT_COLUMNS), *rows, ""])
    terminals = ",".join(TERMINAL_COLUMNS)
    registry = world.engine.state.registry
    return Registry.build(merchants.encode(), terminals.encode(), {}, registry.kind_names, registry.listener_names)


@pytest.fixture
def world() -> JournalWorld:
    """It begins in the first minutes of a day; the month has more than two."""
    world = JournalWorld(risk=Risk.build(None, WindowTable(64), rules=RULES))
    take_changes(world.engine.state.registry, held_by_one(world))
    world.engine.state.risk.use_registry(world.engine.state.registry)
    return world


def test_a_day_and_a_month_are_those_of_both_merchants(world: JournalWorld) -> None:
    assert [answered(world), answered(world, **SECOND), answered(world), answered(world, **SECOND)] == [
        "00", "00", "61", "61",
    ]  # fmt: skip
    world.advance(DAY_S, step=600)
    assert [answered(world, **SECOND), answered(world)] == ["00", "61"]
    world.sync()
    refusals = [record["rule"]["id"] for record in records_of(world.memory)[0] if record.get("rule")]
    assert refusals == ["day@1", "day@1", "month@1"]


@pytest.mark.parametrize("end", ["reversed", "declined", "timed out"])
def test_what_did_not_stand_at_one_merchant_is_free_at_the_other(world: JournalWorld, end: str) -> None:
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world, f4="000000002000")
    terminal.send(request)
    if end == "timed out":
        world.advance(16)
    else:
        issuer.answer(issuer.read_one(), "51" if end == "declined" else "00")
    terminal.read_one()
    if end == "reversed":
        assert answered(world, **SECOND) == "61"
        assert terminal.ask(reversal(world, request))["39"] == "00"
    terminal.close()
    issuer.close()
    assert [answered(world, **SECOND) for _ in range(3)] == ["00", "00", "61"]


@pytest.mark.parametrize(("after_s", "codes"), [(60, ["00", "61"]), (DAY_S, ["00", "00", "61"])])
def test_counts_of_an_identity_survive_a_restart(world: JournalWorld, after_s: int, codes: list[str]) -> None:
    assert answered(world) == "00"
    later = restarted(world, *RULES, after_s=after_s, registry=held_by_one(world))
    assert [answered(later, **SECOND) for _ in codes] == codes
