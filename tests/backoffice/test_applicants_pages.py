"""The pages as a browser without JavaScript uses them, by their own forms: a real process, with either database."""

from __future__ import annotations

import re

import pytest

from switch.applications.plans import import_plans, load_plans, set_offered
from switch.store.audit import newest_entries
from switch.store.changing import changing
from switch.store.proving import flaws

from .acquiring import COMPANY, JPEG, PAPERS, PDF, PERSON, PNG, SAMPLES
from .applicants_site import Applicants, Browser

TYPES = {PDF: "application/pdf", PNG: "image/png", JPEG: "image/jpeg"}
SECRETS = [
    one.get_secret_value()
    for form in (COMPANY, PERSON)
    for one in (form.identity, form.representative, form.account, form.contact)
    if one is not None
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("applicants")
    url = f"sqlite:{folder}/store.db" if request.param == "sqlite" else request.getfixturevalue("server").database()
    running = Applicants(folder / "switch", url)
    yield running
    assert running.ends() == 0, running.log.read_text()
    text = running.log.read_text()
    assert not any(one in text for one in SECRETS)


def filled(form, names):
    """What somebody fills in who has this form before him."""
    values = {name: getattr(form, name) for name in names}
    texts = {name: getattr(value, "get_secret_value", lambda v=value: str(v))() for name, value in values.items()}
    if "month_minor" in texts:
        texts["month_minor"] = f"{form.month_minor / 100:,.2f}"
    return texts


def fields(form):
    return [name for name, sort in form.sorts.items() if sort != "hidden"]


def begins(browser, form=COMPANY, **other):
    """Choose a plan, fill the form in; reference and secret."""
    browser.goes("/")
    browser.follows(f"/apply?plan={form.plan.replace('@', '%40')}&kind={form.kind}")
    page = browser.sends("/apply", **{**filled(form, fields(browser.page.form("/apply"))), **other})
    if browser.status != 200:
        return None
    return page.texts[page.texts.index("Reference") + 1], page.texts[page.texts.index("Secret") + 1]


def hands_in(browser, papers=PAPERS):
    browser.goes("/application/documents")
    for kind, content in papers.items():
        browser.sends("/application/documents", files={"file": ("x", content, TYPES[content])}, kind=kind)
        assert browser.status == 200, browser.page.text
    browser.follows("/application")
    browser.goes("/application")
    return browser.sends("/application/submit")


def signs_in(browser, reference, secret):
    browser.goes("/sign-in")
    return browser.sends("/sign-in", reference=reference, secret=secret)


def test_plans_stand_side_by_side(site):
    browser = Browser(site)
    for words in ("Shop", "Stall", "0.60 %", "199.00 CNY, back after 365 days if the terminal comes back whole",
                  "no monthly fee: each further terminal a month 0.00 CNY (2026-11-01 to 2027-01-31)",
                  "debit card 0.405 %, at most 16.20 CNY (2026-10-01 to 2027-09-30", "1,000.00 CNY"):  # fmt: skip
        assert words in browser.page.text
    assert {link for link in browser.page.links if link.startswith("/apply")} == {
        "/apply?plan=shop%401&kind=company",
        "/apply?plan=stall%401&kind=person",
    }


def test_a_company_goes_all_the_way_by_the_pages_alone(site):
    browser = Browser(site)
    begun = begins(browser)
    assert begun, browser.page.text
    reference, secret = begun
    page = hands_in(browser)
    assert "In review" in page.text
    site.decides(reference)

    browser = Browser(site)
    page = signs_in(browser, reference.lower(), secret)
    assert (browser.path, "A contract waits for you" in page.text) == ("/application", True)
    page = browser.follows("/application/contract")
    assert "Card acceptance" in page.text
    assert site.text_hash in page.text
    assert "0.60 %" in page.text
    browser.sends("/application/contract", accepted_by="Zhang San")
    assert (browser.status, "Tick that you accept" in browser.page.text) == (422, True)
    page = browser.sends("/application/contract", accepted_by="Zhang San", is_accepted="yes")
    assert "Contract accepted" in page.text
    page = browser.goes("/application/contract")
    assert "online, with reference and secret, from 127.0.0.1" in page.text
    with site.store.reading() as connection:
        assert list(flaws(connection)) == []
        who = {one["who"] for one in newest_entries(connection, {"subject": "applications", "row": reference}, 100)}
    assert who == {f"applicant {reference}", "rita", "ann", "jo"}


def test_a_person_is_sent_back_mends_it_and_gives_it_up(site):
    browser = Browser(site)
    begins(browser, PERSON)
    page = hands_in(browser, {"identity card": PNG})
    assert "Sent back to you" in page.text
    assert "papers: missing: photo of the shop" in page.text
    browser.goes("/application/form")
    form = browser.page.form("/application/form")
    assert (form.values["account"], form.values["trading_name"]) == ("", "Li's Dumplings")
    assert form.values["month_minor"] == "15000.00"
    assert f"We have {'*' * 15}6781" in browser.page.text
    browser.sends("/application/form", place="Market Road 8", month_minor="many")
    assert (browser.status, "needed a number" in browser.page.text) == (422, True)
    assert browser.page.form("/application/form").values["place"] == "Market Road 8"
    browser.sends("/application/form", month_minor="16000", plan="")
    assert (browser.status, "#plan" in browser.page.links) == (422, True)
    browser.sends("/application/form", place="Market Road 8", month_minor="16000", plan="stall@1")
    assert browser.path == "/application/documents"
    browser.sends("/application/documents", files={"file": ("x.jpg", JPEG, "image/jpeg")}, kind="photo of the shop")
    browser.goes("/application")
    assert "Market Road 8" in browser.page.text
    assert "16,000.00 CNY" in browser.page.text
    browser.sends("/application/withdraw")
    assert (browser.status, "Tick that you are sure" in browser.page.text) == (422, True)
    page = browser.sends("/application/withdraw", is_sure="yes")
    assert "Withdrawn" in page.text
    assert [one.action for one in page.forms] == ["/sign-out"]


def test_what_is_wrong_is_said_beside_its_field_and_sealed_values_never_come_back(site):
    browser = Browser(site)
    assert begins(browser, terminal_count="0", month_minor="1.234", trading_name="Kai <b>") is None
    form = browser.page.form("/apply")
    assert browser.status == 422
    assert browser.page.alerts
    assert form.values["trading_name"] == "Kai <b>"
    assert [form.values[name] for name in ("identity", "representative", "account", "contact")] == [""] * 4
    assert "#month_minor" in browser.page.links
    assert begins(browser, terminal_count="0") is None
    assert "#terminal_count" in browser.page.links


def test_another_plan_is_chosen_while_it_is_on_offer(site):
    browser = Browser(site)
    begins(browser, PERSON)
    plans = load_plans(SAMPLES / "plans.toml")
    in_yen = {"id": "stall@2", "title": "Stall of 2027", "currency": "JPY", "decimals": 0}
    with changing(site.store, "chief", "another") as change:
        import_plans(change, [plans[1].model_copy(update=in_yen)])
        set_offered(change, "stall@1", is_offered=False)
    try:
        browser.goes("/application/form")
        browser.sends("/application/form", plan="stall@2")
        page = browser.goes("/application")
        assert ("stall@2" in page.text, "15,000 JPY" in page.text) == (True, True)
        browser.goes("/application/form")
        with changing(site.store, "chief", "not any more") as change:
            set_offered(change, "stall@2", is_offered=False)
        page = browser.sends("/application/form", place="Market Road 9")
        assert (browser.status, "plan stall@2 is no longer offered" in page.text) == (409, True)
        assert page.form("/application/form").values["place"] == "Market Road 9"
    finally:
        with changing(site.store, "chief", "as before") as change:
            set_offered(change, "stall@1", is_offered=True)


def test_nothing_sealed_is_on_any_page(site):
    browser = Browser(site)
    reference, secret = begins(browser)
    seen = browser.answer.text
    for path in ("/application", "/application/form", "/application/documents", "/application/contract", "/"):
        browser.goes(path)
        seen += browser.answer.text
    seen = seen.replace(secret, "", 1)
    assert not any(one in seen for one in (*SECRETS, secret))
    assert reference in seen


@pytest.mark.parametrize(
    ("name", "content", "declared", "words"),
    [
        ("x.pdf", b"MZ a program", "application/pdf", "needed application/pdf, image/jpeg, image/png"),
        ("x.png", PDF, "image/png", "bytes of the type that is declared"),
        ("x.pdf", PDF + bytes(6 << 20), "application/pdf", ""),
        ("x.pdf", b"", "application/pdf", "choose a file"),
    ],
)
def test_papers_are_what_they_are_said_to_be(site, name, content, declared, words):
    browser = Browser(site)
    begins(browser)
    browser.goes("/application/documents")
    page = browser.sends("/application/documents", files={"file": (name, content, declared)}, kind="licence")
    assert browser.status == (422 if words else 413)
    assert words in page.text
    page = browser.goes("/application/documents")
    assert "None yet." in page.text


PART = b'--x\r\nContent-Disposition: form-data; name="'


@pytest.mark.parametrize(
    ("declared", "body", "status"),
    [
        ("", b"a=b", 403),
        ("multipart/form-data", b"--x", 400),
        ("multipart/form-data; boundary=", b"--x", 400),
        ("multipart/form-data; boundary=x", b"nothing of it", 400),
        ("multipart/form-data; boundary=x", PART + b'file"\r\n\r\n', 403),
        ("multipart/form-data; boundary=x", PART + b'\xff"\r\n\r\n\xff\r\n--x--\r\n', 400),
        ("multipart/form-data; boundary=x", PART + b'a"\r\n\r\nb\r\n--x--\r\n', 403),
        ("multipart/form-data; boundary=x", (PART + b'a"\r\n\r\nb\r\n') * 60 + b"--x--\r\n", 400),
        ("application/x-www-form-urlencoded", b"%ff=%fe", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=b"] * 60), 400),
        ("application/x-www-form-urlencoded", b"a\xff", 400),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x", 400),
    ],
)
def test_what_is_no_form_is_refused(site, declared, body, status):
    browser = Browser(site)
    begins(browser)
    for path in ("/application/documents", "/application/form", "/apply", "/sign-in"):
        answer = browser.client.post(path, content=body, headers={"Content-Type": declared})
        assert answer.status_code == status, answer.text


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_without_a_session_nothing_of_an_application_is_shown(site):
    browser = Browser(site)
    reference, secret = begins(browser)
    own = ("/application", "/application/form", "/application/documents", "/application/contract")
    stranger = Browser(site)
    for path in own:
        stranger.goes(path)
        assert stranger.path == "/sign-in"
    assert stranger.client.post("/application/submit", data={}).url.path == "/sign-in"
    browser.goes("/application")
    browser.sends("/sign-out")
    for path in own:
        browser.goes(path)
        assert browser.path == "/sign-in"
    page = signs_in(browser, reference, "wrong")
    assert (browser.status, "do not fit" in page.text) == (401, True)
    again = signs_in(browser, "K7Q2M9XW4T", secret)
    assert (browser.status, again.text) == (401, page.text)
    assert reference in signs_in(browser, reference, secret).text


def test_another_secret_ends_the_sessions_of_the_former_one(site):
    browser = Browser(site)
    reference, secret = begins(browser)
    new = site.staff("jo", "renew_secret", reference)
    browser.goes("/application")
    assert browser.path == "/sign-in"
    signs_in(browser, reference, secret)
    assert browser.status == 401
    signs_in(browser, reference, new)
    assert browser.path == "/application"


def test_a_form_of_another_site_does_nothing(site):
    browser = Browser(site)
    reference, _ = begins(browser)
    browser.goes("/application/documents")
    token = browser.page.form("/application/documents").values["form_token"]
    other = Browser(site)
    begins(other)
    other.goes("/application/documents")
    for data, headers, status in (
        ({}, {}, 403),
        ({"form_token": "x"}, {}, 403),
        ({"form_token": other.page.form("/application/documents").values["form_token"]}, {}, 403),
        ({"form_token": token}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"form_token": token}, {}, 200),
    ):
        answer = browser.client.post("/application/withdraw", data={**data, "is_sure": "yes"}, headers=headers)
        assert answer.status_code == status
    assert "Withdrawn" in browser.goes("/application").text
    with site.client() as without:
        assert without.post("/sign-in", data={"reference": reference, "secret": "x"}).status_code == 403


def test_answers_say_how_to_treat_them(site):
    with site.client() as client:
        page, style = client.get("/"), client.get("/style.css")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in page.headers
    assert (style.status_code, style.headers["Content-Type"].partition(";")[0]) == (200, "text/css")
    cookie = page.headers["Set-Cookie"]
    assert re.fullmatch(r"applicant=[\w-]{43}; HttpOnly; Path=/; SameSite=strict", cookie)
    with site.client() as client:
        nowhere = client.get("/nowhere")
        assert (nowhere.status_code, "there is no such path" in nowhere.text) == (404, True)
        assert client.get("/templates/base.html").status_code == 404
