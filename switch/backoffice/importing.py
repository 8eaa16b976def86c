"""Files that are taken into the store in the background, one after the other."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Table

from switch.access.actor import Actor
from switch.backoffice.office import Office, digest_of, key_of, refuse_other
from switch.backoffice.problems import ProblemError
from switch.backoffice.routes import describe
from switch.base.log import get_logger
from switch.check.row_compiler import opened_compiler
from switch.files.problems import ConfigError
from switch.keys import KeyFileError
from switch.merchants.importing import Import
from switch.merchants.registering import Registrar
from switch.store.changing import changing
from switch.store.problems import RefusedError, StoreError

JOBS_MAX = 100
WAITING_MAX = 10
PROBLEMS_TOLD = 1_000

log = get_logger(__name__)


class Imports:
    """Jobs of this process: the newest hundred are remembered."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._keys: dict[str, tuple[str, bytes]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "import")

    def begin(
        self, office: Office, request: Request, table: Table, why: str, *, replaces: bool
    ) -> tuple[dict[str, Any], bool]:
        """Begin to take the body of a request; the job, and whether it is one of before.

        Raises:
            ProblemError: Nobody is known to ask, too many jobs wait, or the key was used for another file or table.
            RefusedError: He may not.
        """
        with office.reading(request, "registry.change"):
            person = str(request.state.person)
        key, asked = key_of(request, person), digest_of(request)
        with self._lock:
            if key is not None and key in self._keys:
                number, before = self._keys[key]
                refuse_other(before, asked)
                return told(self._jobs[number]), True
            waiting = sum(job["state"] == "running" for job in self._jobs.values())
            if waiting >= WAITING_MAX:
                raise ProblemError(503, f"{waiting} imports wait already", headers={"Retry-After": "60"})
            job: dict[str, Any] = {"id": secrets.token_hex(6), "state": "running", "person": person, "rows_done": 0}
            self._jobs[job["id"]] = job
            if key is not None:
                self._keys[key] = job["id"], asked
            while len(self._jobs) > JOBS_MAX:
                gone, _ = self._jobs.popitem(last=False)
                self._keys = {one: kept for one, kept in self._keys.items() if kept[0] != gone}
        data = request.state.body.removeprefix(b"\xef\xbb\xbf")
        self._pool.submit(self._run, office, job, Actor(person), (table, data, why, replaces))
        return told(job), False

    def _run(self, office: Office, job: dict[str, Any], actor: Actor, what: tuple[Table, bytes, str, bool]) -> None:
        table, data, why, replaces = what

        def progress(count: int) -> None:
            job["rows_done"] += count

        try:
            with opened_compiler(office.config) as compiler, changing(office.store, actor.name, why) as change:
                registrar = Registrar(change, compiler, is_alone=True)
                outcome = Import(registrar, table, f"{table.name}", data, replaces=replaces).run(progress)
        except ConfigError as error:
            problems = [{"field": one.key, "reason": one.reason} for one in error.problems[:PROBLEMS_TOLD]]
            job.update(state="refused", errors=problems, detail=f"{len(error.problems):,} problems; nothing changed")
        except (RefusedError, StoreError, KeyFileError) as error:
            job.update(state="refused", detail=str(error))
        except Exception:
            log.exception("an import ended by a mistake of ours", job=job["id"])
            job.update(state="refused", detail="a mistake of the program: see its log")
        else:
            counts = {"added": outcome.added, "changed": outcome.changed, "unchanged": outcome.unchanged}
            job.update(state="done", **counts)

    def job(self, key: str) -> dict[str, Any]:
        """What became of one.

        Raises:
            ProblemError: It is not known, or not any more.
        """
        with self._lock:
            found = self._jobs.get(key)
        if found is None:
            raise ProblemError(404, f"there is no import {key[:40]}, or not any more")
        return told(found)

    def close(self) -> None:
        """Wait for the one that runs; what waits is not begun."""
        self._pool.shutdown(cancel_futures=True)


def told(job: dict[str, Any]) -> dict[str, Any]:
    """A job as it is now."""
    return dict(job)


def import_routes(office: Office, imports: Imports) -> APIRouter:
    """Where one asks what became of an import."""
    router = APIRouter(tags=["imports"])
    example = {"id": "0a1b2c3d4e5f", "state": "done", "added": 20, "changed": 0, "unchanged": 0}

    @describe(router, "GET", "/v1/imports/{key}", right="registry.change", example=example)
    def show_import(request: Request, key: str) -> dict[str, Any]:
        """Show what became of an import: running, done or refused."""
        with office.reading(request, "registry.change"):
            return imports.job(key)

    return router
