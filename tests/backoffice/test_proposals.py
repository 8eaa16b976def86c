"""Changes that need two people: nobody decides on what he proposed, and what is decided happens as a whole."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from switch.access.actor import Actor
from switch.merchants.tables import MERCHANTS
from switch.proposals.deciding import WANTED_BYTES_MAX, Desk, Kind, newest_proposals, proposal_of, state_at
from switch.proposals.tables import PROPOSALS
from switch.store.audit import AUDIT
from switch.store.changing import changing
from switch.store.problems import RefusedError, StoreError
from switch.store.proving import flaws

from .registry import WHY

AT = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
SHOP = {"id": "898000000000001", "name": "Harbour", "category": "5942", "since": AT}
ANA, BO = Actor("ana"), Actor("bo")


def rename(change, subject, wanted):
    if wanted["name"] == "Nobody":
        raise RefusedError("Nobody is no name")
    change.update(MERCHANTS, subject, {"category": "9999"})
    if change.connection.execute(select(MERCHANTS.c.name)).scalars().first() == "Gone":
        raise RefusedError("it has gone")
    change.update(MERCHANTS, subject, {"name": wanted["name"]})


KINDS = [Kind("rename", "change", "approve", rename, frozenset({"account"}))]


@pytest.fixture
def shop(store):
    with changing(store, "chen", "taken on", AT) as change:
        change.insert(MERCHANTS, SHOP)
    return store


def does(store, actor, how, *arguments, at=AT):
    with changing(store, actor.name, f"{actor.name} says so", at) as change:
        return getattr(Desk(change, actor, KINDS), how)(*arguments)


def propose(store, actor=ANA, name="Kai", at=AT, **more):
    return does(store, actor, "propose", "rename", SHOP["id"], {"name": name, **more}, WEEK, at=at)


def row_of(store, table, key):
    with store.reading() as connection:
        return connection.execute(select(table).where(table.c.id == key)).mappings().one()


def is_whole(store):
    with store.reading() as connection:
        return list(flaws(connection)) == []


def test_two_people_change_something(shop):
    number = propose(shop)
    assert number == 1
    assert row_of(shop, MERCHANTS, SHOP["id"])["name"] == "Harbour"
    assert row_of(shop, MERCHANTS, SHOP["id"])["category"] == "5942"
    decision = does(shop, BO, "approve", number)
    assert (decision.state, decision.reason) == ("approved", "bo says so")
    assert row_of(shop, MERCHANTS, SHOP["id"])["name"] == "Kai"
    with shop.reading() as connection:
        entries = connection.execute(select(AUDIT).order_by(AUDIT.c.number)).mappings().all()
    said = [(entry["who"], entry["why"], entry["subject"]) for entry in entries[1:]]
    applied = ("bo", "proposal 1 of ana: ana says so", "merchants")
    assert said == [("ana", "ana says so", "proposals"), applied, applied, ("bo", "bo says so", "proposals")]
    assert is_whole(shop)


@pytest.mark.parametrize("spelled", ["ana", "ANA", "Ana ", "\uff41na"])
@pytest.mark.parametrize("how", ["approve", "refuse"])
def test_nobody_decides_on_his_own_proposal_however_he_is_called(shop, spelled, how):
    number = propose(shop)
    for again in (Actor(spelled), Actor("somebody", frozenset({spelled}))):
        with pytest.raises(RefusedError, match="proposal 1 is your own: another person decides"):
            does(shop, again, how, number)
    assert row_of(shop, PROPOSALS, number)["state"] == "proposed"


def test_rights_are_needed_to_propose_and_to_decide(shop):
    with pytest.raises(RefusedError, match="ana may not do this: the right change is needed"):
        propose(shop, Actor("ana", rights=frozenset({"approve"})))
    number = propose(shop, Actor("ana", rights=frozenset({"change"})))
    for how in ("approve", "refuse"):
        with pytest.raises(RefusedError, match="bo may not do this: the right approve is needed"):
            does(shop, Actor("bo", rights=frozenset({"change"})), how, number)
    assert does(shop, Actor("bo", rights=frozenset({"approve"})), "refuse", number).state == "refused"
    assert row_of(shop, MERCHANTS, SHOP["id"])["name"] == "Harbour"


def test_what_could_not_be_done_is_not_proposed(shop):
    with pytest.raises(RefusedError, match="Nobody is no name"):
        propose(shop, name="Nobody")
    with pytest.raises(RefusedError, match="merchants has no 7"):
        does(shop, ANA, "propose", "rename", "7", {"name": "Kai"}, WEEK)
    with pytest.raises(RefusedError, match="marry is nothing that this program can propose"):
        does(shop, ANA, "propose", "marry", "7", {}, WEEK)
    with pytest.raises(RefusedError, match=f"more than {WANTED_BYTES_MAX:,} bytes"):
        propose(shop, other="x" * WANTED_BYTES_MAX)
    with shop.reading() as connection:
        assert connection.execute(select(PROPOSALS)).all() == []


def test_what_cannot_be_done_any_more_is_refused_and_leaves_nothing(shop):
    number = propose(shop)
    with changing(shop, "chen", "renamed", AT) as change:
        change.update(MERCHANTS, SHOP["id"], {"name": "Gone"})
    decision = does(shop, BO, "approve", number)
    assert (decision.state, decision.reason) == ("refused", "cannot be done any more: it has gone")
    assert row_of(shop, MERCHANTS, SHOP["id"])["category"] == "5942"
    assert row_of(shop, PROPOSALS, number)["decided_by"] == "bo"
    assert is_whole(shop)


def test_a_decision_is_the_last(shop):
    number = propose(shop)
    does(shop, BO, "refuse", number)
    for actor, how in ((BO, "approve"), (BO, "refuse"), (ANA, "withdraw")):
        with pytest.raises(RefusedError, match="proposal 1 is refused already, by bo"):
            does(shop, actor, how, number)
    with pytest.raises(RefusedError, match="there is no proposal 2"):
        does(shop, BO, "approve", 2)


def test_only_who_proposed_it_withdraws_it(shop):
    number = propose(shop)
    with pytest.raises(RefusedError, match="proposal 1 is ana's, who alone can withdraw it"):
        does(shop, BO, "withdraw", number)
    assert does(shop, ANA, "withdraw", number).state == "withdrawn"


def test_one_proposal_waits_for_a_subject(shop):
    propose(shop)
    with pytest.raises(RefusedError, match="proposal 1 of ana waits for the same already"):
        propose(shop, BO)
    does(shop, BO, "refuse", 1)
    assert propose(shop, BO) == 2


@pytest.mark.parametrize("how", ["approve", "refuse"])
def test_time_passes(shop, how):
    number = propose(shop)
    with shop.reading() as connection:
        proposal = proposal_of(connection, number)
    last = AT + WEEK - timedelta(microseconds=1)
    assert (state_at(proposal, last), state_at(proposal, AT + WEEK)) == ("proposed", "expired")
    assert does(shop, BO, how, number, at=AT + WEEK).state == "expired"
    assert row_of(shop, MERCHANTS, SHOP["id"])["name"] == "Harbour"
    assert propose(shop, at=AT + WEEK) == 2


def test_what_has_expired_makes_room(shop):
    propose(shop)
    assert propose(shop, at=AT + WEEK) == 2
    assert row_of(shop, PROPOSALS, 1)["state"] == "expired"


def test_proposals_are_found_by_the_state_that_they_have_now(shop):
    now = datetime.now(UTC)
    propose(shop, at=now - WEEK - timedelta(seconds=1))
    with changing(shop, "chen", "taken on", AT) as change:
        change.insert_all(MERCHANTS, ({**SHOP, "id": one} for one in ("2", "3")))
    for subject in ("2", "3"):
        does(shop, ANA, "propose", "rename", subject, {"name": "Kai"}, WEEK, at=now)
    does(shop, BO, "refuse", 3, at=now)

    def found(state, most=9):
        with shop.reading() as connection:
            return [(one["id"], one["state"]) for one in newest_proposals(connection, state, most)]

    assert row_of(shop, PROPOSALS, 1)["state"] == "proposed"
    everything = [(3, "refused"), (2, "proposed"), (1, "expired")]
    assert found(None) == everything
    assert found(None, 2) == everything[:2]
    assert [one for state in ("refused", "proposed", "expired") for one in found(state)] == everything
    assert found("withdrawn") == []


def test_a_secret_comes_sealed(shop):
    with pytest.raises(RefusedError, match="rename: account must be sealed") as refused:
        propose(shop, account="62220212345")
    assert "62220212345" not in str(refused.value)
    assert propose(shop, account="sealed:00ff") == 1


def test_a_failure_of_the_database_decides_nothing(shop):
    number = propose(shop)
    broken = [Kind("rename", "change", "approve", lambda change, *_: change.insert(MERCHANTS, SHOP))]
    with pytest.raises(StoreError), changing(shop, "bo", "yes", AT) as change:
        Desk(change, BO, broken).approve(number)
    assert row_of(shop, PROPOSALS, number)["state"] == "proposed"


# --- as operators call it ---------------------------------------------------------------------------------------------


@pytest.fixture
def another(as_user):
    """Calls go on as another user of the system."""
    return lambda: as_user(1 if os.getuid() != 1 else 2)


def test_a_merchant_is_closed_by_two(office, another):
    said = office.does("merchants", "close", SHOP["id"], *WHY, "--propose")
    assert said == f"merchant {SHOP['id']}: proposal 1 waits for another person\n"
    assert office.shown("merchants", SHOP["id"])["state"] == "active"
    assert "is your own" in office.refuses("proposals", "approve", 1, *WHY)
    assert "merchant_state" in office.does("proposals", "list", "--state", "proposed")
    another()
    assert office.does("proposals", "approve", 1, *WHY) == "proposal 1: approved: a test\n"
    assert office.shown("merchants", SHOP["id"])["state"] == "closed"
    told = office.shown("proposals", 1)
    assert (told["state"], told["wanted"]) == ("approved", {"state": "closed"})
    assert "wanted       state closed" in office.does("proposals", "show", 1)
    assert office.does("proposals", "list", "--state", "proposed", "--json") == ""
    assert "whole" in office.does("audit", "verify")


def test_what_two_cannot_do(office, another):
    assert "is active already" in office.refuses("terminals", "release", "10000001", *WHY, "--propose")
    office.does("terminals", "suspend", "10000001", *WHY)
    office.does("terminals", "release", "10000001", *WHY, "--propose")
    office.does("terminals", "close", "10000001", *WHY)
    another()
    said = office.refuses("proposals", "approve", 1, *WHY)
    assert "proposal 1: refused: cannot be done any more: 10000001 is closed: it cannot become active" in said
    assert "needed one of proposed" in office.refuses("proposals", "list", "--state", "lost")
    assert "there is no proposal 9" in office.refuses("proposals", "show", 9)
