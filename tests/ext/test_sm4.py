"""SM4: PIN blocks and sign-in keys, beside OpenSSL's command line and published examples."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.crypto.pin_block import decrypt_pin_block, encrypt_pin_block, translate_pin_block
from switch.keys.key import check_value
from switch.keys.sign_in import build_sign_in_keys, open_sign_in_keys
from tests.ext.world import MERCHANT, TERMINALS, Keys

PIN, PAN = "123654", "6230606601007726888"
CLEAR_BLOCK = "06123654FFFFFFFFFFFF99FEFF88D977"
"""Of a published description of PIN blocks under SM4, of which the working key is below, under its master key."""
MASTER_KEY = bytes.fromhex("1234567890ABCDEFABCDEF0987654321")
WRAPPED_KEY = bytes.fromhex("3D66234C49E4296FF9C78D8BACBD6A76")
CHECK_VALUE = "861E83E31FAEBF10"

KEY = st.binary(min_size=16, max_size=16)
PINS = st.text("0123456789", min_size=4, max_size=12)
PANS = st.text("0123456789", min_size=13, max_size=19)


def openssl(key: bytes, data: bytes, *options: str) -> bytes:
    """What OpenSSL's command makes of whole blocks."""
    command = ["openssl", "enc", "-sm4-ecb", "-nopad", "-K", key.hex(), *options]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def test_openssl_knows_the_standard_s_example():
    example = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    assert openssl(example, example).hex().upper() == "681EDF34D206965E86B3E94F536E4246"


def test_the_published_block():
    key = openssl(MASTER_KEY, WRAPPED_KEY, "-d")
    assert check_value("sm4", key, 8) == CHECK_VALUE
    block = encrypt_pin_block(PIN, PAN, key, "sm4")
    assert openssl(key, block, "-d").hex().upper() == CLEAR_BLOCK
    assert decrypt_pin_block(openssl(key, bytes.fromhex(CLEAR_BLOCK)), PAN, key, "sm4") == PIN


@settings(deadline=None)
@given(pin=PINS, pan=PANS, key=KEY, other=KEY, form=st.sampled_from(["iso-0", "iso-3", "iso-4", "sm4"]))
def test_a_pin_comes_through(pin, pan, key, other, form):
    block = encrypt_pin_block(pin, pan, key, "sm4")
    there = translate_pin_block(block, key, "sm4", other, form, pan)
    assert decrypt_pin_block(there, pan, other, form) == pin
    assert translate_pin_block(there, other, form, key, "sm4", pan) == block


@pytest.mark.parametrize(
    "clear",
    [
        "07123654FFFFFFFFFFFF99FEFF88D977",  # another length
        "16123654FFFFFFFFFFFF99FEFF88D977",
        "061236A4FFFFFFFFFFFF99FEFF88D977",
        "06123654FFFFFFF0FFFF99FEFF88D977",
        "06123654FFFFFFFFFFFF99FEFF88D976",  # another card
        "06123654FFFFFFFF0000660100772688",
    ],
)
def test_what_is_no_block_does_not_open(clear):
    with pytest.raises(ValueError, match="malformed PIN block"):
        decrypt_pin_block(openssl(KEY_OF_TEST, bytes.fromhex(clear)), PAN, KEY_OF_TEST, "sm4")


KEY_OF_TEST = bytes(range(16))


def test_a_block_without_the_card_number_is_never_made_of_one():
    with pytest.raises(ValueError, match="must not become"):
        translate_pin_block(bytes(16), KEY_OF_TEST, "sm4", KEY_OF_TEST, "iso-1", PAN)


@pytest.mark.parametrize("size", [8, 24, 32])
def test_a_key_of_sm4_has_16_bytes(size):
    with pytest.raises(ValueError, match="has 16 bytes"):
        encrypt_pin_block(PIN, PAN, bytes(size), "sm4")


def test_the_keys_of_a_sign_in():
    pin_key, mac_key = bytes(range(16)), bytes(range(16, 32))
    block = build_sign_in_keys(MASTER_KEY, pin_key, mac_key, is_sm4=True)
    assert block[:16] == openssl(MASTER_KEY, pin_key)
    assert block[16:20] == openssl(pin_key, bytes(16))[:4]
    assert block[20:36] == openssl(MASTER_KEY, mac_key)
    assert block[36:] == openssl(mac_key, bytes(16))[:4]
    assert open_sign_in_keys(MASTER_KEY, block, is_sm4=True)[:2] == (pin_key, mac_key)
    with pytest.raises(ValueError, match="does not agree"):
        open_sign_in_keys(bytes(16), block, is_sm4=True)


@pytest.mark.parametrize(
    ("form", "mac", "pin_format", "code"),
    [
        ("005", "cup-sm4", "sm4", "00"),
        ("003", "cup-sm4", "sm4", "63"),
        ("005", "x9.19", "sm4", "63"),
        ("005", "x9.19", "iso-0", "63"),
        ("005", "cup-sm4", "iso-4", "63"),
    ],
)
def test_a_terminal_signs_in(make_world, monkeypatch, form, mac, pin_format, code):
    clear = {"tmk": MASTER_KEY, "tpk": bytes(range(16)), "tak": bytes(range(16, 32))}
    monkeypatch.setitem(TERMINALS, "10000010", (MERCHANT, "active", "", "", mac, pin_format, ""))
    found = Keys.get
    monkeypatch.setattr(
        Keys, "get", lambda keys, name: clear.get(name.split("/")[2]) if "/10000010/" in name else found(keys, name)
    )
    request = {"t": "0800", "11": "000001", "41": "10000010", "42": MERCHANT, "60": f"00000001{form}", "63": "01 "}
    world = make_world()
    answer = world.terminal("cup").ask(request, mac=False)
    assert answer["39"] == code
    if code == "00":
        keys = open_sign_in_keys(MASTER_KEY, bytes.fromhex(answer["62"]), is_sm4=True)
        assert keys[:2] == (clear["tpk"], clear["tak"])
    else:
        assert "62" not in answer
        assert world.told("sign_in_without_keys")
