"""The admin side's path for keys of issuers: have one asked for new ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

USAGES_MAX = 2


class NotExchanged(Exception):  # noqa: N818 - it is no mistake of whoever asks
    """No new key came; the text says why."""


class NobodyAsked(NotExchanged):
    """This worker has no connection on which the issuer could be asked; another one may have."""


class KeyDesk(Protocol):
    """New keys, as ``switch.server.key_exchange.KeyDesks`` of one worker brings them, or ``Desk`` of many."""

    async def exchange_keys(self, *, link: str, usages: Sequence[str]) -> Mapping[str, str]:
        """Have an issuer asked for keys, all that the link has where none is named; check values of those that came.

        Raises:
            NotExchanged: None came.
        """


def key_routes(desk: KeyDesk) -> list[web.RouteDef]:
    """The path: ``POST /keys/exchange``."""

    async def exchange(request: web.Request) -> web.Response:
        asked = await _document(request)
        link, usages = asked.get("link"), asked.get("usages", [])
        if not isinstance(link, str) or not isinstance(usages, list) or len(usages) > USAGES_MAX:
            return web.Response(status=400, text="needed a link, and which keys\n")
        try:
            came = await desk.exchange_keys(link=link, usages=list(map(str, usages)))
        except NotExchanged as error:
            return web.Response(status=409, text=f"{error}\n")
        return web.Response(text=json.dumps(dict(came)) + "\n", content_type="application/json")

    return [web.post("/keys/exchange", exchange)]


async def _document(request: web.Request) -> Mapping[str, Any]:
    try:
        asked = await request.json()
    except (ValueError, UnicodeDecodeError):
        return {}
    return asked if isinstance(asked, dict) else {}
