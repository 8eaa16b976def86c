"""``authswitch demo``: the real switch between simulated issuers and terminals, all money accounted for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "switch", "demo"]


def test_a_short_demo_accounts_for_every_transaction() -> None:
    run = subprocess.run(
        [*COMMAND, "--seconds", "3", "--rate", "200", "--terminals", "12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "missing answers: 0  wrong answers: 0" in run.stdout
    assert re.search(
        r"reconciled [1-9][0-9,]* receipts with [1-9][0-9,]* entries of ledgers: every one agrees", run.stdout
    )
    assert "links bank-a=up" in run.stdout


def test_a_demo_with_faults_accounts_for_every_transaction() -> None:
    """A line breaks, the switch is killed and starts again: said in the output, and nothing is lost."""
    run = subprocess.run(
        [*COMMAND, "--faults", "--seconds", "5", "--rate", "200", "--terminals", "30"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    happened = [line for line in run.stdout.splitlines() if " ** " in line]
    for words in ("bank-a breaks", "bank-a is mended", "is killed (SIGKILL)", "serves again after"):
        assert sum(words in line for line in happened) == 2, run.stdout  # when it happens, and in the end
    assert re.search(r"records replayed, [1-9][0-9,]* outcomes remembered", run.stdout)
    assert re.search(r"[1-9][0-9,]* payments over [0-9,.]+ stand, and all of that money is accounted for", run.stdout)
    assert "missing answers: 0  wrong answers: 0" in run.stdout
    assert re.search(r"journal: [0-9,]+ records, whole; [1-9][0-9,]* reversals .* still open: 0", run.stdout)


@pytest.mark.parametrize(("options", "end"), [((), signal.SIGHUP), (("--faults",), signal.SIGINT)])
def test_an_interrupted_demo_still_reconciles(options: tuple[str, ...], end: signal.Signals) -> None:
    """Ctrl-C or a closed window ends it at once, with its summary; the folder with the keys is gone."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*COMMAND, "--seconds", "600", "--rate", "100", "--terminals", "6", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": folder},
        )
        try:
            lines = []
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if "answered" in line:
                    break
            interrupted = time.monotonic()
            process.send_signal(end)
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, "".join(lines) + rest
        assert "every one agrees" in rest
        assert time.monotonic() - interrupted < 30
        assert list(Path(folder).iterdir()) == []
