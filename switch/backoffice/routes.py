"""How a route is described: what it does, which right it needs, what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from switch.backoffice.problems import MEDIA_TYPE

Handler = TypeVar("Handler", bound=Callable[..., Any])

REASONS = {
    400: "It cannot be read.",
    401: "Nobody is known to ask: what proves it is missing or not in force.",
    403: "The person may not do this.",
    404: "There is nothing of this name.",
    408: "Its body did not come in time.",
    409: "It is against the rules; `detail` says which.",
    413: "It is too long.",
    422: "A field is wrong, or `Idempotency-Key` was used for something else; `errors` names the fields.",
    429: "Too many requests, or too many proofs that are wrong.",
    503: "The database or the keys cannot be reached, or too many ask at once.",
}
"""Of problems, by status."""

KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    "description": "A repeat with the same key is told the same, with `Idempotency-Repeated: true`, and does nothing. "
    "Kept for seven days.",
}


class Body(BaseModel):
    """What is sent: no field that is not known, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Why(Body):
    """A reason alone."""

    model_config = ConfigDict(json_schema_extra={"example": {"why": "case 4711"}})
    why: str = Field(min_length=1, max_length=400, description="The reason, which the audit keeps.")


def describe(
    router: APIRouter,
    method: str,
    path: str,
    *,
    right: str | None,
    example: Any,
    status: int = 200,
    media_type: str = "application/json",
    more: dict[int, tuple[str, Any]] | None = None,
    extra: dict[str, Any] | None = None,
) -> Callable[[Handler], Handler]:
    """A route, described by its function's docstring.

    Args:
        router: Where it is added.
        method: Of HTTP.
        path: Of the route.
        right: What is needed; None: what is done decides about that, or nothing is.
        example: Of the answer.
        status: Of the answer.
        media_type: Of the answer.
        more: Further answers: what each means, and an example.
        extra: Of the description, instead of the right and the key of a repeat.
    """

    def decorate(function: Handler) -> Handler:
        summary, _, description = (function.__doc__ or "").partition("\n")
        answers: dict[int | str, dict[str, Any]] = {
            code: {"description": reason, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
            for code, reason in REASONS.items()
        }
        for code, (reason, shown) in {status: ("Done.", example), **(more or {})}.items():
            answers[code] = {"description": reason, "content": {media_type: {"example": shown}}}
        described: dict[str, Any] = {"x-right": right or "none"}
        if method != "GET":
            described["parameters"] = [KEY_PARAMETER]
        router.add_api_route(
            path,
            function,
            methods=[method],
            status_code=status,
            summary=summary.rstrip("."),
            description=" ".join(description.split()) or summary,
            responses=answers,
            response_model=None,
            openapi_extra=described if extra is None else extra,
        )
        return function

    return decorate
