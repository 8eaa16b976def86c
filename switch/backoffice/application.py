"""The whole API: its routes, what it answers where something is refused, and its description."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from switch import __version__
from switch.backoffice.importing import Imports, import_routes
from switch.backoffice.limits import Limits, Metrics
from switch.backoffice.office import Office
from switch.backoffice.people_routes import audit_routes, people_routes, proposal_routes
from switch.backoffice.problems import ProblemError, away, problem_schema
from switch.backoffice.registry_routes import registry_routes
from switch.backoffice.routes import describe
from switch.base.log import get_logger
from switch.config.sections import BackofficeSection
from switch.files.problems import ConfigError
from switch.keys import KeyFileError
from switch.store.problems import NoSuchError, NotAllowedError, RefusedError, StoreError

DESCRIPTION = """Merchants, terminals, proposals, people and the audit, by the rules that the command line has.

Each request bears a token (`Authorization: Bearer ...`) of a person who has the right that `x-right` names. What is
refused is answered by a problem document (RFC 9457)."""

log = get_logger(__name__)


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
        import_routes(office, imports),
        proposal_routes(office),
        audit_routes(office),
        people_routes(office),
        _machine_routes(office, metrics),
    ):
        api.include_router(router)
    for error, status in ((NotAllowedError, 403), (NoSuchError, 404), (RefusedError, 409), (ConfigError, 409)):
        api.add_exception_handler(error, _refused(status))
    api.add_exception_handler(StoreError, away)
    api.add_exception_handler(KeyFileError, away)
    api.add_exception_handler(ProblemError, _problem)
    api.add_exception_handler(HTTPException, _of_http)
    api.add_exception_handler(RequestValidationError, _wrong)
    api.add_exception_handler(Exception, _mistake)
    _describe(api)
    return api


def _describe(api: FastAPI) -> None:
    """Put into the OpenAPI document what FastAPI does not know: the token, and the problem documents."""
    make = api.openapi

    def document() -> dict[str, Any]:
        if api.openapi_schema is None:
            made = make()
            made["components"]["schemas"]["Problem"] = problem_schema()
            made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for path, methods in made["paths"].items():
                for operation in methods.values():
                    operation["security"] = [{"token": []}] if path.startswith("/v1/") else []
            api.openapi_schema = made
        return api.openapi_schema

    api.openapi = document  # type: ignore[method-assign]


def _machine_routes(office: Office, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["machines"])

    @describe(router, "GET", "/livez", right=None, example="live\n", media_type="text/plain")
    def live() -> Response:
        """Say that the process does its work."""
        return PlainTextResponse("live\n")

    @describe(router, "GET", "/readyz", right=None, example="ready\n", media_type="text/plain")
    def ready() -> Response:
        """Say whether the database can be asked."""
        with office.store.reading():
            return PlainTextResponse("ready\n")

    @describe(router, "GET", "/metrics", right=None, example="# HELP ...\n", media_type="text/plain")
    def measured() -> Response:
        """Tell the metrics, for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router


def _refused(status: int) -> Any:
    def answer(_request: Request, error: Exception) -> Response:
        if isinstance(error, ConfigError):
            errors = tuple((one.key, one.reason) for one in error.problems)
            return ProblemError(status, "; ".join(reason for _, reason in errors), errors).response()
        return ProblemError(status, str(error)).response()

    return answer


def _problem(_request: Request, error: Exception) -> Response:
    return error.response() if isinstance(error, ProblemError) else ProblemError(500, "").response()


def _of_http(_request: Request, error: Exception) -> Response:
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    details = {404: "there is no such path", 405: "this method is not for this path"}
    return ProblemError(status, details.get(status, "it cannot be read"), headers=dict(headers or {})).response()


def _wrong(_request: Request, error: Exception) -> Response:
    """Fields that are wrong, without their values: those may be somebody's secrets."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = tuple((".".join(map(str, one["loc"][1:])) or str(one["loc"][0]), str(one["msg"])) for one in found)
    return ProblemError(422, "; ".join(f"{field}: {reason}" for field, reason in errors), errors).response()


def _mistake(request: Request, error: Exception) -> Response:
    log.error("a mistake of ours", request=request.state.request_id, error=type(error).__name__)
    return ProblemError(500, "a mistake of the program: see its log").response()
