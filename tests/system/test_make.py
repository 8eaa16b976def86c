"""Every target of the Makefile does its work, at least as a short slice."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from .working_copy import LIBRARY, ROOT, VENV, copy_tree, lay_compiled, plain_environment, run

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
QUICKLY = "AUTHSWITCH_FLAGS=-O0"
FEW_MODULES = [QUICKLY, "AUTHSWITCH_MODULES=base.live_counts base.calendar"]
"""Of the builds that nothing else uses, only what one test needs."""

SLICES = {
    "help": [],
    "ready": [],
    "setup": [],
    "build": [],
    "run": ["ARGS=--seconds 1 --rate 50 --terminals 5"],
    "simulate": ["SEEDS=5"],
    "nightly": ["ARGS=--seconds 1 --jobs 1 --start 0"],
    "torture": ["KILLS=1", "SECONDS=1", "ARGS=--lives serve"],
    "balancer": ["TERMINALS=5", "ARGS=--balancer-kills 0"],
    "bench": [
        "SUITES=bench/bench_framing.py --benchmark-min-rounds=1 --benchmark-max-time=0.01",
        "ARGS=plain --seconds 1 --warmup 0.2 --rounds 1",
        "JOURNAL_ARGS=--seconds 1 --warmup 0.2 --rounds 1 --records 10000 --open 10",
        "INSTRUCTIONS_ARGS=--ways --pins --transactions 20",
        "GUARDING_ARGS=--connections 4 --purchases 8 --rounds 1",
        "WORKERS_ARGS=--seconds 1 --warmup 0.2 --rounds 1 --rate 500",
        "RESTART_ARGS=--records 2000 --rounds 1 --rate 200",
    ],
    "instructions": ["ARGS=--rows 3 --transactions 20 --partitions 4"],  # without the ways, which are those of bench
    "format": [],
    "debug": FEW_MODULES,
    "coverage": [*FEW_MODULES, "ARGS=tests/ext/test_calendar.py"],
    "sanitize": [*FEW_MODULES, "ARGS=tests/ext/test_calendar.py"],
    "fuzz": [
        QUICKLY,
        "AUTHSWITCH_MODULES=base.live_counts wire.framing wire.proxy_header",
        "TARGET=framing",
        "SECONDS=1",
    ],
    "clean": [],
}
"""What each target is given to be quick."""

ELSEWHERE = {
    "test": "what runs this test",
    "lint": "a part of `make test`",
    "package": "tests/system/test_packages.py",
    "defects": "tests/simulation/defects/test_defects.py",
}

PRINTS = {
    "help": "make torture",
    "simulate": "0 seeds failed",
    "balancer": "0 doubled",
    "bench": "report: reports/restart",
    "instructions": "one transaction",
    "coverage": "calendar.pyx",
    "sanitize": "passed",
    "fuzz": "Done",
}
"""What each target must have said; nothing but its exit status is looked at otherwise."""

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        "build" in Path(sys.modules["switch"].__file__ or "").parts, reason="these make builds of their own"
    ),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree that is built already."""
    folder = copy_tree(tmp_path_factory.mktemp("tree"))
    lay_compiled(folder, LIBRARY, Path("switch"))
    (folder / "build" / "release" / "built").touch()
    return folder


def test_every_target_is_run():
    assert sorted(TARGETS) == sorted([*SLICES, *ELSEWHERE])
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^test: .*\n(\t.*\n)*\t.* lint ", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", SLICES)
def test_target(tree, target):
    if target == "fuzz" and shutil.which("clang") is None and os.geteuid() != 0:
        pytest.skip("clang is missing, and only root may install it")
    said = run("make", target, f"VENV={VENV}", *SLICES[target], folder=tree, timeout_seconds=390)
    assert PRINTS.get(target, "") in said, said
    if target in ("ready", "setup", "build"):
        assert "compiling" not in said, "the copy was built already"


def test_a_target_knows_nothing_of_the_make_that_runs_the_tests(monkeypatch):
    """``make test ARGS="--durations 25"`` gives its words to the tests, and to no target that they call."""
    monkeypatch.setenv("MAKEFLAGS", r" -- ARGS=--durations\ 25")
    monkeypatch.setenv("ARGS", "--durations 25")
    assert {"ARGS", "MAKEFLAGS"} & set(plain_environment()) == set()
