"""The applicants' API: a real process, with either database; what strangers may do there, and what they may not."""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import stat
import time

import httpx
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.applicants.api import FORM_EXAMPLE
from switch.applicants.callers import CALLERS_MAX, Counts, caller_of
from switch.applicants.description import openapi_document
from switch.applicants.proving import ANSWER_SECONDS
from switch.applicants.sessions import IDLE_SECONDS, LAST_SECONDS, OF_ONE_MAX, SESSIONS_MAX, Sessions
from switch.backoffice.limits import Share
from switch.config import ConfigError, load_config
from switch.store.audit import AUDIT, newest_entries

from .acquiring import COMPANY, JPEG, PAPERS, PDF, PNG
from .api import operations_of
from .applicants_site import Applicants, Browser
from .registry import Office, call

TYPES = {PDF: "application/pdf", PNG: "image/png", JPEG: "image/jpeg"}
OWN = "/v1/application"
WRONG = ("K7Q2M9XW4T", "x")
DOCUMENT = openapi_document()
OPERATIONS = operations_of(DOCUMENT)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("applicants")
    url = f"sqlite:{folder}/store.db" if request.param == "sqlite" else request.getfixturevalue("server").database()
    more = "behind_proxy = true\nrequests_per_second = 20\ndrafts_per_address = 3\nwrong_secrets_max = 4\n"
    running = Applicants(folder / "switch", url, f"{more}drafts_per_day = 120\nconnections_max = 50\n")
    yield running
    assert running.ends() == 0, running.log.read_text()


def addresses():
    number = 0
    while True:
        number += 1
        yield f"192.0.{number // 250}.{number % 250 + 1}"


ADDRESSES = addresses()


@pytest.fixture
def address():
    """Of somebody who has asked nothing yet."""
    return next(ADDRESSES)


def begun(site, address, **other):
    told = site.does("POST", "/v1/applications", address=address, json={**FORM_EXAMPLE, **other})
    return told["reference"], told["secret"]


def hands_in(site, proof, address, papers=PAPERS):
    for kind, content in papers.items():
        headers = {"Content-Type": TYPES[content]}
        site.does("POST", f"{OWN}/documents?kind={kind}", proof, address=address, content=content, headers=headers)
    return site.does("POST", f"{OWN}/submit", proof, address=address)


def rows(site):
    with site.store.reading() as connection:
        return connection.execute(AUDIT.select()).all()


# --- an applicant -----------------------------------------------------------------------------------------------------


def test_what_is_on_offer_and_needed_is_told_to_everybody(site, address):
    offer = site.does("GET", "/v1/plans", address=address)
    assert [one["id"] for one in offer["plans"]] == ["shop@1", "stall@1"]
    assert offer["plans"][0]["deposit"]["refund_if"] == "the terminal comes back whole"
    assert offer["plans"][1]["small_merchant"]["credit_day_minor"]["value"] == 100_000
    assert {"what": "title", "values": ["Shop", "Stall"]} in offer["side_by_side"]
    needed = site.does("GET", "/v1/needed", address=address)
    assert needed["papers"]["person"] == ["identity card", "photo of the shop"]
    assert needed["categories"][0].keys() == {"code", "name"}


def test_a_program_goes_all_the_way(site, address):
    proof = begun(site, address)
    sealed = ("identity", "representative", "account", "contact")
    form = json.loads(COMPANY.model_dump_json(exclude={"latitude", "longitude"}))
    assert form | {name: getattr(COMPANY, name).get_secret_value() for name in sealed} == FORM_EXAMPLE
    view = hands_in(site, proof, address, {"licence": PDF})
    assert (view["state"], view["reasons"][0]["what"]) == ("returned", "papers")
    assert view["papers"]["missing"] == ["identity card", "photo of the shop"]
    changed = site.does("PATCH", OWN, proof, address=address, json={"place": "Kai 3", "latitude": 1, "longitude": 2.5})
    assert (changed["form"]["place"], changed["form"]["latitude"]) == ("Kai 3", 1)
    assert changed["form"]["account"] == "*" * 16 + "0001"
    view = hands_in(site, proof, address, {"identity card": PNG, "photo of the shop": JPEG})
    assert (view["state"], view["is_editable"]) == ("in_review", False)
    assert site.refuses("PATCH", OWN, proof, address=address, json={"place": "Kai 4"})[0] == 409
    site.decides(proof[0])
    contract = site.does("GET", OWN, proof, address=address)["contract"]
    wrong = {"text_hash": "0" * 64, "accepted_by": "Zhang San"}
    assert site.refuses("POST", f"{OWN}/contract", proof, address=address, json=wrong)[0] == 409
    right = {**wrong, "text_hash": contract["text_hash"]}
    view = site.does("POST", f"{OWN}/contract", proof, address=address, json=right)
    assert (view["state"], view["contract"]["accepted_by"]) == ("accepted", "Zhang San")
    assert view["contract"]["how"] == f"online, with reference and secret, from {address}"
    assert site.does("POST", f"{OWN}/withdraw", proof, address=address)["state"] == "withdrawn"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"month_minor": "many"}, "month_minor"),
        ({"owner": "x"}, "owner"),
        ({"account": "6" * 65}, "account"),
        ({"licence_until": "tomorrow"}, "licence_until"),
        ({"trading_name": "a\0b"}, "trading_name"),
    ],
)
def test_a_problem_names_the_field_and_no_value(site, address, change, field):
    proof = begun(site, address)
    for method, path, shown, body in (
        ("POST", "/v1/applications", None, {**FORM_EXAMPLE, **change}),
        ("PATCH", OWN, proof, change),
    ):
        answer = site.asks(method, path, shown, address=address, json=body)
        assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, [field])
        assert "6" * 65 not in answer.text
        assert FORM_EXAMPLE["account"] not in answer.text


def test_papers_are_what_they_are_said_to_be(site, address):
    proof = begun(site, address)
    for content, declared, status in (
        (PDF, "image/png", 422),
        (b"MZ", "application/pdf", 422),
        (PDF, "", 422),
        (PDF + bytes(6 << 20), "application/pdf", 413),
        (PDF, "application/pdf", 201),
    ):
        headers = {"Content-Type": declared}
        answer = site.asks(
            "POST", f"{OWN}/documents?kind=licence", proof, address=address, content=content, headers=headers
        )
        assert answer.status_code == status


# --- strangers --------------------------------------------------------------------------------------------------------


def test_nothing_tells_whether_a_reference_exists(site):
    reference, _ = begun(site, next(ADDRESSES))
    answers = {}
    for name, proof in (("there", (reference, "wrong")), ("not there", ("ZZZZZZZZZZ", "wrong")), ("odd", ("é\0", "x"))):
        began = time.monotonic()
        answer = site.asks("GET", OWN, proof, address=next(ADDRESSES))
        assert time.monotonic() - began >= ANSWER_SECONDS
        del answer.headers["Request-Id"], answer.headers["Date"]
        answers[name] = (answer.status_code, answer.text, sorted(answer.headers.items()))
    assert answers["there"] == answers["not there"] == answers["odd"]
    assert answers["there"][0] == 401


@pytest.mark.parametrize("shown", ["", "Bearer x", "Basic", "Basic !", "Basic YQ==", "Basic " + "QQ" * 9_000])
def test_who_shows_no_proof_is_let_in_to_nothing(site, address, shown):
    for method, path, operation in OPERATIONS:
        answer = site.asks(method, path, address=address, headers={"Authorization": shown} if shown else {})
        is_own = path == OWN or path.startswith(f"{OWN}/")
        assert (answer.status_code in (401, 429, 431)) == is_own, (path, answer.text)
        assert bool(operation["security"]) == is_own


def test_wrong_secrets_are_limited_by_address_and_by_application(site, address):
    reference, secret = begun(site, address)
    before = len(rows(site))
    statuses = [site.asks("GET", OWN, WRONG, address=address).status_code for _ in range(6)]
    assert statuses == [401] * 4 + [429] * 2
    assert site.asks("GET", OWN, (reference, secret), address=address).status_code == 429
    assert site.asks("GET", OWN, (reference, secret), address=next(ADDRESSES)).status_code == 200
    assert len(rows(site)) == before
    for _ in range(10):
        assert site.asks("GET", OWN, (reference, "wrong"), address=next(ADDRESSES)).status_code == 401
    assert site.asks("GET", OWN, (reference, secret), address=next(ADDRESSES)).status_code == 401
    new = site.staff("jo", "renew_secret", reference)
    assert site.does("GET", OWN, (reference, new), address=next(ADDRESSES))["reference"] == reference


def test_an_address_begins_so_many_a_day_and_others_go_on(site):
    one, other = "2001:db8:1:2::1", "2001:db8:1:2::ffff"
    wrong = {**FORM_EXAMPLE, "plan": "none@1"}
    for _ in range(3):
        assert site.refuses("POST", "/v1/applications", address=one, json=wrong)[0] == 404
    for _ in range(3):
        begun(site, one)
    status, words = site.refuses("POST", "/v1/applications", address=other, json=FORM_EXAMPLE)
    assert (status, "from your address" in words) == (429, True)
    begun(site, "2001:db8:1:3::1")


def test_a_customer_of_many_networks_begins_so_many_a_day_and_others_go_on(site):
    def statuses(networks):
        asked = [f"2001:db8:20:{one:x}::1" for one in networks for _ in range(3)]
        return [site.asks("POST", "/v1/applications", address=one, json=FORM_EXAMPLE).status_code for one in asked]

    assert statuses([0x10, 0x11, 0x12]) == [201] * 6 + [429] * 3, "a /56 has twice what a /64 has"
    assert statuses([0x110, 0x111, 0x210]) == [201] * 6 + [429] * 3, "a /48 has four times that"
    begun(site, "2001:db8:21:10::1")


def test_an_address_asks_so_much_and_others_go_on(site, address):
    with site.client(headers={"X-Forwarded-For": address}) as client:
        answers = [client.get("/v1/plans") for _ in range(400)]
    assert {one.status_code for one in answers} == {200, 429}
    assert site.asks("GET", "/v1/plans", address=next(ADDRESSES)).status_code == 200


def test_what_machines_ask_is_told_to_this_machine_alone(site, address):
    assert site.asks("GET", "/readyz").text == "ready\n"
    assert 'authswitch_applicants_requests_total{method="GET",route="/v1/plans"' in site.asks("GET", "/metrics").text
    for path in ("/readyz", "/metrics"):
        assert site.asks("GET", path, address=address).status_code == 404
        assert site.asks("GET", path, address="127.0.0.1").status_code == 404
    assert site.asks("GET", "/livez", address=address).text == "live\n"


def test_a_strangers_body_is_short_and_an_applicants_is_not_read_before_his_proof(site, address):
    long = {**FORM_EXAMPLE, "place": "x" * 70_000}
    assert site.refuses("POST", "/v1/applications", address=address, json=long)[0] == 413
    with socket.create_connection(("127.0.0.1", site.port), 20) as one:
        head = f"POST {OWN}/documents?kind=x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n"
        one.sendall(f"{head}Content-Length: 5000000\r\n\r\n".encode())
        assert one.recv(4096).startswith(b"HTTP/1.1 401")


def test_who_keeps_many_requests_open_keeps_nobody_else_out(site, address):
    begins = f"POST /v1/applications HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\nContent-Length: 9\r\n\r\n"
    held = [socket.create_connection(("127.0.0.1", site.port), 20) for _ in range(20)]
    try:
        for one in held:
            one.sendall(begins.encode())
        refused = [one for one in held[5:] if one.recv(4096).startswith(b"HTTP/1.1 429")]
        assert len(refused) == 15
        assert site.asks("GET", "/v1/plans", address=next(ADDRESSES)).status_code == 200
    finally:
        for one in held:
            one.close()


def told(held, count):
    """The statuses that so many of these connections are told, as soon as they are."""
    statuses = []
    with selectors.DefaultSelector() as waiting:
        for one in held:
            waiting.register(one, selectors.EVENT_READ)
        while len(statuses) < count and (ready := waiting.select(5)):
            for key, _ in ready:
                statuses.append(key.fileobj.recv(4096)[9:12])
                waiting.unregister(key.fileobj)
    return statuses


@pytest.mark.parametrize(
    ("addresses_of", "status", "count"), [("2001:db8:9:{:x}::1", b"429", 39), ("198.51.100.{}", b"408", 33)]
)
def test_slow_bodies_from_many_addresses_keep_nobody_else_out(site, addresses_of, status, count):
    held = [socket.create_connection(("127.0.0.1", site.port), 20) for _ in range(49)]
    try:
        for number, one in enumerate(held):
            head = f"Host: x\r\nX-Forwarded-For: {addresses_of.format(number % 10 + 1)}\r\nContent-Length: 9\r\n\r\n"
            one.sendall(f"POST /v1/applications HTTP/1.1\r\n{head}".encode())
        assert told(held, count) == [status] * count
        assert site.asks("GET", "/v1/plans", address=next(ADDRESSES)).status_code == 200
        begun(site, next(ADDRESSES))
    finally:
        for one in held:
            one.close()


def test_pages_of_others_reach_no_api(site, address):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert site.refuses("GET", "/v1/plans", address=address, headers=headers)[0] == 403


def test_rules_are_read_anew_when_they_change(site, address):
    file = site.office.folder / "sample" / "acquiring" / "rules.toml"
    text = file.read_text()
    try:
        file.write_text(text.replace('person = ["identity card"', 'person = ["lease", "identity card"'))
        assert "lease" in site.does("GET", "/v1/needed", address=address)["papers"]["person"]
        file.write_text("no toml [")
        assert "lease" in site.does("GET", "/v1/needed", address=address)["papers"]["person"]
        site.logs("the former ones stay")
    finally:
        file.write_text(text)
    assert "lease" not in site.does("GET", "/v1/needed", address=address)["papers"]["person"]


def test_the_log_has_nothing_that_is_told(site, address):
    reference, secret = begun(site, address)
    site.does("GET", OWN, (reference, secret), address=address)
    text = site.logs(f'"person": "applicant {reference}"')
    for one in (secret, FORM_EXAMPLE["identity"], FORM_EXAMPLE["account"], FORM_EXAMPLE["legal_name"]):
        assert one not in text
    with site.store.reading() as connection:
        (entry,) = newest_entries(connection, {"subject": "applications", "row": reference}, 9)
    assert (entry["who"], entry["why"]) == (f"applicant {reference}", "began it online")


# --- where it listens -------------------------------------------------------------------------------------------------


def certified(folder):
    """A certificate of this machine, and what trusts it."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    (folder / "own.key").write_bytes(own.private_key_pem.bytes())
    (folder / "own.key").chmod(0o600)
    (folder / "own.pem").write_bytes(b"".join(one.bytes() for one in own.cert_chain_pems))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_over_tls_the_cookie_goes_over_tls_alone(tmp_path):
    context = certified(tmp_path)
    paths = f'certificate = "{tmp_path}/own.pem"\nprivate_key = "{tmp_path}/own.key"'
    running = Applicants(tmp_path / "s", f"sqlite:{tmp_path}/store.db", paths, "https", context)
    try:
        browser = Browser(running)
        cookie = browser.answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-applicant=")
        assert cookie.endswith("; HttpOnly; Path=/; SameSite=strict; Secure")
        assert browser.answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        browser.goes("/sign-in")
        browser.sends("/sign-in", reference="K7Q2M9XW4T", secret="x")
        assert browser.status == 401
        with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as other:
            other.get(running.url)
    finally:
        assert running.ends() == 0, running.log.read_text()


def test_over_a_unix_socket(tmp_path):
    running = Applicants(tmp_path / "u", f"sqlite:{tmp_path}/store.db", bind="unix:a.sock")
    try:
        path = tmp_path / "u" / "a.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client:
            assert client.get("/metrics").status_code == 200
            assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404
            assert "Shop" in client.get("/").text
    finally:
        assert running.ends() == 0, running.log.read_text()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('bind = "0.0.0.0:9586"', "is not loopback: needed applicants.certificate"),
        ('bind = "[::]:9586"\nbehind_proxy = true', "is not loopback: needed applicants.certificate"),
        ('bind = "127.0.0.1:9586"\nprivate_key = "x.pem"', "go together"),
        ('bind = "127.0.0.1:9586"\ngroup = "daemon"', "is for a Unix socket"),
        ('bind = "127.0.0.1:9586"', r"needs \[applications\]"),
    ],
)
def test_what_is_wrong_with_the_section(tmp_path, section, words):
    office = Office(tmp_path / "switch", f"sqlite:{tmp_path}/store.db")
    office.config.write_text(f"{office.config.read_text()}\n[applicants]\n{section}\n")
    with pytest.raises(ConfigError, match=words):
        load_config(office.config)


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ("", 2, "applicants is required"),
        ('[applications]\nrules = "none.toml"\n[applicants]\nbind = "unix:a.sock"', 2, "none.toml"),
        ('[applications]\nrules = "sample/acquiring/rules.toml"\n[applicants]\nbind = "unix:a.sock"', 1, "renew-key"),
    ],
)
def test_what_it_needs_is_said_at_its_start(tmp_path, more, status, words):
    office = Office(tmp_path / "switch", f"sqlite:{tmp_path}/store.db")
    office.config.write_text(f"{office.config.read_text()}\n{more}\n")
    found, output = call("applicants", "serve", office.config)
    assert (found, words in " ".join(output.split())) == (status, True), output


# --- the description --------------------------------------------------------------------------------------------------


def test_the_description_says_all_of_each_route(tmp_path):
    assert call("applicants", "openapi", "--output", tmp_path / "api.json")[0] == 0
    assert json.loads((tmp_path / "api.json").read_text()) == DOCUMENT
    assert len({operation["operationId"] for _, _, operation in OPERATIONS}) == len(OPERATIONS)
    for method, path, operation in OPERATIONS:
        assert operation["summary"].strip(), path
        done = [one for code, one in operation["responses"].items() if code < "300"]
        assert any("example" in shown for one in done for shown in one.get("content", {}).values()), path
        assert ("requestBody" in operation) == (
            method == "PATCH" or path in ("/v1/applications", f"{OWN}/documents", f"{OWN}/contract")
        )
    form = DOCUMENT["paths"][OWN]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert "account" in form["properties"]
    assert "required" not in form


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_is_asked_is_answered_as_described(site, data):
    value = st.one_of(
        st.none(), st.integers(), st.floats(), st.text(max_size=9), st.sampled_from(["company", "shop@1"])
    )
    method, path, operation = data.draw(st.sampled_from(OPERATIONS))
    body = data.draw(
        st.dictionaries(st.sampled_from([*FORM_EXAMPLE, "latitude", "longitude", "text_hash", "accepted_by"]), value)
    )
    query = data.draw(st.sampled_from(["", "?kind=%00", "?kind=%ff", "?kind=licence", "?kind="]))
    address = next(ADDRESSES)
    content = json.dumps({**FORM_EXAMPLE, **body} if path == "/v1/applications" else body)
    proof = PROOFS.get(site.url)
    if proof is None:
        proof = PROOFS[site.url] = begun(site, address)
    headers = {"Content-Type": "application/json"}
    answer = site.asks(
        method, path + query, proof, address=address, headers=headers, content=None if method == "GET" else content
    )
    assert str(answer.status_code) in {*operation["responses"], "405"}, (method, path, answer.text)
    assert answer.status_code < 500, answer.text


PROOFS = {}


def test_over_all_so_many_begin_a_day(site):
    """Last, since nobody begins anything here after it."""
    for _ in range(150):
        answer = site.asks("POST", "/v1/applications", address=next(ADDRESSES), json=FORM_EXAMPLE)
        if answer.status_code == 429:
            break
    assert (answer.status_code, answer.json()["detail"]) == (
        429,
        "too many applications were begun within a day: try again tomorrow",
    )
    assert site.staff("jo", "enter", COMPANY)


# --- parts ------------------------------------------------------------------------------------------------------------


class Request:
    """As much of a request as tells where it comes from."""

    def __init__(self, peer, *said):
        self.client = None if peer is None else httpx.URL(f"http://{peer}")
        self.headers = httpx.Headers([("X-Forwarded-For", one) for one in said])
        self.headers.getlist = self.headers.get_list


@pytest.mark.parametrize(
    ("peer", "said", "behind_proxy", "address", "networks", "is_local"),
    [
        ("127.0.0.1", (), False, "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", ("192.0.2.9",), False, "127.0.0.1", "127.0.0.1", False),
        ("198.51.100.4", ("192.0.2.9",), False, "198.51.100.4", "198.51.100.4", False),
        ("127.0.0.1", ("192.0.2.9, 192.0.2.7",), True, "192.0.2.7", "192.0.2.7", False),
        ("127.0.0.1", ("192.0.2.9", "192.0.2.8"), True, "192.0.2.8", "192.0.2.8", False),
        ("127.0.0.1", ("somebody",), True, "unknown", "unknown", False),
        ("127.0.0.1", ("::ffff:192.0.2.7",), True, "192.0.2.7", "192.0.2.7", False),
        ("127.0.0.1", ("2001:db8::7",), True, "2001:db8::7", "2001:db8::/64,2001:db8::/56,2001:db8::/48", False),
        (None, (), True, "this machine", "this machine", True),
        (None, ("127.0.0.1",), False, "this machine", "this machine", False),
    ],
)
def test_where_a_request_comes_from(peer, said, behind_proxy, address, networks, is_local):
    found = caller_of(Request(peer, *said), behind_proxy=behind_proxy)
    named = [one.name for one in found.shares]
    assert (found.address, named, found.is_local) == (address, networks.split(","), is_local)


def test_what_was_done_of_late_is_counted_and_forgotten():
    now = [0.0]
    counts, one, other = Counts(2, 60, lambda: now[0]), (Share("a"),), (Share("b"),)
    assert [counts.takes(one) for _ in range(3)] == [True, True, False]
    counts.gives_back(one)
    assert (counts.is_full(one), counts.takes(one), counts.is_full(other)) == (False, True, False)
    now[0] = 60.0
    assert not counts.is_full(one)


def test_no_customer_makes_what_is_counted_of_others_forgotten():
    counts, wide = Counts(1, 60, lambda: 0.0), Share("a /48", 4)
    assert counts.takes((Share("somebody"),))
    others = [(Share(f"a /64 of it: {number}"), wide) for number in range(2 * CALLERS_MAX)]
    assert [counts.takes(one) for one in others].count(True) == 4
    for number in range(2 * CALLERS_MAX):
        one = (Share(f"nothing came of it: {number}"),)
        assert counts.takes(one)
        counts.gives_back(one)
        assert not counts.is_full(one)
    assert counts.is_full((Share("somebody"),))
    assert counts.is_full(others[-1])


def test_sessions_end_in_time_and_tokens_of_forms_fit_one_alone():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    token, other = (sessions.begin("K7Q2M9XW4T", b"x") for _ in range(2))
    assert sessions.find(token).reference == "K7Q2M9XW4T"
    assert sessions.find("") is None
    assert sessions.is_of_form(token, sessions.form_token(token))
    assert not sessions.is_of_form(other, sessions.form_token(token))
    assert "secret" not in repr(sessions.find(token))
    while now[0] < LAST_SECONDS - IDLE_SECONDS:
        now[0] += IDLE_SECONDS
        assert sessions.find(token) is not None
    assert sessions.find(other) is None
    now[0] = LAST_SECONDS + 1
    assert sessions.find(token) is None


def test_who_signs_in_again_and_again_ends_his_own_sessions_and_nobody_elses():
    sessions = Sessions(lambda: 0.0)
    other = sessions.begin("K7Q2M9XW4T", b"x")
    mine = [sessions.begin("PTTEKZ7B3R", b"x") for _ in range(SESSIONS_MAX + 1)]
    assert sessions.find(other) is not None
    assert [sessions.find(one) is not None for one in mine[-OF_ONE_MAX - 2 :]] == [False] * 2 + [True] * OF_ONE_MAX
    sessions.end(mine[-1])
    sessions.begin("PTTEKZ7B3R", b"x")
    assert sessions.find(mine[-OF_ONE_MAX]) is not None
