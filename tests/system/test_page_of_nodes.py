"""Two nodes behind HAProxy, command by command as the page and the samples say, on ports that are free."""

from __future__ import annotations

import contextlib
import re
import socket
import time

import pytest

from .newcomer import Newcomer
from .nodes import free_ports
from .test_pages import ALL, OF_NODES
from .working_copy import ROOT

COMMANDS = [one.text for one in ALL if one.page == "operations.md" and OF_NODES.search(one.text)]
PORTS = ("5830", "5831", "5840", "5841", "5850", "5860", "5930", "5931", "7001", "9583", "9584")
PORT = re.compile(rf"(?<=[: ])(?:{'|'.join(PORTS)})\b")
DEADLINE_SECONDS = 60
STAY = ("authswitch simulate issuer", "authswitch serve", "haproxy")
"""These stay in their windows."""


class Reader(Newcomer):
    """Types the commands of the page."""

    def __init__(self, folder):
        super().__init__(folder)
        first = free_ports(len(PORTS))
        self._ports = {port: str(first + number) for number, port in enumerate(PORTS)}

    def as_here(self, text):
        return PORT.sub(lambda match: self._ports[match[0]], text)

    def moves_to_free_ports(self):
        """Change what was made, as its user would where the ports are taken."""
        for name in ("nodes/a.toml", "nodes/b.toml", "haproxy/haproxy.cfg"):
            file = self.folder / "pair" / name
            file.write_text(self.as_here(file.read_text()))

    def types_until(self, command, is_so):
        """Type it again and again, until it ends well and its output is as it is to be."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (ended := self.types(command)).returncode != 0 or not is_so(ended.stdout):
            assert time.monotonic() < deadline, ended.stdout + ended.stderr
            time.sleep(0.05)

    def waits_for(self, port):
        """Until somebody listens there."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self._ports[port])), 1):
                return
            assert time.monotonic() < deadline, port
            time.sleep(0.05)


@pytest.fixture
def newcomer(tmp_path):
    person = Reader(tmp_path)
    yield person
    person.closes_all()


def test_the_samples_say_the_same_as_the_page():
    typed = [command.replace("pair/", "") for command in COMMANDS]
    for name in ("a", "b"):
        head = (ROOT / "configs" / "nodes" / f"{name}.toml").read_text().partition("\n[")[0]
        commands = re.findall(r"(?m)^#   (.*)$", head)
        assert [command for command in typed if command in commands] == commands
        assert len(commands) == 5


def test_two_nodes_behind_haproxy(newcomer):
    ready = False
    for command in COMMANDS:
        if command.startswith(STAY):
            newcomer.opens_a_window(command)
            if command.startswith("haproxy"):
                newcomer.waits_for("5930")
        elif "status" in command:
            newcomer.types_until(command, lambda shown: re.search(r"(?m)^[ab] +0 +yes ", shown) is not None)
        elif "simulate terminals" in command:
            newcomer.types_until(
                command.replace("1000", "200"), lambda shown: "answered 200, missing 0, wrong 0" in shown
            )
            ready = True
        else:
            ended = newcomer.types(command)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            if "init" in command:
                newcomer.moves_to_free_ports()
    assert ready
    for process in newcomer.windows[1:3]:
        assert process.wait(DEADLINE_SECONDS) == 0, "drained"
