"""Fixtures that many tests share: counters of leaks, and a copy of the sample configurations with keys of its own."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from structlog.testing import capture_logs

from switch.admin.callers import Gate
from switch.base.live_counts import live_counts

from .leaks import Leaks
from .operators import write_operator, write_token

ROOT = Path(__file__).parents[1]

gc.disable()  # while tests are collected: nothing of that is garbage

LONGEST = (
    "system/test_make.py",
    "simulation/defects/test_defects.py",
    "system/test_links.py",
    "system/test_pages.py",
    "system/test_trace.py",
    "system/test_demo_tour.py",
    "torture/test_slice.py",
    "system/test_partitions.py",
    "system/test_journal.py",
    "system/test_demo.py",
    "system/test_packages.py",
    "system/test_journal_lost.py",
    "system/test_admin.py",
    "system/test_tls.py",
    "simulation/test_slice.py",
)
"""Files that take longest: they begin first, so that in the end no process works on one while all others are done."""

# Hundreds of processes begin with the same modules: without this each may compile them anew.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="authswitch-bytecode-")

# What commands keep from run to run (numbers of simulated terminals) belongs to nobody's home here.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="authswitch-tests-")

# For builds that are slow, and would look as if the tests were: --hypothesis-profile=slow
settings.register_profile("slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])


CARDS = Leaks({pan: pan for pan in ("6225000000000014", "4000000000000002")})
"""Those that most tests pay with."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test whose output shows a card in clear has failed: so would a log have shown it."""
    report = yield
    said = report.capstdout + report.capstderr + report.caplog
    if report.when == "call" and report.passed and (shown := CARDS.in_bytes(said.encode())):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: cards in its output: {', '.join(sorted(shown))}"
    return report


def pytest_collection_modifyitems(items):
    """Longest files first; all others stay as they were collected."""
    ranks = {ROOT / "tests" / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish():
    """Tests and modules stay until the end: none of the collections that find leaks need look through them again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def sample_configs(tmp_path_factory):
    """The folder ``configs``, complete: made once, not to be changed."""
    from switch.samples.secrets import write_secrets  # compiled modules that a partial build does not have

    folder = tmp_path_factory.mktemp("sample") / "configs"
    shutil.copytree(ROOT / "configs", folder, ignore=shutil.ignore_patterns("secrets"))
    write_secrets(folder / "secrets", folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_leaks(request):
    """Whatever a test makes of the state machine's, down to a byte of its buffers, is gone when the test is."""
    before = live_counts()
    failures = request.session.testsfailed
    yield
    request.node.funcargs.clear()  # pytest would keep the other fixtures' values until later
    if request.session.testsfailed > failures:
        return  # the traceback holds what the test held
    if leaked(before):
        gc.collect()
    assert not leaked(before)


def leaked(before):
    """What there is more of than before, by name."""
    return {name: count - before[name] for name, count in live_counts().items() if count > before[name]}


@pytest.fixture
def gate(tmp_path_factory, monkeypatch):
    """An admin side's gate that knows one operator, mei.lin, whose token commands find in the environment."""
    folder = tmp_path_factory.mktemp("operator")
    text = write_operator(folder / "tokens.csv")
    monkeypatch.setenv("AUTHSWITCH_TOKEN_FILE", str(write_token(folder / "mei.token", text)))
    gate = Gate(folder / "tokens.csv")
    gate.tokens_file, gate.token = folder / "tokens.csv", text
    with capture_logs():  # a daemon's log is not what a command says
        yield gate
