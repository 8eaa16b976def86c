"""Risk control of a real daemon: what it counted before a restart, who has refused a payment, and rules rehearsed."""

import json

import pytest

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .nodes import Nodes
from .terminal import Terminal
from .test_trace import authswitch
from .unruly import one_bank

RULE = """
[[limits]]
name = "card-hour"
version = 4
per = "card"
currency = "156"
window_seconds = 3600
count_max = 2
text = "two payments an hour"
source = "order 12, art. 3"
"""
STRICTER = RULE.replace("count_max = 2", "count_max = 1").replace("version = 4", "version = 5")
IN_SHADOW = STRICTER + "shadow = true\n"


async def codes(installation, daemon, count):
    async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
        return [await terminal.code() for _ in range(count)]


async def has_series(daemon, line):
    _, text = await daemon.get("/metrics")
    return line in text.splitlines()


@pytest.mark.parametrize("workers", [1, 2])
async def test_counts_survive_a_restart_and_refusals_name_their_rule(installation, workers):
    installation.workers = workers
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.risk = RULE
    async with one_bank(installation):
        async with running(installation) as daemon:
            assert await codes(installation, daemon, 2) == ["00", "00"]
        async with running(installation) as daemon:
            assert [said["requests"] for said in daemon.said("risk control counts on")] == [2]
            assert await codes(installation, daemon, 1) == ["65"]
            await until(lambda: has_series(daemon, 'authswitch_risk_refused_total{rule="card-hour@4"} 1'))
        stricter = installation.folder / "stricter.toml"
        for text, of_rule in ((STRICTER, 1), (IN_SHADOW, 2)):
            stricter.write_text(text)
            status, output, errors = await authswitch("risk", "rehearse", daemon.config, stricter, "--json")
            assert (status, errors) == (0, "")
            found = json.loads(output)
            assert found["requests"] == 3
            hit = found["rules"]["card-hour@5"]
            assert hit["requests"] == 2
            assert (hit["approved"], hit["cards"]) == (1, 1)
            assert found["difference"]["newly_refused"]["requests"] == 2 - of_rule
            assert found["difference"]["refused_as_before"]["requests"] == 2 - of_rule
            assert found["difference"]["no_more_refused"]["requests"] == of_rule - 1
        status, output, _ = await authswitch("risk", "rehearse", daemon.config, stricter)
        assert status == 0
        assert "rule card-hour@5: 2 requests, " in output
        status, output, _ = await authswitch("journal", "dump", daemon.config, "--json")
        rules = [record["rule"] for record in map(json.loads, output.splitlines()) if "rule" in record]
        assert rules == [{"id": "card-hour@4", "reason": "two payments an hour", "source": "order 12, art. 3"}]


OFTEN = """
[[rules]]
name = "often"
version = 3
per = "card"
window_seconds = 3600
measure = "count"
[[rules.bands]]
name = "first"
below = 2
then = "pass"
[[rules.bands]]
name = "look"
from = 2
below = 5
then = "case"
[[rules.bands]]
name = "too-often"
from = 5
then = "refuse"
text = "five payments an hour"
"""


async def test_journals_of_all_nodes_are_rehearsed_as_one_switch_would_have_counted(installation, new_installation):
    async with one_bank(installation), Nodes(installation, new_installation()) as nodes:
        for terminal in TERMINALS[:6]:
            async with await Terminal.connect(installation, nodes.ports[0], "iso87-ascii") as line:
                assert await line.code(terminal=terminal) == "00"
    config, rules = nodes.daemons[0].config, installation.folder / "often.toml"
    rules.write_text(OFTEN)
    folders = [str(one.folder / "journal") for one in nodes.installations]

    async def rehearsed(*directories):
        options = [part for folder in directories for part in ("--directory", folder)]
        status, output, errors = await authswitch("risk", "rehearse", config, rules, "--json", *options)
        assert (status, errors) == (0, "")
        return json.loads(output)

    whole = await rehearsed(*folders)
    assert (whole["requests"], whole["not_here"]) == (6, None)
    shown = {name: (band["then"], band["requests"]) for name, band in whole["bands"].items()}
    assert shown == {"often@3/first": ("pass", 1), "often@3/look": ("case", 3), "often@3/too-often": ("refuse", 2)}
    assert whole["difference"]["newly_refused"]["requests"] == 2
    assert await rehearsed(*reversed(folders)) == whole
    parts = [await rehearsed(folder) for folder in folders]
    assert sum(part["requests"] for part in parts) == 6
    assert sum(part["bands"]["often@3/first"]["requests"] for part in parts) == 2, "each knows a part"
    assert all("there is no journal of partition" in part["not_here"] for part in parts)
    status, output, errors = await authswitch("risk", "rehearse", config, rules, *2 * ("--directory", folders[0]))
    assert status == 1
    assert "would count twice" in errors
    status, output, _ = await authswitch(
        "risk", "rehearse", config, rules, "--directory", folders[0], "--directory", folders[1]
    )
    assert status == 0
    assert "band often@3/too-often, refuse: 2 requests, " in output


async def test_a_band_refuses_by_its_name_and_another_one_raises_a_case(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.risk = OFTEN
    async with one_bank(installation), running(installation) as daemon:
        assert await codes(installation, daemon, 5) == ["00"] * 4 + ["65"]
        for line in (
            'authswitch_risk_band_total{rule="often@3/first",then="pass"} 1',
            'authswitch_risk_band_total{rule="often@3/look",then="case"} 3',
            'authswitch_risk_refused_total{rule="often@3/too-often"} 1',
        ):
            await until(lambda line=line: has_series(daemon, line))
        status, output, _ = await authswitch("trace", daemon.config, "*0014", "--all")
        assert status == 0
        assert output.count("lets it go on and raises a case: rule often@3/look") == 3
        assert "rule often@3/too-often: five payments an hour" in output
