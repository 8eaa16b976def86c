"""Versions of risk rules and BIN tables in the store: by command and by API, and put in force by two people."""

from __future__ import annotations

import json
import os

import pytest

from switch.rulebooks.rulebooks import hash_of
from switch.rulebooks.tables import RULEBOOK_BODIES
from switch.store.copying import restore
from switch.store.problems import StoreError

from .api import Api
from .registry import WHY, Office

LIMIT = '[[limits]]\nname = "card"\nper = "card"\nwindow_seconds = 60\ncount_max = {}\n'
COUNTRIES = LIMIT + '[countries]\ntable = "lists/countries.csv"\nblocked = ["408"]\n'
TABLE = "low,high,country\n4000,,408\n"
HEADING = "low,high,kinds,currencies,amount_min,amount_max,links\n"


TYPES = '[card_types]\ntable = "lists/types.csv"\n' + LIMIT.format(1) + 'card_types = ["credit"]\n'


@pytest.fixture
def office(tmp_path, store_url):
    return Office(tmp_path / "switch", store_url)


@pytest.fixture
def file(office):
    """Writes the file that is put."""

    def write(text, **tables):
        folder = office.folder / "new"
        (folder / "lists").mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            (folder / "lists" / f"{name}.csv").write_text(table)
        (folder / "text").write_text(text)
        return folder / "text"

    return write


def rows(office, kind):
    return [json.loads(line) for line in office.does(kind, "list", "--json").splitlines()]


def test_types_of_cards_are_kept_with_their_rules(office, file):
    table = "low,high,type\n6217,,debit\n"
    assert "types.csv" in office.refuses("risk", "put", file(TYPES, types=table.replace("debit", "gold")), *WHY)
    office.does("risk", "put", file(TYPES, types=table), *WHY)
    assert json.loads(office.does("risk", "show", 1, "--json"))["tables"] == {"lists/types.csv": table}


def test_versions_are_put_listed_and_shown(office, file):
    assert "risk rules, version 1: kept; `propose` puts it in force" in office.does(
        "risk", "put", file(LIMIT.format(2)), *WHY
    )
    assert "is the newest already; nothing changed" in office.does("risk", "put", file(LIMIT.format(2)), *WHY)
    office.does("risk", "put", file(COUNTRIES.format(3), countries=TABLE), *WHY)
    assert [(row["version"], row["in_force"]) for row in rows(office, "risk")] == [(2, False), (1, False)]
    assert rows(office, "routes") == []
    assert office.does("risk", "show", 1) == LIMIT.format(2)
    shown = json.loads(office.does("risk", "show", 2, "--json"))
    assert (shown["text"], shown["tables"]) == (COUNTRIES.format(3), {"lists/countries.csv": TABLE})
    assert shown["why"] == "a test"
    body = json.dumps({"tables": shown["tables"], "text": shown["text"]}, separators=(",", ":"))
    assert shown["hash"] == hash_of(body)
    office.does("risk", "show", 2, "--output", office.folder / "out")
    assert (office.folder / "out" / "risk.toml").read_text() == COUNTRIES.format(3)
    assert (office.folder / "out" / "lists" / "countries.csv").read_text() == TABLE
    assert "there is no version 9 of the risk rules" in office.refuses("risk", "show", 9)
    assert "no version of the risk rules is in force" in office.refuses("risk", "show")
    office.does("audit", "verify")


def test_what_a_switch_would_not_take_is_not_kept(office, file):
    before = office.heads()
    said = office.refuses("risk", "put", file("windows_max = 0\nbin_digits = 1\n"), *WHY)
    assert "windows_max" in said
    assert "bin_digits" in said
    said = office.refuses("risk", "put", file(COUNTRIES.format(1), countries="low,high\n"), *WHY)
    assert "countries.csv" in said
    blocked = '[cards]\ntable = "lists/cards.csv"\nkey = "risk/others"\n'
    assert "no key risk/others in the key file" in office.refuses(
        "risk", "put", file(blocked, cards="card,reason\n"), *WHY
    )
    said = office.refuses("routes", "put", file(f"{HEADING}622500,,,,,,nowhere:1\n12x,,,,,,bank-a:1\n"), *WHY)
    assert "nowhere" in said
    assert "digits" in said
    (office.folder / "new" / "text").write_bytes(b"\xff")
    for kind in ("risk", "routes"):
        assert "utf-8" in office.refuses(kind, "put", office.folder / "new" / "text", *WHY).lower()
    assert rows(office, "risk") == rows(office, "routes") == []
    assert office.heads() == before


def test_while_nobody_is_registered_one_alone_puts_a_version_in_force(office, file):
    for limit in (2, 3):
        office.does("risk", "put", file(LIMIT.format(limit)), *WHY)
    assert "version 1: in force" in office.does("risk", "propose", 1, *WHY)
    assert office.does("risk", "show") == LIMIT.format(2)
    assert "risk@1 is in force already" in office.refuses("risk", "propose", 1, *WHY)
    office.does("risk", "propose", 2, *WHY)
    office.does("risk", "propose", 1, *WHY)
    assert [row["in_force"] for row in rows(office, "risk")] == [False, True]


def test_two_people_put_a_version_in_force(office, file, as_user):
    users = {role: as_user(number) for number, role in enumerate(("registrar", "approver", "viewer"), 1)}
    as_user(os.getuid())
    office.does("people", "first", "mei", "--name", "Mei Lin", *WHY)
    for role, user in users.items():
        office.does("people", "add", role, "--name", role, "--role", role, "--system-user", user, *WHY)
    as_user(3)
    assert "the right registry.change is needed" in office.refuses("routes", "put", file(HEADING), *WHY)
    as_user(1)
    office.does("routes", "put", file(HEADING + "622500,,,,,,bank-a:1\n"), *WHY)
    assert "proposal 1 waits for another person" in office.does("routes", "propose", 1, *WHY)
    assert "waits for the same already" in office.refuses("routes", "propose", 1, *WHY)
    assert "the right registry.approve is needed" in office.refuses("proposals", "approve", 1, *WHY)
    assert rows(office, "routes")[0]["in_force"] is False
    as_user(2)
    assert "proposal 1: approved" in office.does("proposals", "approve", 1, *WHY)
    assert rows(office, "routes")[0]["in_force"] is True
    shown = json.loads(office.does("proposals", "show", 1, "--json"))
    assert shown["wanted"] == {"version": 1, "hash": rows(office, "routes")[0]["hash"]}
    office.does("audit", "verify")


def test_what_does_not_say_any_more_what_was_put_is_not_put_in_force(office, file, store):
    office.does("risk", "put", file(LIMIT.format(2)), *WHY)
    with store.writing() as connection:
        connection.execute(RULEBOOK_BODIES.update().values(body='{"text":"","tables":{}}'))
    assert "what it says is not what was put there" in office.refuses("risk", "propose", 1, *WHY)
    assert "what it says is not what was put there" in office.refuses("risk", "show", 1)


def test_by_the_api(tmp_path, store_url):
    api = Api(tmp_path / "switch", store_url)
    large = {"text": LIMIT.format(2) + "#" * 100_000, "why": "order 12"}
    assert api.refuses("al", "POST", "/v1/risk/versions", large)[0] == 413, "who may not is read no file of"
    row = api.does("jo", "POST", "/v1/risk/versions", large)
    assert (row["id"], row["put_by"], row["in_force"]) == ("risk@1", "jo", False)
    body = {"text": COUNTRIES.format(3), "tables": {"lists/countries.csv": TABLE}, "why": "order 13"}
    status, document, _ = api.asks("jo", "POST", "/v1/risk/versions", body)
    assert (status, document["version"]) == (201, 2)
    assert api.asks("jo", "POST", "/v1/risk/versions", body)[0] == 200
    status, words = api.refuses("jo", "POST", "/v1/risk/versions", {**body, "tables": {}})
    assert (status, words) == (409, "is named, and did not come with the text")
    assert api.refuses("jo", "POST", "/v1/risk/versions", {"text": "windows_max = 0", "why": "no"})[0] == 409
    assert [one["version"] for one in api.does("vi", "GET", "/v1/risk/versions")["items"]] == [2, 1]
    assert api.does("vi", "GET", "/v1/risk/versions/2")["tables"] == body["tables"]
    assert api.refuses("vi", "GET", "/v1/risk/in-force")[0] == 404
    proposed = api.does("jo", "POST", "/v1/risk/versions/2/propose", {"why": "rehearsed"})
    number = proposed["proposal"]
    assert api.refuses("jo", "POST", f"/v1/proposals/{number}/approve", {"why": "mine"})[0] == 403
    assert api.does("al", "POST", f"/v1/proposals/{number}/approve", {"why": "seen"})["state"] == "approved"
    assert api.does("vi", "GET", "/v1/risk/in-force")["version"] == 2
    assert api.refuses("jo", "POST", "/v1/risk/versions/2/propose", {"why": "again"})[0] == 409
    assert api.does("vi", "GET", "/v1/routes/versions")["items"] == []
    assert api.ends() == 0


def test_what_a_version_says_is_proved_with_the_audit_and_restored_by_nobody_else(office, file, store):
    for limit in (2, 3):
        office.does("risk", "put", file(LIMIT.format(limit)), *WHY)
    with store.writing() as connection:
        altered = RULEBOOK_BODIES.update().where(RULEBOOK_BODIES.c.id == "risk@1")
        connection.execute(altered.values(body='{"text":"","tables":{}}'))
        connection.execute(RULEBOOK_BODIES.delete().where(RULEBOOK_BODIES.c.id == "risk@2"))
    said = office.refuses("audit", "verify")
    for version in (1, 2):
        assert f"rulebooks risk@{version} does not say what was put there" in said.replace(":", "")
    office.does("store", "backup", office.folder / "backup.db")
    with pytest.raises(StoreError, match="rulebooks risk@1 does not say"):
        restore(office.folder / "backup.db", store)
