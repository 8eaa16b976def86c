"""What risk control has counted survives a restart, by what the journal says."""

from __future__ import annotations

from functools import partial

import pytest

from switch.dialect.kinds import Kind
from switch.journal.replay import JournalReader
from switch.journal.request_history import FATES, CountRestorer, Fates, JournalRequest, RequestListing, rehearse
from switch.journal.resuming import Progress
from switch.journal.risk_counts import restore_counts
from switch.tables.registry import Registry
from switch.tables.registry_changes import take_changes
from switch.tables.risk import Risk
from switch.tables.rule_terms import BandTerms, ExitTerms, RuleTerms
from switch.tables.time_windows import HISTORIES_MAX, WindowTable
from tests.ext.journal_world import KEY, JournalWorld
from tests.ext.test_engine_advice import advice
from tests.ext.test_engine_risk_rules import answered
from tests.ext.world import purchase, reversal

HOUR_S = 3_600


def limit(**terms: object) -> RuleTerms:
    asked = {"name": "limit", "kinds": 1 << Kind.PURCHASE, "window_ms": HOUR_S * 1000}
    return RuleTerms(**(asked | terms))  # type: ignore[arg-type]


def risk_of(*rules: RuleTerms) -> Risk:
    return Risk.build(None, WindowTable(64), rules=rules)


def restarted(
    world: JournalWorld,
    *rules: RuleTerms,
    after_s: float = 10.0,
    boot: str = "first start",
    registry: Registry | None = None,
) -> JournalWorld:
    """The world after a restart of its whole switch, a while later, with its counts brought back.

    Who is in ``registry`` is as that says.
    """
    world.sync()
    now_s = world.now_s + after_s if boot == "first start" else 5.0
    later = JournalWorld(
        world.memory.copy(),
        now_s=now_s,
        begins=False,
        boot=boot,
        wall_ahead_s=round(world.now_s + after_s - now_s),
        risk=risk_of(*rules),
    )
    state = later.engine.state
    if registry is not None:
        take_changes(state.registry, registry)
    state.risk.use_registry(state.registry)
    restore_counts(state, partial(JournalReader, later.disk, KEY), Progress(), wall_of(later))
    later.begin()
    later.stan = world.stan  # those of before would be repeats
    return later


def wall_of(world: JournalWorld) -> int:
    return world.engine.state.calendar.wall_us


def test_what_was_approved_counts_after_a_restart():
    world = JournalWorld(risk=risk_of(limit(count_max=3)))
    assert [answered(world) for _ in range(2)] == ["00", "00"]
    later = restarted(world, limit(count_max=3))
    assert [answered(later) for _ in range(2)] == ["00", "65"]
    assert answered(restarted(world, limit(count_max=2))) == "65"


@pytest.mark.parametrize("end", ["declined", "timed out", "reversed", "open", "refused"])
def test_what_was_not_approved_or_was_taken_back_does_not_count(end):
    rules = [limit(name="single", currency=156, single_max=5_000, window_ms=0), limit(count_max=1)]
    world = JournalWorld(risk=risk_of(*rules))
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world, f4="000000009000" if end == "refused" else "000000001000")
    terminal.send(request)
    if end in ("declined", "reversed"):
        issuer.answer(issuer.read_one(), "51" if end == "declined" else "00")
    if end == "timed out":
        world.advance(16)
    if end != "open":
        terminal.read_one()
    if end == "reversed":
        assert terminal.ask(reversal(world, request))["39"] == "00"
    later = restarted(world, *rules)
    assert [answered(later) for _ in range(2)] == ["00", "65"]


def test_declines_count_after_a_restart():
    rule = limit(measure="declines", count_max=2)
    world = JournalWorld(risk=risk_of(rule))
    assert [answered(world, "51"), answered(world, "00"), answered(world, "51")] == ["51", "00", "51"]
    assert answered(restarted(world, rule)) == "65"


def test_a_share_of_declines_is_the_same_after_a_restart():
    bands = (BandTerms(name="half", begin=50, then="refuse"),)
    few = (ExitTerms(name="few", requests_below=4),)
    rule = limit(measure="share", value="decline_share", exits=few, bands=bands)
    world = JournalWorld(risk=risk_of(rule))
    ends = ["51", "00", "91", "51"]
    assert [answered(world, code) for code in ends] == ends
    later = restarted(world, rule)
    assert answered(later, "00") == "00", "two of three: too few"
    assert answered(later) == "65", "two of four"
    assert answered(restarted(later, rule)) == "65"


@pytest.mark.parametrize(("after_s", "code"), [(HOUR_S - 60, "65"), (2 * HOUR_S, "00")])
@pytest.mark.parametrize("boot", ["first start", "another start"])
def test_it_counts_when_it_was_even_before_the_machine_started(after_s, code, boot):
    """The clock of the switch begins anew with the machine: what was an hour before then is a time below none."""
    world = JournalWorld(risk=risk_of(limit(count_max=1)))
    assert answered(world) == "00"
    assert answered(restarted(world, limit(count_max=1), after_s=after_s, boot=boot)) == code


def test_a_successor_counts_nothing_twice():
    world = JournalWorld(risk=risk_of(limit(count_max=3)))
    answered(world)
    world.sync()
    state = world.engine.state
    windows = state.risk.windows
    reader = JournalReader(world.disk, KEY)
    counted = [restore_counts(state, lambda: reader, Progress(), wall_of(world)) for _ in range(2)]
    assert counted == [1, 0]
    with pytest.raises(ValueError, match=f"below {HISTORIES_MAX}"):
        windows.begin_history(HISTORIES_MAX)


def test_a_successor_of_whoever_was_cut_off_counts_the_rest():
    """Half of the journal is all that the first one comes to."""
    rule = limit(count_max=5)
    world = JournalWorld(risk=risk_of(limit(count_max=9)))
    assert [answered(world) for _ in range(2)] == ["00", "00"]
    world.sync()
    half = JournalReader(JournalWorld(world.memory.copy(), begins=False).disk, KEY)
    assert [answered(world) for _ in range(2)] == ["00", "00"]
    world.sync()
    later = JournalWorld(world.memory.copy(), now_s=world.now_s + 10, begins=False, risk=risk_of(rule))
    state = later.engine.state
    state.risk.use_registry(state.registry)
    windows = state.risk.windows
    assert windows.begin_history(0) == 0
    fates = Fates()
    half.replay(fates)
    half.replay(CountRestorer(fates, state.risk, state.registry, state.calendar.now_ns, wall_of(later)))
    assert windows.uncounted == 1, "nobody has said that it was all"
    assert restore_counts(state, partial(JournalReader, later.disk, KEY), Progress(), wall_of(later)) == 2
    assert (windows.uncounted, windows.begin_history(0)) == (0, None)
    later.begin()
    later.stan = world.stan
    assert [answered(later) for _ in range(2)] == ["00", "65"]


def test_a_successor_of_whoever_began_an_empty_journal_counts_nothing_twice():
    world = JournalWorld(begins=False, risk=risk_of(limit(count_max=3)))
    state = world.engine.state
    assert restore_counts(state, partial(JournalReader, world.disk, KEY), Progress(), wall_of(world)) == 0
    world.begin()
    answered(world)
    world.sync()
    assert restore_counts(state, partial(JournalReader, world.disk, KEY), Progress(), wall_of(world)) == 0


def listed(world: JournalWorld, fates: Fates) -> list[JournalRequest]:
    world.sync()
    found: list[JournalRequest] = []
    JournalReader(world.disk, KEY).replay(RequestListing(fates, found.append))
    return found


def test_what_is_written_behind_the_first_reading_is_not_looked_at():
    world = JournalWorld(risk=risk_of(limit(count_max=9)))
    assert answered(world) == "00"
    world.sync()
    fates = Fates()
    JournalReader(world.disk, KEY).replay(fates)
    assert answered(world, "51") == "51"
    assert [one.what_became for one in listed(world, fates)] == ["stands"]


def test_a_rehearsal_counts_advices_and_refuses_none():
    world = JournalWorld(risk=risk_of(limit(count_max=9)))
    assert world.terminal().ask(advice(world))["39"] == "00"
    assert answered(world) == "00"
    world.sync()
    fates = Fates()
    JournalReader(world.disk, KEY).replay(fates)
    rules = risk_of(limit(kinds=1 << Kind.ADVICE | 1 << Kind.PURCHASE, count_max=1, scope="card"))
    registry = world.engine.state.registry
    told, paid = listed(world, fates)
    assert (told.kind, paid.kind) == ("advice", "purchase")
    assert rehearse(rules, registry, told) == ([], False)
    assert rehearse(rules, registry, told) == ([], False)
    numbers, is_refused = rehearse(rules, registry, paid)
    assert ([rules.rule_ids[number] for number in numbers], is_refused) == (["limit@1"], True)


def test_each_request_is_listed_with_what_became_of_it():
    world = JournalWorld(risk=risk_of(limit(count_max=2)))
    codes = [answered(world, code) for code in ("00", "51", "00", "00")]
    assert codes == ["00", "51", "00", "65"]
    terminal = world.terminal()
    world.issuer()
    terminal.send(purchase(world, f41="10000003", f42="898000000000002", f2="4111111111111111"))
    world.sync()
    fates, found = Fates(), []
    JournalReader(world.disk, KEY).replay(fates)
    JournalReader(world.disk, KEY).replay(RequestListing(fates, found.append))
    assert [one.what_became for one in found][:4] == ["stands", "declined", "stands", "refused"]
    assert set(FATES) > {one.what_became for one in found}
    one = found[0]
    assert (one.kind, one.currency, one.amount_minor, one.terminal) == ("purchase", 156, 1_000, "10000002")
    assert one.merchant == "898000000000001"
    with pytest.raises(TypeError, match="made by a RequestListing"):
        JournalRequest()
