"""What is answered where something is refused: problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from switch.base.log import get_logger

MEDIA_TYPE = "application/problem+json"

log = get_logger(__name__)


class ProblemError(Exception):
    """A request that is refused.

    Attributes:
        status: Of HTTP.
        detail: What is wrong, without anything that is nobody's to read.
        errors: Where more than one thing is: each with its field and reason.
        headers: Of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: tuple[tuple[str, str], ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def document(self) -> dict[str, Any]:
        """The problem document."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{"field": field, "reason": reason} for field, reason in self.errors]
        return document

    def response(self) -> Response:
        """The answer."""
        body = json.dumps(self.document(), ensure_ascii=False)
        return Response(body, self.status, self.headers, MEDIA_TYPE)


def of_fields(status: int, fields: Iterable[tuple[str, str]], *, names_fields: bool = True) -> ProblemError:
    """A problem with each field that is wrong, and why; whether the words of it name the fields, too."""
    errors = tuple(fields)
    words = "; ".join(f"{field}: {reason}" if names_fields else reason for field, reason in errors)
    return ProblemError(status, words, errors)


def away(request: Request, error: Exception) -> ProblemError:
    """What is answered where the store or the keys cannot be used."""
    log.warning("the store or the keys cannot be used", reason=str(error), request=request.state.request_id)
    return ProblemError(503, "the store or the keys cannot be used: see the log")


def problem_schema() -> dict[str, Any]:
    """How such a document looks, for the OpenAPI document."""
    error = {"type": "object", "properties": {name: {"type": "string"} for name in ("field", "reason")}}
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong, in words."},
            "errors": {"type": "array", "items": error, "description": "Each field that is wrong, and why."},
        },
    }
