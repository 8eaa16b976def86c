"""The HTTP side for operators: metrics, health, status and drain.

It listens on loopback, or on a Unix socket, unless the configuration says otherwise. Whoever reaches it may look; what
changes anything is asked by somebody: a user of this machine over a Unix socket, or the bearer of a token. Requests
that a web page in a browser on the same machine can make are refused; and so is what names another daemon.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from switch import __version__
from switch.admin.build_info import BuildCollector
from switch.admin.callers import CALLER, Gate, StrangerError
from switch.admin.health import Health, answered
from switch.admin.identity import Identity, is_meant
from switch.admin.sockets import LocalPeer, UnixSocket
from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.config.addresses import Address, UnixAddress, is_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONNECTIONS_MAX = 32
BACKLOG = 64
CONNECTION_SECONDS_MAX = 60
"""Connections older than this are closed: scrapers connect again, and nobody can keep the places taken."""
KEEP_ALIVE_SECONDS = 20
BODY_BYTES_MAX = 1024
LINE_BYTES_MAX = 2048
HEADERS_MAX = 32
STOP_SECONDS = 1.0

log = get_logger(__name__)
HTTP_LOG = logging.getLogger("switch.admin.http")
"""Of the library."""


def is_ours(record: logging.LogRecord) -> bool:
    """Whether a line is about a mistake of ours: of a request that cannot be read the library repeats the bytes."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


HTTP_LOG.addFilter(is_ours)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "authswitch",
}


class Refusal(asyncio.Protocol):
    """A connection above the limit: closed as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


class AdminServer:
    """Serves ``/metrics``, ``/livez``, ``/readyz``, ``/status``, ``/drain`` and what else it is given.

    Args:
        stats: the daemon's counters.
        health: the daemon as its operators see it.
        bind: where to listen; port 0 lets the kernel choose.
        connections_max: more connections are closed at once.
        routes: further paths.
        identity: whose it is; questions that name somebody else are refused.
        scrape_bind: a second address, for what changes nothing: ``/metrics``, ``/livez`` and ``/readyz``.
        gate: says who asks for changes.
        group: the id of a group that may use a Unix socket, too.
    """

    def __init__(
        self,
        stats: Stats,
        health: Health,
        bind: Address | UnixAddress,
        *,
        connections_max: int = CONNECTIONS_MAX,
        routes: Iterable[web.RouteDef] = (),
        identity: Identity | None = None,
        scrape_bind: Address | None = None,
        gate: Gate | None = None,
        group: int | None = None,
    ) -> None:
        self._gate = gate or Gate()
        self._group = group
        self._health = health
        self._bind = bind
        self._scrape_bind = scrape_bind
        self._identity = identity
        self._headers = {**HEADERS, **({} if identity is None else identity.headers())}
        self._connections_max = connections_max
        self._started = time.monotonic()
        self._servers: list[asyncio.Server] = []
        self._socket: UnixSocket | None = None
        self._stats = stats
        self._registry = CollectorRegistry()
        self._registry.register(BuildCollector())
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        looks = [
            web.get("/metrics", self._metrics),
            web.get("/livez", self._livez),
            web.get("/readyz", self._readyz),
        ]
        acts = [web.get("/status", self._status), web.post("/drain", self._drain), *routes]
        self._runner = self._new_runner([*looks, *acts], bind)
        self._scraped = None if scrape_bind is None else self._new_runner(looks, scrape_bind)

    def _new_runner(self, routes: Iterable[web.RouteDef], bind: Address | UnixAddress) -> web.AppRunner:
        is_direct_only = isinstance(bind, UnixAddress) or is_loopback(bind.host)

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler, is_direct_only=is_direct_only)

        app = web.Application(middlewares=[guard], client_max_size=BODY_BYTES_MAX)
        app.add_routes(routes)
        app.on_response_prepare.append(self._set_headers)
        return web.AppRunner(
            app,
            access_log=None,
            logger=HTTP_LOG,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            max_headers=HEADERS_MAX,
            shutdown_timeout=STOP_SECONDS,
        )

    @property
    def address(self) -> Address | UnixAddress:
        """Where it really listens, once it was started."""
        return self._bind if isinstance(self._bind, UnixAddress) else _listening(self._bind, self._servers[:1])

    @property
    def scrape_address(self) -> Address | None:
        """Where it really answers what changes nothing, once it was started."""
        return None if self._scrape_bind is None else _listening(self._scrape_bind, self._servers[1:])

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        if isinstance(self._bind, UnixAddress):
            try:
                self._socket = UnixSocket(self._bind.path, self._group)
            except OSError as error:
                raise OSError(error.errno, f"admin.bind: {words_of(error)}") from error
            self._servers.append(await loop.create_unix_server(self._accept_local, sock=self._socket.socket))
        else:
            self._servers.append(await self._listen("admin.bind", self._bind, self._runner))
        if self._scraped is not None and self._scrape_bind is not None:
            await self._scraped.setup()
            self._servers.append(await self._listen("admin.scrape_bind", self._scrape_bind, self._scraped))

    async def _listen(self, key: str, bind: Address, runner: web.AppRunner) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(lambda: self._accept(runner), bind.host, bind.port, backlog=BACKLOG)
        except OSError as error:
            raise OSError(error.errno, f"{key}: {bind} cannot be listened on: {words_of(error)}") from error

    async def stop(self) -> None:
        """Stop listening and close what is open; requests under way get a second."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        await self._runner.cleanup()
        if self._scraped is not None:
            await self._scraped.cleanup()

    async def _guard(self, request: web.Request, handler: Handler, *, is_direct_only: bool) -> web.StreamResponse:
        """Answer who may ask; errors in one plain line."""
        refusal = self._refusal(request, is_direct_only=is_direct_only)
        if refusal is not None:
            return refusal
        try:
            if request.method not in ("GET", "HEAD") and request.match_info.http_exception is None:
                request[CALLER] = self._gate.caller(request)
                log.info("asked for a change", who=request[CALLER], path=request.path)
            return await handler(request)
        except StrangerError as error:
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
            return web.Response(status=error.status, text=f"{error.words}\n", headers=headers)
        except web.HTTPException as error:
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            return web.Response(status=error.status, text=f"{error.reason}\n", headers=headers)

    def _refusal(self, request: web.Request, *, is_direct_only: bool) -> web.Response | None:
        """Of what a web page in an operator's browser could send, of what is meant for others, and of too much."""
        if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return web.Response(status=403, text="requests from web pages are refused\n")
        if self._identity is not None and not is_meant(request.headers, self._identity):
            return web.Response(status=421, text=f"this is {self._identity}: another one was meant\n")
        if is_direct_only and not _is_direct(request.host):
            return web.Response(status=403, text="the Host header must be an IP address or localhost\n")
        if request.body_exists and (request.content_length or 0) > BODY_BYTES_MAX:
            return web.Response(status=413, text=f"needed at most {BODY_BYTES_MAX} bytes\n")
        return None

    def _accept_local(self) -> asyncio.Protocol:
        return LocalPeer(
            lambda: self._accept(self._runner),
            lambda user: log.warning("admin connection of another user refused", user=user),
            self._group,
        )

    def _accept(self, runner: web.AppRunner) -> asyncio.Protocol:
        server = runner.server
        if server is None or len(server.connections) >= self._connections_max:
            return Refusal()
        protocol: asyncio.Protocol = server()
        asyncio.get_running_loop().call_later(CONNECTION_SECONDS_MAX, _abort, protocol)
        return protocol

    async def _metrics(self, _request: web.Request) -> web.Response:
        # Always in this one form, which the counters can write quickly: terminals wait while it is written.
        body = self._stats.exposition() + generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _livez(self, _request: web.Request) -> web.Response:
        if self._health.live():
            return web.Response(text="live\n")
        return web.Response(status=503, text="not live\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons, lacks, _, told = await answered(self._health.readiness())
        lines = "".join(f"{reason}\n" for reason in [*reasons, *lacks, *told])
        return web.Response(status=503, text=lines) if reasons else web.Response(text=f"ready\n{lines}")

    async def _status(self, _request: web.Request) -> web.Response:
        reasons, lacks, _, told = await answered(self._health.readiness())
        own = {
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - self._started, 3),
            "live": self._health.live(),
            "ready": not reasons,
            "unready_reasons": list(reasons),
            "lacks": [*lacks, *told],
        }
        return _json({**own, **await answered(self._health.status())})

    async def _drain(self, _request: web.Request) -> web.Response:
        self._health.drain()
        return _json({"draining": True}, status=202)

    async def _set_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(self._headers)


def _listening(bind: Address, servers: Sequence[asyncio.Server]) -> Address:
    """The address of the first server, or what is to be bound when there is none."""
    if not servers:
        return bind
    host, port = servers[0].sockets[0].getsockname()[:2]
    return Address(host, port)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(value, ensure_ascii=False) + "\n", status=status, content_type="application/json"
    )


def _abort(protocol: asyncio.Protocol) -> None:
    transport = getattr(protocol, "transport", None)
    if transport is not None:
        transport.abort()


def _is_direct(host: str) -> bool:
    """Whether the Host header names us by address: a name could have been pointed at us by somebody else."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name == "localhost":
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
