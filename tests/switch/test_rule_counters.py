"""Counters of what the rules of risk control refuse."""

from switch.base.stats import Stats
from switch.dialect.kinds import Kind
from switch.server.gauges import rule_counters
from switch.tables.risk import OWN_RULES, Risk
from switch.tables.rule_terms import RuleTerms
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
