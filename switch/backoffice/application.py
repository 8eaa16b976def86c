"""The whole API: its routes, what it answers where something is refused, and its description."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.responses import PlainTextResponse, Response

from switch import __version__
from switch.backoffice.answering import answer_problems
from switch.backoffice.contract_routes import contract_routes
from switch.backoffice.importing import Imports, import_routes
from switch.backoffice.limits import Limits, Metrics
from switch.backoffice.link_routes import link_routes
from switch.backoffice.office import Office
from switch.backoffice.people_routes import audit_routes, people_routes, proposal_routes
from switch.backoffice.problems import problem_schema
from switch.backoffice.registry_routes import registry_routes
from switch.backoffice.routes import describe
from switch.backoffice.rulebook_routes import rulebook_routes
from switch.config.sections import BackofficeSection
from switch.store.opening import Store

DESCRIPTION = """Merchants, terminals, risk rules, BIN tables, links, plans, contracts, proposals, people and the audit.

All goes by the rules that the command line has. Each request bears a token (`Authorization: Bearer ...`) of a person
who has the right that `x-right` names. What is refused is answered by a problem document (RFC 9457)."""


def application(office: Office, section: BackofficeSection, imports: Imports) -> Limits:
    """What a server of ASGI runs."""
    metrics = Metrics()
    api = described_api(office, imports, metrics)
    return Limits(api, section, metrics, office.admit)


def described_api(office: Office, imports: Imports, metrics: Metrics) -> FastAPI:
    """The routes without the limits before them."""
    api = FastAPI(title="authswitch back office", version=__version__, docs_url=None, redoc_url=None)
    api.description = DESCRIPTION
    for router in (
        *registry_routes(office, imports),
        *rulebook_routes(office),
        link_routes(office),
        *contract_routes(office),
        import_routes(office, imports),
        proposal_routes(office),
        audit_routes(office),
        people_routes(office),
        machine_routes(office.store, metrics),
    ):
        api.include_router(router)
    answer_problems(api)
    describe_proof(api, "token", {"type": "http", "scheme": "bearer"}, lambda path: path.startswith("/v1/"))
    return api


def describe_proof(api: FastAPI, name: str, scheme: dict[str, str], needs: Callable[[str], bool]) -> None:
    """Put into the OpenAPI document what FastAPI does not know: how one proves who one is, and the problem documents.

    Args:
        api: The application.
        name: Of the proof.
        scheme: What it is.
        needs: Whether a path needs it.
    """
    make = api.openapi

    def document() -> dict[str, Any]:
        if api.openapi_schema is None:
            made = make()
            made["components"]["schemas"]["Problem"] = problem_schema()
            made["components"]["securitySchemes"] = {name: scheme}
            for path, methods in made["paths"].items():
                for operation in methods.values():
                    operation["security"] = [{name: []}] if needs(path) else []
            api.openapi_schema = made
        return api.openapi_schema

    api.openapi = document  # type: ignore[method-assign]


def machine_routes(store: Store, metrics: Metrics) -> APIRouter:
    """The routes that say how the process does; they need none of the threads in which requests are done."""
    router = APIRouter(tags=["machines"])

    own_threads = ThreadPoolExecutor(1, "machines")

    def ask() -> None:
        with store.reading():
            pass

    @describe(router, "GET", "/livez", right=None, example="live\n", media_type="text/plain")
    async def live() -> Response:
        """Say that the process does its work."""
        return PlainTextResponse("live\n")

    @describe(router, "GET", "/readyz", right=None, example="ready\n", media_type="text/plain")
    async def ready() -> Response:
        """Say whether the database can be asked."""
        await asyncio.get_running_loop().run_in_executor(own_threads, ask)
        return PlainTextResponse("ready\n")

    @describe(router, "GET", "/metrics", right=None, example="# HELP ...\n", media_type="text/plain")
    async def measured() -> Response:
        """Tell the metrics, for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
