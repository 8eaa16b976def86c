"""What the alerts ask for is what a real daemon exports: names, and the labels that they sum by."""

import re
from collections import defaultdict

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from switch.books.metrics import Meters
from tests.switch.test_configs import CONFIGS

from .conftest import running
from .terminal import Terminal
from .test_stand_in import with_stand_in

RULES = (CONFIGS / "prometheus/rules.yml").read_text()
OWN = {"authswitch_rates", "authswitch_alerts"}  # groups of rules
BY_PROMETHEUS = {"switch", "instance"}  # labels that it adds to what it reads

RECORDED = {"authswitch:link_timeout_ratio:rate5m": {"link"}, "authswitch:approval_ratio:rate5m": {"link"}}
"""Labels of what other rules record."""


@pytest.fixture
async def exported(installation):
    """Labels of each series, by name, of two workers with a journal and stand-in that have carried one payment."""
    installation.workers = 2
    bank = installation.issuer("bank-a", "iso87-ascii")
    with_stand_in(installation, await bank.listen())
    async with (
        running(installation) as daemon,
        await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal,
    ):
        assert await terminal.code() == "00"
        await daemon.counted("authswitch_journal_records_total", 2)
        _, text = await daemon.get("/metrics")
    await bank.stop()
    labels = defaultdict(set)
    for family in text_string_to_metric_families(text + books_exported()):
        for sample in family.samples:
            labels[sample.name].update(sample.labels)
    return dict(labels)


def books_exported():
    """What the process of the books exports, which has posted something and failed once."""
    meters = Meters()
    with meters.timed(0):
        meters.failed(0)
    meters.stepped(0, 1, 1, caught_up=True)
    return generate_latest(meters.registry).decode()


async def test_alerts_ask_for_what_the_daemon_exports(exported):
    asked = set(re.findall(r"\bauthswitch_\w+", RULES)) - OWN
    assert len(asked) > 20
    assert asked - exported.keys() == set()


async def test_alerts_sum_by_labels_that_are_there(exported):
    sums = re.findall(r"sum by \(([\w, ]+)\) \((?:\w+\()?(authswitch_\w+)", RULES)
    assert len(sums) > 8
    for names, metric in sums:
        assert set(names.split(", ")) - BY_PROMETHEUS - exported[metric] == set(), metric


async def test_texts_of_alerts_name_labels_that_are_there(exported):
    """A label that is not there is printed as nothing."""
    for alert in RULES.split("- alert: ")[1:]:
        expression, texts = alert.split("annotations:")
        known = set(BY_PROMETHEUS)
        for metric in re.findall(r"\bauthswitch_\w+", expression):
            known |= exported[metric]
        for rule, labels in RECORDED.items():
            known |= labels if rule in expression else set()
        assert set(re.findall(r"\$labels\.(\w+)", texts)) - known == set(), alert
