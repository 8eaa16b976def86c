"""What stands before every route: who asks too much is held off, and each request has its line in the log."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from switch.access.actor import Actor
from switch.backoffice.problems import ProblemError, away
from switch.base.log import get_logger
from switch.config.sections import BackofficeSection
from switch.store.problems import NotAllowedError, StoreError

BUCKETS_MAX = 10_000
OF_PEOPLE = "/v1/"
"""What the paths begin with that need a token; none of the others reads a body."""

IMPORT_SUFFIXES = ("/imports", "/versions")
IMPORT_RIGHT = "registry.change"
BODY_SECONDS = 120.0
"""Within this a body must have come."""

READING = ("GET", "HEAD", "OPTIONS")
CHANGES_MAX = 10
"""So many changes have a thread at once; others wait for that without one, so that who reads finds his."""

CHANGE_SECONDS = 30.0
"""So long one waits for that."""

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
    """Requests by route and status, and how long they took.

    Args:
        program: Whose they are.
    """

    def __init__(self, program: str = "backoffice") -> None:
        self.registry = CollectorRegistry()
        beginning = f"authswitch_{program}_request"
        self.requests = Counter(
            f"{beginning}s_total", "Requests.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(f"{beginning}_seconds", "How long they took.", ["route"], registry=self.registry)


class Share(NamedTuple):
    """Somebody who has so much and no more: a token that is in force, or an address or network.

    Attributes:
        name: Which one.
        times: How many times as much as others.
    """

    name: str
    times: int = 1


class Rates:
    """How many requests each has left; all who have no share of their own share one.

    Args:
        per_second: So many in the long run, for a share of one; ten times as many at once.
        clock: Monotonic seconds.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def takes(self, *shares: Share) -> bool:
        """Whether one more may be asked by all of these; it is taken from all of them, or from none."""
        now = self._clock()
        left = {one.name: self._left_of(one, now) for one in shares}
        if min(left.values()) < 1:
            return False
        for name, count in left.items():
            self._left[name] = (count - 1, now)
            self._left.move_to_end(name)
        while len(self._left) > BUCKETS_MAX:
            self._left.popitem(last=False)
        return True

    def _left_of(self, share: Share, now: float) -> float:
        per_second = self._per_second * share.times
        most = 10.0 * per_second
        left, then = self._left.get(share.name, (most, now))
        return min(most, left + (now - then) * per_second)


class Door:
    """What stands before an application: it lets in or refuses, and tells of each request.

    Args:
        app: The application.
        metrics: Where requests are counted.
        connections_max: Requests at once; of these half may be changes.
    """

    headers: tuple[tuple[bytes, bytes], ...] = HEADERS
    """Of each answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics, connections_max: int) -> None:
        self._app = app
        self._metrics = metrics
        self._changes = asyncio.Semaphore(CHANGES_MAX)
        self._changes_left = max(1, connections_max // 2)

    async def admit(self, request: Request) -> bytes:
        """Let a request in; its body.

        Raises:
            ProblemError: It is refused.
            StoreError: The database cannot be asked.
        """
        raise NotImplementedError

    def refusal(self, request: Request, problem: ProblemError) -> Response:  # noqa: ARG002
        """The answer to who is not let in."""
        return problem.response()

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
                own = (*self.headers, (b"request-id", state["request_id"].encode()))
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        request = Request(scope, receive)
        try:
            async with AsyncExitStack() as stack:
                try:
                    state["body"] = await self.admit(request)
                    if request.method not in READING:
                        await stack.enter_async_context(self._changing())
                except (ProblemError, StoreError) as error:
                    problem = error if isinstance(error, ProblemError) else away(request, error)
                    await self.refusal(request, problem)(scope, receive, send_on)
                else:
                    await self._app(scope, _told_again(state["body"], receive), send_on)
        finally:
            self._tell(scope, status, time.monotonic() - began)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """The turn of a request that may change something.

        Raises:
            ProblemError: Too many others are before it.
        """
        too_many = ProblemError(503, "too many changes at once: try again", headers={"Retry-After": "5"})
        if not self._changes_left:
            raise too_many
        self._changes_left -= 1
        try:
            try:
                await asyncio.wait_for(self._changes.acquire(), CHANGE_SECONDS)
            except TimeoutError:
                raise too_many from None
            try:
                yield
            finally:
                self._changes.release()
        finally:
            self._changes_left += 1

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


class Limits(Door):
    """The API of the staff behind its limits.

    Args:
        app: It.
        section: The limits.
        metrics: Where requests are counted.
        known: Says who shows a token; ProblemError where nobody is known.
    """

    def __init__(
        self, app: ASGIApp, section: BackofficeSection, metrics: Metrics, known: Callable[[Request], Actor]
    ) -> None:
        super().__init__(app, metrics, section.connections_max)
        self._section = section
        self._who = known
        self._rates = Rates(section.requests_per_second)

    async def admit(self, request: Request) -> bytes:
        """Let somebody in whose token is in force, or whoever asks what needs none."""
        refuse_pages(request)
        if not request.scope["path"].startswith(OF_PEOPLE):
            self._count(STRANGERS)
            return b""
        actor = await self._known(request)
        most = self._section.import_bytes_max if _may_import(request, actor) else self._section.body_bytes_max
        return await body_of(request, most, BODY_SECONDS)

    async def _known(self, request: Request) -> Actor:
        """Who asks, before anything but the head is read."""
        try:
            actor = await run_in_threadpool(self._who, request)
        except ProblemError:
            self._count(STRANGERS)
            raise
        self._count(actor.token)
        return actor

    def _count(self, who: str) -> None:
        """Refuse who asks too much."""
        refuse_many(self._rates, Share(who))


def refuse_many(rates: Rates, *shares: Share) -> None:
    """Refuse who asks too much.

    Raises:
        ProblemError: So it is.
    """
    if not rates.takes(*shares):
        raise ProblemError(429, "too many requests", headers={"Retry-After": "1"})


async def body_of(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request, once all of it has come.

    Raises:
        ProblemError: It is too long, or has not come in time.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise ProblemError(413, f"needed at most {most:,} bytes")
    except TimeoutError:
        raise ProblemError(408, f"needed the whole body within {seconds:g} seconds") from None
    return bytes(body)


def refuse_pages(request: Request) -> None:
    """Refuse what a web page could send.

    Raises:
        ProblemError: So it is.
    """
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise ProblemError(403, "requests from web pages are refused")


def _may_import(request: Request, actor: Actor) -> bool:
    """Whether a request may be as long as a file."""
    if request.method != "POST" or not request.scope["path"].endswith(IMPORT_SUFFIXES):
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
