"""An application from its first line to the contract, on both databases: who may do what, and what nobody can read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text as sql

from switch.access.actor import Actor
from switch.access.people import add_or_change
from switch.access.roles import ROLES
from switch.access.tokens import bearer, issue
from switch.applications.applying import (
    Clerk,
    application_of,
    contract_of,
    documents_of,
    results_of,
    steps_of,
)
from switch.applications.checks import CHECKS, OURS, Subject, Twin, run_checks
from switch.applications.contracts import contract_hash, text_named
from switch.applications.documents import content_type_of, read_document
from switch.applications.forms import form_of, parse_form, read_form
from switch.applications.lists import load_lists
from switch.applications.policy import load_policy
from switch.applications.states import AFTER, OPEN, STEPS
from switch.applications.tables import APPLICATION_STATES, CONTRACT_TEXTS
from switch.applications.twins import TWINS_MAX, metres_between, twins_of
from switch.files.problems import ConfigError
from switch.store.changing import changing
from switch.store.copying import back_up
from switch.store.problems import RefusedError
from switch.store.proving import flaws

from .acquiring import (
    AT,
    COMPANY,
    JPEG,
    LATER,
    PAPERS,
    PDF,
    PERSON,
    POLICY,
    RULES,
    SAMPLES,
    accepted,
    begin,
    clerk,
    does,
    enter,
    is_applicant,
)

SECRETS = [
    one.get_secret_value()
    for form in (COMPANY, PERSON)
    for one in (form.identity, form.representative, form.account, form.contact)
    if one is not None
]


def row_of(store, reference):
    with store.reading() as connection:
        return application_of(connection, reference)


def outcomes(store, reference):
    with store.reading() as connection:
        found = results_of(connection, reference)
    return {one["name"]: one["outcome"] for one in found if one["round"] == found[0]["round"]}


def looked_at(form=COMPANY, papers=frozenset(PAPERS), twins=(), **changed):
    changed = {
        name: SecretStr(value) if name in ("identity", "account", "representative") else value
        for name, value in changed.items()
    }
    return run_checks(Subject(form.model_copy(update=changed), papers, twins, POLICY, RULES.lists, AT.date()))


# --- steps ------------------------------------------------------------------------------------------------------------


def test_every_state_can_be_reached_and_left():
    assert AFTER | {"draft"} == set(APPLICATION_STATES)
    assert {state for step in STEPS.values() for state in step.before} <= set(APPLICATION_STATES)
    assert set(APPLICATION_STATES) - {state for step in STEPS.values() for state in step.before} == {
        "active",
        "refused",
        "withdrawn",
        "expired",
    }
    assert {step.right for step in STEPS.values()} <= set().union(*ROLES.values())


def test_an_application_becomes_a_contract(store):
    reference = accepted(store)
    row = row_of(store, reference)
    assert (row["state"], row["reviewed_by"], row["approved_by"], row["risk"]) == ("accepted", "rita", "ann", "low")
    with store.reading() as connection:
        contract = contract_of(connection, reference)
        assert contract["plan"] == "shop@1"
        assert contract["hash"] == contract_hash(contract)
        assert [one["who"] for one in steps_of(connection, reference)] == ["jo"] * 4 + ["rita", "ann", "jo", "jo"]
        assert form_of(row, RULES.sealer) == COMPANY
        assert not list(flaws(connection))
    assert set(outcomes(store, reference).values()) == {"passed"}


def test_nobody_decides_on_his_own(store):
    begin(store)
    reference, _ = enter(store)
    does(store, "jo", "submit", reference)
    for name in ("jo", "JO", " jo "):
        with pytest.raises(RefusedError, match="you have entered application"):
            does(store, name, "review", reference, "low")
        with pytest.raises(RefusedError, match="you have entered application"):
            does(store, name, "refuse", reference)
    does(store, "rita", "review", reference, "low")
    for name, done in (("jo", "entered"), ("rita", "reviewed")):
        with pytest.raises(RefusedError, match=f"you have {done} application"):
            does(store, name, "approve", reference)
    assert row_of(store, reference)["state"] == "reviewed"


def test_whoever_has_amended_it_does_not_decide_on_it(store):
    begin(store)
    reference, _ = enter(store)
    does(store, "mo", "amend", reference, COMPANY.model_copy(update={"place": "Harbour Road 13"}))
    does(store, "jo", "submit", reference)
    with pytest.raises(RefusedError, match="you have entered"):
        does(store, "mo", "review", reference, "low")


def test_whoever_has_added_a_paper_or_handed_it_in_does_not_decide_on_it(store):
    begin(store)
    reference, _ = enter(store)
    does(store, "mo", "add_document", reference, "licence", PDF + b", again")
    does(store, "li", "submit", reference)
    for name in ("mo", "LI"):
        for step, arguments in (("review", ("low",)), ("refuse", ())):
            with pytest.raises(RefusedError, match="you have entered"):
                does(store, name, step, reference, *arguments)
    does(store, "rita", "review", reference, "low")
    for name in ("mo", "li"):
        with pytest.raises(RefusedError, match="you have entered"):
            does(store, name, "approve", reference)
    does(store, "ann", "approve", reference)


def test_whoever_has_given_the_applicant_a_secret_could_speak_for_him(store):
    begin(store)
    reference, _ = enter(store)
    does(store, "kim", "renew_secret", reference)
    does(store, "jo", "submit", reference)
    for step, arguments in (("review", ("low",)), ("refuse", ())):
        with pytest.raises(RefusedError, match="you have given the secret of application"):
            does(store, "Kim", step, reference, *arguments)
    does(store, "rita", "review", reference, "low")
    with pytest.raises(RefusedError, match="you have given the secret of application"):
        does(store, "kim", "approve", reference)
    does(store, "ann", "approve", reference)


def test_who_has_reviewed_it_before_it_was_reopened_does_not_approve_it(store):
    begin(store)
    reference, _ = enter(store)
    does(store, "jo", "submit", reference)
    does(store, "kim", "review", reference, "low")
    does(store, "ann", "reopen", reference)
    does(store, "rita", "review", reference, "low")
    for name in ("kim", "rita"):
        with pytest.raises(RefusedError, match="you have reviewed application"):
            does(store, name, "approve", reference)
    does(store, "ann", "approve", reference)


def test_who_stands_behind_a_token_has_told_and_reviewed_by_it(store):
    begin(store)
    with changing(store, "chief", "begins", AT) as change:
        for key in ("mo", "rita"):
            add_or_change(change, key, {"name": key, "roles": "registrar|reviewer|approver"})
        tokens = {key: issue(change, Actor(f"{key} behind"), key, "x", 7) for key in ("mo", "rita")}
    reference, _ = enter(store)

    def by_token(key, step, *arguments):
        with changing(store, key, "a test", AT) as change:
            getattr(Clerk(change, bearer(change.connection, tokens[key], AT), RULES), step)(*arguments)

    by_token("mo", "submit", reference)
    with pytest.raises(RefusedError, match="you have entered"):
        does(store, "mo behind", "review", reference, "low")
    by_token("rita", "review", reference, "low")
    for name, words in (("mo behind", "entered"), ("rita behind", "reviewed")):
        with pytest.raises(RefusedError, match=f"you have {words}"):
            does(store, name, "approve", reference)
    does(store, "ann", "approve", reference)
    by_token("rita", "renew_secret", other := enter(store)[0])
    does(store, "jo", "submit", other)
    with pytest.raises(RefusedError, match="you have given the secret"):
        does(store, "rita behind", "review", other, "low")


def test_each_step_needs_its_right(store):
    begin(store)
    reference, _ = enter(store)
    for step, arguments, role in (
        ("submit", (), "reviewer"),
        ("review", ("low",), "registrar"),
        ("send_back", (), "registrar"),
    ):
        with pytest.raises(RefusedError, match="may not do this"):
            does(store, "eve", step, reference, *arguments, rights=ROLES[role])
    with pytest.raises(RefusedError, match="may not do this"):
        enter(store, name="eve") and does(store, "eve", "enter", COMPANY, rights=ROLES["viewer"])


def test_steps_out_of_order_are_refused(store):
    text = begin(store)
    reference, _ = enter(store)
    for step, arguments in (("review", ("low",)), ("approve", ()), ("offer", (text,)), ("reopen", ())):
        with pytest.raises(RefusedError, match="it is draft"):
            does(store, "ann", step, reference, *arguments)
    with pytest.raises(RefusedError, match="it is draft: accept needs contract offered"):
        does(store, "jo", "accept", reference, text, "x", "y")
    does(store, "jo", "submit", reference)
    with pytest.raises(RefusedError, match="is in review: what it tells stays"):
        does(store, "jo", "amend", reference, COMPANY)
    with pytest.raises(RefusedError, match="is in review: what it tells stays"):
        does(store, "jo", "add_document", reference, "licence", PDF + b"2")
    with pytest.raises(RefusedError, match="needed a class of risk"):
        does(store, "rita", "review", reference, "none")
    with pytest.raises(RefusedError, match="there is no application"):
        does(store, "rita", "review", "NOSUCHONE1", "low")


def test_another_text_than_the_offered_one_is_not_accepted(store):
    text = begin(store)
    reference, _ = enter(store)
    does(store, "jo", "submit", reference)
    does(store, "rita", "review", reference, "low")
    does(store, "ann", "approve", reference)
    with pytest.raises(RefusedError, match="there is no text"):
        does(store, "jo", "offer", reference, "0" * 64)
    does(store, "jo", "offer", reference, text)
    with pytest.raises(RefusedError, match="their hashes differ"):
        does(store, "jo", "accept", reference, "0" * 64, "Zhang San", "on paper")
    with pytest.raises(RefusedError, match="needed who"):
        does(store, "jo", "accept", reference, text, " ", "on paper")
    assert row_of(store, reference)["state"] == "contract_offered"


def test_a_text_is_named_by_the_beginning_of_its_hash(store):
    text = begin(store)
    reference, _ = enter(store)
    does(store, "jo", "submit", reference)
    does(store, "rita", "review", reference, "low")
    does(store, "ann", "approve", reference)
    with clerk(store, "jo") as one:
        for shorter in ("", text[:3], text[:5] + "_", "%" * 4):
            with pytest.raises(RefusedError, match="there is no text"):
                text_named(one.change.connection, shorter)
        other = text[:4] + "0" * 60
        one.change.insert(CONTRACT_TEXTS, {"id": other, "title": "other", "text": "other", "since": AT})
        with pytest.raises(RefusedError, match="several texts"):
            text_named(one.change.connection, text[:4])
        assert text_named(one.change.connection, other) == other
    does(store, "jo", "offer", reference, text[:6])
    assert row_of(store, reference)["contract_text"] == text


def test_what_fails_a_check_is_sent_back_and_looked_at_again(store):
    begin(store)
    with clerk(store, "jo") as one:
        reference, _ = one.enter(COMPANY)
    found = does(store, "jo", "submit", reference)
    assert found["papers"].reason == "missing: licence, identity card, photo of the shop"
    assert row_of(store, reference)["state"] == "returned"
    with clerk(store, "jo") as one:
        for kind, content in PAPERS.items():
            one.add_document(reference, kind, content)
    does(store, "jo", "submit", reference, at=AT + LATER)
    assert row_of(store, reference)["state"] == "in_review"
    with store.reading() as connection:
        kept = results_of(connection, reference)
    assert len(kept) == 2 * len(CHECKS)
    does(store, "rita", "send_back", reference, at=AT + LATER)
    assert row_of(store, reference)["state"] == "returned"
    does(store, "jo", "withdraw", reference, at=AT + LATER)


def test_what_is_doubtful_is_not_left_open(store):
    """An account in another name is verified before anybody can approve."""
    begin(store)
    reference, _ = enter(store, COMPANY.model_copy(update={"account_holder": "Li Si"}))
    does(store, "jo", "submit", reference)
    for found in ("", "  "):
        with pytest.raises(RefusedError, match=r"account_holder: another name .* \(银发.*\)"):
            does(store, "rita", "review", reference, "low", found)
    with pytest.raises(RefusedError, match="1 to 400 printable"):
        does(store, "rita", "review", reference, "low", "x" * 401)
    does(store, "rita", "review", reference, "low", "the bank has confirmed it")
    does(store, "ann", "reopen", reference)
    does(store, "rita", "review", reference, "low", "so has the owner")
    with store.reading() as connection:
        kept = [one for one in results_of(connection, reference) if one["name"].startswith("reviewer")]
    assert [one["reason"] for one in kept] == ["the bank has confirmed it", "so has the owner"]
    assert {one["source"] for one in kept} == {"rita, about account_holder"}


def test_what_nobody_goes_on_with_expires(store):
    begin(store)
    reference, _ = enter(store)
    over = AT + timedelta(days=30)
    assert does(store, "jo", "expire_overdue", at=over - timedelta(seconds=1)) == []
    with pytest.raises(RefusedError, match="its time was over on 2026-12-28"):
        does(store, "jo", "submit", reference, at=over)
    assert does(store, "jo", "expire_overdue", at=over) == [reference]
    assert row_of(store, reference)["state"] == "expired"
    assert "expired" not in OPEN


# --- the applicant ----------------------------------------------------------------------------------------------------


def test_the_applicant_is_known_by_the_secret_and_tries_are_limited(store):
    begin(store)
    reference, secret = enter(store)
    assert is_applicant(store, reference, secret, 3)
    assert not is_applicant(store, "NOSUCHONE1", secret, 3)
    for _ in range(2):
        assert not is_applicant(store, reference, "wrong", 3)
    assert is_applicant(store, reference, secret, 3)
    for _ in range(3):
        assert not is_applicant(store, reference, "wrong", 3)
    assert not is_applicant(store, reference, secret, 3)
    new = does(store, "jo", "renew_secret", reference)
    assert not is_applicant(store, reference, secret, 3)
    assert is_applicant(store, reference, new, 3)
    assert secret not in repr(row_of(store, reference))


# --- what nobody can read ---------------------------------------------------------------------------------------------


def clear_values(text):
    return [one for one in (*SECRETS, *(content.decode("latin-1") for content in PAPERS.values())) if one in text]


def test_nothing_that_was_sealed_stands_in_clear_anywhere(store, tmp_path, caplog):
    begin(store)
    for form in (COMPANY, PERSON):
        reference, secret = enter(store, form)
        does(store, "jo", "submit", reference)
        assert not clear_values(repr(form) + str(form) + repr(row_of(store, reference)))
    wanted = [*SECRETS, secret]
    back_up(store, tmp_path / "backup.db")
    with store.reading() as connection:
        dump = "\n".join(
            repr(row)
            for name in ("applications", "documents", "document_contents", "check_results", "audit")
            for row in connection.execute(sql(f"SELECT * FROM {name}"))
        )
    files = [*tmp_path.glob("*.db*")]
    assert files
    everywhere = dump + caplog.text + "".join(Path(one).read_bytes().decode("latin-1") for one in files)
    assert not clear_values(everywhere)
    assert not [one for one in wanted if one in everywhere or one.encode().hex() in everywhere]
    assert "Harbour Books Limited" in everywhere


def test_a_wrong_form_is_refused_without_its_values(tmp_path):
    text = (SAMPLES / "company.toml").read_text()
    for before, after, words in (
        ('identity = "91350100M000100Y43"', "identity = 913501000001000043", "identity"),
        ('account = "11001018800058000001"', 'account = ["11001018800058000001"]', "account"),
        ('contact = "+86 10 5550 0100"', 'contact = "\\u0001+86 10 5550 0100"', "contact"),
        ('kind = "company"', 'kind = "11010519491231002X"', "kind"),
        ('kind = "company"', "kind = company 11010519491231002X", "is not TOML"),
        ("latitude = 39.9087\n", "", "latitude and longitude come together"),
        ('representative = "11010519491231002X"', "", "a company has a representative"),
    ):
        assert before in text
        (tmp_path / "form.toml").write_text(text.replace(before, after))
        with pytest.raises(ConfigError, match=words) as caught:
            read_form(tmp_path / "form.toml")
        assert not clear_values(str(caught.value))
        assert "91350100" not in str(caught.value)
    with pytest.raises(ConfigError, match="is required"):
        parse_form({}, Path("form"))


def test_a_document_is_what_its_bytes_say(store):
    begin(store)
    reference, _ = enter(store)
    with store.reading() as connection:
        papers = documents_of(connection, reference)
        assert [one["content_type"] for one in papers] == ["application/pdf", "image/png", "image/jpeg"]
        assert read_document(connection, RULES.sealer, f"{reference}-1") == PDF
        with pytest.raises(RefusedError, match="there is no document"):
            read_document(connection, RULES.sealer, f"{reference}-9")
    for content, words in (
        (b"<html>" + PDF, "no type that is taken"),
        (b"MZ\x90", "no type that is taken"),
        (PDF, "the very same is there"),
        (PDF + bytes(POLICY.documents.bytes_max), "at most 5,242,880 are taken"),
    ):
        with pytest.raises(RefusedError, match=words):
            does(store, "jo", "add_document", reference, "licence", content)
    for number in range(POLICY.documents.count_max - len(PAPERS)):
        does(store, "jo", "add_document", reference, "more", JPEG + bytes([number]))
    with pytest.raises(RefusedError, match="at most 20 are taken"):
        does(store, "jo", "add_document", reference, "more", JPEG + b"last")
    assert content_type_of(b"") is None


def test_a_document_that_was_exchanged_is_not_shown(store):
    begin(store)
    reference, _ = enter(store)
    with store.writing() as connection:
        connection.execute(
            sql(
                "UPDATE document_contents SET content_sealed = (SELECT content_sealed FROM document_contents"
                f" WHERE document = '{reference}-2') WHERE document = '{reference}-1'"
            )
        )
    with store.reading() as connection, pytest.raises(Exception, match="sealed for another place"):
        read_document(connection, RULES.sealer, f"{reference}-1")


# --- checks -----------------------------------------------------------------------------------------------------------


def test_the_samples_pass_all_checks():
    for form in (COMPANY, PERSON):
        assert {one.outcome for one in looked_at(form).values()} <= {"passed", "not_checked"}
        assert all(one.reason and one.source for one in looked_at(form).values())


@pytest.mark.parametrize(
    ("name", "changed", "outcome", "words"),
    [
        ("social_credit_code", {"identity": "91350100M000100Y44"}, "failed", "check character"),
        ("identity_number", {"representative": "110105194912310021"}, "failed", "check character"),
        ("licence", {"licence_until": AT.date() - LATER}, "failed", "ended on 2026-11-27"),
        ("licence", {"licence_until": AT.date() + 7 * LATER}, "doubtful", "in 7 days"),
        ("licence", {"licence_until": None}, "passed", "no last day"),
        ("account", {"account": "6222021000123456782"}, "failed", "check digit"),
        ("account", {"account": "6222021000123456781"}, "passed", "Industrial and Commercial Bank of China"),
        ("account_holder", {"account_holder": "Li Si"}, "doubtful", "verify it"),
        ("account_holder", {"account_holder": "HARBOUR  books limited"}, "passed", "is the applicant"),
        ("blocked", {"trading_name": "golden gate VOUCHERS"}, "failed", "not taken on"),
        ("blocked", {"account_holder": "golden gate VOUCHERS"}, "failed", "not taken on"),
        ("sanctions", {"representative_name": "Primerov, Ivan Testovich"}, "doubtful", "sample list"),
        ("sanctions", {"legal_name": "Exampel Arms Trading Companny"}, "doubtful", "sample list"),
        ("category", {"category": "0000"}, "failed", "no category"),
    ],
)
def test_a_check_finds_its_fault(name, changed, outcome, words):
    found = looked_at(**changed)
    assert found[name].outcome == outcome
    assert words in found[name].reason + ("not taken on" if name == "blocked" else "")
    others = {one.outcome for other, one in found.items() if other not in (name, "account_holder")}
    assert others == {"passed"}


def test_a_blocked_one_is_told_why():
    assert looked_at(place="MARKET road 99")["blocked"].reason == "place: no shop was found there"


def test_twins_are_told_to_the_reviewer():
    found = looked_at(twins=[Twin("ABC", "refused", "account"), Twin("DEF", "active", "identity")])
    assert found["same_account"].outcome == "doubtful"
    assert found["same_account"].reason == "the same stands in ABC (refused)"
    assert found["same_place"].outcome == "passed"
    assert found["same_identity"].source == OURS


def test_twins_are_found_by_hash_and_by_distance(store):
    begin(store)
    first, _ = enter(store)
    near = COMPANY.model_copy(
        update={"identity": PERSON.identity, "account": PERSON.account, "place": "elsewhere", "latitude": 39.9089}
    )
    reference, _ = enter(store, near)
    does(store, "jo", "submit", reference)
    found = outcomes(store, reference)
    assert (found["same_identity"], found["same_account"], found["same_place"]) == ("doubtful", "passed", "doubtful")
    far = near.model_copy(update={"latitude": 39.92, "representative": PERSON.identity, "plan": "shop@1"})
    other, _ = enter(store, far)
    does(store, "jo", "submit", other)
    assert outcomes(store, other)["same_place"] == "doubtful"  # the text is that of the second
    assert outcomes(store, other)["same_account"] == "doubtful"
    does(store, "jo", "withdraw", reference)
    does(store, "jo", "submit", other)
    assert outcomes(store, other)["same_place"] == "passed"
    assert first != other


def test_a_distance_is_one_on_the_earth():
    beijing = {"latitude_e6": 39_908_700, "longitude_e6": 116_397_500}
    shanghai = {"latitude_e6": 31_230_400, "longitude_e6": 121_473_700}
    assert 1_060_000 < metres_between(beijing, shanghai) < 1_075_000
    assert metres_between(beijing, {"latitude_e6": None, "longitude_e6": None}) == float("inf")
    date_line = ({"latitude_e6": 0, "longitude_e6": one} for one in (179_999_900, -179_999_900))
    assert metres_between(*date_line) < 30


def test_a_near_place_is_found_among_very_many_of_its_latitude(store):
    begin(store)
    with clerk(store, "jo") as one:
        for number in range(TWINS_MAX):
            one.enter(COMPANY.model_copy(update={"place": f"Road {number}", "longitude": number / 10}), f"2{number:09}")
        for latitude, longitude in ((39.9087, 116.3975), (0.0, 180.0), (89.9999, 0.0)):
            here = {"latitude": latitude, "longitude": longitude, "place": "Kai 1"}
            near = {"latitude": latitude, "longitude": -180.0 if longitude == 180 else longitude + 0.0003}
            first, _ = one.enter(COMPANY.model_copy(update=here))
            second, _ = one.enter(COMPANY.model_copy(update=here | near | {"place": "Kai 2"}))
            row = application_of(one.change.connection, second)
            found = twins_of(one.change.connection, row, 50)
            assert first in [twin.reference for twin in found if twin.what == "place"]


# --- rules and lists --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "before", "after", "words"),
    [
        ("rules.toml", "value = 18", 'value = "18"', "age_years_min.value"),
        ("rules.toml", 'source = "民法典 art. 17, 18"', "", "age_years_min.source"),
        ("rules.toml", "draft_days", "draft_weeks", "unknown key"),
        ("rules.toml", "3des-2key", "3des-4key", "unknown key algorithm"),
        ("categories.csv", "7011,", "711,", "needed 4 digits"),
        ("blocked.csv", "place,Market", "street,Market", "needed identity"),
        ("banks.csv", "prefix,bank", "bank,prefix", "needed are the columns"),
        ("sanctions.csv", "Ivan Testovich Primerov,sample list", "Ivan", "needed are 2 cells"),
    ],
)
def test_wrong_rules_are_told(tmp_path, file, before, after, words):
    for one in SAMPLES.iterdir():
        text = one.read_text()
        (tmp_path / one.name).write_text(text.replace(before, after) if one.name == file else text)
    with pytest.raises(ConfigError, match=words):
        load_lists(load_policy(tmp_path / "rules.toml").lists, tmp_path)
