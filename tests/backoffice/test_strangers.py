"""Who has no token that is in force: nothing is read of him, nothing written for him, and nobody kept out by him."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import uvicorn
from uvicorn.server import ServerState

from switch.access.actor import Actor
from switch.backoffice import connections, limits
from switch.backoffice.connections import Connection
from switch.backoffice.limits import Limits, Metrics
from switch.backoffice.problems import ProblemError
from switch.config.sections import BackofficeSection

from .api import Api

STRANGER = "authswitch_" + "0" * 12 + "_" + "A" * 43
HELD = 40
MEGABYTES = 60 << 20


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    more = f"requests_per_second = 100000\nconnections_max = {HELD // 2}"
    running = Api(folder / "switch", f"sqlite:{folder}/store.db", more)
    yield running
    assert running.ends() == 0, running.log.read_text()


@contextmanager
def held(api, said=b""):
    """Many connections that have said so much, and no more; what they have asked is answered, or they were ended."""
    many = [socket.create_connection(("127.0.0.1", api.port), 20) for _ in range(HELD)]
    try:
        for one in many:
            one.sendall(said)
        for one in many if said.endswith(b"\r\n\r\n") else ():
            with suppress(ConnectionError):
                one.recv(4096)
        yield many
    finally:
        for one in many:
            one.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stranger_is_refused_and_nothing_is_written_for_him(api, method):
    forged = f"authswitch_{api.tokens['vi'].split('_')[1]}_{'A' * 43}"
    for shown in (STRANGER, forged) * 8:
        path = "/v1/terminals/10000001" + ("/suspend" if method == "POST" else "")
        body = {"why": "x"} if method == "POST" else None
        assert api.refuses(shown, method, path, body)[0] in (401, 429)
    (row,) = api.does("kim", "GET", "/v1/tokens?person=vi")["items"]
    assert row["used_at"] is None
    assert api.does("jo", "GET", "/v1/terminals/10000001")["state"] == "active"


@pytest.mark.parametrize(
    ("path", "token", "statuses"),
    [
        ("/v1/merchants/imports?why=x", STRANGER, ("401", "429")),
        ("/v1/terminals", "", ("401", "429")),
        ("/nowhere/imports", STRANGER, ("404",)),
        ("/livez", "", ("405",)),
    ],
)
def test_a_stranger_is_answered_before_his_body_is_read(api, path, token, statuses):
    with socket.create_connection(("127.0.0.1", api.port), 20) as one:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {MEGABYTES}\r\n\r\n"
        )
        one.sendall(head.encode())
        assert one.recv(4096).split(b" ")[1].decode() in statuses


def test_only_who_may_import_sends_what_is_as_long_as_a_file(api):
    long = b"id,name,state,category,kinds\n" + b"#" * 100_000
    assert api.asks("vi", "POST", "/v1/merchants/imports?why=x", long)[0] == 413
    assert api.asks("jo", "POST", "/v1/merchants/imports?why=x", long)[0] == 202
    assert api.asks("jo", "POST", "/v1/merchants", long)[0] == 413


@pytest.mark.parametrize(
    "said", [b"", b"GET /v1/merchants HTTP/1.1\r\nHost:", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_connections_that_ask_nothing_keep_nobody_out(api, said):
    with held(api, said):
        assert api.does("jo", "GET", "/v1/merchants?limit=1")["items"]


# --- one connection ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(app, monkeypatch):
    """An application behind our connections, whose times are short."""
    monkeypatch.setattr(connections, "WAIT_SECONDS", 0.2)
    config, state = uvicorn.Config(app, lifespan="off", log_config=None), ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answers(status, body, send):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def slow(_scope, _receive, send):
    await asyncio.sleep(0.6)
    await answers(200, b"done", send)


async def refusing(_scope, _receive, send):
    await answers(401, b"no", send)


async def long(_scope, _receive, send):
    await answers(200, bytes(64 << 20), send)


async def ended(reader):
    """What came until the other side ended it."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"])
async def test_who_is_waited_for_too_long_is_ended_however_he_trickles(monkeypatch, said):
    async with served(refusing, monkeypatch) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)

        async def trickles():
            while said:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickle = asyncio.create_task(trickles())
        await ended(reader)
        trickle.cancel()
        writer.close()


async def test_who_does_not_read_his_answer_is_ended(monkeypatch):
    async with served(long, monkeypatch) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.transport.pause_reading()
        await asyncio.sleep(1)
        writer.transport.resume_reading()
        assert len(await ended(reader)) < 64 << 20
        writer.close()


async def test_what_takes_long_is_waited_for_and_so_is_the_next_request(monkeypatch):
    async with served(slow, monkeypatch) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(10):
                assert (await reader.readuntil(b"done\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await ended(reader) == b""
        writer.close()


# --- limits -----------------------------------------------------------------------------------------------------------


def admit(request):
    shown = request.headers["Authorization"]
    if shown != "Bearer jo":
        raise ProblemError(401, "nobody")
    return Actor("jo", rights=frozenset(), token="0a1b2c3d4e5f")


async def asked(app, shown, parts=(b"",)):
    """The status of an answer."""
    waiting = list(parts)
    statuses = []

    async def receive():
        if not waiting:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting) or parts[-1] != b""}

    async def send(message):
        statuses.append(message.get("status"))

    headers = [(b"authorization", f"Bearer {shown}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/x", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return statuses[0]


def limited(per_second):
    section = BackofficeSection(bind="127.0.0.1:9585", requests_per_second=per_second)
    return Limits(refusing_late, section, Metrics(), admit)


async def refusing_late(_scope, receive, send):
    await receive()
    await answers(200, b"", send)


async def test_strangers_share_one_rate_whatever_they_show():
    app = limited(1)
    assert [await asked(app, f"stranger {number}") for number in range(12)] == [401] * 10 + [429] * 2
    assert [await asked(app, "jo") for _ in range(12)] == [200] * 10 + [429] * 2


async def test_a_body_comes_in_time_or_not_at_all(monkeypatch):
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.1)
    app = limited(100)
    assert await asked(app, "jo", (b"a", b"b", b"")) == 200
    assert await asked(app, "jo", (b"a", b"b")) == 408
