"""Counters of what the rules of risk control refuse."""

from switch.base.stats import Stats
from switch.dialect.kinds import Kind
from switch.server import gauges
from switch.server.gauges import rule_counters
from switch.tables.risk import OWN_RULES, Risk
from switch.tables.rule_terms import BandTerms, RuleTerms
from switch.tables.time_windows import WindowTable


def test_each_rule_counts_what_it_refuses_and_what_it_would() -> None:
    rules = [
        RuleTerms(name="trial", version=2, count_max=0, is_shadow=True),
        RuleTerms(name="real", version=5, window_ms=60_000, count_max=1),
    ]
    stats = Stats(1 << 16)
    risk = Risk.build(None, WindowTable(16), rules=rules)
    counters = rule_counters(stats, risk)
    for _ in range(3):
        risk.check_request(Kind.PURCHASE, pan="4000001234567890")
        for counter in counters:
            counter.take()
            counter.take()
    told = stats.exposition().decode().splitlines()
    assert 'authswitch_risk_refused_total{rule="real@5"} 2' in told
    assert 'authswitch_risk_shadow_total{rule="trial@2"} 3' in told
    assert 'authswitch_risk_refused_total{rule="cards@1"} 0' in told
    assert sum(line.startswith("authswitch_risk_refused_total{") for line in told) == len(OWN_RULES) + 2


def test_each_band_counts_what_it_decides() -> None:
    bands = (
        BandTerms(name="low", below=10),
        BandTerms(name="look", begin=10, below=20, then="case"),
        BandTerms(name="trial", begin=20, below=30, then="shadow"),
        BandTerms(name="high", begin=30, then="refuse"),
    )
    stats = Stats(1 << 16)
    risk = Risk.build(None, WindowTable(16), rules=[RuleTerms(name="a", version=3, value="amount", bands=bands)])
    for amount in (5, 15, 25, 35, 36):
        risk.check_request(Kind.PURCHASE, pan="4000001234567890", amount_minor=amount)
    for counter in rule_counters(stats, risk):
        counter.take()
    told = set(stats.exposition().decode().splitlines())
    assert {line for line in told if "a@3/" in line} == {
        'authswitch_risk_band_total{rule="a@3/low",then="pass"} 1',
        'authswitch_risk_band_total{rule="a@3/look",then="case"} 1',
        'authswitch_risk_band_total{rule="a@3/trial",then="shadow"} 1',
        'authswitch_risk_band_total{rule="a@3/high",then="refuse"} 2',
        'authswitch_risk_refused_total{rule="a@3/high"} 2',
        'authswitch_risk_shadow_total{rule="a@3/trial"} 1',
    }


def test_series_of_former_versions_are_bounded_and_nothing_that_was_counted_is_lost(monkeypatch) -> None:
    monkeypatch.setattr(gauges, "FORMER_SERIES_MAX", 3)
    stats = Stats(1 << 16, workers=2)
    late = None
    for version in range(1, 20):
        risk = Risk.build(None, WindowTable(16), rules=[RuleTerms(name="a", version=version, count_max=0)])
        counters = rule_counters(stats, risk)
        risk.check_request(Kind.PURCHASE, pan="4000001234567890")
        for counter in counters:
            counter.take()
        if version == 2:
            late = (risk, counters)
    told = [line for line in stats.exposition().decode().splitlines() if 'refused_total{rule="' in line]
    counts = {line.split('"')[1]: int(line.rpartition(" ")[2]) for line in told}
    assert {rule: count for rule, count in counts.items() if count} == {
        "a@19": 1, "a@18": 1, "a@17": 1, "a@16": 1, "other": 15,
    }  # fmt: skip
    risk, counters = late
    risk.check_request(Kind.PURCHASE, pan="4000001234567890")
    for counter in counters:
        counter.take()
    told = stats.exposition().decode().splitlines()
    assert 'authswitch_risk_refused_total{rule="a@2"} 1' in told, "whoever was late counts as itself"
    assert 'authswitch_risk_refused_total{rule="other"} 15' in told
