"""The pages: plans side by side, the form, papers, the contract, and how an application stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response

from switch.applicants.desk import OTHER_PAPER, Desk, in_fields
from switch.applicants.fields import groups_for, kept, labels_for, shown, told
from switch.applicants.proving import Prover
from switch.applicants.sessions import new_token
from switch.applicants.site import FOLDER, STYLE, Site
from switch.applications.applying import secret_hash
from switch.applications.forms import parse_form
from switch.applications.own import FORM, Applicants
from switch.applications.plans import Plan, side_by_side
from switch.applications.states import OPEN
from switch.backoffice.problems import ProblemError
from switch.store.problems import NoSuchError, RefusedError, TooManyError

SEE_OTHER: Final = 303
STATES: Final[Mapping[str, tuple[str, str]]] = {
    "draft": ("Not handed in yet", "Add what is missing, then hand it in."),
    "returned": ("Sent back to you", "Mend what is named below, then hand it in again."),
    "in_review": ("In review", "We look at it. You need do nothing."),
    "reviewed": ("In review", "We look at it. You need do nothing."),
    "approved": ("Approved", "We prepare your contract. You need do nothing."),
    "contract_offered": ("A contract waits for you", "Read it, and accept it in time."),
    "accepted": ("Contract accepted", "We prepare your terminals. You need do nothing."),
    "terminals_assigned": ("Terminals are prepared", "They are put into service with codes that you get from us."),
    "active": ("Active", "Your terminals take cards."),
    "refused": ("Refused", "We cannot take you on."),
    "withdrawn": ("Withdrawn", "You have given it up."),
    "expired": ("Expired", "Its time was over. You may apply anew."),
}


def routes(site: Site, prover: Prover) -> APIRouter:
    """All pages."""
    router = APIRouter()
    _add_offer(router, site)
    _add_begin(router, site)
    _add_sign_in(router, site, prover)
    _add_overview(router, site)
    _add_form(router, site)
    _add_documents(router, site)
    _add_contract(router, site)
    return router


def _see(path: str) -> RedirectResponse:
    return RedirectResponse(path, SEE_OTHER)


def _add_offer(router: APIRouter, site: Site) -> None:
    @router.get("/")
    def plans(request: Request) -> Response:
        return site.page(request, "plans", step="plan", **site.desk.offer())

    @router.get(f"/{STYLE}")
    def style() -> Response:
        return FileResponse(FOLDER / STYLE, media_type="text/css")


def _add_begin(router: APIRouter, site: Site) -> None:
    def page(request: Request, wanted: Mapping[str, str], **more: Any) -> Response:
        """The empty form, or one with what was filled in and what is wrong with it."""
        kind, plan = _plan_of(site.desk, wanted)
        return _form_page(site, request, kind, plan, is_new=True, **{"texts": {}, "masked": {}, **more})

    @router.get("/apply")
    def show(request: Request) -> Response:
        try:
            return page(request, request.query_params)
        except NoSuchError:
            return _see("/")

    @router.post("/apply")
    def begin(request: Request) -> Response:
        texts = site.form(request)
        kind, plan = _plan_of(site.desk, texts)
        try:
            values = told(kind, texts, plan["decimals"], is_new=True)
            form = in_fields(lambda: parse_form({"kind": kind, "plan": plan["id"], **values}, FORM))
        except ProblemError as problem:
            return page(request, texts, texts=kept(texts), errors=dict(problem.errors), status=problem.status)
        reference, secret = site.desk.begin(request.state.caller, form)
        token = site.sessions.begin(reference, secret_hash(secret))
        return site.page(request, "begun", cookie=token, step="form", reference=reference, secret=secret)


def _form_page(
    site: Site, request: Request, kind: str, plan: Mapping[str, Any], *, is_new: bool, **more: Any
) -> Response:
    """The form of a kind of applicant: ``texts`` stand in its fields, ``errors`` beside them, ``problem`` above."""
    choices = {
        "category": [(one["code"], f"{one['name']} ({one['code']})") for one in site.desk.needed()["categories"]],
        "plan": [(one["id"], f"{one['title']} ({one['id']})") for one in site.desk.offer()["plans"]
                 if kind in one["offered_to"]],
    }  # fmt: skip
    values = {"errors": {}, "problem": "", **more}
    return site.page(
        request, "form", step="form", kind=kind, plan=plan, is_new=is_new, choices=choices, labels=labels_for(kind),
        groups=groups_for(kind, is_new=is_new), **values,
    )  # fmt: skip


def _plan_of(desk: Desk, wanted: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The kind of applicant and the plan that were chosen.

    Raises:
        NoSuchError: There is no such plan for such applicants.
    """
    kind, key = wanted.get("kind", ""), wanted.get("plan", "")
    for plan in desk.offer()["plans"]:
        if plan["id"] == key and kind in plan["offered_to"]:
            return kind, plan
    raise NoSuchError("this plan is not on offer any more: choose another")


def _add_sign_in(router: APIRouter, site: Site, prover: Prover) -> None:
    @router.get("/sign-in")
    def show(request: Request) -> Response:
        return site.page(request, "sign_in", problem="")

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        texts = site.form(request)
        reference, secret = texts.get("reference", "").upper(), texts.get("secret", "")
        try:
            await prover.prove(request.state.caller, reference, secret)
        except ProblemError as problem:
            return await run_in_threadpool(
                partial(site.page, request, "sign_in", status=problem.status, problem=problem.detail)
            )
        site.sessions.end(site.cookies.read(request))
        response = _see("/application")
        site.cookies.write(response, site.sessions.begin(reference, secret_hash(secret)))
        return response

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        site.form(request)
        site.sessions.end(site.cookies.read(request))
        response = _see("/")
        site.cookies.write(response, new_token())
        return response


def _add_overview(router: APIRouter, site: Site) -> None:
    def page(request: Request, problem: str = "", status: int = 200) -> Response:
        view = site.desk.view(request.state.reference)
        name, advice = STATES.get(view["state"], (view["state"], ""))
        return site.page(
            request, "application", status=status, step="submit", problem=problem, view=view, state=name,
            advice=advice, names=STATES, labels=labels_for(view["form"]["kind"]), amount=_amount,
            can_withdraw=view["state"] in OPEN,
        )  # fmt: skip

    @router.get("/application")
    def show(request: Request) -> Response:
        return page(request)

    def does(request: Request, step: Callable[[Applicants, str], None]) -> Response:
        try:
            step(site.desk.applicants, request.state.reference)
        except RefusedError as error:
            return page(request, str(error), _status_of(error))
        return _see("/application")

    @router.post("/application/submit")
    def submit(request: Request) -> Response:
        site.form(request)
        return does(request, Applicants.submit)

    @router.post("/application/withdraw")
    def withdraw(request: Request) -> Response:
        if site.form(request).get("is_sure") != "yes":
            return page(request, "Tick that you are sure, to withdraw the application.", 422)
        return does(request, Applicants.withdraw)


def _add_form(router: APIRouter, site: Site) -> None:
    def page(request: Request, view: dict[str, Any], **more: Any) -> Response:
        values = {"texts": shown(view["form"], view["plan"]["decimals"]), "masked": view["form"], **more}
        return _form_page(site, request, view["form"]["kind"], view["plan"], is_new=False, **values)

    @router.get("/application/form")
    def show(request: Request) -> Response:
        view = site.desk.view(request.state.reference)
        return page(request, view) if view["is_editable"] else _see("/application")

    @router.post("/application/form")
    def amend(request: Request) -> Response:
        texts = site.form(request)
        view = site.desk.view(request.state.reference)
        try:
            chosen = (one for one in site.desk.offer()["plans"] if one["id"] == texts.get("plan"))
            values = told(view["form"]["kind"], texts, next(chosen, view["plan"])["decimals"], is_new=False)
            in_fields(lambda: site.desk.applicants.amend(request.state.reference, values))
        except ProblemError as problem:
            return page(request, view, status=problem.status, texts=kept(texts), errors=dict(problem.errors))
        except RefusedError as error:
            return page(request, view, status=_status_of(error), texts=kept(texts), problem=str(error))
        return _see("/application/documents")


def _add_documents(router: APIRouter, site: Site) -> None:
    def page(request: Request, problem: str = "", status: int = 200) -> Response:
        view = site.desk.view(request.state.reference)
        kinds = [*view["papers"]["needed"], OTHER_PAPER]
        limits = site.desk.needed()
        return site.page(
            request, "documents", status=status, step="documents", problem=problem, view=view, kinds=kinds,
            limits=limits,
        )  # fmt: skip

    @router.get("/application/documents")
    def show(request: Request) -> Response:
        return page(request)

    @router.post("/application/documents")
    def add(request: Request) -> Response:
        try:
            texts, declared, content = site.upload(request)
            site.desk.add_paper(request.state.reference, texts.get("kind", ""), declared, content)
        except RefusedError as error:
            return page(request, str(error), _status_of(error))
        except ProblemError as problem:
            if problem.status != 422:
                raise
            return page(request, problem.detail, problem.status)
        return _see("/application/documents")


def _add_contract(router: APIRouter, site: Site) -> None:
    def page(request: Request, problem: str = "", status: int = 200) -> Response:
        view = site.desk.view(request.state.reference)
        terms = side_by_side([Plan.model_validate(view["plan"], strict=False)])
        return site.page(request, "contract", status=status, step="contract", problem=problem, view=view, terms=terms)

    @router.get("/application/contract")
    def show(request: Request) -> Response:
        return page(request)

    @router.post("/application/contract")
    def accept(request: Request) -> Response:
        texts = site.form(request)
        if texts.get("is_accepted") != "yes":
            return page(request, "Tick that you accept the contract.", 422)
        state, address = request.state, request.state.caller.address
        try:
            site.desk.applicants.accept(
                state.reference, texts.get("text_hash", ""), texts.get("accepted_by", ""), address
            )
        except RefusedError as error:
            return page(request, str(error), _status_of(error))
        return _see("/application")


def _amount(minor: int, plan: Mapping[str, Any]) -> str:
    """A sum in the currency of a plan, for people."""
    return f"{Decimal(minor).scaleb(-plan['decimals']):,.{plan['decimals']}f} {plan['currency']}"


def _status_of(error: RefusedError) -> int:
    return 429 if isinstance(error, TooManyError) else 409
