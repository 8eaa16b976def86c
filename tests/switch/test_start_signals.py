"""A signal that ends the daemon while it starts: in each phase it ends well, with one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from switch.base.start_signals import DRAINING, NOTHING_DONE
from switch.samples.copying import write_sample

SECONDS_MAX = 60

WHILE_IMPORTED = """
import os, signal, sys
import switch.cli.main

class Struck:
    def find_spec(self, name, path=None, target=None):
        if name == "switch.server":
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Struck())
sys.argv = ["authswitch", "serve", "no-such-file.toml"]
switch.cli.main.main()
"""

WHILE_READ = """
import os, signal, sys
import switch.cli.main

def strike(event, arguments):
    if event == "open" and str(arguments[0]) == {file!r}:
        os.kill(os.getpid(), signal.{signal})

sys.addaudithook(strike)
sys.argv = ["authswitch", "serve", {config!r}]
switch.cli.main.main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sample(tmp_path / "switch", "minimal")
    return tmp_path / "switch"


def struck(file: Path, config: Path, number: signal.Signals) -> tuple[int, str]:
    """How the daemon ends that is signalled as soon as it has opened a file, and what it says."""
    command = [sys.executable, "-c", WHILE_READ.format(file=str(file), config=str(config), signal=number.name)]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX, check=False)
    return ended.returncode, ended.stderr


def test_while_the_configuration_is_read(folder: Path) -> None:
    config = folder / "switch.toml"
    assert struck(config, config, signal.SIGTERM) == (0, f"authswitch: {NOTHING_DONE} (SIGTERM)\n")


@pytest.mark.parametrize("name", ["secrets/keys.sealed", "sample/routes-minimal.csv"])
def test_while_keys_are_unsealed_and_tables_read(folder: Path, name: str) -> None:
    status, said = struck(folder / name, folder / "switch.toml", signal.SIGTERM)
    assert status == 0
    (line,) = said.splitlines()
    told = json.loads(line)
    assert (told["event"], told["signal"], told["level"]) == (NOTHING_DONE, "SIGTERM", "info")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_while_the_program_itself_is_loaded(number: signal.Signals) -> None:
    command = [sys.executable, "-c", WHILE_IMPORTED.format(signal=number.name)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if number in DRAINING:
        assert (ended.returncode, ended.stderr) == (0, f"authswitch: {NOTHING_DONE} ({number.name})\n")
    else:
        assert ended.returncode == 2, "as without the signal"
        assert "no-such-file.toml" in ended.stderr
