"""Whom a command reaches: the daemon that is meant, over TCP or a Unix socket, or nobody."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import aiohttp
import pytest
import uvloop
from typer.testing import CliRunner

from switch.admin.client import AdminClient, AdminError, client_for
from switch.admin.identity import FILE_NAME, Identity, Wanted, read_instance, remove_identity, write_identity
from switch.admin.server import AdminServer
from switch.admin.sockets import UnixSocket
from switch.base.masking import mask_text
from switch.base.stats import Stats
from switch.cli.main import app
from switch.cli.reversals import app as reversals
from switch.config import Address
from switch.config.addresses import UnixAddress
from tests.switch.test_admin import Daemon
from tests.switch.test_journaling import CONFIG

NOBODY = 65_534
OWN = Identity("switch-1", "0123456789abcdef", "/etc/authswitch/switch.toml")


class Served:
    """An admin side in a thread of its own, on uvloop as the daemon has it, for commands that block."""

    def __init__(self, bind, identity, scrape_bind=None, **options):
        self.daemon = Daemon()
        self._loop = uvloop.new_event_loop()
        self.server = AdminServer(
            Stats(65_536), self.daemon, bind, identity=identity, scrape_bind=scrape_bind, **options
        )
        self._loop.run_until_complete(self.server.start())
        self.address = self.server.address
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def stop(self):
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def serve(gate):
    served = []

    def start(bind=None, identity=OWN, scrape_bind=None, **options):
        served.append(Served(bind or Address("127.0.0.1", 0), identity, scrape_bind, gate=gate, **options))
        return served[-1]

    yield start
    for one in served:
        one.stop()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "journal").mkdir()
    return tmp_path


def configured(folder, address, name="switch-1", journal=True):
    """A configuration whose admin side is at an address."""
    text = CONFIG.replace('name = "switch-1"', f'name = "{name}"') + f'[admin]\nbind = "{address}"\n'
    if not journal:
        text = text.replace('mode = "files"\ndirectory = "journal"', 'mode = "off"')
    path = folder / "switch.toml"
    path.write_text(text)
    return path


def run(application, *arguments):
    result = CliRunner().invoke(application, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


# --- who --------------------------------------------------------------------------------------------------------------


def test_the_daemon_that_is_meant_is_drained(serve, folder):
    served = serve()
    write_identity(folder / "journal", OWN)
    status, output = run(app, "drain", configured(folder, served.address))
    assert (status, served.daemon.drained) == (0, 1)
    assert f"draining: {OWN} at {served.address}" in output


QUESTIONS = [
    (app, ("drain",)),
    (app, ("status",)),
    (reversals, ("list",)),
    (reversals, ("retry", "--link", "bank-a", "--config")),
    (reversals, ("close", "632804000123", "--yes", "--reason", "by phone", "--config")),
]


@pytest.mark.parametrize(("application", "question"), QUESTIONS)
@pytest.mark.parametrize(
    ("name", "instance"),
    [("switch-2", OWN.instance), ("switch-1", "fedcba9876543210"), ("switch-1", None)],
    ids=["name", "instance", "nobody runs"],
)
def test_a_stranger_is_asked_nothing(serve, folder, application, question, name, instance):
    """Another configuration's daemon, another of the same, or any when ours does not run."""
    served = serve()
    if instance is not None:
        write_identity(folder / "journal", Identity(name, instance, "/elsewhere"))
    status, output = run(application, *question, configured(folder, served.address, name))
    assert status == 1
    assert f"{OWN} answers, not {name}" in output
    assert "it was asked nothing" in output
    if instance is None:
        assert "of whose journal no daemon runs" in output
    assert served.daemon.drained == 0


def test_one_that_does_not_say_who_it_is_is_not_drained(serve, folder):
    served = serve(identity=None)
    write_identity(folder / "journal", OWN)
    status, output = run(app, "drain", configured(folder, served.address))
    assert (status, served.daemon.drained) == (1, 0)
    assert "who answers does not say who it is" in output


def test_without_a_journal_the_configuration_s_path_tells(serve, folder):
    config = folder / "switch.toml"
    served = serve(identity=Identity.new("switch-1", config))
    assert run(app, "drain", configured(folder, served.address, journal=False))[0] == 0
    other = folder / "copy"
    other.mkdir()
    status, output = run(app, "drain", configured(other, served.address, journal=False))
    assert (status, served.daemon.drained) == (1, 1)
    assert str(config.resolve()) in output


def test_from_another_machine_the_name_tells(serve, folder):
    """The journal's folder is not there."""
    served = serve()
    (folder / "journal").rmdir()
    assert run(app, "drain", configured(folder, "127.0.0.1:1"), "--admin", served.address)[0] == 0
    assert run(app, "drain", configured(folder, "127.0.0.1:1", "switch-2"), "--admin", served.address)[0] == 1
    assert served.daemon.drained == 1


def test_whoever_answers_is_meant_where_only_an_address_is_said(serve):
    served = serve()
    status, output = run(app, "drain", "--admin", served.address)
    assert (status, served.daemon.drained) == (0, 1)
    assert OWN.instance in output


async def test_the_daemon_refuses_by_itself(gate):
    """Between the command's look and its question another daemon may have taken the address."""
    daemon = Daemon()
    server = AdminServer(Stats(65_536), daemon, Address("127.0.0.1", 0), identity=OWN, gate=gate)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            for meant in Wanted("switch-1", "other", None, "f"), Wanted("switch-2", None, None, "f"):
                async with session.post(f"http://{server.address}/drain", headers=meant.headers()) as answer:
                    assert (answer.status, daemon.drained) == (421, 0)
                    assert str(OWN) in await answer.text()
            headers = Wanted(OWN.name, OWN.instance, OWN.configuration, "f").headers()
            headers["Authorization"] = f"Bearer {gate.token}"
            async with session.post(f"http://{server.address}/drain", headers=headers) as answer:
                assert (answer.status, daemon.drained) == (202, 1)
                assert Identity.of_headers(answer.headers) == OWN
    finally:
        await server.stop()


def test_identity_is_of_one_start_alone(folder):
    first, second = (Identity.new("switch-1", folder / "switch.toml") for _ in range(2))
    assert first.instance != second.instance
    write_identity(folder, first)
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    remove_identity(folder, second)
    assert read_instance(folder) == first.instance
    remove_identity(folder, first)
    with pytest.raises(FileNotFoundError):
        read_instance(folder)
    remove_identity(folder, first)
    (folder / FILE_NAME).write_text("{")
    assert read_instance(folder) == ""


def test_headers_hold_any_path():
    own = Identity("switch-1", "0" * 16, "/etc/支付\n/switch.toml")
    assert all(value.isascii() and "\n" not in value for value in own.headers().values())


def test_an_instance_without_a_letter_is_not_masked_as_a_card_number(monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    own = Identity.new("switch-1", Path("switch.toml"))
    assert mask_text(own.instance) == own.instance


# --- a Unix socket ----------------------------------------------------------------------------------------------------


@pytest.fixture
def place():
    """A folder that everybody may enter, with a short name."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_everything_is_asked_over_a_unix_socket(serve, folder, place):
    served = serve(UnixAddress(place / "admin.sock"))
    write_identity(folder / "journal", OWN)
    config = configured(folder, f"unix:{place}/admin.sock")
    assert stat.S_IMODE((place / "admin.sock").stat().st_mode) == 0o600
    status, output = run(app, "status", config, "--json")
    assert (status, json.loads(output)["ready"]) == (0, True)
    assert run(app, "drain", "--admin", f"unix:{place}/admin.sock")[0] == 0
    assert served.daemon.drained == 1
    with pytest.raises(AdminError, match="no answer from a daemon"):
        AdminClient(UnixAddress(place / "none.sock")).status()


def test_the_second_address_changes_nothing(serve, place):
    served = serve(UnixAddress(place / "admin.sock"), scrape_bind=Address("127.0.0.1", 0))
    client = AdminClient(served.server.scrape_address)
    for path in ("/livez", "/readyz", "/metrics"):
        assert client._exchange("GET", path, None)[0] == 200
    for method, path in (("GET", "/status"), ("POST", "/drain"), ("GET", "/reversals"), ("POST", "/reversals/close")):
        assert client._exchange(method, path, None)[0] == 404
    assert served.daemon.drained == 0


def test_socket_is_gone_at_the_end_and_another_s_stays(place):
    path = place / "admin.sock"
    own = UnixSocket(path)
    own.close()
    assert not path.exists()
    own = UnixSocket(path)
    path.unlink()
    path.write_text("somebody else's")
    own.close()
    assert path.exists()


def test_socket_of_one_that_died_is_taken_over(place):
    path = place / "admin.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    UnixSocket(path).close()


def test_socket_of_one_that_lives_is_not(place):
    path = place / "admin.sock"
    own = UnixSocket(path)
    with pytest.raises(OSError, match="another daemon listens on unix:"):
        UnixSocket(path)
    own.close()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(OSError, match="another daemon listens on unix:"):
            UnixSocket(path)


def test_folder_must_be_there(place):
    with pytest.raises(OSError, match=r"unix:/.*/admin.sock cannot be made: No such file or directory"):
        UnixSocket(place / "none" / "admin.sock")


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_socket_is_left_alone(place, make):
    path = place / "admin.sock"
    make(path)
    with pytest.raises(OSError, match="is no socket"):
        UnixSocket(path)
    assert path.is_symlink() or path.exists()


def test_other_users_are_refused(serve, place):
    """The mode keeps them out; and who got in all the same is known by the kernel."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    served = serve(UnixAddress(place / "admin.sock"))
    (place / "admin.sock").chmod(0o666)
    ask = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX);"
        "os.setuid(int(sys.argv[2])); s.connect(sys.argv[1]);"
        "s.sendall(b'POST /drain HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 0\\r\\n\\r\\n');"
        "print(len(s.recv(100)))"
    )
    command = [sys.executable, "-I", "-c", ask, str(place / "admin.sock")]
    found = subprocess.run([*command, str(NOBODY)], capture_output=True, text=True, check=False)
    assert found.stdout in ("", "0\n"), found.stderr
    assert "PermissionError" not in found.stderr, found.stderr
    assert served.daemon.drained == 0
    found = subprocess.run([*command, str(os.geteuid())], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 0
    assert served.daemon.drained == 1


@pytest.mark.parametrize("address", ["unix:", f"unix:/{'x' * 120}", "unix", "127.0.0.1"])
def test_addresses_that_are_none(address):
    with pytest.raises(ValueError, match="needed"):
        client_for(None, address)
