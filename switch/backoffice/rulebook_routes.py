"""Routes of risk rules, BIN tables and endpoints: versions in the store, and which of them is in force."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from switch.access.actor import Actor
from switch.backoffice.office import Answer, Office, RegistryWork, Work
from switch.backoffice.routes import Why, describe
from switch.check.applications import Kinds
from switch.check.row_compiler import opened_compiler
from switch.check.rulebooks import checks
from switch.rulebooks.keeping import checked, propose, put, version_of, versions
from switch.rulebooks.rulebooks import TITLES, Rulebook, text_of
from switch.store.opening import Store

READ, CHANGE = "registry.read", "registry.change"
ROW = {
    "id": "risk@3",
    "kind": "risk",
    "version": 3,
    "hash": "0" * 64,
    "bytes": 212,
    "put_by": "jo.tan",
    "put_at": "2026-11-27T08:30:00.000000Z",
    "why": "order 12",
    "in_force": False,
}
TEXTS = {
    "risk": '[[limits]]\nname = "card-hour"\nper = "card"\nwindow_seconds = 3600\ncount_max = 5\n',
    "routes": "low,high,kinds,currencies,amount_min,amount_max,links\n622500,,,,,,bank-a:1\n",
    "endpoints": '[[link]]\nname = "bank-a"\nendpoints = ["bank-a.example:7001"]\n',
}

Version = Annotated[int, Path(ge=1, lt=2**31)]
Most = Annotated[int, Query(ge=1, le=1_000, description="So many of the newest.")]


class Texts(Why):
    """A text, with the tables that it names."""

    model_config = ConfigDict(json_schema_extra={"example": {"text": TEXTS["risk"], "why": "order 12"}})
    text: str = Field(description="What the file would say: TOML of risk rules and endpoints, CSV of a BIN table.")
    tables: dict[str, str] = Field(
        default_factory=dict, description="By the name that the text has for it: each table."
    )


def rulebook_routes(office: Office) -> list[APIRouter]:
    """The routes of each kind."""
    routers = []
    for kind in TITLES:
        router = APIRouter(tags=[kind])
        _add_reading(router, office, kind)
        _add_changing(router, office, kind)
        routers.append(router)
    return routers


def _add_reading(router: APIRouter, office: Office, kind: str) -> None:
    title, row = TITLES[kind], {**ROW, "id": f"{kind}@3", "kind": kind}
    whole = {**row, "text": TEXTS[kind], "tables": {}}

    def list_versions(request: Request, limit: Most = 100) -> dict[str, Any]:
        with office.reading(request, READ) as connection:
            return {"items": versions(connection, kind, limit)}

    def told(request: Request, version: int | None) -> dict[str, Any]:
        with office.reading(request, READ) as connection:
            found, rulebook = version_of(connection, kind, version)
        return {**found, "text": rulebook.text, "tables": dict(rulebook.tables)}

    def show_version(request: Request, version: Version) -> dict[str, Any]:
        return told(request, version)

    def show_in_force(request: Request) -> dict[str, Any]:
        return told(request, None)

    list_versions.__doc__ = f"List the versions of the {title}, the newest first."
    show_version.__doc__ = f"Show what a version of the {title} says."
    show_in_force.__doc__ = f"Show what the {title} in force say."
    describe(router, "GET", f"/v1/{kind}/versions", right=READ, example={"items": [row]})(list_versions)
    describe(router, "GET", f"/v1/{kind}/versions/{{version}}", right=READ, example=whole)(show_version)
    describe(router, "GET", f"/v1/{kind}/in-force", right=READ, example={**whole, "in_force": True})(show_in_force)


def _add_changing(router: APIRouter, office: Office, kind: str) -> None:
    title, row = TITLES[kind], {**ROW, "id": f"{kind}@3", "kind": kind}

    def put_version(request: Request, body: Texts) -> Response:
        if (kept := office.answered(request, CHANGE)) is not None:
            return kept
        tables = {name: text_of(name, text.encode()) for name, text in body.tables.items()}
        rulebook = Rulebook("text", text_of("text", body.text.encode()), tables)
        with opened_compiler(office.config) as compiler:
            taken = checked(rulebook, checks(office.config, compiler.keys)[kind])

        def do(work: Work) -> Answer:
            found, is_new = put(work.change, kind, taken)
            return Answer(found, 201 if is_new else 200)

        return office.change(request, body.why, CHANGE, do)

    def propose_version(request: Request, version: Version, body: Why) -> Response:
        def do(work: RegistryWork) -> Answer:
            number = propose(work.desk, work.change.connection, kind, version, office.config.proposals_last)
            return Answer({"proposal": number}, 202)

        def read(_actor: Actor, store: Store, kinds: Kinds) -> None:
            kinds.verdicts.read(store, kind, version)

        return office.change_registry(request, body.why, CHANGE, do, read)

    put_version.__doc__ = (
        f"Keep the next version of the {title}.\n\nIt is not in force yet. A text that a switch would not take is "
        "refused; one that is the newest already is answered 200, and stays."
    )
    propose_version.__doc__ = f"Propose that a version of the {title} is put in force.\n\nAnother person approves it."
    more = {200: ("It is the newest already.", row)}
    path = f"/v1/{kind}/versions"
    describe(router, "POST", path, right=CHANGE, example=row, status=201, more=more)(put_version)
    describe(router, "POST", f"{path}/{{version}}/propose", right=CHANGE, example={"proposal": 19}, status=202)(
        propose_version
    )
