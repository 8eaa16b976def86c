"""Rules of risk control on the path: what names a refusal, how the card was read, and what issuers have declined."""

from __future__ import annotations

import pytest

from switch.dialect.kinds import Kind
from switch.dialect.model import ENTRY_MODES
from switch.tables.risk import Risk
from switch.tables.rule_terms import BandTerms, RuleTerms
from switch.tables.time_windows import WindowTable
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.test_engine_advice import advice
from tests.ext.world import purchase

SOURCE = "an order on small merchants, art. 3"
REASON = "单日限额"


def risk_of(*rules: RuleTerms) -> Risk:
    return Risk.build(None, WindowTable(64), rules=rules)


def limit(**terms: object) -> RuleTerms:
    return RuleTerms(**({"name": "limit", "kinds": 1 << Kind.PURCHASE, "window_ms": 3_600_000} | terms))  # type: ignore[arg-type]


def answered(world, code="00", **changes):
    """The code of a purchase that its issuer, where it is asked, answers so."""
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world, **changes))
    for request in issuer.read():
        issuer.answer(request, code)
    told = terminal.read_one()["39"]
    terminal.close()
    issuer.close()
    return told


def test_the_journal_says_which_rule_has_refused_and_why():
    rule = limit(version=12, count_max=1, text=REASON, source=SOURCE)
    world = JournalWorld(risk=risk_of(rule))
    assert [answered(world), answered(world)] == ["00", "65"]
    world.sync()
    approved, refused = (record for record in records_of(world.memory)[0] if record["type"] == "OUTCOME")
    assert refused["rule"] == {"id": "limit@12", "reason": REASON, "source": SOURCE}
    assert "rule" not in approved
    after = JournalWorld(world.memory.copy(), now_s=200.0)
    assert after.replayed.remembered == 2


def test_a_refusal_that_is_none_of_risk_control_names_no_rule(make_world):
    world = make_world(risk=risk_of(limit(count_max=1)))
    answered(world)
    answered(world)
    answered(world, f2="5" * 16)
    outcomes = [details for what, details in world.journal.records if what == "outcome"]
    assert [details["rule"] for details in outcomes] == ["", "limit@1", ""]


@pytest.mark.parametrize(("entry", "mode"), [("012", "manual"), ("801", "fallback_pin"), ("051", "chip_pin")])
def test_how_the_card_was_read_is_known_and_kept(entry, mode):
    place = ENTRY_MODES.index(mode)
    world = JournalWorld(risk=risk_of(limit(count_max=1, entries=1 << place)))
    other = "021" if mode != "magnetic_pin" else "051"
    assert [answered(world, f22=other) for _ in range(2)] == ["00", "00"]
    assert [answered(world, f22=entry) for _ in range(2)] == ["00", "65"]
    world.sync()
    intents = [record for record in records_of(world.memory)[0] if record["type"] == "INTENT"]
    assert [ENTRY_MODES[record["entry_mode"]] for record in intents] == ["magnetic_pin"] * 2 + [mode]


SAYS_OF_CARD = ("01", "04", "05", "14", "41", "43", "51", "54", "55", "57", "59", "61", "62", "65", "75")
SAYS_OF_ELSE = ("03", "12", "13", "15", "25", "30", "58", "63", "68", "90", "91", "94", "96", "97", "A0", "ZZ")


@pytest.mark.parametrize(
    ("codes", "last"),
    [
        *(((code,), "65") for code in SAYS_OF_CARD),
        (("00",), "00"),
        *(((code,), "00") for code in SAYS_OF_ELSE),
    ],
)
def test_what_issuers_decline_for_the_card_counts_and_nothing_else_they_say(make_world, codes, last):
    world = make_world(risk=risk_of(limit(measure="declines", count_max=1)))
    for code in codes:
        answered(world, code)
    assert answered(world) == last


@pytest.mark.parametrize("ask", [purchase, advice])
def test_a_kind_that_a_terminal_may_not_do_names_what_refused_it(make_world, ask):
    world = make_world(risk=risk_of(limit(count_max=9)))
    assert world.terminal().ask(ask(world, f41="10000007"))["39"] == "58"
    risk = world.engine.state.risk
    assert risk.refused[risk.rule_ids.index("terminal-kinds@1")] == 1
    assert [details["rule"] for what, details in world.journal.records if what == "outcome"] == ["terminal-kinds@1"]


def test_what_is_not_approved_counts_for_declines_alone(make_world):
    world = make_world(risk=risk_of(limit(count_max=1), limit(name="declines", measure="declines", count_max=2)))
    assert [answered(world, "51"), answered(world)] == ["51", "00"]
    assert answered(world) == "65"


LOOK = BandTerms(name="look", begin=1, below=5, then="case", text=REASON)
WILD = BandTerms(name="wild", begin=5, then="refuse", refuse_as="suspected-fraud", text="too often")


def test_the_journal_names_the_band_that_refuses_and_the_one_that_raises_a_case():
    rule = limit(version=12, value="count", bands=(LOOK, WILD), source=SOURCE)
    world = JournalWorld(risk=risk_of(rule))
    state = world.engine.state
    state.risk.use_registry(state.registry)
    assert [answered(world) for _ in range(5)] == ["00"] * 4 + ["59"]
    world.sync()
    records = records_of(world.memory)[0]
    asked = [record["position"] for record in records if record["type"] == "INTENT"]
    ruled = [record for record in records if record["type"] == "RULED"]
    assert [record["request"] for record in ruled] == asked
    assert ruled[0]["rule"] == {"id": "limit@12/look", "reason": REASON, "source": SOURCE}
    refused = [record["rule"] for record in records if record["type"] == "OUTCOME" and "rule" in record]
    assert refused == [{"id": "limit@12/wild", "reason": "too often", "source": SOURCE}]
    assert [case[:2] for case in state.risk.raised] == [("limit@12/look", REASON)] * 4
    assert [case[4:] for case in state.risk.raised] == [(state.partition, position) for position in asked]
    assert JournalWorld(world.memory.copy(), now_s=200.0).replayed.remembered == 5


def test_cases_that_nobody_takes_are_bounded(make_world):
    world = make_world(risk=risk_of(limit(value="amount", window_ms=0, bands=(BandTerms(name="all", then="case"),))))
    world.engine.state.risk.use_registry(world.engine.state.registry)
    for _ in range(300):
        answered(world)
    assert len(world.engine.state.risk.raised) == 256
