"""What every route does: know who asks, see that he may, and do it once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from fastapi import Request
from sqlalchemy import select
from sqlalchemy.engine import Connection
from starlette.responses import JSONResponse, Response

from switch.access.actor import Actor
from switch.access.attempts import FailedAttempts
from switch.access.token_proof import UnknownTokenError, shown_token
from switch.access.token_uses import TokenUses
from switch.access.tokens import bearer
from switch.backoffice.problems import ProblemError
from switch.backoffice.tables import ANSWERS
from switch.base.log import get_logger
from switch.check.applications import Prepare, kinds_of, nothing_to_prepare
from switch.check.row_compiler import opened_compiler
from switch.config.models import Config
from switch.merchants.registering import Registrar
from switch.proposals.deciding import Desk
from switch.store.changing import Change
from switch.store.opening import Store

KEY_CHARACTERS_MAX = 128
ANSWERS_KEPT = timedelta(days=7)
REPEATED = "Idempotency-Repeated"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a change is answered.

    Attributes:
        body: As JSON.
        status: Of HTTP.
        secrets: Names in the body that are told once, and never kept.
    """

    body: dict[str, Any]
    status: int = 200
    secrets: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Work:
    """A change under way.

    Attributes:
        change: The transaction.
        actor: Who asks.
    """

    change: Change
    actor: Actor


@dataclass(frozen=True, slots=True)
class RegistryWork:
    """A change of the registry under way.

    Attributes:
        change: The transaction.
        registrar: Changes the registry in it.
        desk: Where something is proposed or decided in it.
    """

    change: Change
    registrar: Registrar
    desk: Desk


class Office:
    """The store, with who may do what there.

    Args:
        config: The configuration.
        store: Its database.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self.config = config
        self.store = store
        self._failed = FailedAttempts()
        self._uses = TokenUses(store)

    def close(self) -> None:
        """Keep what is to be noted yet."""
        self._uses.close()

    def admit(self, request: Request) -> Actor:
        """Who asks, before a body is read; that the token was used is noted beside it.

        Raises:
            ProblemError: Nobody is known to ask.
            StoreError: The database cannot be asked.
        """
        now = datetime.now(UTC)
        with self.store.reading() as connection:
            actor = self._actor(connection, request)
        self._uses.note(actor.token, now)
        return actor

    @contextmanager
    def reading(self, request: Request, right: str) -> Iterator[Connection]:
        """A transaction that reads, by somebody who may.

        Raises:
            ProblemError: Nobody is known to ask.
            RefusedError: He may not.
        """
        with self.store.reading() as connection:
            self._actor(connection, request).require(right)
            yield connection

    def change(self, request: Request, why: str, right: str | None, do: Callable[[Work], Answer]) -> Response:
        """Do something once: a repeat with the same ``Idempotency-Key`` is told the same, and does nothing.

        Args:
            request: What was asked; its body was read.
            why: The reason.
            right: What is needed; None where what is done decides about that.
            do: Does it, in the transaction in which the answer is kept.

        Raises:
            ProblemError: Nobody is known to ask, or the key was used for something else.
            RefusedError: He may not, or it is against the rules.
        """
        now = datetime.now(UTC)
        with self.store.writing() as connection:
            actor, key, kept = self._begun(connection, request, right)
            if kept is not None:
                return kept
            answer = do(Work(Change(connection, actor.name, why, now), actor))
            if key is not None:
                _keep(connection, key, request, answer, now)
        return JSONResponse(answer.body, answer.status)

    def answered(self, request: Request, right: str | None) -> Response | None:
        """What was answered to the same request before, if it comes again; for what takes long before a change.

        Raises:
            ProblemError: Nobody is known to ask, or the key was used for something else.
            RefusedError: He may not.
        """
        with self.store.reading() as connection:
            return self._begun(connection, request, right)[2]

    def change_registry(
        self,
        request: Request,
        why: str,
        right: str | None,
        do: Callable[[RegistryWork], Answer],
        prepare: Prepare = nothing_to_prepare,
    ) -> Response:
        """The same, with the keys as they are now: what takes long is done before the transaction.

        Args:
            request: What was asked; its body was read.
            why: The reason.
            right: What is needed; None where what is done decides about that.
            do: Does it.
            prepare: Does what else takes long.

        Raises:
            ProblemError: Nobody is known to ask, or the key was used for something else.
            RefusedError: He may not, or it is against the rules.
            KeyFileError: The keys cannot be read.
        """
        with self.store.reading() as connection:
            actor, _, kept = self._begun(connection, request, right)
        if kept is not None:
            return kept
        with opened_compiler(self.config) as compiler:
            kinds = kinds_of(self.config, compiler)
            prepare(actor, self.store, kinds)

            def do_there(work: Work) -> Answer:
                registrar = Registrar(work.change, compiler, is_alone=True)
                return do(RegistryWork(work.change, registrar, Desk(work.change, work.actor, kinds.all)))

            return self.change(request, why, right, do_there)

    def _begun(
        self, connection: Connection, request: Request, right: str | None
    ) -> tuple[Actor, str | None, Response | None]:
        """Who asks and may, the key of a repeat, and what was answered before."""
        actor = self._actor(connection, request)
        if right is not None:
            actor.require(right)
        key = key_of(request, actor.name)
        return actor, key, None if key is None else _kept(connection, key, request)

    def _actor(self, connection: Connection, request: Request) -> Actor:
        text = _token_of(request)
        try:
            actor = bearer(connection, text, datetime.now(UTC))
        except UnknownTokenError as error:
            if self._failed.is_too_many():
                raise ProblemError(
                    429, "too many tokens that are unknown; wait a minute", headers={"Retry-After": "60"}
                ) from None
            log.warning("a token proves nothing", reason=str(error), request=request.state.request_id)
            raise _unknown("the token is not in force") from None
        request.state.person = actor.name
        return actor


def _token_of(request: Request) -> str:
    text = shown_token(request.headers.get("Authorization"))
    if text is None:
        raise _unknown("a token is needed: Authorization: Bearer TOKEN")
    return text


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})


def key_of(request: Request, person: str) -> str | None:
    """What a person's ``Idempotency-Key`` is kept as; None where none came.

    Raises:
        ProblemError: It is too long, or empty.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
        raise ProblemError(400, f"Idempotency-Key: needed 1 to {KEY_CHARACTERS_MAX} characters")
    return sha256(f"{person}\n{key}".encode()).hexdigest()


def digest_of(request: Request) -> bytes:
    """What tells a request from others: all that it asks for."""
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return sha256(asked + request.state.body).digest()


def refuse_other(before: bytes, now: bytes) -> None:
    """See that a key comes with the same request again.

    Raises:
        ProblemError: It is another one.
    """
    if before != now:
        raise ProblemError(422, "Idempotency-Key: was used for something else")


def _kept(connection: Connection, key: str, request: Request) -> Response | None:
    """What was answered before to the same."""
    row = connection.execute(select(ANSWERS).where(ANSWERS.c.id == key)).one_or_none()
    if row is None:
        return None
    refuse_other(row.request, digest_of(request))
    return JSONResponse(json.loads(row.body), row.status, {REPEATED: "true"})


def _keep(connection: Connection, key: str, request: Request, answer: Answer, now: datetime) -> None:
    body = {name: None if name in answer.secrets else value for name, value in answer.body.items()}
    row = {"id": key, "request": digest_of(request), "status": answer.status, "body": json.dumps(body), "at": now}
    connection.execute(ANSWERS.delete().where(ANSWERS.c.at < now - ANSWERS_KEPT))
    connection.execute(ANSWERS.insert().values(**row))
