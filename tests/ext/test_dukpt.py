"""DUKPT: keys against the published ones, and what a terminal that has it can do and cannot."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.crypto.dukpt import BaseKeys, derive_key
from switch.crypto.pin_block import decrypt_pin_block, encrypt_pin_block
from switch.tables.registry_changes import suspend
from tests.ext.dukpt_by_hand import derive_pin_key
from tests.ext.test_device_counters import known
from tests.ext.world import (
    CARD,
    MERCHANT,
    ONE_ROUTE,
    TERMINALS,
    ZPK,
    link,
    listener,
    purchase,
)

VECTORS = Path(__file__).parent.parent / "vectors"
PUBLISHED = json.loads((VECTORS / "pin_and_keys.json").read_text())["tdes_dukpt"]["vectors"]
TDES = json.loads((VECTORS / "keyblocks_and_dukpt.json").read_text())["dukpt_tdes"]
AES = json.loads((VECTORS / "keyblocks_and_dukpt.json").read_text())["dukpt_aes128"]
BDK = bytes.fromhex(TDES["bdk"])
AES_BDK = bytes.fromhex(AES["bdk"])
SERIAL = "FFFF9876543210E{:05X}"
AES_SERIAL = AES["initial_key_id"] + "{:08X}"


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["ksn"])
def test_published_keys_of_des(vector):
    key = derive_key(bytes.fromhex(vector["bdk"]), vector["ksn"], is_aes=False)
    assert key == bytes.fromhex(vector["pin_key"])
    block = encrypt_pin_block(vector["pin"], vector["pan"], key)
    assert block == bytes.fromhex(vector["encrypted_pin_block"])


@pytest.mark.parametrize("counter", [1, 2, 3])
def test_published_keys_of_aes(counter):
    key = derive_key(AES_BDK, AES_SERIAL.format(counter), is_aes=True)
    assert key == bytes.fromhex(AES["pin_keys_from_counter_1"][counter - 1])


@settings(deadline=None)
@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**59 - 1),
    st.lists(st.integers(0, 20), min_size=1, max_size=10, unique=True),
)
def test_any_key_of_des_agrees_with_one_derived_by_hand(base, device, bits):
    serial = f"{device << 21 | sum(1 << bit for bit in bits):020X}"
    assert derive_key(base, serial, is_aes=False) == derive_pin_key(base, bytes.fromhex(serial))
    assert derive_key(base, serial.lower(), is_aes=False) == derive_pin_key(base, bytes.fromhex(serial))
    if serial.startswith("FFFF"):
        assert derive_key(base, serial[4:], is_aes=False) == derive_key(base, serial, is_aes=False)


def test_filler_may_be_left_out():
    assert derive_key(BDK, SERIAL.format(1)[4:], is_aes=False) == derive_key(BDK, SERIAL.format(1), is_aes=False)


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keys_of_aes_are_as_long_as_their_base_and_all_different(size):
    keys = {derive_key(bytes(range(size)), AES_SERIAL.format(counter), is_aes=True) for counter in range(1, 200)}
    assert len(keys) == 199
    assert {len(key) for key in keys} == {size}


@pytest.mark.parametrize(
    ("serial", "is_aes"),
    [
        (SERIAL.format(0), False),
        ("FFFF9876543210FFFFFF", False),
        (SERIAL.format(0x7FF), False),
        (SERIAL.format(1)[1:], False),
        (SERIAL.format(1) + "0", False),
        (SERIAL.format(1)[:-1] + "G", False),
        ("", False),
        (AES_SERIAL.format(0), True),
        (AES_SERIAL.format(0x1FFFF), True),
        (AES_SERIAL.format(1)[:-2], True),
        (AES_SERIAL.format(1) + "00", True),
        (SERIAL.format(1), True),
        (AES_SERIAL.format(1), False),
    ],
)
def test_serial_number_that_no_terminal_sends(serial, is_aes):
    with pytest.raises(ValueError, match="not a key serial number whose counter a terminal sends"):
        derive_key(AES_BDK if is_aes else BDK, serial, is_aes=is_aes)


def test_base_key_of_a_wrong_size():
    for size in (8, 24):
        with pytest.raises(ValueError, match=f"a base derivation key of DES has 16 bytes, not {size}"):
            derive_key(bytes(size), SERIAL.format(1), is_aes=False)
    with pytest.raises(ValueError, match="a key of iso-4 has 16, 24 or 32 bytes, not 8"):
        derive_key(bytes(8), AES_SERIAL.format(1), is_aes=True)
    with pytest.raises(ValueError, match="more than 64 base derivation keys"):
        BaseKeys([("F", BDK, False)] * 65)
    with pytest.raises(ValueError, match="at most 24 digits"):
        BaseKeys([("F" * 25, BDK, False)])


# --- a terminal -------------------------------------------------------------------------------------------------------


@pytest.fixture
def world_with(make_world, monkeypatch, tmp_path):
    """A world whose terminal 10000002 has PIN keys that are derived."""

    def make(pin_format="iso-0+dukpt", field="b80", on_link="iso-0", base_keys=None, spoken=None):
        monkeypatch.setitem(TERMINALS, "10000002", (MERCHANT, "active", "", "", "x9.19", pin_format, ""))
        path = tmp_path / "dukpt.toml"
        wide = 'fields.52 = { format = "b128" }\n' if pin_format.startswith("iso-4") else ""
        serial = f'fields.53 = {{ format = "{field}", key = "key_serial_number", desc = "KSN" }}\n' if field else ""
        path.write_text(f'extends = "iso87-ascii"\n{wide}{serial}{spoken or ""}')
        default = {"serial_numbers": "123456789012", "key": "link/aes/bdk", "cipher": "aes"}
        keys = [{"serial_numbers": "FFFF9876", "key": "link/des/bdk"}, default] if base_keys is None else base_keys
        pin = {"format": on_link, "key": "link/bank-a/zpk"}
        world = make_world(
            listeners=[listener("iso", str(path))],
            links=[link("bank-a", "iso87-ascii" if spoken is None else str(path), pin=pin)],
            routes=ONE_ROUTE,
            base_keys=keys,
        )
        return world, world.terminal("iso"), world.issuer()

    return make


def asked_with(world, block, serial):
    return purchase(world, "iso", f22="021", f52=block.hex().upper(), f53=serial)


@pytest.mark.parametrize("on_link", ["iso-0", "iso-3"])
@pytest.mark.parametrize("at_terminal", ["iso-0", "iso-1", "iso-3"])
def test_pin_under_derived_keys_of_des_goes_on(world_with, at_terminal, on_link):
    world, terminal, issuer = world_with(f"{at_terminal}+dukpt", on_link=on_link)
    for counter in (1, 2, 3, 0x1F):
        key = derive_key(BDK, SERIAL.format(counter), is_aes=False)
        terminal.send(asked_with(world, encrypt_pin_block("4321", CARD, key, at_terminal), SERIAL.format(counter)))
        asked = issuer.read_one()
        assert decrypt_pin_block(bytes.fromhex(asked["52"]), CARD, ZPK, on_link) == "4321"
        assert "53" not in asked
        issuer.answer(asked)
        assert terminal.read_one()["39"] == "00"


def test_serial_number_stays_here_where_the_link_speaks_the_same_dialect(world_with):
    world, terminal, issuer = world_with(spoken='policy.request.53 = "forward"\npolicy.answer.53 = "request"\n')
    key = derive_key(BDK, SERIAL.format(1), is_aes=False)
    terminal.send(asked_with(world, encrypt_pin_block("4321", CARD, key, "iso-0"), SERIAL.format(1)))
    asked = issuer.read_one()
    assert decrypt_pin_block(bytes.fromhex(asked["52"]), CARD, ZPK, "iso-0") == "4321"
    assert "53" not in asked
    issuer.answer(asked)
    assert terminal.read_one()["53"] == SERIAL.format(1), "the terminal is told its own"


def test_pin_under_derived_keys_of_aes_goes_on(world_with):
    world, terminal, issuer = world_with("iso-4+dukpt", field="b96")
    for counter in (1, 2, 0x10000):
        key = derive_key(AES_BDK, AES_SERIAL.format(counter), is_aes=True)
        terminal.send(asked_with(world, encrypt_pin_block("4321", CARD, key, "iso-4"), AES_SERIAL.format(counter)))
        asked = issuer.read_one()
        assert decrypt_pin_block(bytes.fromhex(asked["52"]), CARD, ZPK) == "4321"


def refused(world, terminal, issuer, request, code, fault):
    """A request is refused for its PIN, with a word to the operator."""
    assert terminal.ask(request)["39"] == code
    assert issuer.read() == []
    assert world.told("pin_not_translatable")[-1]["fault"] == fault


def block_at(counter, pin="4321"):
    return encrypt_pin_block(pin, CARD, derive_key(BDK, SERIAL.format(counter), is_aes=False))


def test_serial_number_does_not_go_back(world_with):
    world, terminal, issuer = world_with()
    terminal.send(asked_with(world, block_at(5), SERIAL.format(5)))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    for counter in (5, 4, 1):
        request = asked_with(world, block_at(counter), SERIAL.format(counter))
        refused(world, terminal, issuer, request, "63", "serial_repeated")
    terminal.send(asked_with(world, block_at(6), SERIAL.format(6)))
    assert "52" in issuer.read_one()


OTHER_SERIAL = "FFFF98765432AAE{:05X}"
"""Of another device with the same base key."""


def block_of(serial):
    return encrypt_pin_block("4321", CARD, derive_key(BDK, serial, is_aes=False), "iso-0")


def test_devices_in_turn_do_not_bring_older_numbers_back(world_with):
    world, terminal, issuer = world_with()
    for serial in (SERIAL.format(5), OTHER_SERIAL.format(5)):
        terminal.send(asked_with(world, block_of(serial), serial))
        issuer.answer(issuer.read_one())
        assert terminal.read_one()["39"] == "00"
    for serial in (SERIAL.format(5), OTHER_SERIAL.format(4), SERIAL.format(3)):
        request = asked_with(world, block_of(serial), serial)
        refused(world, terminal, issuer, request, "63", "serial_repeated")


def test_another_terminal_does_not_bring_a_devices_older_number(world_with, monkeypatch):
    row = (MERCHANT, "active", "", "", "x9.19", "iso-0+dukpt", "")
    monkeypatch.setitem(TERMINALS, "10000001", row)
    world, terminal, issuer = world_with()
    terminal.send(asked_with(world, block_at(5), SERIAL.format(5)))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"
    for counter in (5, 4):
        request = purchase(
            world,
            "iso",
            terminal="10000001",
            f22="021",
            f52=block_at(counter).hex().upper(),
            f53=SERIAL.format(counter),
        )
        refused(world, terminal, issuer, request, "63", "serial_repeated")


@pytest.fixture
def two_terminals(world_with, monkeypatch):
    """Terminals 10000002 and 10000001 with derived keys; brings a PIN of a device, for what its terminal is told."""

    def make(pin_format="iso-0+dukpt"):
        monkeypatch.setitem(TERMINALS, "10000001", (MERCHANT, "active", "", "", "x9.19", pin_format, ""))
        world, terminal, issuer = world_with(pin_format)

        def bring(counter, number="10000002", block=None):
            key = derive_key(BDK, SERIAL.format(counter), is_aes=False)
            block = encrypt_pin_block("4321", CARD, key, pin_format.removesuffix("+dukpt")) if block is None else block
            request = asked_with(world, block, SERIAL.format(counter)) | {"41": number}
            terminal.send(request)
            for asked in issuer.read():
                issuer.answer(asked)
            return terminal.read_one()["39"]

        return world, bring

    return make


HIGHEST = 0xFFC00
"""The highest counter that a device may send: ten ones."""


def test_no_terminal_ends_the_pins_of_another_ones_device(two_terminals):
    world, bring = two_terminals("iso-1+dukpt")
    assert bring(5) == "00"
    dice = Random(1)
    for block in (None, *(dice.randbytes(8) for _ in range(500))):
        assert bring(HIGHEST, "10000001", block) == "63"
        world.advance(0.01)
    assert {note["fault"] for note in world.told("pin_not_translatable")} == {"serial_elsewhere"}
    assert [bring(counter) for counter in (6, 7)] == ["00", "00"]


def test_a_device_goes_to_another_terminal_once_its_own_is_out_of_service(two_terminals):
    world, bring = two_terminals()
    registry = world.engine.state.registry
    assert (bring(5), bring(6, "10000001")) == ("00", "63")
    assert suspend(registry, "10000002")
    assert bring(5, "10000001") == "63", "its counter goes along"
    assert bring(6, "10000001") == "00"
    assert bring(7, "10000001") == "00"


def again_after(world_with, seconds):
    """A PIN whose worker ended behind the count, in memory that outlives it, and before its INTENT was durable."""
    world, terminal, issuer = world_with()
    request = asked_with(world, block_at(5), SERIAL.format(5))
    terminal.send(request)
    heard = known(world.engine.state.base_keys.counters)
    after, _, issuer = world_with()
    for one in heard:
        after.engine.state.base_keys.counters.learn(*one)
    after.advance(seconds)
    return after, after.terminal("iso"), issuer, request


def test_a_request_that_was_counted_and_not_written_down_may_come_again(world_with):
    _, terminal, issuer, request = again_after(world_with, 60)
    terminal.send(request)
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"


def test_another_request_may_not_bring_its_number(world_with):
    world, terminal, issuer, request = again_after(world_with, 60)
    refused(world, terminal, issuer, {**request, "11": "000002"}, "63", "serial_repeated")


def test_nor_may_itself_when_its_outcome_would_be_forgotten(world_with):
    world, terminal, issuer, request = again_after(world_with, 601)
    refused(world, terminal, issuer, request, "63", "serial_repeated")


def test_a_request_that_comes_again_is_no_replay(world_with):
    world, terminal, issuer = world_with()
    request = asked_with(world, block_at(5), SERIAL.format(5))
    terminal.send(request)
    issuer.answer(issuer.read_one())
    first = terminal.read_one()
    again = terminal.ask(request)
    assert (again["39"], again["37"]) == ("00", first["37"])
    assert issuer.read() == []


def test_another_device_counts_anew(world_with):
    world, terminal, issuer = world_with()
    other = "FFFF9876543220E00001"
    key = derive_key(BDK, other, is_aes=False)
    terminal.send(asked_with(world, block_at(5), SERIAL.format(5)))
    assert "52" in issuer.read_one()
    terminal.send(asked_with(world, encrypt_pin_block("4321", CARD, key), other))
    assert "52" in issuer.read_one()


def test_a_number_whose_key_opens_nothing_is_not_the_last(world_with):
    world, terminal, issuer = world_with()
    request = asked_with(world, block_at(5), SERIAL.format(0x1F000))
    refused(world, terminal, issuer, request, "63", "pin")
    terminal.send(asked_with(world, block_at(5), SERIAL.format(5)))
    assert "52" in issuer.read_one()


def test_serial_number_that_is_none_or_nobodys(world_with):
    world, terminal, issuer = world_with()
    refused(world, terminal, issuer, asked_with(world, block_at(1), None), "30", "serial_number")
    refused(world, terminal, issuer, asked_with(world, block_at(1), SERIAL.format(0)), "30", "serial_number")
    refused(world, terminal, issuer, asked_with(world, block_at(1), "FFFF0076543210E00001"), "63", "serial_number")


@pytest.mark.parametrize(("field", "base_keys", "code"), [("", None, "30"), ("b80", [], "63")])
def test_without_a_field_or_a_base_key_no_pin_goes_on(world_with, field, base_keys, code):
    world, terminal, issuer = world_with(field=field, base_keys=base_keys)
    serial = SERIAL.format(1) if field else None
    refused(world, terminal, issuer, asked_with(world, block_at(1), serial), code, "serial_number")


def test_the_longest_beginning_wins(world_with):
    keys = [{"serial_numbers": "FFFF", "key": "link/other/bdk"}, {"serial_numbers": "FFFF98765", "key": "link/des/bdk"}]
    world, terminal, issuer = world_with(base_keys=keys)
    terminal.send(asked_with(world, block_at(1), SERIAL.format(1)))
    assert "52" in issuer.read_one()
