"""Routes of plans on offer, texts of contracts, and what merchants have accepted."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import ConfigDict, Field
from sqlalchemy import select
from starlette.responses import Response

from switch.applications.applying import contract_of
from switch.applications.contracts import TEXT_CHARACTERS_MAX, TITLE_CHARACTERS_MAX, import_text
from switch.applications.plans import import_plans, plan_said, set_offered
from switch.applications.states import ENTERING, REVIEWING
from switch.applications.tables import CONTRACT_TEXTS, CONTRACTS, PLANS
from switch.backoffice.office import Answer, Office, Work
from switch.backoffice.routes import Why, describe
from switch.merchants.finding import page_of
from switch.store.changing import row_of
from switch.store.columns import told_row
from switch.store.problems import NoSuchError

READ = "registry.read"
PLAN: dict[str, Any] = {
    "id": "shop@1",
    "title": "Shop",
    "currency": "CNY",
    "offered_to": ["company"],
    "fees": [{"card_type": "debit", "rate_ppm": 5_000, "cap_minor": 2_000}],
    "terminals_included": 1,
    "settlement_days": 1,
    "notice_days": {"value": 30, "source": "contract law"},
}
PLAN_ROW: dict[str, Any] = {
    "id": "shop@1",
    "state": "offered",
    "hash": "0" * 64,
    "since": "2026-11-27T08:30:00.000000Z",
    "plan": PLAN,
}
TEXT = {"id": "0" * 64, "title": "Card acceptance", "since": "2026-11-27T08:30:00.000000Z"}
CONTRACT = {
    "id": "K7Q2M9XW4T",
    "text": "0" * 64,
    "plan": "shop@1",
    "plan_hash": "0" * 64,
    "accepted_by": "Jo Tan",
    "accepted_at": "2026-11-27T08:30:00.000000Z",
    "how": "on paper",
    "hash": "0" * 64,
}

Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Key = Annotated[str, Path(max_length=64)]
Most = Annotated[int, Query(ge=1, le=1_000, description="So many at most.")]


class OfferedPlan(Why):
    """A version of a plan that is to be offered."""

    model_config = ConfigDict(json_schema_extra={"example": {"plan": PLAN, "why": "prices of 2027"}})
    plan: dict[str, Any] = Field(
        description="What a `[[plan]]` of the file says; its version is new, or says the same."
    )


class ContractText(Why):
    """The text of a contract."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"title": "Card acceptance", "text": "1. ...", "why": "texts of 2027"}}
    )
    title: str = Field(min_length=1, max_length=TITLE_CHARACTERS_MAX)
    text: str = Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)


def contract_routes(office: Office) -> list[APIRouter]:
    """The routes of plans, and those of contracts."""
    plans, contracts = APIRouter(tags=["plans"]), APIRouter(tags=["contracts"])
    _add_plans(plans, office)
    for step, is_offered in (("offer", True), ("withdraw", False)):
        _add_step(plans, office, step, is_offered=is_offered)
    _add_texts(contracts, office)
    _add_contracts(contracts, office)
    return [plans, contracts]


def _told_plan(row: dict[str, Any]) -> dict[str, Any]:
    told = told_row(row)
    return {**told, "plan": json.loads(told.pop("body"))}


def _add_plans(router: APIRouter, office: Office) -> None:
    @describe(router, "GET", "/v1/plans", right=READ, example={"items": [PLAN_ROW]})
    def list_plans(
        request: Request, state: Literal["offered", "withdrawn"] | None = None, limit: Most = 100
    ) -> dict[str, Any]:
        """List plans by their names: fees, terminals, deposits and benefits of each."""
        with office.reading(request, READ) as connection:
            return {"items": [_told_plan(row) for row in page_of(connection, PLANS, {"state": state}, None, limit)]}

    @describe(router, "GET", "/v1/plans/{key}", right=READ, example=PLAN_ROW)
    def show_plan(request: Request, key: Key) -> dict[str, Any]:
        """Show one version of a plan."""
        with office.reading(request, READ) as connection:
            return _told_plan(row_of(connection, PLANS, key))

    more = {200: ("It is there already, and says the same.", PLAN_ROW)}

    @describe(router, "POST", "/v1/plans", right=ENTERING, example=PLAN_ROW, status=201, more=more)
    def put_plan(request: Request, body: OfferedPlan) -> Response:
        """Offer a version of a plan. None is ever changed: what changes is a new version."""

        def do(work: Work) -> Answer:
            plan = plan_said(body.plan)
            added = import_plans(work.change, [plan])
            return Answer(_told_plan(row_of(work.change.connection, PLANS, plan.id)), 201 if added else 200)

        return office.change(request, body.why, ENTERING, do)


def _add_step(router: APIRouter, office: Office, step: str, *, is_offered: bool) -> None:
    def do_step(request: Request, key: Key, body: Why) -> Response:
        def do(work: Work) -> Answer:
            set_offered(work.change, key, is_offered=is_offered)
            return Answer(_told_plan(row_of(work.change.connection, PLANS, key)))

        return office.change(request, body.why, ENTERING, do)

    do_step.__doc__ = f"{step.capitalize()} a plan{' again' if is_offered else ''}. Contracts that have it stay."
    example = {**PLAN_ROW, "state": "offered" if is_offered else "withdrawn"}
    describe(router, "POST", f"/v1/plans/{{key}}/{step}", right=ENTERING, example=example)(do_step)


def _add_texts(router: APIRouter, office: Office) -> None:
    whole = {**TEXT, "text": "1. ..."}

    @describe(router, "GET", "/v1/contract-texts", right=READ, example={"items": [TEXT]})
    def list_texts(request: Request, limit: Most = 100) -> dict[str, Any]:
        """List the texts of contracts, the oldest first."""
        columns = (CONTRACT_TEXTS.c[name] for name in TEXT)
        query = select(*columns).order_by(CONTRACT_TEXTS.c.since, CONTRACT_TEXTS.c.id).limit(limit)
        with office.reading(request, READ) as connection:
            rows = connection.execute(query).mappings().all()
        return {"items": [told_row(dict(row)) for row in rows]}

    @describe(router, "GET", "/v1/contract-texts/{key}", right=READ, example=whole)
    def show_text(request: Request, key: Hash) -> dict[str, Any]:
        """Show a text, by its hash."""
        with office.reading(request, READ) as connection:
            return told_row(row_of(connection, CONTRACT_TEXTS, key))

    @describe(router, "POST", "/v1/contract-texts", right=ENTERING, example=whole, status=201)
    def put_text(request: Request, body: ContractText) -> Response:
        """Keep the text of a contract; `id` is its hash, by which it is named. One that is there already stays."""

        def do(work: Work) -> Answer:
            key = import_text(work.change, body.title, body.text)
            return Answer(told_row(row_of(work.change.connection, CONTRACT_TEXTS, key)), 201)

        return office.change(request, body.why, ENTERING, do)


def _add_contracts(router: APIRouter, office: Office) -> None:
    @describe(router, "GET", "/v1/contracts", right=REVIEWING, example={"items": [CONTRACT]})
    def list_contracts(
        request: Request, plan: Annotated[str | None, Query(max_length=64)] = None, limit: Most = 100
    ) -> dict[str, Any]:
        """List what was accepted, the newest first: all, or the contracts of a plan."""
        query = select(CONTRACTS).order_by(CONTRACTS.c.accepted_at.desc(), CONTRACTS.c.id).limit(limit)
        with office.reading(request, REVIEWING) as connection:
            rows = connection.execute(query if plan is None else query.where(CONTRACTS.c.plan == plan)).mappings().all()
        return {"items": [told_row(dict(row)) for row in rows]}

    @describe(router, "GET", "/v1/contracts/{reference}", right=REVIEWING, example=CONTRACT)
    def show_contract(request: Request, reference: Key) -> dict[str, Any]:
        """Show the contract of an application: text and plan by their hashes, who accepted, when and how."""
        with office.reading(request, REVIEWING) as connection:
            row = contract_of(connection, reference)
        if row is None:
            raise NoSuchError(f"application {reference} has no contract")
        return told_row(row)
