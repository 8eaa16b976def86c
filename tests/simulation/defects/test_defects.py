"""The simulator finds deliberate defects; ``make defects`` hunts all of them, here a quick few."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .build import ROOT, changed_sources
from .catalogue import CONDITION, DEFECTS

QUICK_SEEDS = 100


def test_every_defect_has_its_place_in_the_sources():
    for text in changed_sources().values():
        assert CONDITION not in text
        assert "from switch.defect cimport defect_is_on" in text


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(DEFECTS) >= 20
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)


def test_the_docs_list_each_with_its_seeds():
    page = (ROOT / "docs" / "fault-simulation.md").read_text()
    for defect in DEFECTS:
        assert any(
            line.startswith(f"| {defect.name} |") and line.endswith(f"| {defect.seeds:,} |")
            for line in page.splitlines()
        ), defect.name


@pytest.mark.timeout(600)
def test_quick_ones_are_found_in_time():
    names = [defect.name for defect in DEFECTS if defect.seeds <= QUICK_SEEDS]
    hunt = subprocess.run(
        [sys.executable, "-m", "tests.simulation.defects", "--json", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert hunt.returncode == 0, hunt.stdout + hunt.stderr
    assert [catch["name"] for catch in json.loads(hunt.stdout) if catch["is_expected"]] == names
