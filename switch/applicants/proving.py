"""Proof that somebody is an applicant: limited by address, and never telling whether a reference exists."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from switch.access.attempts import FailedAttempts
from switch.applicants.callers import Caller, Counts
from switch.backoffice.problems import ProblemError
from switch.base.log import get_logger

WRONG_SECONDS = 900.0
ANSWER_SECONDS = 0.5
"""Who proves nothing is answered after this, however long looking took."""

PROOF_CHARACTERS_MAX = 200
NO_PROOF = "reference and secret do not fit; behind too many wrong secrets none is right: ask for a new one"

log = get_logger(__name__)


class Prover:
    """Looks whether a secret is an application's.

    Args:
        is_applicant: By the store.
        wrong_max: So many wrong ones of one address, in 15 minutes; behind that none is looked at.
    """

    def __init__(self, is_applicant: Callable[[str, str], bool], wrong_max: int) -> None:
        self._is_applicant = is_applicant
        self._wrong = Counts(wrong_max, WRONG_SECONDS)
        self._failed = FailedAttempts()

    async def prove(self, caller: Caller, reference: str, secret: str) -> str:
        """The reference of who proves that it is his.

        Raises:
            ProblemError: It is not proved.
            StoreError: The database cannot be asked.
        """
        loop = asyncio.get_running_loop()
        answered_at = loop.time() + ANSWER_SECONDS
        if self._wrong.is_full(caller.shares):
            headers = {"Retry-After": f"{WRONG_SECONDS:.0f}"}
            raise ProblemError(429, "too many wrong secrets: wait a quarter of an hour", headers=headers)
        if await run_in_threadpool(self._is_applicant, reference, secret):
            return reference
        self._wrong.takes(caller.shares)
        if not self._failed.is_too_many():
            log.warning("an applicant's secret is wrong", address=caller.address)
        await asyncio.sleep(answered_at - loop.time())
        raise unproved(NO_PROOF)


def unproved(detail: str) -> ProblemError:
    """What is answered to who proves nothing."""
    return ProblemError(401, detail, headers={"WWW-Authenticate": 'Basic realm="application", charset="UTF-8"'})


def shown_proof(request: Request) -> tuple[str, str]:
    """The reference and secret that a request bears (RFC 7617).

    Raises:
        ProblemError: It bears none.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    try:
        text = base64.b64decode(value.strip().encode(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (ValueError, binascii.Error):
        text = ""
    reference, colon, secret = text.partition(":")
    if not colon or len(text) > PROOF_CHARACTERS_MAX:
        raise unproved("reference and secret are needed: Authorization: Basic")
    return reference, secret
