"""Routes of merchants and terminals: the same for either table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field
from sqlalchemy import Table
from starlette.responses import JSONResponse, Response, StreamingResponse

from switch.backoffice.importing import Imports
from switch.backoffice.office import Answer, Office, RegistryWork
from switch.backoffice.routes import Why, describe
from switch.merchants.finding import page_of
from switch.merchants.importing import export
from switch.merchants.proposing import STATES_BY_STEP, change_state
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.store.changing import row_of
from switch.store.columns import told_row

CHUNK_BYTES = 64 << 10
CSV = "text/csv"
READ, CHANGE = "registry.read", "registry.change"

MERCHANT = {
    "id": "898000000000001",
    "name": "Harbour Bookshop",
    "state": "active",
    "category": "5942",
    "kinds": "",
    "since": "2026-11-27T08:30:00.000000Z",
}
TERMINAL = {
    "id": "10000001",
    "merchant": "898000000000001",
    "state": "active",
    "listeners": "",
    "kinds": "",
    "mac_algorithm": "x9.19",
    "pin_format": "iso-0",
    "certificate": "",
    "serial_number": "SN-1",
    "model": "",
    "place": "Harbour Road 12",
}

State = Literal["active", "suspended", "closed"]
TerminalState = Literal["active", "suspended", "closed", "awaiting"]
Most = Annotated[int, Query(ge=1, le=1_000, description="So many at most.")]
After = Annotated[str | None, Query(max_length=15, description="Only behind this one: `next` of the page before.")]
Names = list[Annotated[str, Field(min_length=1, max_length=64)]]


class Merchant(Why):
    """A merchant that is taken on."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"id": MERCHANT["id"], "name": MERCHANT["name"], "category": "5942", "why": "contract 17"}
        }
    )
    id: str = Field(min_length=1, max_length=15, description="Field 42.")
    name: str = Field(min_length=1, max_length=120)
    category: str = Field(min_length=4, max_length=4, description="Merchant category code, ISO 18245.")
    kinds: Names | None = Field(None, description="What it may do; all, when left out.")


class MerchantChange(Why):
    """What is to be another of a merchant; the rest stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"category": "5943", "why": "sells paper now"}})
    name: str | None = Field(None, min_length=1, max_length=120)
    category: str | None = Field(None, min_length=4, max_length=4)
    kinds: Names | None = None


class TerminalChange(Why):
    """What is to be another of a terminal; the rest stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"model": "P2", "why": "another model"}})
    mac_algorithm: str | None = Field(None, min_length=1, max_length=16)
    pin_format: str | None = Field(None, min_length=1, max_length=16)
    listeners: Names | None = None
    kinds: Names | None = None
    certificate: str | None = Field(None, max_length=253)
    serial_number: str | None = Field(None, min_length=1, max_length=50)
    model: str | None = Field(None, max_length=60)
    place: str | None = Field(None, max_length=200)


class Terminal(TerminalChange):
    """A terminal that is registered; its keys must be there already."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "10000001",
                "merchant": MERCHANT["id"],
                "mac_algorithm": "x9.19",
                "pin_format": "iso-0",
                "why": "second till",
            }
        }
    )
    id: str = Field(min_length=1, max_length=8, description="Field 41.")
    merchant: str = Field(min_length=1, max_length=15, description="Whose it is; it never becomes another's.")
    mac_algorithm: str = Field(min_length=1, max_length=16)
    pin_format: str = Field(min_length=1, max_length=16)


def registry_routes(office: Office, imports: Imports) -> list[APIRouter]:
    """The routes of both tables."""
    merchants, terminals = APIRouter(tags=["merchants"]), APIRouter(tags=["terminals"])
    _add_merchants(merchants, office)
    _add_terminals(terminals, office)
    for router, table, example in ((merchants, MERCHANTS, MERCHANT), (terminals, TERMINALS, TERMINAL)):
        _add_files(router, office, imports, table)
        _add_common(router, office, table, example)
    return [merchants, terminals]


def _given(body: Why) -> dict[str, Any]:
    """The columns that were sent."""
    sent = body.model_dump(exclude={"why"}, exclude_none=True)
    return {name: "|".join(value) if isinstance(value, list) else value for name, value in sent.items()}


def _page(
    office: Office, request: Request, table: Table, wanted: dict[str, str | None], behind: tuple[str | None, int]
) -> dict[str, Any]:
    after, most = behind
    with office.reading(request, READ) as connection:
        rows = page_of(connection, table, wanted, after, most + 1)
    items = [told_row(row) for row in rows[:most]]
    return {"items": items, "next": items[-1]["id"] if len(rows) > most else None}


def _add_merchants(router: APIRouter, office: Office) -> None:
    page = {"items": [MERCHANT], "next": None}

    @describe(router, "GET", "/v1/merchants", right=READ, example=page)
    def list_merchants(
        request: Request, state: State | None = None, after: After = None, limit: Most = 100
    ) -> dict[str, Any]:
        """List merchants by their numbers."""
        return _page(office, request, MERCHANTS, {"state": state}, (after, limit))

    @describe(router, "POST", "/v1/merchants", right=CHANGE, example=MERCHANT, status=201)
    def add_merchant(request: Request, body: Merchant) -> Response:
        """Take a merchant on."""

        def do(work: RegistryWork) -> Answer:
            work.registrar.add_merchant(_given(body))
            return Answer(told_row(row_of(work.change.connection, MERCHANTS, body.id)), 201)

        return office.change_registry(request, body.why, CHANGE, do)

    @describe(router, "PATCH", "/v1/merchants/{key}", right=CHANGE, example=MERCHANT)
    def change_merchant(request: Request, key: str, body: MerchantChange) -> Response:
        """Change what is known of a merchant."""
        return _alter(office, request, MERCHANTS, key, body)


def _add_terminals(router: APIRouter, office: Office) -> None:
    page = {"items": [TERMINAL], "next": None}

    @describe(router, "GET", "/v1/terminals", right=READ, example=page)
    def list_terminals(
        request: Request,
        merchant: Annotated[str | None, Query(max_length=15)] = None,
        state: TerminalState | None = None,
        after: After = None,
        limit: Most = 100,
    ) -> dict[str, Any]:
        """List terminals by their numbers."""
        return _page(office, request, TERMINALS, {"merchant": merchant, "state": state}, (after, limit))

    @describe(router, "POST", "/v1/terminals", right=CHANGE, example=TERMINAL, status=201)
    def add_terminal(request: Request, body: Terminal) -> Response:
        """Register a terminal."""

        def do(work: RegistryWork) -> Answer:
            work.registrar.add_terminal(_given(body))
            return Answer(told_row(row_of(work.change.connection, TERMINALS, body.id)), 201)

        return office.change_registry(request, body.why, CHANGE, do)

    @describe(router, "PATCH", "/v1/terminals/{key}", right=CHANGE, example=TERMINAL)
    def change_terminal(request: Request, key: str, body: TerminalChange) -> Response:
        """Change what is known of a terminal.

        Another serial number or place than was known needs two people: `authswitch terminals change` proposes it.
        """
        return _alter(office, request, TERMINALS, key, body)


def _alter(office: Office, request: Request, table: Table, key: str, body: Why) -> Response:
    def do(work: RegistryWork) -> Answer:
        work.registrar.alter(table, key, _given(body))
        return Answer(told_row(row_of(work.change.connection, table, key)))

    return office.change_registry(request, body.why, CHANGE, do)


def _add_common(router: APIRouter, office: Office, table: Table, example: dict[str, Any]) -> None:
    name = table.name

    def show(request: Request, key: str) -> dict[str, Any]:
        with office.reading(request, READ) as connection:
            return told_row(row_of(connection, table, key))

    show.__doc__ = f"Show one of the {name}."
    describe(router, "GET", f"/v1/{name}/{{key}}", right=READ, example=example)(show)
    for step, state in STATES_BY_STEP.items():
        _add_step(router, office, table, step, state)


def _add_step(router: APIRouter, office: Office, table: Table, step: str, state: str) -> None:
    def do_step(request: Request, key: str, body: Why) -> Response:
        def do(work: RegistryWork) -> Answer:
            done = change_state(work.registrar, work.desk, (table, key), state, office.config.proposals_last)
            if done.proposal is not None:
                return Answer({"proposal": done.proposal}, 202)
            return Answer(told_row(row_of(work.change.connection, table, key)))

        return office.change_registry(request, body.why, CHANGE, do)

    do_step.__doc__ = f"{step.capitalize()} one of the {table.name}.\n\nWhat needs two people is proposed: 202."
    example = {**(MERCHANT if table is MERCHANTS else TERMINAL), "state": state}
    more = {202: ("Proposed: another person decides.", {"proposal": 17})}
    describe(router, "POST", f"/v1/{table.name}/{{key}}/{step}", right=CHANGE, example=example, more=more)(do_step)


def _add_files(router: APIRouter, office: Office, imports: Imports, table: Table) -> None:
    def export_all(request: Request) -> Response:
        def chunks() -> Iterator[str]:
            with file:
                while part := file.read(CHUNK_BYTES):
                    yield part

        # In a file first: a slow reader must hold no transaction open.
        file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115 - closed behind the last chunk
        with office.reading(request, READ) as connection:
            export(connection, table, file, lambda _count: None)
        file.seek(0)
        return StreamingResponse(chunks(), media_type=CSV)

    def import_file(
        request: Request,
        why: Annotated[str, Query(min_length=1, max_length=400, description="The reason, which the audit keeps.")],
        replace: Annotated[bool, Query(description="Change rows that are there already, and differ.")] = False,
    ) -> Response:
        job, is_repeated = imports.begin(office, request, table, why, replaces=replace)
        headers = {"Location": f"/v1/imports/{job['id']}", **({"Idempotency-Repeated": "true"} if is_repeated else {})}
        return JSONResponse(job, 202, headers)

    name = table.name
    export_all.__doc__ = f"Write all {name} as CSV, as an import takes them."
    import_file.__doc__ = f"Take a file of {name}, as a whole or not at all; it is done in the background."
    describe(router, "GET", f"/v1/{name}/export", right=READ, example="id,...\n", media_type=CSV)(export_all)
    job = {"id": "0a1b2c3d4e5f", "state": "running"}
    describe(router, "POST", f"/v1/{name}/imports", right=CHANGE, example=job, status=202)(import_file)
    router.routes[-1].openapi_extra["requestBody"] = {  # type: ignore[attr-defined]
        "required": True,
        "content": {CSV: {"schema": {"type": "string"}, "example": "id,name,state,category,kinds\n"}},
    }
