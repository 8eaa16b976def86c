"""The whole of what applicants reach: API and pages behind one gate."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import FastAPI

from switch import __version__
from switch.applicants import api as programs
from switch.applicants import pages
from switch.applicants.desk import Desk
from switch.applicants.gate import OWN_BY_PROGRAM, Gate, is_within
from switch.applicants.proving import Prover
from switch.applicants.rules import KeptRules
from switch.applicants.sessions import Cookies, Sessions
from switch.applicants.site import Site
from switch.applications.own import Applicants, Space
from switch.applications.tries import SecretTries
from switch.backoffice.answering import answer_problems
from switch.backoffice.application import describe_proof, machine_routes
from switch.backoffice.limits import Metrics
from switch.config.sections import ApplicantsSection
from switch.store.opening import Store

PROGRAM: Final = "applicants"
DESCRIPTION: Final = """Merchants apply to be taken on.

`POST /v1/applications` begins an application and tells its reference and secret; with these (`Authorization: Basic`,
the reference as the user) the applicant asks for all that is below `/v1/application`. What is refused is answered by a
problem document (RFC 9457)."""


def application(store: Store, rules: KeptRules, tries: SecretTries, section: ApplicantsSection) -> Gate:
    """What a server of ASGI runs."""
    space = Space(section.drafts_per_day, section.changes_per_day, section.papers_bytes_max, section.drafts_bytes_max)
    desk = Desk(Applicants(store, rules.now, space), section)
    metrics, sessions = Metrics(PROGRAM), Sessions()
    prover = Prover(partial(_is_applicant, tries, rules), section.wrong_secrets_max)
    cookies = Cookies(is_over_tls=section.certificate is not None or section.behind_proxy)
    site = Site(desk, sessions, cookies)
    apps = described_api(desk, store, metrics), _browsed(site, prover)
    return Gate(apps, section, metrics, prover, site)


def described_api(desk: Desk, store: Store, metrics: Metrics) -> FastAPI:
    """The API without what stands before it."""
    api = FastAPI(title="authswitch applicants", version=__version__, docs_url=None, redoc_url=None)
    api.description = DESCRIPTION
    api.include_router(programs.routes(desk))
    api.include_router(machine_routes(store, metrics))
    answer_problems(api)
    describe_proof(api, "secret", {"type": "http", "scheme": "basic"}, lambda path: is_within(path, OWN_BY_PROGRAM))
    return api


def _browsed(site: Site, prover: Prover) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(pages.routes(site, prover))
    answer_problems(app, site.problem)
    return app


def _is_applicant(tries: SecretTries, rules: KeptRules, reference: str, secret: str) -> bool:
    return tries.is_applicant(reference, secret, rules.now().policy.secret_tries_max)
