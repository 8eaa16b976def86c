"""What applicants do themselves, on both databases: each with his own alone, and never more than there is room for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
from sqlalchemy import func, select, update

from switch.applications.applying import Clerk, applicant, application_of, steps_of, tellers_of
from switch.applications.forms import SEALED, form_of
from switch.applications.own import Applicants, Space
from switch.applications.own_view import view_of
from switch.applications.states import STEPS
from switch.applications.tables import APPLICATIONS, DOCUMENT_CONTENTS
from switch.applications.taking_on import Machine
from switch.applications.tries import SecretTries
from switch.files.problems import ConfigError
from switch.store.audit import AUDIT, newest_entries
from switch.store.changing import changing
from switch.store.problems import NotAllowedError, RefusedError, TooManyError
from switch.store.proving import flaws

from .acquiring import COMPANY, PAPERS, PDF, PERSON, RULES, begin, does, enter, is_applicant
from .test_taking_on import Office

SPACE = Space(drafts_per_day=20, changes_per_day=40, papers_bytes_max=1_000, drafts_bytes_max=10_000)


@pytest.fixture
def text(store):
    return begin(store)


def applicants(store, **space):
    return Applicants(store, lambda: RULES, replace(SPACE, **space))


def now():
    return datetime.now(UTC)


def begun(office, form=COMPANY, papers=PAPERS):
    reference, secret = office.begin(form)
    for kind, content in papers.items():
        office.add_paper(reference, kind, content)
    return reference, secret


def seen(store, reference):
    with store.reading() as connection:
        return view_of(connection, RULES, reference)


def entries(store):
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(AUDIT)).scalar_one()


def audit(store, reference):
    with store.reading() as connection:
        return newest_entries(connection, {"subject": "applications", "row": reference}, 100)


# --- who --------------------------------------------------------------------------------------------------------------


def test_an_applicant_goes_all_the_way_and_two_of_the_staff_decide(store, text):
    office = applicants(store)
    reference, secret = begun(office)
    assert is_applicant(store, reference, secret, 3)
    assert seen(store, reference)["papers"]["missing"] == []
    office.submit(reference)
    assert seen(store, reference)["state"] == "in_review"
    does(store, "rita", "review", reference, "low", at=now())
    with pytest.raises(RefusedError, match="another person decides"):
        does(store, "rita", "approve", reference, at=now())
    does(store, "ann", "approve", reference, at=now())
    does(store, "jo", "offer", reference, text, at=now())
    offered = seen(store, reference)["contract"]
    assert (offered["text_hash"], offered["accepted_at"]) == (text, None)
    with pytest.raises(RefusedError, match="their hashes differ"):
        office.accept(reference, "0" * 64, "Zhang San", "192.0.2.7")
    key = office.accept(reference, text, "Zhang San", "192.0.2.7")
    contract = seen(store, reference)["contract"]
    assert (contract["hash"], contract["how"]) == (key, "online, with reference and secret, from 192.0.2.7")
    with store.reading() as connection:
        assert tellers_of(connection, reference) == [f"applicant {reference}"]
        who = {one["state"]: one["who"] for one in steps_of(connection, reference)}
        assert list(flaws(connection)) == []
    assert {name for name, by in who.items() if by == f"applicant {reference}"} == {
        "draft", "submitted", "checking", "in_review", "accepted",
    }  # fmt: skip


def test_an_applicant_does_nothing_that_is_the_staffs_and_nothing_with_anothers(store, text):
    reference, _ = begun(applicants(store))
    other, _ = enter(store)
    with changing(store, applicant(reference).name, "tries", now()) as change:
        clerk = Clerk(change, applicant(reference), RULES)
        for refused in (
            lambda: clerk.amend(other, COMPANY),
            lambda: clerk.add_document(other, "licence", PDF + b"2"),
            lambda: clerk.submit(other),
            lambda: clerk.withdraw(other),
            lambda: clerk.renew_secret(reference),
            lambda: clerk.enter(COMPANY),
            clerk.expire_overdue,
        ):
            with pytest.raises(NotAllowedError):
                refused()
        row = application_of(change.connection, reference)
        for name, step in STEPS.items():
            if not step.is_applicants:
                with pytest.raises(NotAllowedError):
                    clerk.require_step(name, {**row, "state": step.before[0]})


def test_what_strangers_guess_is_counted_and_nothing_is_written_where_there_is_nothing(store, text):
    office = applicants(store)
    reference, secret = office.begin(COMPANY)
    before = entries(store)
    assert not is_applicant(store, "NOSUCHONE1", "", 3)
    assert not is_applicant(store, "NOSUCHONE1", secret, 3)
    assert is_applicant(store, reference, secret, 3)
    assert entries(store) == before
    for _ in range(5):
        assert not is_applicant(store, reference, "wrong", 3)
    assert entries(store) == before + 3
    assert not is_applicant(store, reference, secret, 3)
    assert [one["who"] for one in audit(store, reference)[:3]] == ["somebody unknown"] * 3


def test_who_guesses_is_answered_at_once_while_somebody_else_writes(store, text):
    """So that nobody sees by waiting which references there are; and what waits to be counted counts."""
    reference, secret = applicants(store).begin(COMPANY)
    tries = SecretTries(store)
    with store.writing():
        began = monotonic()
        assert [tries.is_applicant(reference, "wrong", 3) for _ in range(2)] == [False] * 2
        assert tries.is_applicant(reference, secret, 3)
        assert [tries.is_applicant(reference, "wrong", 3) for _ in range(5)] == [False] * 5
        assert not tries.is_applicant(reference, secret, 3)
        assert monotonic() - began < 5
    tries.close()
    assert [one["who"].startswith("somebody") for one in audit(store, reference)[:6]] == [True] * 3 + [False] + [
        True
    ] * 2
    assert not is_applicant(store, reference, secret, 3)


# --- what he sees -----------------------------------------------------------------------------------------------------


def test_what_is_sealed_is_seen_masked_and_nothing_of_others_is_told(store, text):
    begun(applicants(store), PERSON, {})
    reference, _ = begun(applicants(store))
    does(store, "jo", "enter", COMPANY, at=now())
    applicants(store).submit(reference)
    told = json.dumps(seen(store, reference), ensure_ascii=False)
    for form in (COMPANY, PERSON):
        for one in (form.identity, form.representative, form.account, form.contact):
            assert one is None or one.get_secret_value() not in told
    assert seen(store, reference)["form"]["account"] == "*" * 16 + "0001"
    assert "same_" not in told
    assert "sanction" not in told
    assert "secret" not in told
    assert "rita" not in told


def test_reasons_are_told_and_those_of_lists_are_not(store, text):
    office = applicants(store)
    reference, _ = office.begin(COMPANY.model_copy(update={"category": "9999"}))
    office.submit(reference)
    view = seen(store, reference)
    assert (view["state"], [one["what"] for one in view["reasons"]]) == ("returned", ["category", "papers"])
    assert view["papers"]["missing"] == ["licence", "identity card", "photo of the shop"]
    office.amend(reference, {"category": "5942"})
    for kind, content in PAPERS.items():
        office.add_paper(reference, kind, content)
    office.submit(reference)
    does(store, "rita", "send_back", reference, at=now())
    assert seen(store, reference)["reasons"] == [{"what": "review", "reason": "a test", "source": ""}]
    blocked = next(value for (kind, value) in RULES.lists.blocked if kind == "place")
    office.amend(reference, {"place": blocked})
    office.submit(reference)
    (reason,) = seen(store, reference)["reasons"]
    assert reason["what"] == "other"
    assert [one["state"] for one in seen(store, reference)["history"]] == [
        "draft", "returned", "in_review", "returned", "returned",
    ]  # fmt: skip


def test_what_is_not_named_stays_and_what_is_wrong_is_said_without_it(store, text):
    office = applicants(store)
    reference, _ = office.begin(COMPANY)
    office.amend(reference, {"account": "11001018800058000002", "licence_until": "2032-01-31"})
    view = seen(store, reference)["form"]
    assert (view["account"][-4:], view["identity"][-4:], view["licence_until"]) == ("0002", "0Y43", "2032-01-31")
    with pytest.raises(ConfigError) as wrong:
        office.amend(reference, {"account": "6" * 65, "month_minor": "many", "owner": "x"})
    assert {one.key for one in wrong.value.problems} == {"account", "month_minor", "owner"}
    assert "6" * 65 not in str(wrong.value)
    with pytest.raises(RefusedError, match="another kind"):
        office.amend(reference, {"kind": "person"})


def test_what_comes_as_it_is_shown_is_not_what_the_applicant_told(store, text):
    office = applicants(store)
    reference, _ = office.begin(COMPANY)
    shown = {name: value for name, value in seen(store, reference)["form"].items() if name in SEALED}
    assert len(shown) == 4
    office.amend(reference, {**shown, "place": "Harbour Road 14"})
    with store.reading() as connection:
        now = form_of(application_of(connection, reference), RULES.sealer)
    assert now == COMPANY.model_copy(update={"place": "Harbour Road 14"})
    with pytest.raises(ConfigError) as wrong:
        office.amend(reference, {"account": "*" * 16 + "0009", "contact": shown["account"]})
    assert {one.key for one in wrong.value.problems} == {"account", "contact"}


def test_a_number_in_small_letters_is_kept_in_capitals(store, text):
    office = applicants(store)
    reference, _ = office.begin(COMPANY)
    told = COMPANY.identity.get_secret_value()
    assert told.lower() != told
    office.amend(reference, {"identity": told.lower(), "representative": "11010519491231002x"})
    with store.reading() as connection:
        now = form_of(application_of(connection, reference), RULES.sealer)
    assert now.identity.get_secret_value() == told
    assert now.representative.get_secret_value() == "11010519491231002X"


def test_what_it_has_become_is_told_with_the_limits_of_a_small_merchant(store, tmp_path):
    taken_on = Office(store, tmp_path, PERSON)
    merchant = taken_on.assigns(Machine("SN-0001")).merchant
    view = seen(store, taken_on.reference)
    assert (view["state"], view["merchant"]) == (
        "terminals_assigned",
        {"id": merchant, "credit_day_minor": 100_000, "credit_month_minor": 1_000_000, "limits_since": "2026-11-28"},
    )
    assert view["plan"]["small_merchant"]["credit_day_minor"]["source"]


# --- room -------------------------------------------------------------------------------------------------------------


def test_there_is_room_for_so_many_drafts_a_day_and_the_staff_goes_on(store, text):
    office = applicants(store, drafts_per_day=2)
    for _ in range(2):
        office.begin(COMPANY)
    with pytest.raises(TooManyError, match="within a day"):
        office.begin(COMPANY)
    enter(store)
    with store.writing() as connection:
        connection.execute(update(APPLICATIONS).values(entered_at=now() - timedelta(days=2)))
    office.begin(COMPANY)


def test_there_is_room_for_so_many_papers_and_changes(store, text):
    office = applicants(store, papers_bytes_max=100, drafts_bytes_max=150, changes_per_day=8)
    one, _ = office.begin(COMPANY)
    two, _ = office.begin(COMPANY)
    office.add_paper(one, "licence", PDF + bytes(70))
    with pytest.raises(RefusedError, match="at most 100 are taken of them together"):
        office.add_paper(one, "licence", PDF + bytes(60))
    with pytest.raises(TooManyError, match="no room"):
        office.add_paper(two, "licence", PDF + bytes(65))
    for number in range(7):
        office.amend(one, {"place": f"Harbour Road {number}"})
    with pytest.raises(TooManyError, match="go on tomorrow"):
        office.amend(one, {"place": "Harbour Road 99"})
    office.amend(two, {"place": "Harbour Road 99"})


def test_there_is_room_for_so_many_papers_that_nobody_has_decided(store, text):
    office = applicants(store, drafts_bytes_max=sum(map(len, PAPERS.values())))
    one, _ = begun(office)
    two, _ = office.begin(PERSON)

    def is_room():
        try:
            office.add_paper(two, "licence", PDF)
        except TooManyError:
            return False
        return True

    office.submit(one)
    assert (seen(store, one)["state"], is_room()) == ("in_review", False)
    does(store, "rita", "review", one, "low", at=now())
    assert not is_room()
    does(store, "ann", "approve", one, at=now())
    assert is_room()


@pytest.mark.parametrize("ends", ["withdrawn", "expired"])
def test_what_was_handed_in_and_is_given_up_ends_with_its_papers(store, text, ends):
    office = applicants(store)
    one, _ = begun(office)
    kept, _ = enter(store)
    for reference in (one, kept):
        does(store, "jo", "submit", reference, at=now())
    if ends == "withdrawn":
        office.withdraw(one)
        does(store, "jo", "withdraw", kept, at=now())
    else:
        assert does(store, "jo", "expire_overdue", at=now() + timedelta(days=100)) == sorted([one, kept])
    assert seen(store, one)["state"] == ends
    with store.reading() as connection:
        left = connection.execute(select(DOCUMENT_CONTENTS.c.document)).scalars().all()
        assert list(flaws(connection)) == [], "what was forgotten is no flaw"
    assert {document.partition("-")[0] for document in left} == {kept}, "the staff's own stay"
    with store.writing() as connection:
        connection.execute(DOCUMENT_CONTENTS.delete())
    with store.reading() as connection:
        found = list(flaws(connection))
    assert {(one.where.partition("-")[0], one.reason) for one in found} == {
        (f"documents {kept}", "what was handed in is not there")
    }


def test_drafts_of_applicants_end_with_their_papers(store, text):
    office = applicants(store)
    reference, _ = begun(office)
    kept, _ = enter(store)
    gone, _ = begun(office, papers={"licence": PDF + b"2"})
    office.withdraw(gone)
    assert office.expire() == []
    with store.writing() as connection:
        for one in (reference, kept):
            query = update(APPLICATIONS).where(APPLICATIONS.c.id == one)
            connection.execute(query.values(deadline=now() - timedelta(seconds=1)))
    with pytest.raises(RefusedError, match="its time was over"):
        office.amend(reference, {"place": "x"})
    assert office.expire() == [reference]
    assert seen(store, reference)["state"] == "expired"
    with store.reading() as connection:
        assert application_of(connection, kept)["state"] == "draft"
        left = connection.execute(select(DOCUMENT_CONTENTS.c.document)).scalars().all()
    assert {one.partition("-")[0] for one in left} == {kept}
    assert audit(store, reference)[0]["who"] == "authswitch applicants"
