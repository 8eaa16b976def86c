"""What stands before every route: who asks too much is held off, and each request has its line in the log."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from switch.access.actor import Actor
from switch.backoffice.problems import ProblemError, away
from switch.base.log import get_logger
from switch.config.sections import BackofficeSection
from switch.store.problems import NotAllowedError, StoreError

BUCKETS_MAX = 10_000
OF_PEOPLE = "/v1/"
"""What the paths begin with that need a token; none of the others reads a body."""

IMPORT_SUFFIX = "/imports"
IMPORT_RIGHT = "registry.change"
BODY_SECONDS = 120.0
"""Within this a body must have come."""

STRANGERS = ""
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"server", b"authswitch"),
)

log = get_logger(__name__)


class Metrics:
    """Requests by route and status, and how long they took."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "authswitch_backoffice_requests_total", "Requests.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "authswitch_backoffice_request_seconds", "How long they took.", ["route"], registry=self.registry
        )


class Rates:
    """How many requests each token that is in force has left; all others share one.

    Args:
        per_second: So many in the long run; ten times as many at once.
        clock: Monotonic seconds.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def takes(self, who: str) -> bool:
        """Whether one more may be asked."""
        now = self._clock()
        most = 10.0 * self._per_second
        left, then = self._left.pop(who, (most, now))
        left = min(most, left + (now - then) * self._per_second)
        is_taken = left >= 1
        self._left[who] = (left - is_taken, now)
        if len(self._left) > BUCKETS_MAX:
            self._left.popitem(last=False)
        return is_taken


class Limits:
    """The application behind its limits.

    Args:
        app: It.
        section: The limits.
        metrics: Where requests are counted.
        admit: Says who shows a token; ProblemError where nobody is known.
    """

    def __init__(
        self, app: ASGIApp, section: BackofficeSection, metrics: Metrics, admit: Callable[[Request], Actor]
    ) -> None:
        self._app = app
        self._section = section
        self._metrics = metrics
        self._admit = admit
        self._rates = Rates(section.requests_per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state.update(request_id=secrets.token_hex(8), person="", body=b"")
        began = time.monotonic()
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (*HEADERS, (b"request-id", state["request_id"].encode()))
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        request = Request(scope, receive)
        try:
            _refuse_pages(request)
            if scope["path"].startswith(OF_PEOPLE):
                state["body"] = await self._body(request, await self._known(request))
            else:
                self._count(STRANGERS)
        except ProblemError as problem:
            await problem.response()(scope, receive, send_on)
        except StoreError as error:
            await away(request, error)(scope, receive, send_on)
        else:
            await self._app(scope, _told_again(state["body"], receive), send_on)
        finally:
            self._tell(scope, status, time.monotonic() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        state = scope["state"]
        method = scope["method"] if route != "none" else "any"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        # The route, and not the path or a body: those may say who somebody is.
        log.info(
            "request",
            request=state["request_id"],
            method=method,
            route=route,
            status=status,
            milliseconds=round(1_000 * seconds, 1),
            person=state["person"],
        )

    async def _known(self, request: Request) -> Actor:
        """Who asks, before anything but the head is read."""
        try:
            actor = await run_in_threadpool(self._admit, request)
        except ProblemError:
            self._count(STRANGERS)
            raise
        self._count(actor.token)
        return actor

    def _count(self, who: str) -> None:
        """Refuse who asks too much."""
        if not self._rates.takes(who):
            raise ProblemError(429, "too many requests", headers={"Retry-After": "1"})

    async def _body(self, request: Request, actor: Actor) -> bytes:
        most = self._section.import_bytes_max if _may_import(request, actor) else self._section.body_bytes_max
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise ProblemError(413, f"needed at most {most:,} bytes")
        except TimeoutError:
            raise ProblemError(408, f"needed the whole body within {BODY_SECONDS:.0f} seconds") from None
        return bytes(body)


def _refuse_pages(request: Request) -> None:
    """Refuse what a web page could send."""
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise ProblemError(403, "requests from web pages are refused")


def _may_import(request: Request, actor: Actor) -> bool:
    """Whether a request may be as long as a file."""
    if request.method != "POST" or not request.scope["path"].endswith(IMPORT_SUFFIX):
        return False
    try:
        actor.require(IMPORT_RIGHT)
    except NotAllowedError:
        return False
    return True


def _told_again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read, and then what comes behind it."""
    is_told = False

    async def receive_again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
