"""A tour of the demo on terminals: what it draws while it runs, at the kill, after Ctrl-C, and what is left behind."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "switch", "demo"]
BEGIN, END = "\x1b[?1049h", "\x1b[?1049l"
HOME = "\x1b[H"
PANELS = ("answers a second", "latency", "links and terminals", "outcomes: ", "what happens")


class Screen:
    """A demo on a terminal of its own."""

    def __init__(self, width: int, height: int, *options: str, **environment: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [*COMMAND, "--rate", "100", "--terminals", "12", *options],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**kept, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self, until: str | None, within_s: float) -> bool:
        """Read until a text appears, or the end."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if until is not None and until in self.text:
                return True
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self.master, 65_536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                return until is None
            self.text += self._decoder.decode(data)
        return False

    def frames(self) -> list[list[str]]:
        """What was drawn, look by look, without colours."""
        drawn = self.text.partition(BEGIN)[2].partition(END)[0]
        looks = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", look) for look in drawn.split(HOME)]
        return [look.replace("\r", "").split("\n") for look in looks if "authswitch demo" in look]

    @property
    def left(self) -> str:
        """What stands on the terminal when the demo is over."""
        return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text.rpartition(END)[2]).split())

    def end(self) -> int:
        """Wait for the end; its exit status."""
        assert self.read(None, 100), self.text[-2000:]
        return self.process.wait(20)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def screen(request: pytest.FixtureRequest):
    """Makes screens, and ends what runs on them."""
    made: list[Screen] = []

    def make(*arguments: object, **environment: str) -> Screen:
        made.append(Screen(*arguments, **environment))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_the_kill_and_the_recovery_are_seen_as_they_happen(screen, width: int, height: int) -> None:
    shown = screen(width, height, "--faults", "--seconds", "8")
    assert shown.end() == 0, shown.text[-3000:]
    frames = shown.frames()
    assert len(frames) > 10
    for frame in frames:
        rows = [row for row in frame if row]
        assert len(rows) <= height
        assert max(map(cell_len, rows)) <= width
        assert all(panel in "\n".join(rows) for panel in PANELS)
    texts = ["\n".join(frame) for frame in frames]
    killed = next(number for number, text in enumerate(texts) if "the switch is killed (SIGKILL)" in text)
    assert "the switch is not there" in "".join(texts[killed:])
    back = next(number for number, text in enumerate(texts) if "the switch serves again after" in text)
    assert killed < back, "it goes on behind the kill"
    assert "● up" in texts[-1]
    assert re.search(r"switch adds +[0-9.]+ (µs|ms|s) ", texts[-1])
    for words in ("every one agrees", "all of that money is accounted for", "still open: 0", "the switch added p50"):
        assert words in shown.left, shown.left
    assert not set("╭╮╰╯│") & set(shown.left), "no border is left behind"


def test_after_ctrl_c_the_proof_stands_alone(screen) -> None:
    shown = screen(80, 24, "--seconds", "600", NO_COLOR="1")
    assert shown.read("● up", 60), shown.text[-2000:]
    os.write(shown.master, b"\x03")
    if not shown.read(END, 10):
        os.kill(shown.process.pid, signal.SIGINT)  # a terminal that is nobody's controlling one passes no Ctrl-C on
    assert shown.end() == 0, shown.text[-3000:]
    assert not set("╭╮╰╯│") & set(shown.left)
    assert "every one agrees" in shown.left
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38)[;m]", shown.text), "no colour was asked for"


@pytest.mark.parametrize(("size", "environment"), [((60, 15), {}), ((80, 24), {"TERM": "dumb"})])
def test_where_nothing_can_be_drawn_lines_are_printed(screen, size, environment) -> None:
    shown = screen(*size, "--seconds", "2", **environment)
    assert shown.end() == 0, shown.text[-3000:]
    assert BEGIN not in shown.text
    assert "links bank-a=up" in shown.left
    assert "every one agrees" in shown.left
