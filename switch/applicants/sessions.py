"""Sessions of applicants who use the pages: they are kept by the process, and end with it."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response

IDLE_SECONDS = 1_800.0
LAST_SECONDS = 43_200.0
SESSIONS_MAX = 10_000
OF_ONE_MAX = 5
"""Sessions of one application; who begins one more ends his own that began first."""

TOKEN_BYTES = 32
COOKIE = "applicant"


@dataclass(slots=True)
class Session:
    """Somebody who has proved that he is an applicant.

    Attributes:
        reference: Of his application.
        secret_hash: Of the secret that was right.
        began: Monotonic seconds.
        seen: When he asked for something last.
    """

    reference: str
    secret_hash: bytes = field(repr=False)
    began: float
    seen: float


class Sessions:
    """All of them. Nothing is kept for who has proved nothing.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(TOKEN_BYTES)
        self._all: OrderedDict[bytes, Session] = OrderedDict()
        self._lock = Lock()

    def begin(self, reference: str, secret_hash: bytes) -> str:
        """Begin a session; its token."""
        token, now = new_token(), self._clock()
        with self._lock:
            mine = [name for name, one in self._all.items() if one.reference == reference]
            if len(mine) >= OF_ONE_MAX:
                del self._all[mine[0]]
            self._all[self._name(token)] = Session(reference, secret_hash, now, now)
            if len(self._all) > SESSIONS_MAX:
                self._all.popitem(last=False)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token; None where there is none, or not any more."""
        now = self._clock()
        with self._lock:
            found = self._all.get(self._name(token))
            if found is None:
                return None
            if now - found.seen > IDLE_SECONDS or now - found.began > LAST_SECONDS:
                del self._all[self._name(token)]
                return None
            found.seen = now
            return found

    def end(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._all.pop(self._name(token), None)

    def form_token(self, token: str) -> str:
        """What a form must bring beside the cookie: no other site can read or make it."""
        return hmac.new(self._key, b"form " + token.encode(), "sha256").hexdigest()

    def is_of_form(self, token: str, shown: str) -> bool:
        """Whether a form was ours."""
        return hmac.compare_digest(self.form_token(token).encode(), shown.encode())

    def _name(self, token: str) -> bytes:
        """A token is never compared itself: how long that takes would tell of it."""
        return hmac.digest(self._key, token.encode(), "sha256")


def new_token() -> str:
    """For a visitor, or for a session."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Cookies:
    """The one cookie: a visitor's or a session's.

    Args:
        is_over_tls: Whether applicants speak TLS.
    """

    def __init__(self, *, is_over_tls: bool) -> None:
        self.is_over_tls = is_over_tls
        self.name = f"__Host-{COOKIE}" if is_over_tls else COOKIE

    def read(self, request: Request) -> str:
        """Its value; empty where there is none."""
        return str(request.cookies.get(self.name, ""))

    def write(self, response: Response, token: str) -> None:
        """Give it to a browser, for as long as that runs."""
        response.set_cookie(self.name, token, path="/", secure=self.is_over_tls, httponly=True, samesite="strict")
