"""The HTTP side for operators."""

import asyncio
import json

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from switch import __version__
from switch.admin.health import Readiness
from switch.admin.server import BODY_BYTES_MAX, AdminServer
from switch.base.stats import Stats
from switch.config import Address


class Daemon:
    """A daemon as the admin side sees it."""

    def __init__(self):
        self.alive = True
        self.reasons = []
        self.lacks = []
        self.drained = 0

    def live(self):
        return self.alive

    def readiness(self):
        return Readiness(self.reasons, self.lacks)

    def status(self):
        return {"links": [{"name": "bank-a", "up": True, "in_flight": 3}], "in_flight": 3}

    def drain(self):
        self.drained += 1


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def stats():
    return Stats(65_536)


@pytest.fixture
async def server(daemon, stats, gate):
    server = AdminServer(stats, daemon, Address("127.0.0.1", 0), connections_max=4, gate=gate)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def ask(server, gate):
    async with aiohttp.ClientSession() as session:

        async def _ask(path, method="GET", token=gate.token, headers=(), **options):
            proof = {} if token is None else {"Authorization": f"Bearer {token}"}
            options["headers"] = {**proof, **dict(headers)}
            async with session.request(method, f"http://{server.address}{path}", **options) as response:
                return response.status, await response.text(), response.headers

        yield _ask


async def test_metrics_hold_our_series_and_those_of_the_process(ask, stats):
    stats.add(stats.counter("authswitch_requests_total", "Requests.", {"listener": "pos"}), 7)
    status, text, headers = await ask("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["authswitch_requests"].samples[0].value == 7
    assert families["authswitch_build_info"].samples[0].labels["version"] == __version__
    assert "process_resident_memory_bytes" in families
    assert "python_gc_collections" in families


async def test_metrics_come_in_one_form_whatever_is_asked_for(ask):
    _, _, headers = await ask("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_live_and_ready_are_separate(ask, daemon):
    assert (await ask("/livez"))[:2] == (200, "live\n")
    assert (await ask("/readyz"))[:2] == (200, "ready\n")
    daemon.reasons = ["link bank-a is down", "draining"]
    assert (await ask("/livez"))[:2] == (200, "live\n")
    assert (await ask("/readyz"))[:2] == (503, "link bank-a is down\ndraining\n")


async def test_what_a_part_lacks_is_named_and_is_no_reason(ask, daemon):
    daemon.lacks = ["worker 1 has ended: partition 1"]
    assert (await ask("/readyz"))[:2] == (200, "ready\nworker 1 has ended: partition 1\n")
    daemon.reasons = ["no link is up"]
    assert (await ask("/readyz"))[:2] == (503, "no link is up\nworker 1 has ended: partition 1\n")
    daemon.alive = False
    assert (await ask("/livez"))[:2] == (503, "not live\n")


async def test_status_is_json(ask, daemon):
    daemon.reasons = ["draining"]
    status, text, headers = await ask("/status")
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    answer = json.loads(text)
    assert answer.pop("uptime_seconds") >= 0
    assert answer == {
        "version": __version__,
        "live": True,
        "ready": False,
        "unready_reasons": ["draining"],
        "lacks": [],
        "links": [{"name": "bank-a", "up": True, "in_flight": 3}],
        "in_flight": 3,
    }


async def test_drain_is_asked_by_post_only(ask, daemon):
    status, text, headers = await ask("/drain")
    assert (status, text, headers["Allow"]) == (405, "Method Not Allowed\n", "POST")
    assert daemon.drained == 0
    status, text, _ = await ask("/drain", "POST")
    assert (status, json.loads(text)) == (202, {"draining": True})
    assert daemon.drained == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:9583"},
        {"Host": ""},
    ],
)
async def test_web_pages_are_refused(ask, daemon, headers):
    status, text, _ = await ask("/drain", "POST", headers=headers)
    assert status == 403
    assert text
    assert daemon.drained == 0


@pytest.mark.parametrize("host", ["localhost:9583", "127.0.0.1", "[::1]:9583", "[::1]"])
async def test_names_of_this_machine_are_fine(ask, host):
    assert (await ask("/livez", headers={"Host": host}))[0] == 200


async def test_behind_another_address_names_are_fine(daemon, stats):
    server = AdminServer(stats, daemon, Address("0.0.0.0", 0))
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{server.address.port}/livez"
            async with session.get(url, headers={"Host": "switch-1.example"}) as response:
                assert response.status == 200
    finally:
        await server.stop()


@pytest.mark.parametrize("path", ["/", "/metrics/", "/status/x", "/..%2fetc/passwd", "/static"])
async def test_there_is_nothing_else(ask, path):
    status, text, _ = await ask(path)
    assert (status, text) == (404, "Not Found\n")


@pytest.mark.parametrize("path", ["/livez", "/status", "/nothing"])
async def test_answers_are_not_kept_and_not_run(ask, path):
    _, _, headers = await ask(path)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Server"] == "authswitch"


async def test_large_body_is_refused(ask, daemon):
    status, _, _ = await ask("/drain", "POST", data=b"x" * (BODY_BYTES_MAX + 1))
    assert status == 413
    assert daemon.drained == 0


async def test_connections_above_the_limit_are_closed(server):
    address = server.address
    connections = [await asyncio.open_connection(address.host, address.port) for _ in range(4)]
    for reader, writer in connections:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    reader, extra = await asyncio.open_connection(address.host, address.port)
    assert await reader.read() == b""
    for writer in [extra, *(writer for _, writer in connections)]:
        writer.close()
        await writer.wait_closed()


async def test_connections_that_are_kept_too_long_are_closed(daemon, stats, monkeypatch):
    monkeypatch.setattr("switch.admin.server.CONNECTION_SECONDS_MAX", 0.01)
    server = AdminServer(stats, daemon, Address("127.0.0.1", 0))
    await server.start()
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await server.stop()


@pytest.mark.parametrize("request_line", [b"\x16\x03\x01\x02\x00\x01", b"GET " + b"x" * 9000, b"0200\r\n\r\n"])
async def test_what_is_no_http_is_refused(server, ask, request_line):
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    writer.write(request_line + b"\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    writer.close()
    await writer.wait_closed()
    assert (await ask("/livez"))[0] == 200


async def test_address_that_is_taken(server, daemon, stats):
    second = AdminServer(stats, daemon, server.address)
    with pytest.raises(OSError, match="cannot be listened on: Address already in use"):
        await second.start()
    await second.stop()
