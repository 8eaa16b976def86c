"""The samples of rules and scenario on the page of simulation fit one another: used together, nothing is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from switch.simulators.issuer import IssuerSettings
from switch.simulators.rules import Rules
from switch.simulators.scenario import Scenario
from tests.switch.simulated import fleet_for, mac_of, serving

PAGE = Path(__file__).parents[2] / "docs/simulation.md"


def samples() -> tuple[Rules, Scenario]:
    rules, scenario = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return Rules.model_validate(tomllib.loads(rules)), Scenario.model_validate(tomllib.loads(scenario))


def test_the_scenario_knows_the_rules_of_its_issuer() -> None:
    rules, scenario = samples()
    assert (scenario.amounts, scenario.parts) == (rules.amounts, rules.parts)
    cards = {card.pan: card for card in rules.cards}
    for card in scenario.cards:
        assert cards[card.pan].refusal == card.expect
        assert cards[card.pan].balance_minor is None, "terminals do not know what is left"


async def test_used_together_nothing_is_wrong() -> None:
    rules, scenario = samples()
    mac = mac_of("iso87-ascii")
    async with serving("iso87-ascii", IssuerSettings(rules=rules), mac) as (issuer, port):
        fleet = fleet_for(port, terminals=3, mac=mac, scenario=scenario)
        await fleet.start()
        await fleet.work(count=200)
        await fleet.stop()
    counters = fleet.counters
    assert (counters.missing, counters.wrong) == (0, 0), counters.problems
    assert counters.answered == 200
    assert {reason for _, reason in counters.by_code} >= {"approved", "lost_card"}
    assert issuer.counters.unreadable == 0
