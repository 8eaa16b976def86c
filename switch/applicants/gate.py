"""What stands before the applicants' routes: how much strangers may ask, and who is let in to an application."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from switch.applicants.callers import AtOnce, Awaited, Caller, caller_of
from switch.applicants.proving import Prover, shown_proof
from switch.applicants.sessions import Session, new_token
from switch.applicants.site import Site
from switch.applications.applying import applicant
from switch.backoffice.limits import HEADERS, Door, Metrics, Rates, body_of, refuse_many, refuse_pages
from switch.backoffice.problems import ProblemError
from switch.config.sections import ApplicantsSection

OF_PROGRAMS: Final = ("/v1/", "/openapi.json", "/livez", "/readyz", "/metrics")
OF_MACHINES: Final = ("/readyz", "/metrics")
"""Who asks these from elsewhere is told that there is no such path."""

OWN_BY_PROGRAM: Final = "/v1/application"
OWN_BY_PAGE: Final = "/application"
"""What the paths begin with that are of one application."""

DOCUMENTS_SUFFIX: Final = "/documents"
FORM_BYTES: Final = 16_384
"""So much is around a file that a form brings."""

STRANGERS_BODY_SECONDS: Final = 15.0
BODY_SECONDS: Final = 120.0
SHARE: Final = 10
"""One address has at most this part of all requests that may be under way at once."""

BODIES_SHARE: Final = 3
"""Of these at most this part awaits bodies of strangers, and as many those of applicants; the rest is for others."""

PAGE_POLICY: Final = (
    b"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = (
    *(pair for pair in HEADERS if pair[0] != b"content-security-policy"),
    (b"content-security-policy", PAGE_POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
OVER_TLS: Final = (b"strict-transport-security", b"max-age=31536000")


class Gate(Door):
    """The applicants' application behind its limits.

    Args:
        apps: The API, and the pages.
        section: The limits.
        metrics: Where requests are counted.
        prover: Knows applicants by reference and secret.
        site: What the pages have in common.
    """

    def __init__(
        self, apps: tuple[ASGIApp, ASGIApp], section: ApplicantsSection, metrics: Metrics, prover: Prover, site: Site
    ) -> None:
        super().__init__(_both(*apps), metrics, section.connections_max)
        self._section = section
        self._prover = prover
        self._site = site
        self._rates = Rates(section.requests_per_second)
        self._at_once = AtOnce(max(1, section.connections_max // SHARE))
        bodies_max = max(1, section.connections_max // BODIES_SHARE)
        self._strangers, self._applicants = Awaited(bodies_max), Awaited(bodies_max)
        self.headers = (*PAGE_HEADERS, OVER_TLS) if site.cookies.is_over_tls else PAGE_HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, if its address has not too many under way."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        caller = caller_of(Request(scope), behind_proxy=self._section.behind_proxy)
        with self._at_once.one(caller.shares) as has_room:
            scope.setdefault("state", {}).update(caller=caller, has_room=has_room, reference="", token="")
            await super().__call__(scope, receive, send)

    async def admit(self, request: Request) -> bytes:
        """Let an applicant in to his own application, and strangers to what is for all."""
        caller, path = request.state.caller, request.scope["path"]
        if not request.state.has_room:
            raise ProblemError(429, "too many requests at once", headers={"Retry-After": "1"})
        refuse_many(self._rates, *caller.shares)
        if path in OF_MACHINES and not caller.is_local:
            raise ProblemError(404, "there is no such path")
        if is_of_programs(path):
            refuse_pages(request)
            is_known = await self._admit_program(request, caller, path)
        else:
            is_known = await self._admit_browser(request, path)
        if not is_known:
            return await _awaited(
                self._strangers, body_of(request, self._section.body_bytes_max, STRANGERS_BODY_SECONDS)
            )
        request.state.person = applicant(request.state.reference).name
        is_paper = request.method == "POST" and path.endswith(DOCUMENTS_SUFFIX)
        most = (
            self._site.desk.rules.policy.documents.bytes_max + FORM_BYTES if is_paper else self._section.body_bytes_max
        )
        return await _awaited(self._applicants, body_of(request, most, BODY_SECONDS))

    def refusal(self, request: Request, problem: ProblemError) -> Response:
        """The answer to who is not let in: a page, to a browser."""
        if is_of_programs(request.scope["path"]):
            return problem.response()
        if problem.status == 401:
            return RedirectResponse("/sign-in", 303)
        return self._site.problem(request, problem)

    async def _admit_program(self, request: Request, caller: Caller, path: str) -> bool:
        if not is_within(path, OWN_BY_PROGRAM):
            return False
        reference, secret = shown_proof(request)
        request.state.reference = await self._prover.prove(caller, reference, secret)
        return True

    async def _admit_browser(self, request: Request, path: str) -> bool:
        if request.method != "GET" and request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise ProblemError(403, "this form is not of this site")
        token = self._site.cookies.read(request)
        session = self._site.sessions.find(token)
        if session is not None and await run_in_threadpool(self._is_over, session):
            self._site.sessions.end(token)
            session = None
        request.state.token = token or new_token()
        if session is not None:
            request.state.reference = session.reference
        elif is_within(path, OWN_BY_PAGE):
            raise ProblemError(401, "nobody is signed in")
        return session is not None and is_within(path, OWN_BY_PAGE)

    def _is_over(self, session: Session) -> bool:
        """Whether the secret is another one since, or the application not there."""
        return self._site.desk.secret_of(session.reference) != session.secret_hash


def is_of_programs(path: str) -> bool:
    """Whether a path is the API's, and not a page's."""
    return path.startswith(OF_PROGRAMS)


def is_within(path: str, beginning: str) -> bool:
    """Whether a path is another one, or below it."""
    return path == beginning or path.startswith(f"{beginning}/")


async def _awaited(bodies: Awaited, body: Coroutine[Any, Any, bytes]) -> bytes:
    """A body, unless others that began later need its room.

    Raises:
        ProblemError: It is too long, or has not come in time.
    """
    try:
        async with bodies.one():
            return await body
    except TimeoutError:
        raise ProblemError(408, "others are waiting: send the whole body at once") from None


def _both(api: ASGIApp, pages: ASGIApp) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (api if scope["type"] == "http" and is_of_programs(scope["path"]) else pages)(scope, receive, send)

    return app
