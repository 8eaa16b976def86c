"""Terminals that sign in: the keys that the answer brings, in each form, and the batch number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from switch.keys.sign_in import open_sign_in_keys
from tests.ext.world import CUP_TMK, MERCHANT, TERMINALS, Keys

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "pin_and_keys.json").read_text())
SIGN_ON = "001"


def test_sign_in_brings_the_working_keys(world):
    vector = VECTORS["cup_sign_in"]
    terminal = world.terminal("cup")
    request = {"t": "0800", "11": "000001", "41": "10000001", "42": MERCHANT, "60": "00000001003", "63": "01 "}
    answer = terminal.ask(request, mac=False)
    assert (answer["t"], answer["39"]) == ("0810", "00")
    assert answer["62"] == vector["field_62"]
    keys = open_sign_in_keys(CUP_TMK, bytes.fromhex(answer["62"]))
    assert keys.pin_key.hex().upper() == vector["pin_key"]
    assert keys.mac_key.hex().upper() == vector["mac_key"]
    assert answer["62"] not in repr(world.notes)


CUP_SIGN_IN = {"t": "0800", "11": "000001", "41": "10000010", "42": MERCHANT, "60": "00000001003", "63": "01 "}


def asking(form):
    """A sign-in that asks for a form of the key block."""
    return {**CUP_SIGN_IN, "60": f"00000001{form}"}


ISO_SIGN_ON = {"t": "0800", "7": "0115080000", "11": "000001", "41": "10000010", "70": SIGN_ON}
ISO_KEYS = {**ISO_SIGN_ON, "70": "161"}
CLEAR = {"tak": bytes(range(16)), "tpk": bytes(range(16, 32)), "tmk": bytes(range(32, 48))}


@pytest.mark.parametrize(
    ("request_of", "algorithm", "pin_format", "changes", "code", "reason"),
    [
        (CUP_SIGN_IN, "aes-cmac", "iso-0", {}, "63", "the MAC key (tak) is missing, not of DES"),
        (CUP_SIGN_IN, "cup-sm4", "iso-0", {}, "63", "the MAC key (tak) is missing, not of DES"),
        (asking("001"), "x9.19", "iso-0", {"tpk": bytes(8)}, "63", "no place beside the PIN key"),
        (
            CUP_SIGN_IN,
            "x9.19",
            "iso-0",
            {"tpk": bytes(8), "tak": bytes(8)},
            "63",
            "the PIN key (tpk) is not of DES, or",
        ),
        (asking("001"), "x9.19", "iso-0", {}, "63", "the PIN key (tpk) is not of DES, or of a size"),
        (CUP_SIGN_IN, "x9.19", "iso-0", {"tpk": bytes(range(24))}, "63", "no place beside the PIN key"),
        (CUP_SIGN_IN, "x9.19", "iso-4", {}, "63", "the PIN key (tpk) is not of DES, or of a size"),
        (asking("004"), "x9.19", "iso-0", {}, "63", "the track key (tdk), for which was asked, is missing"),
        (asking("004"), "x9.19", "iso-0", {"tdk": bytes(8)}, "63", "the track key (tdk), for which was asked"),
        (asking("005"), "x9.19", "iso-0", {}, "63", "it asks for keys of SM4"),
        (asking("006"), "x9.19", "iso-0", {}, "12", None),
        (CUP_SIGN_IN, "x9.19", "none", {}, "63", "the terminal has no PIN key (tpk)"),
        (CUP_SIGN_IN, "none", "iso-0", {}, "63", "the MAC key (tak) is missing"),
        # Its keys were put into it by other means.
        (CUP_SIGN_IN, "x9.19", "iso-0", {"tmk": None}, "00", "the terminal has no master key (tmk) of DES"),
        (CUP_SIGN_IN, "none", "none", {"tmk": None}, "00", None),
        # Where keys have a message of their own, a sign-on does not ask for them.
        (ISO_SIGN_ON, "aes-cmac", "iso-0", {}, "00", None),
        (ISO_KEYS, "aes-cmac", "iso-0", {}, "63", "the MAC key (tak) is missing, not of DES"),
        (ISO_KEYS, "x9.19", "iso-0", {"tmk": None}, "63", "the terminal has no master key (tmk) of DES"),
    ],
)
def test_keys_that_an_answer_cannot_carry(
    make_world, monkeypatch, request_of, algorithm, pin_format, changes, code, reason
):
    clear = {**CLEAR, **changes}
    monkeypatch.setitem(TERMINALS, "10000010", (MERCHANT, "active", "", "", algorithm, pin_format, ""))
    given = Keys.get
    monkeypatch.setattr(
        Keys, "get", lambda keys, name: clear.get(name.split("/")[2]) if "/10000010/" in name else given(keys, name)
    )
    world = make_world()
    terminal = world.terminal("cup" if "60" in request_of else "iso")
    answer = terminal.ask(request_of, mac=False)
    assert answer["39"] == code
    assert not {"62", "48"} & set(answer)
    told = world.told("sign_in_without_keys")
    assert len(told) == (reason is not None)
    for details in told:
        assert (details["terminal"], details["refused"]) == ("10000010", code != "00")
        assert reason in details["reason"]
        assert details["kind"] == ("key_exchange" if request_of is ISO_KEYS else "sign_on")


CLEAR_FORMS = [
    # what is asked for, PIN key, MAC key, track key
    ("001", 8, 8, 0),
    ("003", 16, 8, 0),
    ("003", 16, 16, 0),
    ("003", 24, 24, 0),
    ("004", 16, 16, 16),
    ("004", 24, 8, 24),
]


@pytest.mark.parametrize(("form", "pin_size", "mac_size", "track_size"), CLEAR_FORMS)
def test_each_form_of_keys_that_a_sign_in_may_ask_for(make_world, monkeypatch, form, pin_size, mac_size, track_size):
    sizes = {"tak": mac_size, "tpk": pin_size, "tmk": 16, "tdk": track_size}
    clear = {usage: bytes(range(number, number + size)) for number, (usage, size) in enumerate(sizes.items())}
    monkeypatch.setitem(TERMINALS, "10000010", (MERCHANT, "active", "", "", "cup-ecb", "iso-0", ""))
    given = Keys.get
    monkeypatch.setattr(
        Keys, "get", lambda keys, name: clear[name.split("/")[2]] or None if "/10000010/" in name else given(keys, name)
    )
    answer = make_world().terminal("cup").ask(asking(form), mac=False)
    assert answer["39"] == "00"
    keys = open_sign_in_keys(clear["tmk"], bytes.fromhex(answer["62"]), has_track_key=form == "004")
    assert keys == (clear["tpk"], clear["tak"], clear["tdk"])


def batch_told(terminal, said):
    """The batch number in the answer to a sign-in that says one."""
    request = {"t": "0800", "11": "000001", "41": "10000001", "42": MERCHANT, "60": f"00{said}003", "63": "01 "}
    answer = terminal.ask(request, mac=False)
    assert (answer["60"][:2], answer["60"][8:]) == ("00", "003")
    return answer["60"][2:8]


def test_batch_number_of_a_sign_in(world):
    terminal = world.terminal("cup")
    first = batch_told(terminal, "000000")
    assert int(first) > 0
    assert batch_told(terminal, first) == first
    second = batch_told(terminal, "000000")
    assert int(second) > int(first)
    assert batch_told(terminal, first) == second
    assert batch_told(terminal, second) == second
    world.advance(3600, step=300)
    assert batch_told(world.terminal("cup"), second) == second


def test_a_strangers_sign_in_does_not_use_the_batch_numbers_up(world):
    terminal = world.terminal("cup")
    assert batch_told(terminal, "000123") == "000123"
    assert batch_told(world.terminal("cup"), "999999") == "999999"
    assert batch_told(terminal, "000124") == "000124"
    assert batch_told(terminal, "500000") == "500000"
    assert batch_told(terminal, "000125") == "000125"
    assert int(batch_told(terminal, "000000")) < 999_000


def test_batch_number_outlives_the_switch(make_world):
    first = make_world()
    told = batch_told(first.terminal("cup"), "000000")
    later = make_world()
    assert batch_told(later.terminal("cup"), told) == told
    later.advance(600)
    assert int(batch_told(later.terminal("cup"), "000000")) > int(told)


LOADS = {"t": "0800", "11": "000001", "41": "10000001", "42": MERCHANT}


@pytest.mark.parametrize(
    ("mti", "form", "asked", "code", "told"),
    [
        ("0820", "362", None, "00", None),
        ("0820", "372", b"100", "00", b"0"),
        ("0800", "370", bytes.fromhex("9F0605A0000003339F220102"), "00", b"0"),
        ("0800", "371", None, "00", None),
        ("0820", "382", b"100", "00", b"0"),
        ("0800", "381", None, "00", None),
        ("0800", "390", b"100", "00", b"0"),
        ("0800", "360", None, "12", None),
        ("0800", "999", None, "12", None),
        ("0820", "002", None, "00", None),
        ("0820", "301", None, "00", None),
    ],
)
def test_what_a_terminal_loads_and_reports(world, mti, form, asked, code, told):
    request = {**LOADS, "t": mti, "60": f"00000001{form}"}
    if asked is not None:
        request["62"] = asked.hex().upper()
    answer = world.terminal("cup").ask(request, mac=False)
    assert (answer["t"], answer["39"], answer["60"]) == (f"{mti[:2]}{int(mti[2]) + 1}0", code, f"00000001{form}")
    assert answer.get("62") == (None if told is None else told.hex().upper())
