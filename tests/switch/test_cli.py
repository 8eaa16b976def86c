"""The one command: its subcommands, their exit statuses, and that help is quick."""

import asyncio
import importlib
import json
import os
import re
import socket
import subprocess
import sys
import threading

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from switch import __version__
from switch.admin.health import Readiness
from switch.admin.server import AdminServer
from switch.base.stats import Stats
from switch.cli.command_groups import plain
from switch.cli.main import ELSEWHERE, app, main
from switch.config import Address

SUBCOMMANDS = ["serve", "check", "status", "drain", *ELSEWHERE]


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", result.output)


class Daemon:
    """A daemon as the admin side sees it."""

    reasons = ()
    drained = 0

    def live(self):
        return True

    def readiness(self):
        return Readiness(self.reasons)

    def status(self):
        return {
            "in_flight": 3,
            "links": [{"name": "bank-a", "healthy": True, "endpoints": ["127.0.0.1:7001"], "counts": {"up": 2}}],
            "nothing": None,
        }

    def drain(self):
        self.drained += 1


@pytest.fixture
def daemon(gate):
    """A daemon with a real admin side, in a thread of its own."""
    daemon = Daemon()
    loop = asyncio.new_event_loop()
    server = AdminServer(Stats(65_536), daemon, Address("127.0.0.1", 0), gate=gate)
    loop.run_until_complete(server.start())
    daemon.address = str(server.address)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield daemon
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(server.stop())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_version():
    assert call("--version") == (0, f"authswitch {__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_lists_every_subcommand(arguments):
    status, output = call(*arguments)
    assert status == 0
    assert set(SUBCOMMANDS) <= set(re.findall(r"[a-z]+", output))


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_help(name):
    status, output = call(name, "--help")
    assert status == 0
    assert f"authswitch {name}" in output or f"root {name}" in output
    assert "Usage" in output


COMMANDS = [
    "",
    *SUBCOMMANDS,
    "simulate issuer",
    "simulate terminals",
    "keys import",
    "journal verify",
    "journal dump",
    "reversals list",
    "reversals close",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_asked_for_in_two_ways_and_flags_have_no_type(name, monkeypatch, capsys):
    shown = []
    for option in ("-h", "--help"):
        monkeypatch.setattr(sys, "argv", ["authswitch", *name.split(), option])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "Usage" in shown[0]
    assert "bool" not in shown[0].lower()


@pytest.mark.parametrize("name", ["serve", "check", "status", "drain"])
def test_help_has_an_example(name):
    assert f"Example: authswitch {name}" in call(name, "--help")[1]


def commands_below(command, name):
    yield name, command
    for inner, one in getattr(command, "commands", {}).items():
        yield from commands_below(one, f"{name} {inner}")


def all_commands():
    yield from commands_below(plain(typer.main.get_command(app)), "authswitch")
    for name, (target, _) in ELSEWHERE.items():
        module, attribute = target.split(":")
        yield from commands_below(
            plain(typer.main.get_command(getattr(importlib.import_module(module), attribute))), name
        )


def test_help_shows_every_word():
    """What stands in brackets would be taken for markup, and not be shown."""
    for name, command in all_commands():
        assert Text.from_markup(command.help or "").plain == (command.help or ""), name


def test_help_is_broken_where_the_terminal_ends_and_not_where_the_source_does():
    for name, command in all_commands():
        for paragraph in (command.help or "").split("\n\n"):
            assert "\n" not in paragraph, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--seconds", "0"], "'--seconds': needed at least 0.5, got \"0\""),
        (["demo", "--terminals", "1"], "'--terminals': needed at least 3, got \"1\""),
        (["demo", "--rate", "many"], "'--rate': needed a number, got \"many\""),
        (["reversals", "list", "--limit", "x1"], "'--limit': needed an integer, got \"x1\""),
        (
            ["journal", "dump", "x.toml", "--from", "0"],
            "'--from': needed PARTITION:POSITION, such as 0:1234, positions from 1 on, got \"0\"",
        ),
        (
            ["reversals", "close", "632804000123", "switch.toml"],
            "(switch.toml); the configuration is given with --config",
        ),
        (
            ["reversals", "retry", "632804000123", "switch.toml"],
            "(switch.toml); the configuration is given with --config",
        ),
        (["decode", "3032"], "iso87-ascii: MTI: needs 4 bytes, has 2, at byte 0"),
        (["decode", "3038303030"], "iso87-ascii: bitmap: needs 16 bytes, has 1, at byte 4"),
    ],
)
def test_what_was_asked_wrongly_is_repeated_with_what_was_needed(arguments, words):
    status, output = call(*arguments)
    assert status == (1 if arguments[0] == "decode" else 2)
    assert words in re.sub(r"[\s│]+", " ", output)


@pytest.mark.parametrize(("target", "_summary"), ELSEWHERE.values(), ids=list(ELSEWHERE))
def test_subcommands_that_live_elsewhere_exist(target, _summary):
    module, attribute = target.split(":")
    assert hasattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check"], ["--nonsense"], ["status", "--admin", "x"], ["keys", "x"]]
)
def test_asked_wrongly(arguments):
    assert call(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("words", "heavy"),
    [(["--help"], ("aiohttp", "pydantic", "cryptography", "uvloop")), (["keys", "--help"], ("aiohttp", "sqlalchemy"))],
)
def test_help_imports_little(words, heavy):
    code = (
        f"import sys; sys.argv = ['authswitch', *{words}]\n"
        "from switch.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([n for n in {heavy} if n in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_check_of_a_valid_configuration(sample_configs):
    status, output = call("check", sample_configs / "production.toml")
    assert status == 0
    assert "configuration is valid: 0 errors, 0 warnings" in output
    assert "terminals: 25" in output


def test_check_lists_every_problem_with_file_key_and_reason(sample_configs, tmp_path):
    path = tmp_path / "bad.toml"
    text = (sample_configs / "production.toml").read_text()
    text = re.sub('(?m)^acquirer_id = "[0-9]+"', 'acquirer_id = "bank"', text).replace("backlog", "backlok")
    path.write_text(text.replace('mode = "files"', 'mode = "off"'))
    status, output = call("check", path)
    assert status == 2
    assert f"error    {path}" in output
    assert re.search(r'switch\.acquirer_id +needed text of the form \^\[0-9\]\{1,11\}\$, got "bank"', output)
    assert re.search(r"configuration is not valid: \d+ errors, 1 warning", output)


def test_check_for_programs(sample_configs, tmp_path):
    status, output = call("check", sample_configs / "production.toml", "--json")
    answer = json.loads(output)
    assert (status, answer["valid"], answer["summary"]["links"]) == (0, True, 3)
    assert answer["problems"] == []
    status, output = call("check", tmp_path / "none.toml", "--json")
    assert status == 2
    assert json.loads(output) == {
        "valid": False,
        "summary": {},
        "problems": [
            {
                "file": str(tmp_path / "none.toml"),
                "key": "",
                "reason": "cannot be read: No such file or directory",
                "severity": "error",
            }
        ],
    }


def test_serve_refuses_what_check_refuses(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("[switch]\n")
    status, output = call("serve", path)
    assert status == 2
    assert "switch.name" in output


def test_status_as_tables(daemon):
    status, output = call("status", "--admin", daemon.address)
    assert status == 0
    assert re.search(r"version +" + re.escape(__version__), output)
    assert re.search(r"nothing +-", output)
    assert re.search(r"name +healthy +endpoints +counts\s+bank-a +yes +127\.0\.0\.1:7001 +up 2", output)


def test_status_for_programs(daemon):
    status, output = call("status", "--admin", daemon.address, "--json")
    assert status == 0
    assert json.loads(output)["in_flight"] == 3


def test_status_of_a_daemon_that_is_not_ready(daemon):
    daemon.reasons = ("link bank-a is down",)
    status, output = call("status", "--admin", daemon.address)
    assert status == 1
    assert "link bank-a is down" in output


def test_address_comes_from_the_configuration(daemon, sample_configs, tmp_path):
    text = (sample_configs / "minimal.toml").read_text()
    for place in ("sample/", "secrets/"):
        text = text.replace(f'"{place}', f'"{sample_configs}/{place}')
    path = tmp_path / "switch.toml"
    path.write_text(text.replace('"unix:admin.sock"', f'"{daemon.address}"'))
    status, output = call("status", path)
    assert status == 1
    assert f"{daemon.address}: who answers does not say who it is" in " ".join(output.split())


@pytest.mark.parametrize("command", [["status"], ["drain"], ["reversals", "list"]])
def test_errors_of_the_configuration_are_told_and_not_a_warning_alone(sample_configs, command):
    path = sample_configs / "minimal.toml"
    text = path.read_text()
    assert "warning" in call("check", path)[1]
    path = path.with_name("wrong.toml")
    path.write_text(text + '\n[limits]\nconnections_max = -1\nrefusals_kept_max = "x"\n')
    status, output = call(*command, path)
    assert status == 2
    for key in ("limits.connections_max", "limits.refusals_kept_max"):
        assert key in output
    assert output.index("limits.connections_max") < output.index("warning")


def test_drain(daemon):
    status, output = call("drain", "--admin", daemon.address)
    assert (status, daemon.drained) == (0, 1)
    assert output.startswith(f"draining: {daemon.address}")


@pytest.mark.parametrize("name", ["status", "drain"])
def test_nobody_answers(name, unused_tcp_port):
    status, output = call(name, "--admin", f"127.0.0.1:{unused_tcp_port}")
    assert status == 1
    assert "no answer from a daemon" in output


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "was answered 500 Oh"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "something that is no JSON object"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "no answer from a daemon"),
        (b"0210", "no answer from a daemon"),
    ],
)
def test_somebody_else_answers(answer, words):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        status, output = call("status", "--admin", f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert status == 1
    assert words in output
