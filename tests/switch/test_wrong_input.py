"""Every command with every kind of wrong input: words that name what is wrong and where, and never a traceback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switch.cli.main import app, main
from switch.samples.copying import write_sample

NOBODY = 65_534
RRN = "632804000123"


@dataclass(frozen=True)
class Place:
    """A folder with a working configuration and one of each thing that is not one."""

    root: Path
    port: int
    """Somebody listens here who is no daemon."""
    free: int
    """Nobody does."""

    @property
    def good(self) -> Path:
        return self.root / "good" / "switch.toml"

    @property
    def off(self) -> Path:
        return self.root / "good" / "off.toml"

    @property
    def secrets(self) -> Path:
        return self.root / "good" / "secrets"

    def wrong(self, kind: str) -> Path:
        return self.root / WRONG.get(kind, kind)


WRONG = {"long": "x" * 300, "below-file": "empty/below"}
KINDS = ("missing", "folder", "unreadable", "no-toml", "binary", "empty", "pipe", "endless", "huge")
NO_PATHS = ("loop", "long", "below-file")
"""They fail where ``missing`` does, in the kernel: one of them a command."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("wrong")
    for folder in (root, *root.parents[:2]):
        folder.chmod(0o755)
    write_sample(root / "good", "minimal")
    good = (root / "good" / "switch.toml").read_text()
    (root / "good" / "off.toml").write_text(good + '\n[journal]\nmode = "off"\n')
    (root / "folder").mkdir()
    (root / "folder" / "file").write_text("")
    (root / "unreadable").write_text("")
    (root / "unreadable").chmod(0)
    (root / "no-toml").write_text("[switch\nname=")
    (root / "binary").write_bytes(bytes(range(128, 256)))
    (root / "empty").write_text("")
    os.mkfifo(root / "pipe")
    (root / "endless").symlink_to("/dev/zero")
    with (root / "huge").open("wb") as stream:
        stream.truncate(20 << 30)  # a hole: it takes no room
    (root / "loop").symlink_to(root / "loop")
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        yield Place(root, listening.getsockname()[1], free)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Let file modes hold for the administrator, too."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def call(*arguments: object, unprivileged: bool = False) -> tuple[int, str]:
    with as_nobody() if unprivileged else nullcontext():
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input="")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", result.output)


ISSUER = ("simulate", "issuer", "--seconds", "0.1", "--listen", "127.0.0.1:0")
TERMINALS = ("simulate", "terminals", "127.0.0.1:{free}", "--requests", "1")
COMMANDS: dict[str, Callable[[Place, Path], list[object]]] = {
    "serve": lambda at, file: ["serve", file],
    "check": lambda at, file: ["check", file],
    "status": lambda at, file: ["status", file],
    "drain": lambda at, file: ["drain", file],
    "init": lambda at, file: ["init", file / "below"],
    "journal verify": lambda at, file: ["journal", "verify", file],
    "journal dump": lambda at, file: ["journal", "dump", file],
    "reversals list": lambda at, file: ["reversals", "list", file],
    "reversals retry": lambda at, file: ["reversals", "retry", RRN, "--config", file],
    "reversals close": lambda at, file: ["reversals", "close", RRN, "--config", file, "--yes", "--reason", "x"],
    "trace": lambda at, file: ["trace", file, RRN],
    "decode file": lambda at, file: ["decode", "--file", file],
    "decode dialect": lambda at, file: ["decode", "--dialect", f"{file.parent}/{file.name}", "3030"],
    "encode file": lambda at, file: ["encode", "--file", file],
    "encode dialect": lambda at, file: ["encode", "--dialect", f"{file.parent}/{file.name}", "{}"],
    "keys file": lambda at, file: ["keys", "--file", file, "--master-key-file", at.secrets / "master.key", "list"],
    "keys master": lambda at, file: ["keys", "--file", at.secrets / "keys.sealed", "--master-key-file", file, "list"],
    "keys config": lambda at, file: ["keys", "--config", file, "list"],
    "keys init": lambda at, file: ["keys", "--file", file, "--master-key-file", file, "init"],
    "keys import": lambda at, file: ["keys", "--config", at.good, "import-terminals", file],
    "issuer rules": lambda at, file: [*ISSUER, "--rules", file],
    "issuer dialect": lambda at, file: [*ISSUER, "--dialect", f"{file}.toml"],
    "issuer keys": lambda at, file: [
        *ISSUER, "--keys", file, "--master-key-file", file, "--mac-key", "x",
    ],
    "issuer certificate": lambda at, file: [
        *ISSUER, "--certificate", file, "--private-key", file,
    ],
    "issuer ca": lambda at, file: [*ISSUER[:-2], "--connect", f"127.0.0.1:{at.free}", "--ca", file],
    "terminals scenario": lambda at, file: [
        "simulate", "terminals", f"127.0.0.1:{at.free}", "--requests", "1", "--scenario", file,
        "--stan-file", at.root / "stans",
    ],
    "terminals registry": lambda at, file: [
        "simulate", "terminals", f"127.0.0.1:{at.free}", "--requests", "1", "--registry", file,
        "--stan-file", at.root / "stans",
    ],
    "terminals ca": lambda at, file: [
        "simulate", "terminals", f"127.0.0.1:{at.free}", "--requests", "1", "--ca", file,
        "--stan-file", at.root / "stans",
    ],
}  # fmt: skip

WELL = {("keys init", "missing"), ("init", "missing"), ("init", "folder"), ("issuer rules", "empty")}
"""What is no mistake."""

FROM_PIPES = {"decode file", "encode file", "keys import"}
"""They read what another command writes, and wait for it."""

CASES = [
    (command, kind)
    for number, command in enumerate(COMMANDS)
    for kind in (*KINDS, NO_PATHS[number % len(NO_PATHS)])
    if (command, kind) not in WELL and not (kind == "pipe" and command in FROM_PIPES)
]


def looks_clear(status: int, output: str) -> None:
    assert status in (1, 2), output
    assert not re.search(r"Traceback|Errno|\.py\b|<class|Error\(", output), output
    assert re.search(r"\b1 (bytes|characters)\b", output) is None, output
    said = [line for line in output.splitlines() if line.strip()]
    assert said
    assert len(said) <= 24, output


@pytest.mark.parametrize(("command", "kind"), CASES)
def test_files_that_are_no_such_file(place: Place, command: str, kind: str) -> None:
    file = place.wrong(kind)
    status, output = call(*COMMANDS[command](place, file), unprivileged=kind == "unreadable")
    looks_clear(status, output)
    # The file is named, wherever the terminal breaks its name.
    assert file.name[:20] in re.sub(r"[\s│]", "", output) or file.parent.name in output, output


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["status", "--admin", "127.0.0.1:{free}"], 1, "127.0.0.1:{free}: no answer from a daemon: Connection refused"),
        (["drain", "--admin", "127.0.0.1:{free}"], 1, "127.0.0.1:{free}: no answer from a daemon: Connection refused"),
        (["status", "--admin", "unix:/no/such.sock"], 1, "no answer from a daemon: No such file or directory"),
        (["status", "--admin", "no-such-host.invalid:1"], 1, "no-such-host.invalid:1: no answer from a daemon: "),
        (["reversals", "list", "--admin", "127.0.0.1:{free}"], 1, "no answer from a daemon: Connection refused"),
        (["reversals", "retry", RRN, "--admin", "127.0.0.1:{free}"], 1, "no answer from a daemon: Connection refused"),
        (
            ["reversals", "close", RRN, "--reason", "x", "--yes", "--admin", "127.0.0.1:{free}"],
            1,
            "127.0.0.1:{free}: no answer from a daemon: Connection refused",
        ),
        (
            ["reversals", "close", RRN, "--yes", "--admin", "127.0.0.1:{free}"],
            2,
            'a reason is required: --reason "..."',
        ),
        (["reversals", "retry", "--admin", "127.0.0.1:{free}"], 2, "needed an RRN, or --link, or both"),
        (["reversals", "list", "{good}"], 1, "switch.toml: there is no [journal], so there is nothing to read"),
        (["trace", "{off}", RRN], 2, 'journal.mode is "off", so there is nothing to read; mode = "files"'),
        (["journal", "verify", "{off}"], 2, 'journal.mode is "off", so there is nothing to read; mode = "files"'),
        (["journal", "dump", "{off}"], 2, 'journal.mode is "off", so there is nothing to read; mode = "files"'),
        (
            ["simulate", "issuer", "--seconds", "0.1", "--listen", "127.0.0.1:{port}"],
            1,
            "127.0.0.1:{port}: Address already in use",
        ),
        (["simulate", "terminals", "127.0.0.1:{free}", "--requests", "1"], 1, "127.0.0.1:{free}: Connection refused"),
        (["reversals", "list", "--admin", "unix:{root}/\0"], 2, "needed the path of a socket"),
        ([*ISSUER, "--certificate", "{good}"], 2, "needed both --certificate and --private-key, or neither"),
        ([*ISSUER, "--private-key", "{good}"], 2, "needed both --certificate and --private-key, or neither"),
        ([*ISSUER, "--ca", "{good}"], 2, "--ca with --listen: needed --certificate and --private-key besides"),
        ([*ISSUER, "--fault", "foo=1%"], 2, "there is no foo; needed one of ignore, close, drop-answer"),
        ([*ISSUER, "--fault", "close=101%"], 2, "needed 0 to 100 %, got 101%"),
        ([*ISSUER, "--fault", "close=0x"], 2, "needed 1x or more, got 0x"),
        ([*ISSUER, "--fault", "close=1.2.3%"], 2, "needed NAME=P% or NAME=Nx"),
        ([*TERMINALS, "--merchant", "1234567890123456"], 2, "merchant: needed 1 to 15 printable ASCII characters"),
        ([*TERMINALS, "--merchant", "é"], 2, "merchant: needed 1 to 15 printable ASCII characters, got 'é'"),
        ([*TERMINALS, "--first-id", "99999995"], 2, "terminal: needed 1 to 8 printable ASCII characters"),
        ([*TERMINALS, "--certificates", "{root}"], 2, "belong to TLS: needed --ca besides"),
        (["init", "{good}"], 1, "cannot write the sample: "),
        (["init", "{root}/folder"], 1, "{root}/folder: is not empty; nothing was written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_who_is_not_there(
    place: Place, arguments: list[str], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(place.root))
    known = {"free": place.free, "port": place.port, "good": place.good, "root": place.root, "off": place.off}
    given, output = call(*(argument.format_map(known) for argument in arguments))
    looks_clear(given, output)
    assert given == status
    assert words.format_map(known) in re.sub(r"[\s│]+", " ", output)
    if "journal.mode" in words:
        # The line on which it can be changed.
        line = int(re.search(r"off\.toml:(\d+): ", output)[1])
        assert place.off.read_text().splitlines()[line - 1] == 'mode = "off"'


@pytest.mark.parametrize("side", ["listener", "admin"])
def test_a_port_that_somebody_has(place: Place, side: str) -> None:
    taken = f'bind = "127.0.0.1:{place.port}"'
    config = place.root / "good" / "busy.toml"
    text, changed = re.subn(
        r'(?m)^bind = ".*:5830"', taken if side == "listener" else "bind = '127.0.0.1:0'", place.good.read_text()
    )
    assert changed == 1
    admin = taken if side == "admin" else "bind = '127.0.0.1:0'"
    config.write_text(text.replace('bind = "unix:admin.sock"', admin))
    served = subprocess.run(
        [sys.executable, "-m", "switch", "serve", config], capture_output=True, text=True, timeout=60, check=False
    )
    assert served.returncode == 1
    key = {"listener": "listener[pos].bind", "admin": "admin.bind"}[side]
    words = f"cannot serve: {key}: 127.0.0.1:{place.port} cannot be listened on: Address already in use"
    assert words in served.stderr


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ('{"t": "0800", "11": "1"}', "field 11: a value that the field cannot hold: needs 6 characters, has 1"),
        ('{"t": "0800", "11": "12345x"}', "field 11: needs digits, has a letter, at byte 25"),
        ('{"t": "08"}', "MTI: the message type is not four digits"),
        ('{"11": "000001"}', "MTI: is needed, and is not there"),
        ('{"t": "0200", "2": "12345678901234567890"}', "field 2: the length is 20, above the maximum of 19"),
        ('{"t": "0200", "41": "é"}', "field 41: needs printable characters, has something else"),
    ],
)
def test_what_cannot_be_encoded_is_worded_as_everywhere(document: str, words: str) -> None:
    status, output = call("encode", document)
    assert status == 1
    assert output == f"authswitch: iso87-ascii: {words}\n"


def test_what_no_command_expects_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/some/file")

    monkeypatch.setattr("switch.check.configuration.check_config", broken)
    monkeypatch.setattr("sys.argv", ["authswitch", "check", "x.toml"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "authswitch: /some/file: No space left on device\n"
