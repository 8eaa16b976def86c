"""A signal that ends the daemon while it starts: in each phase it ends well, with one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from switch.samples.copying import write_sample
from switch.starting import DRAINING, NOTHING_DONE

SECONDS_MAX = 60

WHILE_IMPORTED = """
import os, signal, sys
import switch.cli

class Struck:
    def find_spec(self, name, path=None, target=None):
        if name == "switch.server":
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Struck())
sys.argv = ["authswitch", "serve", "no-such-file.toml"]
switch.cli.main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sample(tmp_path / "switch", "minimal")
    return tmp_path / "switch"


def struck(file: Path, config: Path, number: signal.Signals) -> tuple[int, str]:
    """How the daemon ends that is signalled while it waits for the content of a file, and what it says."""
    file.unlink()
    os.mkfifo(file, 0o600)
    child = subprocess.Popen([sys.executable, "-m", "switch", "serve", str(config)], stderr=subprocess.PIPE, text=True)
    with child:
        try:
            for writer in opened(file, child):
                child.send_signal(number)
                _, said = child.communicate(timeout=SECONDS_MAX)
                os.close(writer)
        finally:
            child.kill()
    return child.returncode, said


def opened(file: Path, child: subprocess.Popen[str]) -> Iterator[int]:
    """A pipe's other end, as soon as somebody reads it."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        assert child.poll() is None
        try:
            yield os.open(file, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("nobody reads it")


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
