"""The README's first purchase, command by command, as a newcomer would type it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from bench.processes import free_port

from .newcomer import Newcomer
from .working_copy import ROOT

COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("authswitch ")
]
DEADLINE_SECONDS = 30


class Buyer(Newcomer):
    """Types the commands of the README, each by how it begins."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ports = {str(port): str(free_port()) for port in (5830, 7001, 9583)}

    def as_here(self, text: str) -> str:
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda match: self.ports[match[0]], text)

    def _words(self, command: str) -> list[str]:
        return super()._words(next(line for line in COMMANDS if line.startswith(command)))

    def gives_the_switch_free_ports(self) -> None:
        """Change the configuration that was made, as its user would where the ports are taken."""
        config = self.folder / "trial" / "switch.toml"
        config.write_text(self.as_here(config.read_text()))


@pytest.fixture
def newcomer(tmp_path):
    person = Buyer(tmp_path)
    yield person
    person.closes_all()


def test_a_message_and_back(newcomer):
    encoded = newcomer.types("authswitch encode").stdout.strip()
    assert next(line for line in COMMANDS if line.startswith("authswitch decode")).endswith(f" {encoded}")
    decoded = newcomer.types("authswitch decode")
    assert decoded.returncode == 0, decoded.stderr
    assert "622588******0017" in decoded.stdout
    assert "6225880000000017" not in decoded.stdout


def test_first_purchase_and_the_same_again(newcomer):
    """Each command is typed twice; only ``init`` refuses the second time, and changes nothing."""
    made = newcomer.types("authswitch init")
    assert made.returncode == 0, made.stderr
    newcomer.gives_the_switch_free_ports()
    for _ in range(2):
        checked = newcomer.types("authswitch check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
    again = newcomer.types("authswitch init")
    assert again.returncode != 0
    assert "trial" in again.stderr

    newcomer.opens_a_window("authswitch simulate issuer")
    for _ in range(2):
        switch = newcomer.opens_a_window("authswitch serve")
        log = newcomer.log_of(-1)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (status := newcomer.types("authswitch status")).returncode != 0:
            assert switch.poll() is None, log.read_text()
            assert time.monotonic() < deadline, status.stdout + status.stderr
        for _ in range(2):
            bought = newcomer.types("authswitch simulate terminals")
            assert bought.returncode == 0, bought.stdout + bought.stderr
            assert "answered 20, missing 0, wrong 0" in bought.stdout
        drained = newcomer.types("authswitch drain")
        assert drained.returncode == 0, drained.stdout + drained.stderr
        assert switch.wait(DEADLINE_SECONDS) == 0
