"""The applicants' API: plans for all, and to each applicant his own application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import JSONResponse, Response

from switch.applicants.desk import Desk, in_fields
from switch.applications.contracts import SAID_CHARACTERS_MAX
from switch.applications.documents import BEGINNINGS, KIND_CHARACTERS_MAX
from switch.applications.forms import Form
from switch.applications.own import Applicants
from switch.backoffice.routes import Body, describe

FORM_EXAMPLE: Final = {
    "kind": "company",
    "trading_name": "Harbour Books",
    "legal_name": "Harbour Books Limited",
    "identity": "91350100M000100Y43",
    "representative_name": "Zhang San",
    "representative": "11010519491231002X",
    "licence_until": "2031-06-30",
    "account": "11001018800058000001",
    "account_holder": "Harbour Books Limited",
    "contact": "+86 10 5550 0100",
    "category": "5942",
    "place": "Harbour Road 12",
    "month_minor": 20_000_000,
    "terminal_count": 2,
    "plan": "shop@1",
}
BEGUN: Final = {"reference": "K7Q2M9XW4T", "secret": "2Jc4zq5x1TzPq0oGm3ZkJ8yXb0U"}
VIEW: Final = {
    "reference": "K7Q2M9XW4T",
    "state": "returned",
    "deadline": "2026-12-28T08:30:00.000000Z",
    "is_editable": True,
    "form": {**FORM_EXAMPLE, "account": "****************0001", "identity": "**************0Y43"},
    "papers": {"needed": ["licence"], "missing": ["licence"], "kept": []},
    "reasons": [{"what": "papers", "reason": "missing: licence", "source": "the acquirer's own rule"}],
    "history": [{"at": "2026-11-28T08:30:00.000000Z", "state": "draft"}],
    "contract": None,
    "merchant": None,
}
PLANS: Final = {"plans": [{"id": "shop@1"}], "side_by_side": [{"what": "title", "values": ["Shop"]}]}
NEEDED: Final = {"papers": {"person": ["identity card"]}, "paper_bytes_max": 5_242_880, "categories": []}
Kind = Annotated[str, Query(min_length=1, max_length=KIND_CHARACTERS_MAX, description="What it is, such as licence.")]


class Acceptance(Body):
    """That the contract is accepted."""

    model_config = ConfigDict(json_schema_extra={"example": {"text_hash": "0" * 64, "accepted_by": "Zhang San"}})
    text_hash: str = Field(min_length=64, max_length=64, description="Of the text that was read.")
    accepted_by: str = Field(min_length=1, max_length=SAID_CHARACTERS_MAX, description="Who accepts.")


def routes(desk: Desk) -> APIRouter:
    """All of them."""
    router = APIRouter()
    _add_open(router, desk)
    _add_own(router, desk)
    return router


def _add_open(router: APIRouter, desk: Desk) -> None:
    """What everybody may ask."""

    @describe(router, "GET", "/v1/plans", right=None, example=PLANS, extra={})
    def plans() -> dict[str, Any]:
        """Tell the plans on offer, each by itself and side by side: fees, terminals, deposits, benefits, limits."""
        return desk.offer()

    @describe(router, "GET", "/v1/needed", right=None, example=NEEDED, extra={})
    def needed() -> dict[str, Any]:
        """Tell what an application needs: papers, their types and sizes, and the categories there are."""
        return desk.needed()

    @describe(
        router, "POST", "/v1/applications", right=None, example=BEGUN, status=201, extra=_form_body(is_whole=True)
    )
    def begin(request: Request, body: Form) -> Response:
        """Begin an application.

        `secret` is told this once: with the reference it proves who the applicant is.
        """
        reference, secret = desk.begin(request.state.caller, body)
        return JSONResponse({"reference": reference, "secret": secret}, 201)


def _add_own(router: APIRouter, desk: Desk) -> None:
    """What an applicant does with his own."""

    @describe(router, "GET", "/v1/application", right=None, example=VIEW, extra={})
    def show(request: Request) -> dict[str, Any]:
        """Show the application: its state, deadline, reasons, what is missing; sealed values are masked."""
        return desk.view(request.state.reference)

    @describe(router, "PATCH", "/v1/application", right=None, example=VIEW, extra=_form_body(is_whole=False))
    def amend(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        """Write fields of the form anew, while it is a draft or was sent back; what is not named stays."""
        in_fields(lambda: desk.applicants.amend(request.state.reference, body))
        return desk.view(request.state.reference)

    @describe(
        router, "POST", "/v1/application/documents", right=None, example={"id": "K7Q2M9XW4T-1"}, status=201,
        extra=_paper_body(),
    )  # fmt: skip
    def add_paper(request: Request, kind: Kind) -> Response:
        """Hand in a paper: the body is the file, and its type must be what the bytes say."""
        declared = request.headers.get("Content-Type", "")
        number = desk.add_paper(request.state.reference, kind, declared, request.state.body)
        return JSONResponse({"id": number}, 201)

    for name, does, words in (
        ("submit", Applicants.submit, "Hand it in: it is looked at by machine at once."),
        ("withdraw", Applicants.withdraw, "Give it up."),
    ):
        _add_step(router, desk, name, does, words)

    @describe(router, "POST", "/v1/application/contract", right=None, example=VIEW, extra={})
    def accept(request: Request, body: Acceptance) -> dict[str, Any]:
        """Accept the contract that is offered, by the hash of its text."""
        address = request.state.caller.address
        desk.applicants.accept(request.state.reference, body.text_hash, body.accepted_by, address)
        return desk.view(request.state.reference)


def _add_step(router: APIRouter, desk: Desk, name: str, does: Callable[[Applicants, str], None], words: str) -> None:
    def step(request: Request) -> dict[str, Any]:
        does(desk.applicants, request.state.reference)
        return desk.view(request.state.reference)

    step.__doc__ = words
    describe(router, "POST", f"/v1/application/{name}", right=None, example=VIEW, extra={})(step)


def _form_body(*, is_whole: bool) -> dict[str, Any]:
    """The form in the description: with all that it needs, or any of it."""
    schema = Form.model_json_schema()
    if is_whole:
        return {"requestBody": {"content": {"application/json": {"example": FORM_EXAMPLE}}}}
    schema.pop("required")
    content = {"application/json": {"schema": schema, "example": {"place": "Harbour Road 14"}}}
    return {"requestBody": {"required": True, "content": content}}


def _paper_body() -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": dict.fromkeys(BEGINNINGS.values(), binary)}}
