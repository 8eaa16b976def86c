"""People, what each may do, and tokens: with either database, as operators call them."""

from __future__ import annotations

import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from switch.access.actor import Actor
from switch.access.people import add_first, add_or_change, changing_as, person_of, user_at_work
from switch.access.roles import RIGHTS, ROLES, rights_of, table
from switch.access.tables import TOKEN_USES, TOKENS
from switch.access.token_proof import UnknownTokenError, hash_of, id_of
from switch.access.token_uses import TokenUses
from switch.access.tokens import bearer, issue, revoke, tokens_of
from switch.store.changing import changing
from switch.store.problems import RefusedError
from switch.store.proving import flaws

from .registry import WHY, Office

AT = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs"
ALL = Actor("chen")


def change(store, how, *arguments, at=AT, **named):
    with changing(store, "chen", "because", at) as one:
        return how(one, *arguments, **named)


def read(store, how, *arguments):
    with store.reading() as connection:
        return how(connection, *arguments)


@pytest.fixture
def staffed(store):
    """With an administrator and a registrar."""
    change(store, add_first, "mei", "Mei Lin", "meil")
    change(store, add_or_change, "jo", {"name": "Jo Tan", "roles": "registrar", "system_user": "jot"})
    return store


# --- people -----------------------------------------------------------------------------------------------------------


def test_the_page_has_the_roles_as_they_are():
    assert table() in (DOCS / "people.md").read_text()
    assert set().union(*ROLES.values()) == set(RIGHTS)


def test_nobody_needs_a_right_before_there_are_people(store):
    actor = read(store, user_at_work("root"))
    assert (actor.name, actor.rights) == ("root", None)
    actor.require("people.change")


def test_a_user_of_the_system_is_the_person(staffed):
    actor = read(staffed, user_at_work("jot"))
    assert (actor.name, actor.rights) == ("jo", ROLES["registrar"])
    assert actor.has_name("JOT")
    stranger = read(staffed, user_at_work("root"))
    with pytest.raises(RefusedError, match=r"root may not do this: the right registry.read is needed"):
        stranger.require("registry.read")


def test_one_who_has_left_may_do_nothing(staffed):
    change(staffed, add_or_change, "jo", {"state": "left"})
    assert read(staffed, user_at_work("jot")).rights == frozenset()
    change(staffed, add_or_change, "jo", {"state": "active"})
    assert read(staffed, user_at_work("jot")).rights == ROLES["registrar"]


def test_what_is_not_allowed_is_not_begun(staffed):
    with pytest.raises(RefusedError, match="jo may not"), changing_as(staffed, user_at_work("jot"), "x", "audit.read"):
        raise AssertionError
    with changing_as(staffed, user_at_work("jot"), "x", "registry.change") as (_, actor):
        assert actor.name == "jo"


def test_a_role_that_is_not_known_any_more_gives_nothing():
    assert rights_of(["viewer", "emperor"]) == ROLES["viewer"]


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("Jo", {"name": "Jo", "roles": "viewer"}, "'Jo' cannot be the name of a person"),
        ("al", {"name": "Al"}, "al is new: needed roles"),
        ("al", {"name": "Al", "roles": "emperor"}, "there is no role emperor"),
        ("al", {"name": "Al", "roles": ""}, "there is no role"),
        ("al", {"name": " ", "roles": "viewer"}, "name: needed a printable text"),
        ("al", {"name": "Al", "roles": "viewer", "system_user": "jot"}, "the system's user jot is jo already"),
        ("jo", {"name": "Jo Tan"}, "jo is so already"),
        ("jo", {"state": "dead"}, "state is dead"),
        ("jo", {"since": "now"}, "nothing is known as since"),
        ("mei", {"roles": "viewer"}, "an administrator must be left"),
        ("mei", {"state": "left"}, "an administrator must be left"),
    ],
)
def test_what_is_wrong_with_a_person(staffed, key, values, words):
    with pytest.raises(RefusedError, match=words):
        change(staffed, add_or_change, key, values)
    assert read(staffed, person_of, "mei")["roles"] == "administrator"


def test_there_is_one_first(staffed):
    with pytest.raises(RefusedError, match="there are people already"):
        change(staffed, add_first, "al", "Al", "al")


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_is_its_person(staffed):
    text = change(staffed, issue, ALL, "jo", "import", 90)
    actor = read(staffed, bearer, text, AT)
    assert (actor.name, actor.rights) == ("jo", ROLES["registrar"])
    row = read(staffed, lambda connection: connection.execute(TOKENS.select()).mappings().one())
    assert row["hash"] == hash_of(text)
    assert text.split("_")[2] not in str(dict(row))
    assert row["expires_at"] == AT + timedelta(days=90)
    assert list(read(staffed, lambda connection: list(flaws(connection)))) == []


def test_who_gave_it_counts_as_who_shows_it(staffed):
    text = change(staffed, issue, read(staffed, user_at_work("meil")), "jo", "import", 90)
    actor = read(staffed, bearer, text, AT)
    assert actor.may_be("mei")
    assert actor.may_be("MEIL")
    assert actor.has_name("jo")
    assert not actor.has_name("mei"), "what is mei's is not jo's own"


def test_what_proves_nothing(staffed):
    text = change(staffed, issue, ALL, "jo", "import", 1)
    other = change(staffed, issue, ALL, "mei", "x", 1)
    mixed = "_".join([*text.split("_")[:2], *other.split("_")[2:]])[:67].ljust(67, "A")
    for shown in ("", "x", text[:-1], text + "x", text.upper(), mixed, text.replace(text[11], "g", 1)):
        with pytest.raises(UnknownTokenError) as refused:
            read(staffed, bearer, shown, AT)
        assert text[24:] not in str(refused.value)
    with pytest.raises(UnknownTokenError, match="has expired"):
        read(staffed, bearer, text, AT + timedelta(days=1))
    assert read(staffed, bearer, text, AT + timedelta(days=1, microseconds=-1)).name == "jo"
    change(staffed, add_or_change, "jo", {"state": "left"})
    with pytest.raises(UnknownTokenError, match="is jo's, who has left"):
        read(staffed, bearer, text, AT)


def test_a_token_is_revoked_by_its_person_or_an_administrator(staffed):
    text = change(staffed, issue, ALL, "mei", "x", 1)
    key = text.split("_")[1]
    jo, mei = (read(staffed, user_at_work(user)) for user in ("jot", "meil"))
    with pytest.raises(RefusedError, match=r"jo may not do this: the right people.change"):
        change(staffed, revoke, jo, key)
    assert change(staffed, revoke, mei, key)
    assert not change(staffed, revoke, mei, key)
    with pytest.raises(UnknownTokenError, match="was revoked"):
        read(staffed, bearer, text, AT)
    with pytest.raises(RefusedError, match="there is no token"):
        change(staffed, revoke, mei, "0" * 12)


def test_who_gives_tokens(staffed):
    jo, mei = (read(staffed, user_at_work(user)) for user in ("jot", "meil"))
    assert change(staffed, issue, jo, "jo", "mine", 1)
    assert change(staffed, issue, mei, "jo", "for jo", 1)
    with pytest.raises(RefusedError, match="jo may not"):
        change(staffed, issue, jo, "mei", "x", 1)
    for days in (0, 367):
        with pytest.raises(RefusedError, match="lasts 1 to 366 days"):
            change(staffed, issue, jo, "jo", "x", days)
    with pytest.raises(RefusedError, match="label"):
        change(staffed, issue, jo, "jo", " ", 1)
    with pytest.raises(RefusedError, match="nobody called al"):
        change(staffed, issue, mei, "al", "x", 1)


def test_the_last_use_is_noted_once_a_minute(staffed):
    text = change(staffed, issue, ALL, "jo", "import", 1)

    def used_at():
        return read(staffed, tokens_of, "jo")[0]["used_at"]

    assert used_at() is None
    seen = []
    for times in ((0, 59), (60, 119), (121,)):
        uses = TokenUses(staffed)
        for seconds in times:
            uses.note(id_of(text), AT + timedelta(seconds=seconds))
        uses.close()
        seen.append((used_at() - AT).seconds)
    assert seen == [0, 60, 121]
    assert read(staffed, lambda connection: len(connection.execute(TOKEN_USES.select()).all())) == 1


def test_a_use_that_cannot_be_noted_is_noted_later(staffed, monkeypatch):
    monkeypatch.setattr("switch.store.opening.BUSY_SECONDS", 0)
    monkeypatch.setattr("switch.access.token_uses.AGAIN_SECONDS", 0.01)
    text = change(staffed, issue, ALL, "jo", "import", 1)
    uses = TokenUses(staffed)
    with structlog.testing.capture_logs() as said, staffed.writing():
        uses.note(id_of(text), AT)
        while not any("cannot be noted" in one["event"] for one in said):
            time.sleep(0.01)
    while read(staffed, tokens_of, "jo")[0]["used_at"] != AT:
        time.sleep(0.01)
    uses.close()


# --- as operators call it ---------------------------------------------------------------------------------------------


def test_from_the_first_person_on_rights_are_needed(office, as_user):
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    assert "there are people already" in office.refuses("people", "first", "al", "--name", "Al", *WHY)
    said = office.refuses("terminals", "suspend", "10000001", *WHY)
    assert "mei may not do this: the right registry.change is needed" in said
    jot = as_user(1)
    assert "may not" in office.refuses("people", "add", "jo", "--name", "Jo", "--role", "registrar", *WHY)
    as_user(os.getuid())
    office.does("people", "add", "jo", "--name", "Jo", "--role", "registrar", "--system-user", jot, *WHY)
    assert "is you" in office.refuses("people", "change", "mei", "--role", "approver", *WHY)
    as_user(1)
    office.does("terminals", "suspend", "10000001", *WHY)
    newest = json.loads(office.does("audit", "list", "--most", "1", "--json"))
    assert newest["who"] == "jo"
    assert office.shown("people", "jo")["rights"] == ["registry.change", "registry.read"]
    as_user(os.getuid())
    office.does("people", "leave", "jo", *WHY)
    as_user(1)
    assert "jo may not" in office.refuses("terminals", "release", "10000001", *WHY)
    assert "whole" in office.does("audit", "verify")


def test_with_people_a_merchant_is_released_by_two(office, as_user):
    bin_user, daemon_user = as_user(2), as_user(1)
    as_user(os.getuid())
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    office.does("people", "add", "jo", "--name", "Jo", "--role", "registrar", "--system-user", daemon_user, *WHY)
    office.does("people", "add", "al", "--name", "Al", "--role", "approver", "--system-user", bin_user, *WHY)
    as_user(1)
    merchant = "898000000000001"
    office.does("merchants", "suspend", merchant, *WHY)
    assert "proposal 1 waits" in office.does("merchants", "release", merchant, *WHY)
    rows = office.does("merchants", "export").replace("suspended", "active")
    status, output = office.imports("merchants", rows, "--replace")
    assert (status, "two people are needed for active: propose it" in output) == (2, True), output
    assert office.shown("merchants", merchant)["state"] == "suspended"
    assert "may not" in office.refuses("proposals", "approve", 1, *WHY)
    as_user(2)
    assert "approved" in office.does("proposals", "approve", 1, *WHY)
    assert office.shown("merchants", merchant)["state"] == "active"


def test_with_two_administrators_people_are_changed_by_two(office, as_user):
    daemon_user = as_user(1)
    as_user(os.getuid())
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    office.does("people", "add", "al", "--name", "Al", "--role", "administrator", "--system-user", daemon_user, *WHY)
    said = office.does("people", "add", "jo", "--name", "Jo", "--role", "approver", *WHY)
    assert "proposal 1 waits for another administrator" in said
    assert "nobody called jo" in office.refuses("people", "show", "jo")
    assert "is your own" in office.refuses("proposals", "approve", 1, *WHY)
    as_user(1)
    office.does("proposals", "approve", 1, *WHY)
    assert office.shown("people", "jo")["roles"] == ["approver"]


def test_a_token_is_shown_once(office, tmp_path):
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    file = tmp_path / "mei.token"
    options = ("--label", "trial", "--days", 7, *WHY)
    office.does("tokens", "issue", "mei", *options, "--output", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text().strip()
    assert "is there already" in office.refuses("tokens", "issue", "mei", *options, "--output", file)
    (row,) = map(json.loads, office.does("tokens", "list", "--json").splitlines())
    assert (row["person"], row["state"], row["used_at"], text in str(row)) == ("mei", "in force", None, False)
    assert "revoked" in office.does("tokens", "revoke", row["id"], *WHY)
    assert "revoked" in office.does("tokens", "list", "--person", "mei")
    shown = office.does("tokens", "issue", "mei", *options).strip()
    assert len(shown) == len(text)
    assert shown not in office.does("audit", "list", "--json")
    assert "nobody called al" in office.refuses("tokens", "issue", "al", *options)


def test_tokens_that_a_daemon_could_not_read_are_not_exported(office, tmp_path, monkeypatch):
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    office.does("people", "add", "jo", "--name", "Jo", "--role", "operator", *WHY)
    office.does("tokens", "issue", "jo", "--label", "trial", "--days", 7, *WHY)
    file = tmp_path / "tokens.csv"
    assert office.does("tokens", "export", file) == f"{file}: 1 tokens\n"
    before = file.read_text()
    monkeypatch.setattr("switch.access.token_file.FILE_BYTES_MAX", 64)
    assert f"{file}: is longer than 64 bytes" in office.refuses("tokens", "export", file)
    assert file.read_text() == before


def test_only_the_owner_of_the_file_makes_the_first(tmp_path, monkeypatch):
    office = Office(tmp_path / "switch", f"sqlite:{tmp_path}/store.db")
    with monkeypatch.context() as as_another:
        as_another.setattr("switch.cli.people.os.geteuid", lambda: os.getuid() + 1)
        said = office.refuses("people", "first", "mei", "--name", "Mei Lin", *WHY)
    assert "only its owner can register the first administrator" in said
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
