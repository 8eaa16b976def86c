"""What a request is answered that is refused or fails: one problem, as a document unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from switch.backoffice.problems import ProblemError, away, of_fields
from switch.base.log import get_logger
from switch.files.problems import ConfigError
from switch.keys import KeyFileError
from switch.store.problems import NoSuchError, NotAllowedError, RefusedError, StoreError, TooManyError, UnfitError

STATUSES = (
    (TooManyError, 429),
    (NotAllowedError, 403),
    (NoSuchError, 404),
    (UnfitError, 422),
    (RefusedError, 409),
    (ConfigError, 409),
)
OF_HTTP = {404: "there is no such path", 405: "this method is not for this path"}

log = get_logger(__name__)


def answer_problems(
    api: FastAPI, told: Callable[[Request, ProblemError], Response] = lambda _, problem: problem.response()
) -> None:
    """Have an application answer whatever is refused or fails.

    Args:
        api: The application.
        told: Makes the answer.
    """

    def answer(request: Request, error: Exception) -> Response:
        return told(request, problem_of(request, error))

    kinds = [kind for kind, _ in STATUSES]
    for kind in (*kinds, StoreError, KeyFileError, ProblemError, HTTPException, RequestValidationError, Exception):
        api.add_exception_handler(kind, answer)


def problem_of(request: Request, error: Exception) -> ProblemError:
    """What somebody is told of an error; nothing that is nobody's to read."""
    match error:
        case ProblemError():
            problem = error
        case StoreError() | KeyFileError():
            problem = away(request, error)
        case ConfigError():
            fields = ((one.key, one.reason) for one in error.problems)
            problem = of_fields(_status_of(error), fields, names_fields=False)
        case RefusedError():
            problem = ProblemError(_status_of(error), str(error))
        case HTTPException():
            detail = OF_HTTP.get(error.status_code, "it cannot be read")
            problem = ProblemError(error.status_code, detail, headers=dict(error.headers or {}))
        case RequestValidationError():
            # Without the values: those may be somebody's secrets.
            problem = of_fields(422, ((_field_of(one), one["msg"]) for one in error.errors()))
        case _:
            log.error("a mistake of ours", request=request.state.request_id, error=type(error).__name__)
            problem = ProblemError(500, "a mistake of the program: see its log")
    return problem


def _field_of(error: Mapping[str, Any]) -> str:
    """What an error of a request is about: its part, such as the body, where nothing in that has a name."""
    part, *within = map(str, error["loc"])
    # Of what is no JSON the place is told as if it were a field.
    return part if not within or error["type"] == "json_invalid" else ".".join(within)


def _status_of(error: Exception) -> int:
    return next(status for kind, status in STATUSES if isinstance(error, kind))
