"""Who stands behind a token: what is done with it counts as done by all of them, and it ends with what made it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from switch.access.actor import Actor
from switch.access.people import add_first, add_or_change, person_of, user_at_work
from switch.access.token_proof import UnknownTokenError, id_of
from switch.access.tokens import CHAIN_MAX, bearer, issue, revoke, tokens_of
from switch.proposals.deciding import Desk
from switch.proposals.people import PERSON_KIND, change_person
from switch.store.changing import changing
from switch.store.problems import NotAllowedError, RefusedError
from switch.store.proving import flaws

AT = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
EVIL = {"name": "E", "roles": "administrator|approver"}


@pytest.fixture
def two(store):
    """With two administrators, mei and al, and bo, who is another."""
    with changing(store, "chen", "x", AT) as change:
        add_first(change, "mei", "Mei", "meil")
        for key in ("al", "bo"):
            add_or_change(change, key, {"name": key, "roles": "administrator", "system_user": f"{key}s"})
    return store


def at_work(store, user):
    with store.reading() as connection:
        return user_at_work(user)(connection)


def shown(store, token, at=AT):
    with store.reading() as connection:
        return bearer(connection, token, at)


def issued(store, actor, person, days=7, at=AT):
    with changing(store, actor.name, "x", at) as change:
        return issue(change, actor, person, "a test", days)


def proposed(store, actor, key="evil"):
    with changing(store, actor.name, "x", AT) as change:
        return change_person(change, actor, key, EVIL, WEEK, is_new=True)


def approves(store, actor, number):
    with changing(store, actor.name, "x", AT) as change:
        return Desk(change, actor, [PERSON_KIND]).approve(number).state


def test_nobody_approves_by_a_token_that_was_made_by_one_that_he_made(two):
    mei = shown(two, issued(two, at_work(two, "meil"), "mei"))
    number = proposed(two, mei)
    as_al = shown(two, issued(two, mei, "al"))
    again = shown(two, issued(two, as_al, "al"))
    once_more = shown(two, issued(two, again, "bo"))
    for actor in (mei, as_al, again, once_more):
        with pytest.raises(NotAllowedError, match="is your own"):
            approves(two, actor, number)
    assert approves(two, at_work(two, "als"), number) == "approved"


def test_nobody_approves_what_he_proposed_by_a_token_that_he_made_for_another(two):
    mei = at_work(two, "meil")
    als = shown(two, issued(two, mei, "al"))
    number = proposed(two, als)
    other = proposed(two, shown(two, issued(two, als, "bo")), "worse")
    for one in (number, other):
        for actor in (mei, shown(two, issued(two, mei, "mei")), als):
            with pytest.raises(NotAllowedError, match=r"is your own|stands behind proposal"):
                approves(two, actor, one)
    assert approves(two, at_work(two, "bos"), number) == "approved"
    with two.reading() as connection:
        assert person_of(connection, "evil")["state"] == "active"
        assert list(flaws(connection)) == []


def test_two_tokens_of_one_maker_are_not_two_people(two):
    mei = at_work(two, "meil")
    als, bos = (shown(two, issued(two, mei, key)) for key in ("al", "bo"))
    number = proposed(two, als)
    with pytest.raises(NotAllowedError, match="mei stands behind proposal 1 and behind you"):
        approves(two, bos, number)
    assert approves(two, shown(two, issued(two, at_work(two, "bos"), "bo")), number) == "approved"


def test_what_somebody_was_called_before_there_were_people_counts_behind_a_token(two):
    """A proposal by a user of the system is still that one's when a token of his comes."""
    als = shown(two, issued(two, at_work(two, "meil"), "al"))
    number = proposed(two, Actor("meil", rights=frozenset({"people.change"})))
    with pytest.raises(NotAllowedError, match="is your own"):
        approves(two, als, number)


def test_a_token_that_was_issued_by_one_ends_with_it(two):
    stolen = issued(two, at_work(two, "als"), "al")
    second = issued(two, shown(two, stolen), "al")
    third = issued(two, shown(two, second), "mei")
    other = issued(two, at_work(two, "als"), "al")
    with changing(two, "mei", "was stolen", AT) as change:
        assert revoke(change, at_work(two, "meil"), id_of(stolen))
        assert not revoke(change, at_work(two, "meil"), id_of(stolen))
    for token in (stolen, second, third):
        with pytest.raises(UnknownTokenError, match="was revoked"):
            shown(two, token)
    assert shown(two, other).name == "al"
    with two.reading() as connection:
        assert sum(row["revoked_at"] is not None for row in tokens_of(connection, None)) == 3


def test_a_token_that_is_issued_by_one_ends_no_later(two):
    first = shown(two, issued(two, at_work(two, "als"), "al", days=7))
    later = AT + timedelta(days=1)
    with pytest.raises(RefusedError, match="no later than that: 2026-12-04 08:30"):
        issued(two, first, "al", days=7, at=later)
    assert issued(two, first, "al", days=6, at=later)
    assert issued(two, at_work(two, "als"), "al", days=366, at=later)


def test_tokens_are_not_issued_by_one_another_without_end(two):
    actor = shown(two, issued(two, at_work(two, "als"), "al"))
    for _ in range(CHAIN_MAX - 1):
        actor = shown(two, issued(two, actor, "al"))
    with pytest.raises(RefusedError, match=f"{CHAIN_MAX} tokens were issued by one another"):
        issued(two, actor, "al")


def test_who_was_given_a_token_gets_nothing_of_who_gave_it(store):
    with changing(store, "chen", "x", AT) as change:
        add_first(change, "mei", "Mei", "meil")
        add_or_change(change, "vi", {"name": "vi", "roles": "viewer", "system_user": "vil"})
    mei = at_work(store, "meil")
    mine = issued(store, mei, "mei")
    for vi in (shown(store, issued(store, mei, "vi")), shown(store, issued(store, shown(store, mine), "vi"))):
        with pytest.raises(NotAllowedError, match=r"people\.change is needed"):
            issued(store, vi, "mei")
        with (
            pytest.raises(NotAllowedError, match=r"people\.change is needed"),
            changing(store, "vi", "x", AT) as change,
        ):
            revoke(change, vi, id_of(mine))
        assert shown(store, issued(store, vi, "vi")).rights == vi.rights
    assert shown(store, mine).name == "mei"


def test_who_was_given_a_token_withdraws_nothing_of_who_gave_it(two):
    mei = at_work(two, "meil")
    number = proposed(two, mei)
    als = shown(two, issued(two, mei, "al"))
    with pytest.raises(NotAllowedError, match="who alone can withdraw it"), changing(two, "al", "x", AT) as change:
        Desk(change, als, [PERSON_KIND]).withdraw(number)
