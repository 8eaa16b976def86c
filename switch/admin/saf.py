"""The admin side's paths for what issuers are owed: list, retry, close."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from switch.admin.callers import CALLER
from switch.admin.health import answered
from switch.base.masking import mask_text
from switch.saf.owed_entries import NotOwed

LISTED_MAX = 10_000
WHATS = ("reversal", "advice")


class EntryDesk(Protocol):
    """What is owed, as ``switch.server.saf.SafDesk`` of one worker shows it, or ``switch.server.desk.Desk`` of many."""

    def listed(
        self, *, link: str | None, what: str | None, rrn: str | None, overdue: bool, most: int
    ) -> Mapping[str, Any] | Awaitable[Mapping[str, Any]]:
        """Entries, oldest first."""

    def retry(self, *, rrn: str | None, what: str, link: str | None) -> int | Awaitable[int]:
        """Send one, or all of a link, at once."""

    async def give_up(self, *, rrn: str, what: str, link: str | None, operator: str, reason: str) -> Mapping[str, Any]:
        """Give one up."""


class WrongError(ValueError):
    """A request that cannot be understood; the text says what was needed."""


def saf_routes(desk: EntryDesk) -> list[web.RouteDef]:
    """The paths: ``GET /reversals``, ``POST /reversals/retry``, ``POST /reversals/close``."""
    return [
        web.get("/reversals", _answering(desk, _list)),
        web.post("/reversals/retry", _answering(desk, _retry)),
        web.post("/reversals/close", _answering(desk, _close)),
    ]


def _answering(
    desk: EntryDesk, handler: Callable[[EntryDesk, web.Request], Awaitable[Mapping[str, Any]]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler whose refusals are answered in one plain line."""

    async def answer(request: web.Request) -> web.Response:
        try:
            found = await handler(desk, request)
        except NotOwed as error:
            return web.Response(status=409, text=f"{mask_text(str(error))}\n")  # what was asked for may be a card
        except ValueError as error:
            return web.Response(status=400, text=f"{mask_text(str(error))}\n")
        return web.Response(text=json.dumps(found, ensure_ascii=False) + "\n", content_type="application/json")

    return answer


async def _list(desk: EntryDesk, request: web.Request) -> Mapping[str, Any]:
    query = request.query
    return await answered(
        desk.listed(
            link=query.get("link"),
            what=_what(query["what"]) if "what" in query else None,
            rrn=query.get("rrn"),
            overdue=query.get("overdue") == "1",
            most=_number(query.get("limit", "1000")),
        )
    )


async def _retry(desk: EntryDesk, request: web.Request) -> Mapping[str, Any]:
    asked = await _document(request)
    rrn, link = _text(asked, "rrn"), _text(asked, "link")
    if rrn is None and link is None:
        raise WrongError("needed rrn or link")
    return {"retried": await answered(desk.retry(rrn=rrn, what=_what(_text(asked, "what")), link=link))}


async def _close(desk: EntryDesk, request: web.Request) -> Mapping[str, Any]:
    asked = await _document(request)
    rrn = _text(asked, "rrn")
    if rrn is None:
        raise WrongError("needed rrn")
    operator = _operator(request[CALLER], (_text(asked, "operator") or "").strip())
    closed = await desk.give_up(
        rrn=rrn,
        what=_what(_text(asked, "what")),
        link=_text(asked, "link"),
        operator=operator,
        reason=(_text(asked, "reason") or "").strip(),
    )
    return {**closed, "operator": operator}


def _operator(caller: str, said: str) -> str:
    """Who is written down: who proved to be there, and what name was said if that is another."""
    return caller if said in ("", caller) else f"{caller} ({said})"


async def _document(request: web.Request) -> Mapping[str, Any]:
    try:
        asked = await request.json()
    except (ValueError, UnicodeDecodeError):
        raise WrongError("needed a JSON object") from None
    if not isinstance(asked, dict):
        raise WrongError("needed a JSON object")
    return asked


def _text(asked: Mapping[str, Any], key: str) -> str | None:
    value = asked.get(key)
    if value is not None and not isinstance(value, str):
        raise WrongError(f"{key} must be a text")
    return value


def _what(text: str | None) -> str:
    if text not in (None, *WHATS):
        raise WrongError(f"what is {text!r}; needed {' or '.join(WHATS)}")
    return text or WHATS[0]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LISTED_MAX):
        raise WrongError(f"limit is {text!r}; needed 1 to {LISTED_MAX:,}")
    return int(text)
