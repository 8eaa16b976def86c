"""Links held out of service: by command and by API, by one person with the right, and with their history."""

from __future__ import annotations

import json
import os

import pytest

from switch.access.actor import Actor
from switch.access.people import add_or_change
from switch.access.tokens import issue
from switch.files.problems import ConfigError
from switch.links.holding import in_force
from switch.links.holds import holds_of
from switch.links.tables import LINK_HOLDS
from switch.store.changing import changing
from switch.store.problems import RefusedError

from .api import Api
from .registry import WHY, Office

HOLDS = '\n[holds]\nstore_copy = "in-force"\n'


def with_holds(office):
    office.config.write_text(office.config.read_text() + HOLDS)
    return office


@pytest.fixture
def office(tmp_path, store_url):
    return with_holds(Office(tmp_path / "switch", store_url))


def rows(office, command="list", *arguments):
    return [json.loads(line) for line in office.does("links", command, *arguments, "--json").splitlines()]


def test_a_link_is_held_out_and_released(office):
    assert rows(office) == [{"link": "bank-a", "held": "nothing", "who": None, "at": None, "why": None}]
    assert "link bank-a: held out (requests)" in office.does("links", "hold", "bank-a", "--why", "works until six")
    assert "is so already; nothing changed" in office.does("links", "hold", "bank-a", *WHY)
    shown = json.loads(office.does("links", "show", "bank-a", "--json"))
    assert (shown["held"], shown["why"]) == ("requests", "works until six")
    assert shown["who"]
    assert "works until six" in office.does("links", "list")
    assert "held out (all)" in office.does("links", "hold", "bank-a", "--owed", *WHY)
    assert "link bank-a: in service" in office.does("links", "release", "bank-a", "--why", "it is back")
    assert "is so already" in office.does("links", "release", "bank-a", *WHY)
    assert [(row["id"], row["held"], row["why"]) for row in rows(office, "history", "bank-a")] == [
        (3, "nothing", "it is back"),
        (2, "all", "a test"),
        (1, "requests", "works until six"),
    ]
    assert rows(office, "history", "bank-b") == []
    assert len(rows(office, "history")) == 3
    assert "whole" in office.does("audit", "verify")


def test_what_there_is_not_is_refused(office):
    before = office.heads()
    assert "there is no link bank-x; there are bank-a" in office.refuses("links", "hold", "bank-x", *WHY)
    assert "there is no link bank-x" in office.refuses("links", "release", "bank-x", *WHY)
    assert "there is no link bank-x" in office.refuses("links", "show", "bank-x")
    assert office.heads() == before


def test_without_a_switch_that_hears_of_it_nothing_is_held(tmp_path, store_url):
    office = Office(tmp_path / "switch", store_url)
    said = office.refuses("links", "hold", "bank-a", *WHY)
    assert "there is no [holds], so no switch would hear of it" in said


def test_one_that_is_not_configured_any_more_is_told_and_can_be_released(office, store):
    with changing(store, "jo", "as it was named") as change:
        row = {"id": 1, "link": "bank-old", "held": "all", "who": "jo", "at": change.at, "why": "x"}
        change.insert(LINK_HOLDS, row)
    assert [row["link"] for row in rows(office)] == ["bank-a", "bank-old"]
    _, said = office.calls("check", "--json")
    assert "link bank-old is held out, and not configured" in said
    office.does("links", "release", "bank-old", *WHY)
    assert [row["link"] for row in rows(office)] == ["bank-a"]


def test_who_may(office, as_user):
    users = {role: as_user(number) for number, role in enumerate(("operator", "registrar"), 1)}
    as_user(os.getuid())
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    for role, user in users.items():
        office.does("people", "add", role, "--name", role, "--role", role, "--system-user", user, *WHY)
    as_user(2)
    assert "the right links.hold is needed" in office.refuses("links", "hold", "bank-a", *WHY)
    as_user(1)
    office.does("links", "hold", "bank-a", *WHY)
    as_user(2)
    assert "the right links.hold is needed" in office.refuses("links", "release", "bank-a", *WHY)
    assert json.loads(office.does("links", "show", "bank-a", "--json"))["who"] == "operator"


def test_a_store_that_says_less_than_was_in_force_is_not_followed(office, store):
    office.does("links", "hold", "bank-a", *WHY)
    with store.reading() as connection:
        one = in_force(connection, (0, ""))
        assert in_force(connection, (one.turn, one.hash)) is None
    assert [(hold.link, hold.held) for hold in holds_of(one.body)] == [("bank-a", "requests")]
    with store.reading() as connection, pytest.raises(RefusedError, match="was put back"):
        in_force(connection, (2, one.hash))
    with store.writing() as connection:
        connection.execute(LINK_HOLDS.update().values(held="all"))
    with store.reading() as connection, pytest.raises(RefusedError, match="was put back"):
        in_force(connection, (one.turn, one.hash))
    assert "link_holds 1: is not as audit 1 left it" in office.refuses("audit", "verify")


STRANGE = '[{"held":"up","link":"a","who":"","at":"","why":""}]'


@pytest.mark.parametrize("body", ["", "{", "[1]", '[{"link": "bank-a"}]', STRANGE])
def test_what_cannot_be_read_is_refused(body):
    with pytest.raises(ConfigError):
        holds_of(body)


def test_by_the_api(tmp_path, store_url):
    api = Api(tmp_path / "switch", store_url, HOLDS)
    with changing(api.store, "mei", "begins") as change:
        add_or_change(change, "op", {"name": "Op", "roles": "operator"})
        api.tokens["op"] = issue(change, Actor("op"), "op", "test", 7)
    path = "/v1/links/bank-a"
    assert api.refuses("jo", "POST", f"{path}/hold", {"why": "no"})[0] == 403
    row = api.does("op", "POST", f"{path}/hold", {"why": "works until six"})
    assert (row["held"], row["who"], row["why"]) == ("requests", "op", "works until six")
    assert api.does("op", "POST", f"{path}/hold", {"why": "and all", "owed": True})["held"] == "all"
    assert api.does("vi", "GET", "/v1/links")["items"][0]["held"] == "all"
    assert api.does("vi", "GET", path)["why"] == "and all"
    assert api.does("op", "POST", f"{path}/release", {"why": "back"})["held"] == "nothing"
    assert [one["held"] for one in api.does("vi", "GET", f"{path}/history")["items"]] == ["nothing", "all", "requests"]
    assert api.refuses("op", "POST", "/v1/links/nowhere/hold", {"why": "no"})[0] == 404
    assert api.refuses("vi", "GET", "/v1/links/nowhere")[0] == 404
    assert api.refuses("op", "POST", f"{path}/hold", {"why": ""})[0] == 422
    assert api.ends() == 0
