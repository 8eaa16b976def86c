"""Who asks the admin side for something: what changes anything is somebody's, and is logged as that."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from switch.access.attempts import FailedAttempts
from switch.access.roles import rights_of
from switch.access.token_file import FileToken, TokenFileError, read_tokens
from switch.access.token_proof import UnknownTokenError, checked, id_of, shown_token
from switch.admin.sockets import peer_user
from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.base.system_users import user_name

RIGHT = "daemon.operate"
CALLER: web.RequestKey[str] = web.RequestKey("caller", str)
"""Of a request that changes something: who asks."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StrangerError(Exception):
    """Somebody who may not.

    Attributes:
        status: What is answered.
        words: Why.
    """

    status: int
    words: str


class Gate:
    """Says who asks.

    Args:
        tokens_file: Hashes of tokens; without it nothing is changed over TCP.
    """

    def __init__(self, tokens_file: Path | None = None) -> None:
        self._tokens_file = tokens_file
        self._failed = FailedAttempts()

    def caller(self, request: web.Request) -> str:
        """The name of who asks for a change.

        Raises:
            StrangerError: Nobody is known to, or he may not.
        """
        transport = request.transport
        peer = None if transport is None else transport.get_extra_info("socket")
        if peer is not None and peer.family == socket.AF_UNIX:
            return user_name(peer_user(peer.fileno()))
        if self._tokens_file is None:
            raise StrangerError(
                403, "nothing is changed over TCP without admin.tokens_file; ask over a Unix socket (admin.bind)"
            )
        text = shown_token(request.headers.get("Authorization"))
        if text is None:
            raise StrangerError(401, "a token is needed: Authorization: Bearer TOKEN")
        token = self._token(text, self._tokens_file)
        if RIGHT not in rights_of(token.roles):
            log.warning("admin request of somebody who may not", who=token.person, path=request.path)
            raise StrangerError(403, f"{token.person} may not do this: the right {RIGHT} is needed")
        return token.person

    def _token(self, text: str, file: Path) -> FileToken:
        try:
            key = id_of(text)
            tokens = read_tokens(file)  # anew, so that a token that is taken out is out of force at once
            found = tokens.get(key)
            checked(text, None if found is None else found.row(), datetime.now(UTC))
            return tokens[key]
        except UnknownTokenError as error:
            if self._failed.is_too_many():
                raise StrangerError(429, "too many tokens that are unknown; wait a minute") from None
            log.warning("admin request with a token that proves nothing", reason=str(error))
            raise StrangerError(401, "the token is not in force") from None
        except (TokenFileError, OSError) as error:
            reason = words_of(error) if isinstance(error, OSError) else str(error)
            log.warning("the tokens cannot be read", reason=reason)
            raise StrangerError(503, "the tokens cannot be read: see the log") from None
