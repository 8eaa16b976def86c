"""Routes of links: which are in service, which people hold out, and what was said of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from switch.backoffice.office import Answer, Office, Work
from switch.backoffice.routes import Why, describe
from switch.links.holding import RIGHT, history, hold, link_told, links_told, release
from switch.store.problems import RefusedError

READ = "registry.read"
ROW = {
    "link": "bank-a",
    "held": "requests",
    "who": "jo.tan",
    "at": "2026-11-27T08:30:00.000000Z",
    "why": "bank-a works at its host until six",
}
STEP = {"id": 7, **ROW}

Name = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9_.-]{0,31}$", description="Its name in the configuration.")]
Most = Annotated[int, Query(ge=1, le=1_000, description="So many of the newest.")]


class Hold(Why):
    """What is kept from an issuer, and why."""

    model_config = ConfigDict(json_schema_extra={"example": {"why": "bank-a works at its host until six"}})
    owed: bool = Field(default=False, description="Whether reversals and advices that it is owed wait, too.")


def link_routes(office: Office) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["links"])
    _add_reading(router, office)
    _add_changing(router, office)
    return router


def _names(office: Office) -> list[str]:
    """The links of the configuration, if its switch hears of holds."""
    if office.config.holds is None:
        raise RefusedError("the configuration has no [holds], so no switch would hear of it")
    return [link.name for link in office.config.links]


def _add_reading(router: APIRouter, office: Office) -> None:
    @describe(router, "GET", "/v1/links", right=READ, example={"items": [ROW]})
    def list_links(request: Request) -> dict[str, Any]:
        """List the links, and what is kept from each issuer: `nothing`, `requests`, or `all` with what it is owed."""
        with office.reading(request, READ) as connection:
            return {"items": links_told(connection, _names(office))}

    @describe(router, "GET", "/v1/links/{link}", right=READ, example=ROW)
    def show_link(request: Request, link: Name) -> dict[str, Any]:
        """Show a link."""
        with office.reading(request, READ) as connection:
            return link_told(connection, _names(office), link)

    @describe(router, "GET", "/v1/links/{link}/history", right=READ, example={"items": [STEP]})
    def list_steps(request: Request, link: Name, limit: Most = 100) -> dict[str, Any]:
        """List who held a link out and released it, the newest first."""
        with office.reading(request, READ) as connection:
            return {"items": history(connection, link, limit)}


def _add_changing(router: APIRouter, office: Office) -> None:
    @describe(router, "POST", "/v1/links/{link}/hold", right=RIGHT, example=ROW)
    def hold_link(request: Request, link: Name, body: Hold) -> Response:
        """Hold a link out of service.

        No new request goes to its issuer, on any node, within a second. What is with it is finished.
        """

        def do(work: Work) -> Answer:
            return Answer(hold(work.change, _names(office), link, with_owed=body.owed)[0])

        return office.change(request, body.why, RIGHT, do)

    @describe(router, "POST", "/v1/links/{link}/release", right=RIGHT, example={**ROW, "held": "nothing"})
    def release_link(request: Request, link: Name, body: Why) -> Response:
        """Put a link into service again."""

        def do(work: Work) -> Answer:
            return Answer(release(work.change, _names(office), link)[0])

        return office.change(request, body.why, RIGHT, do)
