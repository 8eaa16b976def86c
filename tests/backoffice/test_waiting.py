"""Nobody who only reads waits for somebody who writes; and nothing long is done while one writes."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

import switch.check.applications
import switch.check.rulebooks
from switch.access.actor import Actor
from switch.access.people import add_first, add_or_change
from switch.access.tokens import issue, tokens_of
from switch.applications.looking_after import kinds_of_proposals, propose_place
from switch.backoffice import office as backoffice
from switch.backoffice.application import application
from switch.backoffice.importing import Imports
from switch.check.row_compiler import opened_compiler
from switch.config import load_config
from switch.keys import KeyFile
from switch.merchants.binding_desk import Verification
from switch.proposals.deciding import Desk
from switch.rulebooks.keeping import Verdicts, enforce
from switch.rulebooks.rulebooks import Rulebook
from switch.store.changing import changing
from switch.store.opening import Store
from switch.store.problems import RefusedError

from .acquiring import AT, RULES
from .api import PEOPLE, Api
from .registry import MINE, WHY

MANY = 70
"""More than a process has threads for requests, and than it has connections."""

AT_ONCE_SECONDS = 5.0
APPLIED = '[applications]\nrules = "sample/acquiring/rules.toml"\n'
LIMIT = '[[limits]]\nname = "card"\nper = "card"\nwindow_seconds = 60\ncount_max = 2\n'
HEADING = "low,high,kinds,currencies,amount_min,amount_max,links\n"
NEW = {"name": "Harbour", "category": "5942", "why": "contract 17"}


@pytest.fixture
def api(tmp_path, store_url):
    running = Api(tmp_path / "switch", store_url, "requests_per_second = 100000\nconnections_max = 200")
    yield running
    assert running.ends() == 0, running.log.read_text()


@contextmanager
def at_once():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE_SECONDS


def used(api):
    with api.store.reading() as connection:
        return {row["person"] for row in tokens_of(connection, None) if row["used_at"] is not None}


def test_who_reads_waits_for_nobody_who_writes(api):
    def add(number):
        return api.asks("jo", "POST", "/v1/merchants", {**NEW, "id": f"8980000001{number:05}"})[0]

    with ThreadPoolExecutor(MANY) as pool:
        with api.store.writing():
            answers = [pool.submit(add, number) for number in range(MANY)]
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                with at_once():
                    assert api.does("vi", "GET", "/v1/merchants?limit=1")["items"]
                    assert api.does("al", "GET", "/v1/proposals") == {"items": []}
                    assert api.asks(None, "GET", "/livez")[0] == 200
                    assert api.asks(None, "GET", "/readyz")[0] == 200
                    assert api.asks(None, "GET", "/metrics")[0] == 200
        assert {one.result() for one in answers} == {201}
    deadline = time.monotonic() + 30
    while used(api) != {"jo", "al", "vi"}:
        assert time.monotonic() < deadline, used(api)
        time.sleep(0.05)


def test_changes_leave_room_for_who_reads(tmp_path):
    running = Api(tmp_path / "s", f"sqlite:{tmp_path}/store.db", "requests_per_second = 100000\nconnections_max = 10")

    def add(number):
        return running.asks("jo", "POST", "/v1/merchants", {**NEW, "id": f"8980000001{number:05}"})[0]

    try:
        with ThreadPoolExecutor(8) as pool:
            with running.store.writing():
                answers = [pool.submit(add, number) for number in range(8)]
                while sum(one.done() for one in answers) < 3:
                    time.sleep(0.02)
                assert running.does("vi", "GET", "/v1/merchants?limit=1")["items"]
            assert sorted(one.result() for one in answers) == [201] * 5 + [503] * 3
    finally:
        assert running.ends() == 0


# --- what takes long --------------------------------------------------------------------------------------------------


@pytest.fixture
def long_work(monkeypatch):
    """What was done that takes long, and whether this was in the transaction that holds up others."""
    seen, writers, real = [], [], Store.writing

    @contextmanager
    def writing(store):
        with real(store) as connection:
            writers.append(store)
            try:
                yield connection
            finally:
                writers.pop()

    def watch(owner, name):
        work = getattr(owner, name)

        def watched(*arguments, **named):
            seen.append((name, bool(writers)))
            return work(*arguments, **named)

        monkeypatch.setattr(owner, name, watched)

    monkeypatch.setattr(Store, "writing", writing)
    for owner, name in (
        (switch.check.rulebooks, "load_risk"),
        (switch.check.rulebooks, "load_routes"),
        (switch.check.applications, "_read"),
        (Rulebook, "of_body"),
        (KeyFile, "open"),
    ):
        watch(owner, name)
    return seen


class Served:
    """The API in this process, where it can be watched."""

    def __init__(self, office, store):
        config = load_config(office.config)
        self._office, self._imports = backoffice.Office(config, store), Imports()
        self._app = application(self._office, config.backoffice, self._imports)
        with changing(store, "chen", "begins") as change:
            add_first(change, "mei", "Mei Lin", "mei")
            for person, roles in PEOPLE.items():
                add_or_change(change, person, {"name": person.title(), "roles": roles})
            self.tokens = {one: issue(change, Actor(one), one, "test", 7) for one in PEOPLE}

    def asks(self, person, path, **body):
        """Status and document of the answer to a POST."""
        proof = f"Bearer {self.tokens[person]}".encode()
        headers = [
            (b"authorization", proof),
            (b"content-type", b"application/json"),
            (b"idempotency-key", path.encode()),
        ]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        told = iter([{"type": "http.request", "body": json.dumps({"why": "order 12", **body}).encode()}])
        answers = []

        async def receive():
            return next(told)

        async def send(message):
            answers.append(message)

        asyncio.run(self._app({**scope, "raw_path": path.encode(), "root_path": "", "scheme": "http"}, receive, send))
        return answers[0]["status"], json.loads(b"".join(one.get("body", b"") for one in answers[1:]))

    def ends(self):
        self._imports.close()
        self._office.close()


@pytest.fixture
def served(office, store):
    text = office.config.read_text()
    office.config.write_text(f'{text}\n[backoffice]\nbind = "unix:bo.sock"\n{APPLIED}')
    office.does("store", "renew-key")
    running = Served(office, store)
    yield running
    running.ends()


def test_nothing_long_is_done_by_the_api_while_it_writes(office, store, served, long_work):
    config = load_config(office.config)
    seen = Verification("on site", "jo", AT.date(), "V-17")
    with opened_compiler(config) as compiler, changing(store, "jo", "moved") as change:
        desk = Desk(change, Actor("jo"), kinds_of_proposals(lambda: RULES, compiler))
        moved = propose_place(desk, MINE, "Harbour Road 14", seen, timedelta(days=1))
    long_work.clear()
    for kind, text in (("risk", LIMIT), ("routes", f"{HEADING}622500,,,,,,bank-a:1\n")):
        assert served.asks("jo", f"/v1/{kind}/versions", text=text)[0] == 201
        status, document = served.asks("jo", f"/v1/{kind}/versions/1/propose")
        assert status == 202
        assert served.asks("al", f"/v1/proposals/{document['proposal']}/approve")[1]["state"] == "approved"
    assert served.asks("jo", "/v1/merchants", id="898000000000077", name="Harbour", category="5942")[0] == 201
    assert served.asks("jo", "/v1/merchants/898000000000077/suspend")[1]["state"] == "suspended"
    assert served.asks("al", f"/v1/proposals/{moved}/approve")[1]["state"] == "approved"
    assert {name for name, _ in long_work} == {"load_risk", "load_routes", "_read", "of_body", "open"}
    assert [name for name, in_the_way in long_work if in_the_way] == []


def test_nothing_long_is_done_for_who_may_not_or_asks_again(store, served, long_work):
    assert served.asks("jo", "/v1/risk/versions", text=LIMIT)[0] == 201
    status, document = served.asks("jo", "/v1/risk/versions/1/propose")
    long_work.clear()
    assert served.asks("jo", "/v1/risk/versions", text=LIMIT)[0] == 201
    assert served.asks("jo", "/v1/risk/versions/1/propose") == (status, document)
    assert served.asks("vi", "/v1/risk/versions", text=LIMIT)[0] == 403
    assert served.asks("vi", "/v1/risk/versions/1/propose")[0] == 403
    assert long_work == []
    assert served.asks("vi", f"/v1/proposals/{document['proposal']}/approve")[0] == 403
    assert {name for name, _ in long_work} == {"open"}


def test_nothing_long_is_done_by_commands_while_they_write(office, long_work):
    (office.folder / "text").write_text(LIMIT)
    office.does("risk", "put", office.folder / "text", *WHY)
    assert [name for name, _ in long_work].count("load_risk") == 1
    office.does("risk", "propose", 1, *WHY)
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    assert [name for name, in_the_way in long_work if in_the_way] == []


def test_a_version_that_was_not_read_is_not_put_in_force(office, store):
    (office.folder / "text").write_text(LIMIT)
    office.does("risk", "put", office.folder / "text", *WHY)
    with pytest.raises(RefusedError, match="risk@1 is not the one that was read"), changing(store, "x", "y") as change:
        enforce(change, "risk", 1, Verdicts({}))
