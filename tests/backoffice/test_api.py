"""The API as programs call it: a real process, with either database."""

from __future__ import annotations

import json
import stat
import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switch.access.actor import Actor
from switch.access.roles import RIGHTS
from switch.applications.looking_after import kinds_of_proposals, propose_place
from switch.backoffice.description import openapi_document
from switch.backoffice.limits import Rates, Share
from switch.check.row_compiler import opened_compiler
from switch.config import ConfigError, load_config
from switch.merchants.binding_desk import Verification
from switch.proposals.deciding import Desk
from switch.store.changing import changing
from switch.store.proving import flaws

from .acquiring import AT, RULES
from .api import Api, operations_of
from .registry import Office, call

APPLIED = '[applications]\nrules = "sample/acquiring/rules.toml"\n'
SHOP, MINE = "898000000000001", "10000001"
NEW = {"id": "898000000000077", "name": "Harbour", "category": "5942", "why": "contract 17"}
DOCUMENT = openapi_document()
OPERATIONS = operations_of(DOCUMENT)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    url = f"sqlite:{folder}/store.db" if request.param == "sqlite" else request.getfixturevalue("server").database()
    running = Api(folder / "switch", url, f"requests_per_second = 100000\nimport_bytes_max = 100000\n{APPLIED}")
    yield running
    assert running.ends() == 0, running.log.read_text()


# --- who --------------------------------------------------------------------------------------------------------------


def test_nobody_is_let_in_without_a_token(api):
    for shown in (None, "x", api.tokens["jo"][:-1] + "!", "authswitch_" + "0" * 12 + "_" + "A" * 43):
        status, words = api.refuses(shown, "GET", "/v1/merchants")
        assert (status, "token" in words) in {(401, True), (429, True)}
    assert api.asks(None, "GET", "/v1/merchants")[2]["WWW-Authenticate"] == "Bearer"


def test_rights_are_needed(api):
    for person, method, path, body, right in (
        ("vi", "POST", "/v1/merchants", NEW, "registry.change"),
        ("kim", "PATCH", f"/v1/terminals/{MINE}", {"place": "x", "why": "y"}, "registry.change"),
        ("jo", "GET", "/v1/audit", None, "audit.read"),
        ("jo", "GET", "/v1/people", None, "people.read"),
        ("jo", "POST", "/v1/people", {"id": "x", "name": "X", "roles": ["viewer"], "why": "y"}, "people.change"),
        ("vi", "POST", "/v1/merchants/imports?why=x", b"id\n", "registry.change"),
    ):
        status, words = api.refuses(person, method, path, body)
        assert (status, words) == (403, f"{person} may not do this: the right {right} is needed")


def test_what_machines_ask_needs_no_token(api):
    assert api.does(None, "GET", "/livez") == "live\n"
    assert api.does(None, "GET", "/readyz") == "ready\n"
    counted = 'authswitch_backoffice_requests_total{method="GET",route="/livez",status="200"}'
    assert counted in api.does(None, "GET", "/metrics")


def test_web_pages_are_refused_and_answers_say_how_to_treat_them(api):
    assert api.refuses("jo", "GET", "/v1/merchants", Origin="https://evil.example")[0] == 403
    headers = api.asks("jo", "GET", "/v1/merchants")[2]
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert headers.get_all("Server") == ["authswitch"]


# --- merchants and terminals ------------------------------------------------------------------------------------------


def test_a_merchant_is_taken_on_once(api):
    new = {**NEW, "id": "898000000000071"}
    first = api.asks("jo", "POST", "/v1/merchants", new, Idempotency_Key="one")
    again = api.asks("jo", "POST", "/v1/merchants", new, Idempotency_Key="one")
    assert (first[0], again[0], again[1]) == (201, 201, first[1])
    assert (first[2]["Idempotency-Repeated"], again[2]["Idempotency-Repeated"]) == (None, "true")
    assert api.refuses("jo", "POST", "/v1/merchants", {**new, "name": "Kai"}, Idempotency_Key="one")[0] == 422
    assert api.refuses("jo", "POST", "/v1/merchants", new) == (409, "there is a merchant 898000000000071 already")
    assert api.refuses("jo", "POST", "/v1/merchants", new, Idempotency_Key="x" * 129)[0] == 400
    entries = api.does("kim", "GET", "/v1/audit?table=merchants&row=898000000000071")["items"]
    assert [(one["who"], one["why"]) for one in entries] == [("jo", "contract 17")]


def test_rows_are_shown_changed_and_paged(api):
    assert api.does("vi", "GET", f"/v1/terminals/{MINE}")["id"] == MINE
    assert api.does("jo", "PATCH", f"/v1/terminals/{MINE}", {"place": "Kai 3", "why": "said"})["place"] == "Kai 3"
    status, words = api.refuses("jo", "PATCH", f"/v1/terminals/{MINE}", {"place": "Kai 4", "why": "moved"})
    assert (status, "two people are needed for another serial number or place" in words) == (409, True)
    assert api.refuses("vi", "GET", "/v1/terminals/7") == (404, "there is no terminal 7")
    status, words = api.refuses("jo", "PATCH", f"/v1/terminals/{MINE}", {"mac_algorithm": "rot13", "why": "x"})
    assert (status, "rot13" in words) == (409, True)
    found, after = [], ""
    while after is not None:
        page = api.does("vi", "GET", f"/v1/terminals?limit=2&merchant={SHOP}" + (f"&after={after}" if after else ""))
        found += [row["id"] for row in page["items"]]
        after = page["next"]
    assert found == sorted(set(found))
    assert len(found) > 4


def test_what_is_too_long_to_be_kept_is_the_askers_fault(api):
    status, words = api.refuses("jo", "PATCH", f"/v1/merchants/{SHOP}", {"kinds": ["purchase"] * 60, "why": "x"})
    assert (status, words) == (422, "merchants: kinds has 539 characters, and at most 400 are kept")
    status, words = api.refuses("jo", "PATCH", f"/v1/merchants/{SHOP}", {"name": "Harbour", "why": "a\nb"})
    assert (status, words) == (422, "needed why: 1 to 400 printable characters")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**NEW, "category": 5942}, "category"),
        ({**NEW, "owner": "x"}, "owner"),
        ({key: value for key, value in NEW.items() if key != "why"}, "why"),
        ({**NEW, "id": "x" * 16}, "id"),
    ],
)
def test_a_problem_names_the_field_and_no_value(api, body, field):
    status, document, _ = api.asks("jo", "POST", "/v1/merchants", body)
    assert (status, [one["field"] for one in document["errors"]]) == (422, [field])
    assert "x" * 16 not in str(document)


def test_what_is_no_json_is_said_of_the_body(api):
    status, document, _ = api.asks("jo", "POST", "/v1/merchants", b"{", Content_Type="application/json")
    assert (status, [one["field"] for one in document["errors"]]) == (422, ["body"])


def test_two_people_close_a_merchant(api):
    api.does("jo", "POST", "/v1/merchants", {**NEW, "id": "898000000000072"})
    path = "/v1/merchants/898000000000072"
    assert api.does("jo", "POST", f"{path}/suspend", {"why": "case"})["state"] == "suspended"
    status, document, _ = api.asks("jo", "POST", f"{path}/close", {"why": "gave notice"})
    assert status == 202
    decide = f"/v1/proposals/{document['proposal']}"
    assert api.refuses("jo", "POST", f"{decide}/approve", {"why": "x"})[0] == 403
    assert api.does("vi", "GET", decide)["state"] == "proposed"
    assert api.does("al", "POST", f"{decide}/approve", {"why": "seen"})["state"] == "approved"
    assert api.does("vi", "GET", path)["state"] == "closed"
    assert api.refuses("al", "POST", f"{decide}/approve", {"why": "x"})[0] == 409
    assert api.does("vi", "GET", "/v1/proposals?state=approved")["items"]
    assert api.refuses("vi", "GET", "/v1/proposals/99999")[0] == 404


def test_what_the_command_line_proposes_is_approved_here(api):
    """Also about merchants that were taken on by an application."""
    api.office.does("store", "renew-key")
    config = load_config(api.office.config)
    seen = Verification("on site", "jo", AT.date(), "V-17")
    with opened_compiler(config) as compiler, changing(api.store, "jo", "moved") as change:
        desk = Desk(change, Actor("jo"), kinds_of_proposals(lambda: RULES, compiler))
        number = propose_place(desk, MINE, "Harbour Road 14", seen, timedelta(days=1))
    assert api.does("al", "POST", f"/v1/proposals/{number}/approve", {"why": "seen"})["state"] == "approved"
    assert api.does("vi", "GET", f"/v1/terminals/{MINE}")["place"] == "Harbour Road 14"


def test_nobody_approves_by_a_token_that_he_made_for_another(api):
    """An administrator who is also a registrar gives the approver a token, and keeps it."""
    with_both = api.does("mei", "POST", "/v1/tokens", {"person": "al", "label": "x", "days": 1, "why": "y"})["token"]
    api.does("jo", "POST", "/v1/merchants", {**NEW, "id": "898000000000073"})
    body = {"id": "ed", "name": "Ed", "roles": ["administrator"], "why": "second"}
    assert api.asks("mei", "POST", "/v1/people", body)[0] == 201
    status, document, _ = api.asks("mei", "POST", "/v1/people", {**body, "id": "flo", "roles": ["viewer"]})
    assert status == 202
    eds = api.does("mei", "POST", "/v1/tokens", {"person": "ed", "label": "x", "days": 1, "why": "y"})["token"]
    path = f"/v1/proposals/{document['proposal']}/approve"
    assert api.refuses(eds, "POST", path, {"why": "x"}) == (
        403,
        f"proposal {document['proposal']} is your own: another person decides",
    )
    assert api.refuses(with_both, "POST", path, {"why": "x"})[0] == 403


# --- files ------------------------------------------------------------------------------------------------------------


def finished(api, job):
    deadline = time.monotonic() + 60
    while (now := api.does("jo", "GET", f"/v1/imports/{job}"))["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return now


def test_a_file_goes_out_and_in(api):
    text = api.does("vi", "GET", "/v1/merchants/export")
    assert text.startswith("id,name,state,category,kinds\n")
    more = text + "898000000000074,Kai,active,5999,\n"
    job = api.does("jo", "POST", "/v1/merchants/imports?why=nightly", more.encode(), Idempotency_Key="night")
    again = api.does("jo", "POST", "/v1/merchants/imports?why=nightly", more.encode(), Idempotency_Key="night")
    assert again["id"] == job["id"]
    for path, body in (
        ("/v1/merchants/imports?why=nightly", b"id\n"),
        ("/v1/merchants/imports?why=nightly&replace=true", more.encode()),
        ("/v1/terminals/imports?why=nightly", more.encode()),
    ):
        refused = api.refuses("jo", "POST", path, body, Idempotency_Key="night")
        assert refused == (422, "Idempotency-Key: was used for something else")
    done = finished(api, job["id"])
    assert (done["state"], done.get("added")) == ("done", 1), str(done)
    wrong = api.does("jo", "POST", "/v1/merchants/imports?why=x", b"id,name,state,category,kinds\n1,A,active,x,\n")
    done = finished(api, wrong["id"])
    assert (done["state"], len(done["errors"])) == ("refused", 1)
    assert api.refuses("jo", "GET", "/v1/imports/0")[0] == 404
    assert api.refuses("jo", "POST", "/v1/merchants/imports?why=x", b"x" * 100_001)[0] == 413


# --- people and tokens ------------------------------------------------------------------------------------------------


def test_a_token_is_told_once_and_kept_nowhere(api):
    body = {"person": "jo", "label": "mine", "days": 1, "why": "trial"}
    text = api.does("jo", "POST", "/v1/tokens", body, Idempotency_Key="token")["token"]
    assert api.does("jo", "POST", "/v1/tokens", body, Idempotency_Key="token")["token"] is None
    assert api.does(text, "GET", "/v1/merchants?limit=1")["items"]
    (row,) = [one for one in api.does("kim", "GET", "/v1/tokens?person=jo")["items"] if one["label"] == "mine"]
    assert row["used_at"] is not None
    api.does("jo", "POST", f"/v1/tokens/{row['id']}/revoke", {"why": "lost"})
    assert api.refuses(text, "GET", "/v1/merchants")[0] == 401
    assert api.refuses("jo", "POST", "/v1/tokens", {**body, "person": "al"})[0] == 403
    assert text[24:] not in api.log.read_text()


def test_people_are_shown(api):
    assert api.does("kim", "GET", "/v1/people/jo")["rights"] == ["registry.change", "registry.read"]
    assert api.refuses("kim", "GET", "/v1/people/nobody")[0] == 404
    assert api.refuses("mei", "PATCH", "/v1/people/mei", {"roles": ["approver"], "why": "x"})[0] == 403
    assert (
        api.refuses("mei", "POST", "/v1/people", {"id": "jo", "name": "J", "roles": ["viewer"], "why": "x"})[0] == 409
    )


def test_the_audit_is_whole_afterwards(api):
    told = api.does("kim", "GET", "/v1/audit/verify")
    assert (told["whole"], told["flaws"]) == (True, [])
    assert api.does("kim", "GET", f"/v1/audit/verify?head={told['head']}")["whole"]
    assert api.refuses("kim", "GET", "/v1/audit/verify?head=x")[0] == 422
    with api.store.reading() as connection:
        assert list(flaws(connection)) == []


def test_the_log_has_a_line_for_each_request_and_nobodys_data(api):
    api.does("jo", "POST", "/v1/merchants", {**NEW, "id": "898000000000075", "name": "Somebody's Shop"})
    text = api.log.read_text()
    lines = [line for line in text.splitlines() if "/v1/merchants" in line and "POST" in line]
    assert lines
    assert "jo" in lines[-1]
    assert "Somebody" not in text
    assert "898000000000075" not in text


# --- limits -----------------------------------------------------------------------------------------------------------


def test_too_much_is_refused(api):
    assert api.refuses("jo", "POST", "/v1/merchants", {**NEW, "name": "x" * 70_000}) == (
        413,
        "needed at most 65,536 bytes",
    )
    assert api.refuses("jo", "GET", "/v1/nothing")[0] == 404
    assert api.refuses("jo", "DELETE", "/v1/merchants")[0] == 405


def test_rates_are_of_each_alone():
    now = [0.0]
    rates = Rates(1, lambda: now[0])
    assert [rates.takes(Share("a")) for _ in range(11)] == [True] * 10 + [False]
    assert rates.takes(Share("b"))
    now[0] = 1.0
    assert [rates.takes(Share("a")) for _ in range(2)] == [True, False]


def test_rates_of_a_part_and_its_whole_are_taken_from_both_or_from_none():
    rates = Rates(1, lambda: 0.0)
    part, other, whole = Share("part"), Share("other"), Share("whole", 2)
    assert [rates.takes(part, whole) for _ in range(20)] == [True] * 10 + [False] * 10
    assert [rates.takes(other, whole) for _ in range(11)] == [True] * 10 + [False]
    assert [rates.takes(Share("third"), whole), rates.takes(Share("third"))] == [False, True]


def test_over_a_unix_socket_with_a_rate(tmp_path):
    running = Api(tmp_path / "s", f"sqlite:{tmp_path}/store.db", "requests_per_second = 1", "unix:bo.sock")
    try:
        assert stat.S_IMODE((tmp_path / "s" / "bo.sock").stat().st_mode) == 0o600
        answers = [running.asks("jo", "GET", "/v1/merchants?limit=1")[0] for _ in range(30)]
        assert set(answers) == {200, 429}
        assert running.does("al", "GET", "/v1/merchants?limit=1")["items"]
    finally:
        assert running.ends() == 0
    assert not (tmp_path / "s" / "bo.sock").exists()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('bind = "0.0.0.0:9585"', "is not loopback: needed backoffice.certificate"),
        ('bind = "127.0.0.1:9585"\ncertificate = "x.pem"', "go together"),
        ('bind = "127.0.0.1:9585"\ngroup = "daemon"', "is for a Unix socket"),
    ],
)
def test_what_is_wrong_with_the_section(tmp_path, section, words):
    office = Office(tmp_path / "switch", f"sqlite:{tmp_path}/store.db")
    office.config.write_text(f"{office.config.read_text()}\n[backoffice]\n{section}\n")
    with pytest.raises(ConfigError, match=words):
        load_config(office.config)


def test_without_a_section_nothing_is_served(tmp_path):
    office = Office(tmp_path / "switch", f"sqlite:{tmp_path}/store.db")
    status, output = call("backoffice", "serve", office.config)
    assert (status, "backoffice" in output, "is required" in output) == (2, True, True), output


# --- the description --------------------------------------------------------------------------------------------------


def test_the_description_says_all_of_each_route(tmp_path):
    assert call("backoffice", "openapi", "--output", tmp_path / "api.json")[0] == 0
    assert json.loads((tmp_path / "api.json").read_text()) == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1.")
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids) > 25
    for method, path, operation in OPERATIONS:
        where = f"{method} {path}"
        assert operation["summary"].strip(), where
        assert operation["x-right"] in {*RIGHTS, "none"}, where
        assert {"401", "403", "404", "409", "422", "429", "503"} <= operation["responses"].keys(), where
        done = [one for code, one in operation["responses"].items() if code < "300"]
        assert any("example" in shown for one in done for shown in one.get("content", {}).values()), where
        if method in ("POST", "PATCH"):
            (sent,) = operation["requestBody"]["content"].values()
            assert "example" in resolved(sent.get("schema", {})) or "example" in sent, where


def resolved(schema):
    return DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_whatever_the_description_refers_to_is_there():
    for reference in set(references(DOCUMENT)):
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


SAMPLES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.lists(st.text(max_size=5), max_size=3),
    st.sampled_from([SHOP, MINE, "jo", "active", "viewer", "5942", "x9.19", "1"]),
)  # fmt: skip


@given(st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_is_answered_as_described(api, data):
    method, path, operation = data.draw(st.sampled_from(OPERATIONS))
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            value = data.draw(st.sampled_from([SHOP, MINE, "jo", "1", "0", "x", "%00", "%2e%2e", "-1", "9" * 30]))
            path = path.replace(f"{{{parameter['name']}}}", value)
    query = data.draw(st.sampled_from(["", "?limit=0", "?limit=x", "?after=%00", "?state=%ff", "?head=1:0", "?why=x"]))
    body = data.draw(
        st.dictionaries(st.sampled_from(["id", "name", "why", "roles", "state", "kinds", "days"]), SAMPLES)
    )
    person = data.draw(st.sampled_from(["jo", "al", "kim", "vi"]))
    status, document, headers = api.asks(person, method, path + query, None if method == "GET" else body)
    assert str(status) in {*operation["responses"], "405"}, (method, path, query, body, document)
    if status >= 400:
        assert headers["Content-Type"] == "application/problem+json"
        assert document["status"] == status
