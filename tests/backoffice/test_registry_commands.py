"""`authswitch merchants` and `authswitch terminals`, as an operator calls them, with either database."""

from __future__ import annotations

import csv
import json
import re

import pytest

from switch.merchants.tables import TERMINALS
from switch.store.changing import changing
from switch.store.opening import Store, parse_url

from .registry import MERCHANT, MINE, WHY, Office, call

TERMINAL_HEADING = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate,serial_number,model,place"


@pytest.fixture
def office(tmp_path, store_url):
    return Office(tmp_path / "switch", store_url)


@pytest.fixture
def full(office):
    """With what the sample's files say."""
    office.takes_over()
    return office


def add_merchant(office, **options):
    said = {"--name": "Harbour, Books", "--category": "5942", **options}
    return office.does("merchants", "add", MERCHANT, *(part for pair in said.items() for part in pair), *WHY)


def rows_of(text):
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


# --- one row ----------------------------------------------------------------------------------------------------------


def test_a_merchant_is_taken_on_and_changed(office):
    assert add_merchant(office) == f"merchant {MERCHANT}: added\n"
    assert office.shown("merchants", MERCHANT) | {"since": ""} == {
        "id": MERCHANT,
        "name": "Harbour, Books",
        "state": "active",
        "category": "5942",
        "kinds": "",
        "since": "",
    }
    options = ("--kind", "purchase", "--kind", "void", "--category", "5999")
    assert "changed" in office.does("merchants", "change", MERCHANT, *options, *WHY)
    assert "nothing changed" in office.does("merchants", "change", MERCHANT, *options, *WHY)
    row = office.shown("merchants", MERCHANT)
    assert (row["kinds"], row["category"]) == ("purchase|void", "5999")
    assert office.heads() == 2
    assert "whole" in office.does("audit", "verify")


def test_a_terminal_is_registered_with_the_keys_that_it_needs(full):
    row = full.shown("terminals", MINE)
    assert row["state"] == "active"
    options = ("--merchant", row["merchant"], "--mac", "x9.19", "--pin", "iso-0")
    said = full.refuses("terminals", "add", "20000099", *options, *WHY)
    assert "no key terminal/20000099/tak, which x9.19 needs" in said
    keys = full.folder / "secrets" / "keys.sealed"
    for usage in ("tak", "tpk"):
        full_name = f"terminal/20000099/{usage}"
        assert call("keys", "--config", full.config, "generate", full_name, "--algorithm", "3des-2key")[0] == 0, keys
    full.does("terminals", "add", "20000099", *options, "--serial-number", "SN-1", "--place", "Kai 3", *WHY)
    assert full.shown("terminals", "20000099")["serial_number"] == "SN-1"
    assert "there is a terminal 20000099 already" in full.refuses("terminals", "add", "20000099", *options, *WHY)
    said = full.refuses("terminals", "change", MINE, "--serial-number", "SN-1", *WHY)
    assert "serial number SN-1 is that of terminal 20000099 already" in said


def test_a_key_of_another_algorithm_is_refused(full):
    for usage in ("tak", "tpk"):
        name = f"terminal/20000098/{usage}"
        assert call("keys", "--config", full.config, "generate", name, "--algorithm", "aes-128")[0] == 0
    merchant = full.shown("terminals", MINE)["merchant"]
    options = ("--merchant", merchant, "--mac", "x9.19", "--pin", "none")
    for more in ((), ("--certificate", "a,b")):
        assert "is a key for aes-128" in full.refuses("terminals", "add", "20000098", *options, *more, *WHY)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--category", "59"), "'59' is not a merchant category code"),
        (("--kind", "gambling"), "unknown kind 'gambling'"),
        (("--name", ""), "a name of 1 to 255 bytes"),
        (("--name", "x" * 121), "name has 121 characters, and at most 120 are kept"),
    ],
)
def test_what_the_switch_would_not_take_is_refused(office, options, words):
    add_merchant(office)
    assert words in office.refuses("merchants", "change", MERCHANT, *options, *WHY)
    assert office.heads() == 1


def test_whom_nobody_knows_is_refused(office):
    for command in ("suspend", "release", "close"):
        assert f"there is no merchant {MERCHANT}" in office.refuses("merchants", command, MERCHANT, *WHY)
    assert f"there is no terminal {MINE}" in office.refuses("terminals", "show", MINE)
    said = office.refuses("terminals", "add", MINE, "--merchant", MERCHANT, "--mac", "none", "--pin", "none", *WHY)
    assert f"there is no merchant {MERCHANT}" in said


@pytest.mark.parametrize("key", ["T77 ", " T77", "#T77"])
def test_an_identifier_that_the_switch_would_take_for_another_is_refused(full, key):
    merchant = full.shown("terminals", MINE)["merchant"]
    options = ("--merchant", merchant, "--mac", "none", "--pin", "none")
    assert "begins or ends with a blank" in full.refuses("terminals", "add", key, *options, *WHY)
    status, said = full.imports("terminals", f'{TERMINAL_HEADING}\n"{key}",{merchant},active,,,none,none,,,,\n')
    assert status == 2
    assert "line 2," in said
    assert "cannot be printed" in full.refuses("terminals", "change", MINE, "--place", "a\nb", *WHY)


def test_who_it_was_is_not_what_the_environment_says(office, monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody-else")
    add_merchant(office)
    assert "somebody-else" not in office.does("audit", "list")


def test_a_reason_is_needed(office):
    add_merchant(office)
    assert "--why" in office.refuses("merchants", "suspend", MERCHANT)
    assert "printable characters" in office.refuses("merchants", "suspend", MERCHANT, "--why", " ")
    assert office.shown("merchants", MERCHANT)["state"] == "active"


# --- states -----------------------------------------------------------------------------------------------------------


def test_what_is_closed_stays_closed(full):
    assert "suspended" in full.does("terminals", "suspend", MINE, *WHY)
    assert "nothing changed" in full.does("terminals", "suspend", MINE, *WHY)
    assert "active" in full.does("terminals", "release", MINE, *WHY)
    full.does("terminals", "close", MINE, *WHY)
    assert "cannot become active" in full.refuses("terminals", "release", MINE, *WHY)
    assert "stays as it was" in full.refuses("terminals", "change", MINE, "--model", "P2", *WHY)


def test_a_merchant_takes_its_terminals_along(full):
    merchant = full.shown("terminals", MINE)["merchant"]
    full.does("merchants", "close", merchant, *WHY)
    listed = full.does("terminals", "list", "--merchant", merchant, "--json").splitlines()
    assert {json.loads(line)["state"] for line in listed} == {"closed"}
    options = ("--merchant", merchant, "--mac", "none", "--pin", "none")
    assert f"merchant {merchant} is closed" in full.refuses("terminals", "add", "10000097", *options, *WHY)


# --- whole files ------------------------------------------------------------------------------------------------------


def test_a_closed_merchants_terminals_are_taken_over_closed_alone(full):
    merchant = full.shown("terminals", MINE)["merchant"]
    full.does("merchants", "close", merchant, *WHY)
    closed = full.does("terminals", "export")
    assert full.imports("terminals", closed)[0] == 0
    for state, status in (("suspended", 2), ("active", 2), ("closed", 0)):
        row = f"10000098,{merchant},{state},,,none,none,,,,\n"
        told, said = full.imports("terminals", f"{TERMINAL_HEADING}\n{row}")
        assert told == status
        assert (f"merchant {merchant} is closed" in re.sub(r"\s+", " ", said)) is (status == 2)


@pytest.mark.parametrize("group", ["merchants", "terminals"])
def test_what_was_imported_is_exported(full, group):
    source = rows_of(full.table(f"{group}.csv").read_text())
    exported = rows_of(full.does(group, "export"))
    own = source[0].keys()
    assert [{name: row[name] for name in own} for row in exported] == sorted(source, key=lambda row: row["id"])
    file = full.folder / "export.csv"
    assert f"{len(source)} rows" in full.does(group, "export", "--output", file)
    assert "File exists" in full.refuses(group, "export", "--output", file)
    changes = full.heads()
    said = full.does(group, "import", file, *WHY)
    assert f"0 added, 0 changed, {len(source)} were so already" in said.replace("\n", "")
    assert full.heads() == changes


def test_every_wrong_row_is_told_at_once_and_nothing_is_taken(full):
    merchant = full.shown("terminals", MINE)["merchant"]
    changes = full.heads()
    good = f"10000090,{merchant},active,,,none,none,,SN-1,P2,Kai 3"
    text = [
        "# a comment",
        TERMINAL_HEADING,
        good,
        f"10000091,{merchant},asleep,,,none,none,,,,",
        "10000092,898000000000999,active,,,none,none,,,,",
        f"10000093,{merchant},active,,,none,none,,SN-1,,",
        f"10000094,{merchant},active,,,x9.19,none,,,,",
        f"10000095,{merchant},active",
        f"10000096,{merchant},active,,,none,none,,,{'m' * 61},",
        f'10000097,{merchant},active,,,none,none,,,"two',
        'lines",',
        f"10000090,{merchant},active,,,none,none,,,,",
        f"100000\u00e9,{merchant},active,,,none,none,,,,",
        f"{MINE},{merchant},suspended,,,none,none,,,,",
    ]
    status, said = full.imports("terminals", "\n".join(text) + "\n")
    assert status == 2
    assert "line 4" in said
    assert "unknown state 'asleep'" in said
    for line, words in {
        5: "unknown merchant '898000000000999'",
        6: "serial_number: SN-1 is on line 3 already",
        7: "no key terminal/10000094/tak",
        8: "3 cells; needed are 11",
        9: "model: 61 characters; at most 60 are kept",
        10: "a cell goes on over the end of the line",
        12: "this terminal is on line 3 already",
        13: "needed are printable ASCII characters",
    }.items():
        assert any(f"line {line}," in row and words in row for row in said.splitlines()), (line, said)
    assert full.heads() == changes


def test_rows_that_are_there_are_changed_only_where_that_is_asked_for(full):
    row = full.shown("terminals", MINE)
    other = "898000000000777"
    line = f"{MINE},{row['merchant']},suspended,,,none,none,,SN-7,P2,Kai 3"
    text = f"{TERMINAL_HEADING}\n{line}\n"
    status, said = full.imports("terminals", text)
    assert status == 2
    assert f"{MINE} is there already, with another state," in said
    status, said = full.imports("terminals", text, "--replace")
    assert status == 0, said
    assert "1 changed" in said
    now = full.shown("terminals", MINE)
    assert (now["state"], now["serial_number"], now["mac_algorithm"]) == ("suspended", "SN-7", "none")
    full.does("merchants", "add", other, "--name", "Other", "--category", "5999", *WHY)
    status, said = full.imports("terminals", text.replace(row["merchant"], other), "--replace")
    assert status == 2
    assert "merchant of" in said
    assert "cannot be changed" in said
    taken = f"{TERMINAL_HEADING}\n10000090,{row['merchant']},active,,,none,none,,SN-7,,\n"
    status, said = full.imports("terminals", taken)
    assert status == 2
    assert f"SN-7 is that of terminal {MINE} already" in said
    assert "whole" in full.does("audit", "verify")


def test_a_file_that_is_none_is_told(office):
    for text, words in {
        "": "the file is empty",
        "id,name\n": "the first row must be id,name,state,category,kinds",
    }.items():
        status, said = office.imports("merchants", text)
        assert status == 2, text
        assert words in said
    file = office.folder / "import.csv"
    file.write_bytes(b"id,name,state,category,kinds\n1,\xff,active,5999,\n")
    status, said = office.calls("merchants", "import", file, *WHY)
    assert status == 2
    assert "UTF-8" in said


def test_listings_are_narrowed_down(full):
    everything = full.does("merchants", "list", "--json").splitlines()
    first = json.loads(everything[0])["id"]
    full.does("merchants", "suspend", first, *WHY)
    assert json.loads(full.does("merchants", "list", "--state", "suspended", "--json"))["id"] == first
    assert "there are more than 1" in full.does("terminals", "list", "--most", "1")
    assert first in full.does("merchants", "list")
    for group in ("merchants", "terminals"):
        assert "needed one of active, suspended, closed" in full.refuses(group, "list", "--state", "lost")


def test_who_awaits_its_first_sign_in_is_left_so_by_an_import(full, store_url):
    store = Store.open(parse_url(store_url))
    with changing(store, "nobody", "past all checks") as change:
        change.update(TERMINALS, MINE, {"state": "awaiting"})
    store.close()
    exported = full.does("terminals", "export")
    assert f"{MINE}," in exported
    assert "awaiting" in exported
    assert " 0 changed" in full.imports("terminals", exported)[1]
    status, said = full.imports("terminals", exported.replace(",active,", ",awaiting,"), "--replace")
    assert (status, "it cannot become awaiting" in re.sub(r"\s+", " ", said)) == (2, True)
    merchant = full.shown("terminals", MINE)["merchant"]
    status, said = full.imports("terminals", f"{TERMINAL_HEADING}\n19999998,{merchant},awaiting,,,none,none,,,,\n")
    assert (status, "only a terminal of an application" in re.sub(r"\s+", " ", said)) == (2, True)
    assert json.loads(full.does("terminals", "list", "--state", "awaiting", "--json"))["id"] == MINE
