"""Every command in a page is run as it stands there, but for folders, ports and how long it takes."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.processes import free_port
from switch.keys import Key
from switch.keys.key import check_value, generate_value
from switch.keys.key_block import wrap_key_block
from switch.keys.wrapping import wrap_key

from .test_make import TARGETS
from .working_copy import ROOT, plain_environment

PAGES = [ROOT / "README.md", ROOT / "HACKING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
STARTS = ("authswitch ", "make ", "python", ".venv/bin/", "PYTHON", "/opt/", ". ", "curl ", "haproxy ", "promtool ")
DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Command:
    """A line of a page, its continuations joined and its comment taken off."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def commands_of(page: Path) -> list[Command]:
    """The shell commands that a page shows in blocks."""
    found = []
    for language, block in BLOCK.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            text = re.sub(r"\s+# .*$", "", line.strip().removeprefix("$ "))
            if language in ("", "sh") and text.startswith(STARTS):
                found.append(Command(page.name, re.sub(r"\s+", " ", text)))
    return found


ALL = [command for page in PAGES for command in commands_of(page)]
IN_ORDER = ("applications.md", "keys.md", "links.md", "people.md", "risk.md")
"""Pages with a test of their own."""

OF_AUTHSWITCH = [one for one in ALL if one.text.startswith("authswitch ") and one.page not in ("README.md", *IN_ORDER)]
OF_RISK = [one for one in ALL if one.page == "risk.md"]
OF_LINKS = [one for one in ALL if one.page == "links.md"]
OF_PEOPLE = [one for one in ALL if one.page == "people.md"]
OF_KEYS = [one for one in ALL if one.page == "keys.md"]

OF_NODES = re.compile(r"\bpair\b")
"""What is typed in the folder with two nodes."""

RUN_BY_NAME = {
    ". .venv/bin/activate": "tests/system/test_readme.py needs no path",
    "PYTHONSAFEPATH=1 PYTHONPATH=build/debug/lib .venv/bin/python -m pytest tests/ext/test_scan.py": "make coverage",
    ".venv/bin/python -m pytest tests/ext -x": "make test",
    ".venv/bin/python -m pytest bench/bench_codec.py --benchmark-only": "make bench",
    ".venv/bin/python -m bench.whole --help": "make bench",
    ".venv/bin/python -m bench.journal --records 0": "make bench",
    "python3 -m venv /opt/authswitch": "tests/system/test_packages.py",
    "/opt/authswitch/bin/pip install --constraint constraints.txt dist/authswitch-*.whl": "the same",
    "authswitch serve trial/switch.toml": "tests/system/test_configs.py, on ports that are free",
    "authswitch keys --config /etc/authswitch/switch.toml exchange bank-a": "tests/system/test_key_exchange.py",
    "authswitch books serve /etc/authswitch/switch.toml": "tests/system/test_books.py",
    **{one.text: "tests/system/test_page_of_nodes.py" for one in ALL if OF_NODES.search(one.text)},
}
"""What another test or make target runs."""

NOTHING_FOUND = ("authswitch trace", "authswitch reversals close")
"""These end with 1: a page's reference number belongs to no payment of ours."""

QUICKER = {"--seconds 20": "--seconds 2", "--seconds 30": "--seconds 2"}
"""What takes less time here."""

ZMK = "0123456789ABCDEFFEDCBA9876543210"
COMPONENTS = [f"{0x5A:02X}" * 16, f"{0x3C:02X}" * 16, f"{int(ZMK, 16) ^ int('66' * 16, 16):032X}"]
"""Together the key that has the check value of the page."""


def test_every_command_is_run():
    left = [
        str(one) for one in ALL if not one.text.startswith(("make ", "authswitch ")) and one.text not in RUN_BY_NAME
    ]
    assert left == []


@pytest.mark.parametrize("command", [one for one in ALL if one.text.startswith("make ")], ids=str)
def test_make_command_names_what_there_is(command):
    words = shlex.split(command.text)[1:]
    variables = {word.partition("=")[0] for word in words if "=" in word}
    assert {word for word in words if "=" not in word} <= set(TARGETS)
    makefile = (ROOT / "Makefile").read_text()
    assert {name for name in variables if not re.search(rf"\b{name}\b", makefile)} == set()


class Trial:
    """A folder as the pages speak of it, with a switch and an issuer that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {str(port): str(free_port()) for port in (5830, 7001, 9583)}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.types("authswitch init /etc/authswitch")
        self.config = folder / "etc" / "switch.toml"
        scraped = f'scrape_bind = "127.0.0.1:{self.ports["9583"]}"'
        journal = '[journal]\nmode = "files"\ndirectory = "journal"\n\n'
        store = '[store]\nurl = "sqlite:store.db"\n\n[books]\nurl = "sqlite:books.db"\n\n'
        text = self.as_here(self.config.read_text())
        text = text.replace("\n[admin]\n", f"\n[admin]\n{scraped}\n")
        self.config.write_text(text.replace("\n[keys]\n", f"\n{journal}{store}[keys]\n"))

    def as_here(self, text: str) -> str:
        """A page's words with this folder and these ports."""
        text = text.replace("/etc/authswitch", "etc").replace("…", "etc/switch.toml")
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda match: self.ports.get(match[0], match[0]), text)

    def words(self, text: str) -> list[str]:
        return [sys.executable, "-m", "switch", *shlex.split(self.as_here(text))[1:]]

    def types(self, text: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(text),
            cwd=self.folder,
            env={**plain_environment(), "PYTHONPATH": str(ROOT)},
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def starts(self, text: str, port: str) -> subprocess.Popen[bytes]:
        """Start what goes on until it is told to end, and wait until it listens."""
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                self.words(text),
                cwd=self.folder,
                env={**plain_environment(), "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            assert process.poll() is None, (self.folder / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", int(self.ports[port])), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, text
                time.sleep(0.05)
            else:
                return process

    def ends(self, process: subprocess.Popen[bytes]) -> None:
        """Tell a process to end, as Ctrl-C does; it must end well."""
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0, (self.folder / "log").read_text()


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A switch with an issuer, both as the pages start them."""
    trial = Trial(tmp_path_factory.mktemp("pages"))
    issuers = (one.text for one in OF_AUTHSWITCH if one.text.startswith("authswitch simulate issuer"))
    issuer = next(text for text in issuers if text not in RUN_BY_NAME)
    running = [trial.starts(issuer, "7001"), trial.starts("authswitch serve /etc/authswitch/switch.toml", "5830")]
    yield trial
    for process in reversed(running):
        trial.ends(process)


@pytest.mark.parametrize("command", OF_AUTHSWITCH, ids=str)
def test_command_of_authswitch(trial, command):
    if command.text in RUN_BY_NAME or command.text.startswith("authswitch simulate issuer"):
        return
    text = command.text
    for words, fewer in QUICKER.items():
        text = text.replace(words, fewer)
    if "--admin" not in text and "drain" in text:
        pytest.fail("a drain of this switch would be in the way of the other commands")
    result = trial.types(text, typed="y\n")
    assert result.returncode == (1 if text.startswith(NOTHING_FOUND) else 0), result.stdout
    assert "Traceback" not in result.stdout


def test_commands_of_keys(tmp_path):
    """In their order, from a folder in which no key is."""
    trial = Trial(tmp_path)
    shutil.rmtree(tmp_path / "etc" / "secrets")
    trial.config.write_text(trial.config.read_text().replace("secrets/", ""))
    (tmp_path / "terminal-keys.csv").write_text("terminal,usage,algorithm,under,key,kcv\n")
    zpk = generate_value("3des-2key")
    zmk = Key("link/bank-a/zmk", "zmk", "3des-2key", bytes.fromhex(ZMK))
    typed = {
        "import link/bank-a/zmk": "\n".join(COMPONENTS) + "\n",
        "component link/bank-b/zmk": COMPONENTS[0] + "\n",
        "link/bank-a/zmk --replace": wrap_key_block(zmk, Key("link/bank-a/zpk", "zpk", "3des-2key", zpk)) + "\n",
        "import link/bank-a/zpk": wrap_key(zmk, "3des-2key", zpk).hex() + "\n",
    }
    for command in OF_KEYS:
        if command.text in RUN_BY_NAME:
            continue
        if " rotate " in command.text:
            for name in (f"terminal/{terminal}/{key}" for terminal in (10000001, 10000002) for key in ("tmk", "tak")):
                trial.types(f"authswitch keys --config etc/switch.toml generate {name}")
        text = command.text.replace("6FB1C8", check_value("3des-2key", zpk, 3))
        given = next((lines for part, lines in typed.items() if part in text), "")
        result = trial.types(text, typed=given)
        assert result.returncode == 0, f"{command}\n{result.stdout}"
        if "change-master-key" in text:
            trial.config.write_text(trial.config.read_text().replace("master.key", "master-2.key"))


def test_commands_of_risk(tmp_path):
    """In their order, with rules that block cards."""
    trial = Trial(tmp_path)
    trial.config.write_text(f'{trial.config.read_text()}\n[risk]\nfile = "own-risk.toml"\n')
    (tmp_path / "etc" / "own-risk.toml").write_text('[cards]\ntable = "blocked.csv"\n')
    (tmp_path / "etc" / "blocked.csv").write_text("card,reason\n")
    (tmp_path / "new-risk.toml").write_text(
        '[[limits]]\nname = "day"\nper = "card"\nwindow_seconds = 60\ncount_max = 1\n'
    )
    (tmp_path / "etc" / "journal").mkdir()
    assert trial.types("authswitch store upgrade /etc/authswitch/switch.toml").returncode == 0
    for command in OF_RISK:
        result = trial.types(command.text, typed="6225000000000014\n")
        if "risk rehearse" in command.text:  # tests/system/test_risk.py has a journal to rehearse by
            assert "no journal is in this folder" in result.stdout
            continue
        assert result.returncode == 0, f"{command}\n{result.stdout}"
        if "hash" in command.text:
            assert re.fullmatch(r"[0-9A-Fa-f]{16}\n", result.stdout)


@pytest.mark.parametrize("commands", [OF_PEOPLE, OF_LINKS], ids=["people", "links"])
def test_commands_about_what_the_store_has(tmp_path, commands):
    """In their order, from a store with nothing in it."""
    trial = Trial(tmp_path)
    copied = 'store_copy = "in-force"\n'
    text = f'{trial.config.read_text()}\n[holds]\n{copied}\n[endpoints]\n{copied}networks = ["10.1.0.0/16"]\n'
    trial.config.write_text(text)
    (trial.folder / "endpoints.toml").write_text('[[link]]\nname = "bank-a"\nendpoints = ["10.1.7.20:7001"]\n')
    for text in ("authswitch store upgrade /etc/authswitch/switch.toml", *(one.text for one in commands)):
        result = trial.types(text)
        assert result.returncode == 0, f"{text}\n{result.stdout}"
