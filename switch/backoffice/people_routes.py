"""Routes of proposals, of the audit, and of people and their tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import ConfigDict, Field
from sqlalchemy import select
from starlette.responses import Response

from switch.access.actor import Actor
from switch.access.people import person_of
from switch.access.people import told_of as person_told
from switch.access.tables import PEOPLE
from switch.access.token_proof import DAYS_MAX
from switch.access.tokens import issue, revoke, tokens_of
from switch.access.tokens import told_of as token_told
from switch.backoffice.office import Answer, Office, RegistryWork, Work
from switch.backoffice.problems import ProblemError
from switch.backoffice.routes import Why, describe
from switch.check.applications import Kinds, nothing_to_prepare
from switch.proposals.deciding import Decision, Desk, newest_proposals, prepare, proposal_of, told_of
from switch.proposals.people import change_person
from switch.store.audit import BEGINNING, Head, head, newest_entries
from switch.store.audit import told_of as entry_told
from switch.store.opening import Store
from switch.store.proving import flaws

FLAWS_MAX = 100
HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")
Most = Annotated[int, Query(ge=1, le=1_000, description="So many of the newest.")]
Number = Annotated[int, Path(ge=1, lt=2**62)]
Filter = Annotated[str | None, Query(max_length=128)]
Roles = Annotated[list[str], Field(min_length=1, max_length=20)]

PROPOSAL = {
    "id": 17,
    "kind": "merchant_state",
    "subject": "898000000000001",
    "wanted": {"state": "closed"},
    "why": "gave notice",
    "proposed_by": "jo.tan",
    "state": "proposed",
}
PERSON = {"id": "jo.tan", "name": "Jo Tan", "system_user": "jo", "roles": ["registrar"], "state": "active"}
TOKEN = {"id": "0a1b2c3d4e5f", "person": "jo.tan", "label": "till import", "state": "in force"}
ENTRY = {"number": 1, "who": "jo.tan", "why": "contract 17", "subject": "merchants", "row": "898000000000001"}


class Person(Why):
    """A person who is registered."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": "jo.tan", "name": "Jo Tan", "roles": ["registrar"], "why": "hired"}}
    )
    id: str = Field(min_length=1, max_length=32, description="As the audit names the person.")
    name: str = Field(min_length=1, max_length=120)
    roles: Roles
    system_user: str | None = Field(None, min_length=1, max_length=32)


class PersonChange(Why):
    """What is to be another of a person; the rest stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"roles": ["registrar", "approver"], "why": "stands in"}})
    name: str | None = Field(None, min_length=1, max_length=120)
    roles: Roles | None = None
    system_user: str | None = Field(None, min_length=1, max_length=32)
    state: Literal["active", "left"] | None = None


class NewToken(Why):
    """A token that is given to a person."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"person": "jo.tan", "label": "till import", "days": 90, "why": "nightly"}}
    )
    person: str = Field(min_length=1, max_length=32)
    label: str = Field(min_length=1, max_length=60, description="What it is for.")
    days: int = Field(ge=1, le=DAYS_MAX, description="How long it is in force.")


def proposal_routes(office: Office) -> APIRouter:
    """The routes of proposals."""
    router = APIRouter(tags=["proposals"])

    @describe(router, "GET", "/v1/proposals", right="registry.read", example={"items": [PROPOSAL]})
    def list_proposals(
        request: Request,
        state: Literal["proposed", "approved", "refused", "expired", "withdrawn"] | None = None,
        limit: Most = 100,
    ) -> dict[str, Any]:
        """List proposals, the newest first."""
        with office.reading(request, "registry.read") as connection:
            return {"items": newest_proposals(connection, state, limit)}

    @describe(router, "GET", "/v1/proposals/{number}", right="registry.read", example=PROPOSAL)
    def show_proposal(request: Request, number: Number) -> dict[str, Any]:
        """Show one proposal."""
        with office.reading(request, "registry.read") as connection:
            return told_of(proposal_of(connection, number))

    for step, how in (("approve", Desk.approve), ("refuse", Desk.refuse), ("withdraw", Desk.withdraw)):
        _add_decision(router, office, step, how)
    return router


def _add_decision(router: APIRouter, office: Office, step: str, how: Callable[[Desk, int], Decision]) -> None:
    def decide(request: Request, number: Number, body: Why) -> Response:
        def do(work: RegistryWork) -> Answer:
            decision = how(work.desk, number)
            return Answer({"proposal": number, "state": decision.state, "reason": decision.reason})

        def prepare_it(actor: Actor, store: Store, kinds: Kinds) -> None:
            prepare(store, kinds.all, number, actor)

        takes_long = prepare_it if how is Desk.approve else nothing_to_prepare
        return office.change_registry(request, body.why, None, do, takes_long)

    decide.__doc__ = (
        f"{step.capitalize()} a proposal.\n\nNobody decides on his own. `state` says what became of it: what cannot be "
        "done any more is refused, though it was to be approved. The right depends on what was proposed."
    )
    example = {"proposal": 17, "state": "approved", "reason": "seen the contract"}
    describe(router, "POST", f"/v1/proposals/{{number}}/{step}", right=None, example=example)(decide)


def audit_routes(office: Office) -> APIRouter:
    """The routes of the audit."""
    router = APIRouter(tags=["audit"])

    @describe(router, "GET", "/v1/audit", right="audit.read", example={"items": [ENTRY]})
    def list_audit(
        request: Request, table: Filter = None, row: Filter = None, who: Filter = None, limit: Most = 100
    ) -> dict[str, Any]:
        """List changes, the newest first: who, when, why, and the values before and after."""
        with office.reading(request, "audit.read") as connection:
            found = newest_entries(connection, {"subject": table, "row": row, "who": who}, limit)
            return {"items": [entry_told(one) for one in found]}

    example = {"whole": True, "head": f"1:{'0' * 64}", "flaws": []}

    @describe(router, "GET", "/v1/audit/verify", right="audit.read", example=example)
    def verify_audit(
        request: Request, noted: Annotated[str | None, Query(alias="head", max_length=100)] = None
    ) -> dict[str, Any]:
        """Prove that the audit is whole, and that every row is as whoever changed it last left it."""
        known = _known(noted)
        with office.reading(request, "audit.read") as connection:
            newest = head(connection)
            with closing(flaws(connection, known)) as found:
                wrong = [{"where": one.where, "reason": one.reason} for one in islice(found, FLAWS_MAX)]
        return {"whole": not wrong, "head": str(newest), "flaws": wrong}

    return router


def _known(noted: str | None) -> Head:
    if noted is None:
        return BEGINNING
    written = HEAD.fullmatch(noted)
    if written is None:
        raise ProblemError(422, "head: needed NUMBER:HASH", (("head", "needed NUMBER:HASH"),))
    return Head(int(written[1]), bytes.fromhex(written[2]))


def people_routes(office: Office) -> APIRouter:
    """The routes of people and tokens."""
    router = APIRouter(tags=["people"])
    proposed = {202: ("Proposed: another administrator decides.", {"proposal": 18})}

    @describe(router, "GET", "/v1/people", right="people.read", example={"items": [PERSON]})
    def list_people(request: Request) -> dict[str, Any]:
        """List people, and what they may do."""
        with office.reading(request, "people.read") as connection:
            rows = connection.execute(select(PEOPLE).order_by(PEOPLE.c.id)).mappings()
            return {"items": [person_told(dict(row)) for row in rows]}

    @describe(router, "GET", "/v1/people/{key}", right="people.read", example=PERSON)
    def show_person(request: Request, key: str) -> dict[str, Any]:
        """Show one person, with all rights."""
        with office.reading(request, "people.read") as connection:
            return person_told(person_of(connection, key))

    @describe(router, "POST", "/v1/people", right="people.change", example=PERSON, status=201, more=proposed)
    def add_person(request: Request, body: Person) -> Response:
        """Register a person."""
        return _change(request, body.id, body, 201, is_new=True)

    @describe(router, "PATCH", "/v1/people/{key}", right="people.change", example=PERSON, more=proposed)
    def change_one(request: Request, key: str, body: PersonChange) -> Response:
        """Change what is known of a person, or what the person may do."""
        return _change(request, key, body, 200, is_new=False)

    def _change(request: Request, key: str, body: Why, status: int, *, is_new: bool) -> Response:
        sent = body.model_dump(exclude={"why", "id"}, exclude_none=True)
        wanted = {name: "|".join(value) if isinstance(value, list) else value for name, value in sent.items()}

        def do(work: Work) -> Answer:
            number = change_person(work.change, work.actor, key, wanted, office.config.proposals_last, is_new=is_new)
            if number is not None:
                return Answer({"proposal": number}, 202)
            return Answer(person_told(person_of(work.change.connection, key)), status)

        return office.change(request, body.why, "people.change", do)

    _add_tokens(router, office)
    return router


def _add_tokens(router: APIRouter, office: Office) -> None:
    @describe(router, "GET", "/v1/tokens", right="people.read", example={"items": [TOKEN]})
    def list_tokens(request: Request, person: Filter = None) -> dict[str, Any]:
        """List tokens: whose, for what, until when, and when they were used last."""
        with office.reading(request, "people.read") as connection:
            return {"items": [token_told(row) for row in tokens_of(connection, person)]}

    example = {"token": "authswitch_..."}

    @describe(router, "POST", "/v1/tokens", right=None, example=example, status=201)
    def issue_token(request: Request, body: NewToken) -> Response:
        """Give a person a token.

        It is told this once: a repeat with the same key is told null. One's own needs no right, another's
        people.change.
        """

        def do(work: Work) -> Answer:
            text = issue(work.change, work.actor, body.person, body.label, body.days)
            return Answer({"token": text}, 201, frozenset({"token"}))

        return office.change(request, body.why, None, do)

    @describe(router, "POST", "/v1/tokens/{key}/revoke", right=None, example={"token": TOKEN["id"], "changed": True})
    def revoke_token(request: Request, key: str, body: Why) -> Response:
        """Put a token out of force. One's own needs no right, another's people.change."""

        def do(work: Work) -> Answer:
            return Answer({"token": key, "changed": revoke(work.change, work.actor, key)})

        return office.change(request, body.why, None, do)
