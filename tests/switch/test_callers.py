"""Nobody changes anything through the admin side without being somebody, who is named in log and journal."""

from __future__ import annotations

import asyncio
import grp
import os
import stat
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typer.testing import CliRunner

from switch.access.attempts import ATTEMPTS_MAX, FailedAttempts
from switch.access.token_file import FileToken, TokenFileError, line_of, read_tokens
from switch.access.token_proof import UnknownTokenError, checked, id_of, new_token, shown_token
from switch.admin.client import AdminClient, AdminError
from switch.admin.server import AdminServer
from switch.base.stats import Stats
from switch.base.system_users import user_name
from switch.cli.main import app
from switch.config.addresses import Address, UnixAddress
from tests.operators import write_operator, write_token

from .test_admin import Daemon

NOW = datetime.now(UTC)


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
async def ask(daemon, gate):
    server = AdminServer(Stats(65_536), daemon, Address("127.0.0.1", 0), gate=gate)
    await server.start()

    async def drain(authorization):
        headers = {} if authorization is None else {"Authorization": authorization}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{server.address}/drain", headers=headers) as answer,
        ):
            return answer.status, await answer.text(), answer.headers

    drain.server = server
    yield drain
    await server.stop()


@pytest.fixture
def log():
    with capture_logs() as lines:
        yield lines


async def test_who_drains_is_in_the_log(ask, daemon, gate, log):
    assert (await ask(f"Bearer {gate.token}"))[0] == 202
    (line,) = [one for one in log if one["event"] == "asked for a change"]
    assert (line["who"], line["path"]) == ("mei.lin", "/drain")
    assert daemon.drained == 1


@pytest.mark.parametrize("shown", [None, "", "Basic bWVpOmxpbg==", "Bearer", "Bearer ", "Bearer x", "authswitch"])
async def test_without_a_token_nothing_is_changed(ask, daemon, shown):
    status, text, headers = await ask(shown)
    assert (status, headers["WWW-Authenticate"], daemon.drained) == (401, "Bearer", 0)
    assert "token" in text


async def test_what_a_token_must_be(ask, daemon, gate, log):
    late = write_operator(gate.tokens_file, "al", lasts=timedelta(days=-1))
    viewer = write_operator(gate.tokens_file, "jo", "viewer", "auditor")
    stranger = new_token()[1]
    changed = gate.token[:-1] + ("A" if gate.token[-1] != "A" else "B")
    for shown in (late, stranger, changed):
        assert (await ask(f"Bearer {shown}"))[:2] == (401, "the token is not in force\n")
    status, text, _ = await ask(f"Bearer {viewer}")
    assert (status, text) == (403, "jo may not do this: the right daemon.operate is needed\n")
    assert daemon.drained == 0
    told = str(log)
    assert "has expired" in told
    for shown in (late, stranger, changed, viewer):
        assert shown[24:] not in told


async def test_a_token_that_is_taken_out_is_out_of_force_at_once(ask, gate):
    assert (await ask(f"Bearer {gate.token}"))[0] == 202
    lines = gate.tokens_file.read_text()
    gate.tokens_file.write_text("")
    assert (await ask(f"Bearer {gate.token}"))[0] == 401
    gate.tokens_file.write_text(lines)
    assert (await ask(f"Bearer {gate.token}"))[0] == 202


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.chmod(0o644), lambda path: path.write_text("x")])
async def test_a_file_that_cannot_be_read_lets_nobody_in(ask, daemon, gate, spoil):
    spoil(gate.tokens_file)
    assert (await ask(f"Bearer {gate.token}"))[:2] == (503, "the tokens cannot be read: see the log\n")
    assert daemon.drained == 0


async def test_guesses_are_limited_and_hold_nobody_up(ask, gate, log):
    answers = [(await ask(f"Bearer {new_token()[1]}"))[0] for _ in range(ATTEMPTS_MAX + 5)]
    assert answers == [401] * ATTEMPTS_MAX + [429] * 5
    assert (await ask(f"Bearer {gate.token}"))[0] == 202
    assert sum("proves nothing" in one["event"] for one in log) == ATTEMPTS_MAX


async def test_what_only_looks_needs_no_token(ask):
    async with aiohttp.ClientSession() as session:
        for path in ("/livez", "/readyz", "/metrics", "/status"):
            async with session.get(f"http://{ask.server.address}{path}") as answer:
                assert answer.status == 200


async def test_without_a_file_of_tokens_nothing_is_changed_over_tcp(daemon):
    server = AdminServer(Stats(65_536), daemon, Address("127.0.0.1", 0))
    await server.start()
    async with aiohttp.ClientSession() as session, session.post(f"http://{server.address}/drain") as answer:
        assert (answer.status, "admin.tokens_file" in await answer.text()) == (403, True)
    await server.stop()
    assert daemon.drained == 0


async def test_a_user_is_named_over_a_unix_socket(daemon, log):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        server = AdminServer(Stats(65_536), daemon, UnixAddress(Path(folder) / "admin.sock"))
        await server.start()
        connector = aiohttp.UnixConnector(path=f"{folder}/admin.sock")
        async with aiohttp.ClientSession(connector=connector) as session, session.post("http://localhost/drain") as ok:
            assert ok.status == 202
        await server.stop()
    assert [one["who"] for one in log if one["event"] == "asked for a change"] == [user_name(os.geteuid())]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("groups", "is_heard"), [("daemon", True), ("nogroup", False)])
@pytest.mark.parametrize("is_further", [False, True], ids=["own group", "further group"])
async def test_members_of_a_group_are_heard(daemon, groups, is_heard, is_further):
    group, other = grp.getgrnam("daemon").gr_gid, grp.getgrnam(groups).gr_gid
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "admin.sock"
        server = AdminServer(Stats(65_536), daemon, UnixAddress(path), group=group)
        await server.start()
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, group)
        path.chmod(0o666)  # who comes in all the same is known by the kernel
        code = (
            "import os, socket, sys; path, first, further = sys.argv[1:]\n"
            "os.setgroups([int(further)]); os.setgid(int(first)); os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(path)\n"
            "s.sendall(b'POST /drain HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 0\\r\\n\\r\\n')\n"
            "print(len(s.recv(100)))"
        )
        own = grp.getgrnam("nogroup").gr_gid
        ids = (str(own), str(other)) if is_further else (str(other), str(own))
        child = await asyncio_run([sys.executable, "-I", "-c", code, str(path), *ids])
        await server.stop()
    assert daemon.drained == is_heard, child


async def asyncio_run(command):
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return (await child.communicate())[0].decode()


# --- what commands do -------------------------------------------------------------------------------------------------


def test_a_token_is_never_sent_in_clear_to_another_machine():
    client = AdminClient(Address("192.0.2.1", 9583), token="secret")
    with pytest.raises(AdminError, match="a token would go there in clear"):
        client.drain()


def test_a_token_that_others_can_read_is_not_used(tmp_path):
    file = write_token(tmp_path / "token", "x")
    file.chmod(0o644)
    for wrong, words in ((file, "so others can use it"), (tmp_path / "none", "No such file")):
        result = CliRunner().invoke(app, ["drain", "--admin", "127.0.0.1:1", "--token-file", str(wrong)])
        assert (result.exit_code, words in " ".join(result.output.split())) == (2, True), result.output


def test_a_file_of_tokens_is_made(tmp_path):
    file, token = tmp_path / "tokens.csv", tmp_path / "mei.token"
    runner = CliRunner()
    said = runner.invoke(
        app, ["tokens", "make", str(file), "mei", "--role", "operator", "--days", "7", "--output", str(token)]
    )
    assert said.exit_code == 0, said.output
    said = runner.invoke(app, ["tokens", "make", str(file), "jo", "--role", "viewer", "--days", "7"])
    tokens = read_tokens(file)
    assert [one.person for one in tokens.values()] == ["mei", "jo"]
    for text in (token.read_text().strip(), said.output.strip()):
        one = tokens[id_of(text)]
        assert checked(text, one.row(), NOW)["id"] == one.id
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(token.stat().st_mode) == 0o600
    for options, words in (
        (("mei", "--role", "emperor", "--days", "7"), "no role emperor"),
        (("a,b", "--role", "viewer", "--days", "7"), "6 cells"),
        (("al", "--role", "viewer", "--days", "7", "--output", str(token)), "is there already"),
    ):
        said = runner.invoke(app, ["tokens", "make", str(file), *options])
        assert (said.exit_code, words in said.output) == (1, True), said.output
    assert read_tokens(file) == tokens


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x", "1 cells"),
        ("0123456789ab,mei,operator,2027-03-01T00:00:00Z,00", "hash of 64"),
        ("0123456789AB,mei,operator,2027-03-01T00:00:00Z," + "0" * 64, "id of 12"),
        ("0123456789ab,,operator,2027-03-01T00:00:00Z," + "0" * 64, "a person"),
        ("0123456789ab,mei,king,2027-03-01T00:00:00Z," + "0" * 64, "no role king"),
        ("0123456789ab,mei,operator,tomorrow," + "0" * 64, "when it expires"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, line, words):
    file = write_token(tmp_path / "tokens.csv", f"# a comment\n\n{line}\n")
    with pytest.raises(TokenFileError, match=rf"tokens\.csv: line 3: .*{words}") as refused:
        read_tokens(file)
    assert "0" * 64 not in str(refused.value)


def test_a_file_that_is_too_long_or_has_one_twice(tmp_path):
    file = tmp_path / "tokens.csv"
    write_operator(file)
    write_token(file, file.read_text() * 2)
    with pytest.raises(TokenFileError, match="is there twice"):
        read_tokens(file)
    write_token(file, "#" * ((256 << 10) + 1))
    with pytest.raises(TokenFileError, match="is longer than"):
        read_tokens(file)


@given(st.text(max_size=120))
@settings(deadline=None)
def test_whatever_is_shown_is_no_token(text):
    with pytest.raises(UnknownTokenError):
        id_of(text)
    assert shown_token(text) in (None, text.partition(" ")[2].strip())


def test_a_line_is_read_as_it_was_written(tmp_path):
    key, _, token_hash = new_token()
    one = FileToken(key, "mei", ("operator", "viewer"), datetime(2027, 3, 1, tzinfo=UTC), token_hash)
    assert read_tokens(write_token(tmp_path / "tokens.csv", line_of(one))) == {key: one}


def test_attempts_are_forgotten():
    now = [0.0]
    attempts = FailedAttempts(lambda: now[0])
    assert [attempts.is_too_many() for _ in range(ATTEMPTS_MAX + 1)] == [False] * ATTEMPTS_MAX + [True]
    now[0] = 61.0
    assert not attempts.is_too_many()
