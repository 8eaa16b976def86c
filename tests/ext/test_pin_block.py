"""PIN blocks and sign-in keys against published vectors, and against psec."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st
from psec.aes import decrypt_aes_ecb, encrypt_aes_ecb
from psec.pinblock import (
    decipher_pinblock_iso_4,
    decode_pinblock_iso_0,
    decode_pinblock_iso_3,
    encipher_pinblock_iso_4,
    encode_pan_field_iso_4,
    encode_pinblock_iso_0,
    encode_pinblock_iso_3,
)

from switch.crypto.des import decrypt_blocks, encrypt_blocks
from switch.crypto.pin_block import (
    PIN_FORMATS,
    decrypt_pin_block,
    encrypt_pin_block,
    translate_pin_block,
)
from switch.crypto.sign_in_keys import MAC_KEY_FORMS, build_sign_in_keys
from switch.keys.sign_in import open_sign_in_keys

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "pin_and_keys.json").read_text())
AES_DUKPT = json.loads((Path(__file__).parent.parent / "vectors" / "keyblocks_and_dukpt.json").read_text())[
    "dukpt_aes128"
]
FORMATS = PIN_FORMATS[1:]
OF_DES = FORMATS[:3]
PERMITTED = [(source, target) for source in FORMATS for target in FORMATS if target != "iso-1" or source == "iso-1"]
KEY = bytes.fromhex("12345678123456781234567812345678")
OTHER = bytes.fromhex("0123456789ABCDEFFEDCBA98765432101122334455667788")
PAN = "4012345678909"

pins = st.text("0123456789", min_size=4, max_size=12)
pans = st.text("0123456789", min_size=13, max_size=19)
keys = st.sampled_from((8, 16, 24)).flatmap(lambda size: st.binary(min_size=size, max_size=size))
aes_keys = st.sampled_from((16, 24, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size))


def keys_of(pin_format):
    if pin_format == "sm4":
        return st.binary(min_size=16, max_size=16)
    return aes_keys if pin_format == "iso-4" else keys


@pytest.mark.parametrize("vector", VECTORS["iso_format_0"])
def test_format_0_vectors(vector):
    key = bytes.fromhex(vector.get("key", KEY.hex()))
    block = encrypt_pin_block(vector["pin"], vector["pan"], key)
    if "encrypted" in vector:
        assert block == bytes.fromhex(vector["encrypted"])
    if "clear" in vector:
        assert decrypt_blocks(key, block) == bytes.fromhex(vector["clear"])
    assert decrypt_pin_block(block, vector["pan"], key) == vector["pin"]


@pytest.mark.parametrize("vector", VECTORS["tdes_dukpt"]["vectors"], ids=lambda vector: vector["ksn"])
def test_format_0_under_derived_keys(vector):
    key = bytes.fromhex(vector["pin_key"])
    block = encrypt_pin_block(vector["pin"], vector["pan"], key)
    assert block == bytes.fromhex(vector["encrypted_pin_block"])


@given(pins, pans, keys)
def test_format_0_agrees_with_psec(pin, pan, key):
    block = encrypt_pin_block(pin, pan, key, "iso-0")
    assert decrypt_blocks(key, block) == encode_pinblock_iso_0(pin, pan)
    assert decode_pinblock_iso_0(decrypt_blocks(key, block), pan) == pin
    assert decrypt_pin_block(block, pan, key, "iso-0") == pin


@given(pins, pans, keys)
def test_format_3_agrees_with_psec(pin, pan, key):
    ours = encrypt_pin_block(pin, pan, key, "iso-3")
    assert decode_pinblock_iso_3(decrypt_blocks(key, ours), pan) == pin
    theirs = encrypt_blocks(key, encode_pinblock_iso_3(pin, pan))
    assert decrypt_pin_block(theirs, pan, key, "iso-3") == pin


@given(pins, keys)
def test_format_1_holds_control_length_and_digits(pin, key):
    clear = decrypt_blocks(key, encrypt_pin_block(pin, "", key, "iso-1")).hex()
    assert clear[:2] == f"1{len(pin):x}"
    assert clear[2 : 2 + len(pin)] == pin


@given(pins, st.text("0123456789", min_size=2, max_size=19), aes_keys)
def test_format_4_agrees_with_psec(pin, pan, key):
    assert decipher_pinblock_iso_4(key, encrypt_pin_block(pin, pan, key, "iso-4"), pan) == pin
    assert decrypt_pin_block(encipher_pinblock_iso_4(key, pin, pan), pan, key, "iso-4") == pin


@pytest.mark.parametrize("counter", [1, 2])
def test_format_4_vectors(counter):
    key = bytes.fromhex(AES_DUKPT["pin_keys_from_counter_1"][counter - 1])
    block = bytes.fromhex(AES_DUKPT["encrypted_pin_blocks_from_counter_1"][counter - 1])
    assert decrypt_pin_block(block, AES_DUKPT["pan"], key, "iso-4") == AES_DUKPT["pin"]


@given(pins, pans, st.sampled_from(PERMITTED), st.data())
def test_translation_keeps_the_pin(pin, pan, formats, data):
    source_format, target_format = formats
    source_key, target_key = data.draw(keys_of(source_format)), data.draw(keys_of(target_format))
    block = encrypt_pin_block(pin, pan, source_key, source_format)
    translated = translate_pin_block(block, source_key, source_format, target_key, target_format, pan)
    assert decrypt_pin_block(translated, pan, target_key, target_format) == pin


@pytest.mark.parametrize("source", ["iso-0", "iso-3", "iso-4"])
def test_what_is_bound_to_a_pan_becomes_no_block_without_one(source):
    block = encrypt_pin_block("1234", PAN, KEY, source)
    with pytest.raises(ValueError, match=f"a PIN block of {source} must not become one of iso-1"):
        translate_pin_block(block, KEY, source, KEY, "iso-1", PAN)


def test_random_fill_differs_from_block_to_block():
    for pin_format in ("iso-1", "iso-3", "iso-4"):
        assert len({encrypt_pin_block("1234", PAN, KEY, pin_format) for _ in range(50)}) == 50


def test_fill_of_format_3_takes_every_letter():
    fills = {
        digit
        for _ in range(100)
        for digit in xor_pan(decrypt_blocks(KEY, encrypt_pin_block("1234", PAN, KEY, "iso-3"))).hex()[6:]
    }
    assert fills == set("abcdef")


def xor_pan(block: bytes) -> bytes:
    return (int.from_bytes(block, "big") ^ int(PAN[-13:-1], 16)).to_bytes(8, "big")


MALFORMED = [
    ("iso-0", "1412 34FF FFFF FFFF", "control nibble of another format"),
    ("iso-0", "0312 3FFF FFFF FFFF", "three digits"),
    ("iso-0", "0D12 3412 3412 341F", "thirteen digits"),
    ("iso-0", "0F12 3412 3412 3412", "fifteen digits"),
    ("iso-0", "0012 34FF FFFF FFFF", "no digits"),
    ("iso-0", "0412 3AFF FFFF FFFF", "a PIN digit that is not one"),
    ("iso-0", "04F2 34FF FFFF FFFF", "a PIN digit that is not one"),
    ("iso-0", "0412 34FF FFFF FFFE", "fill that is not F"),
    ("iso-0", "0412 340F FFFF FFFF", "fill that is not F"),
    ("iso-0", "8412 34FF FFFF FFFF", "control nibble of no format"),
    ("iso-1", "0412 34FF FFFF FFFF", "control nibble of another format"),
    ("iso-1", "1312 34FF FFFF FFFF", "three digits"),
    ("iso-1", "1412 B4FF FFFF FFFF", "a PIN digit that is not one"),
    ("iso-3", "0412 34FF FFFF FFFF", "control nibble of another format"),
    ("iso-3", "3412 34AB CDEF AB9F", "a digit in the fill"),
    ("iso-3", "3D12 3412 3412 341F", "thirteen digits"),
]


@pytest.mark.parametrize(("pin_format", "clear", "what"), MALFORMED)
def test_malformed_clear_block_is_refused(pin_format, clear, what):
    clear = bytes.fromhex(clear)
    block = encrypt_blocks(KEY, clear if pin_format == "iso-1" else xor_pan(clear))
    with pytest.raises(ValueError, match=f"malformed PIN block, not of format {pin_format}") as caught:
        translate_pin_block(block, KEY, pin_format, OTHER, "iso-0", PAN)
    assert PAN not in str(caught.value)
    with pytest.raises(ValueError, match="malformed PIN block"):
        decrypt_pin_block(block, PAN, KEY, pin_format)


@given(st.binary(min_size=16, max_size=16), pans, aes_keys)
def test_any_clear_field_of_format_4_is_judged_as_the_standard_does(clear, pan, key):
    """Digit by digit; the random half may be anything."""
    for field in (clear, b"\x44\x12\x34" + b"\xaa" * 5 + clear[8:], b"\x4c\x12\x34" + clear[3:], b"\x44" + clear[1:]):
        digits = field[:8].hex()
        length = int(digits[1], 16)
        good = digits[0] == "4" and 4 <= length <= 12 and digits[2 : 2 + length].isdigit()
        good = good and set(digits[2 + length :]) <= {"a"}
        once = encrypt_aes_ecb(key, field)
        mixed = bytes(a ^ b for a, b in zip(once, encode_pan_field_iso_4(pan), strict=True))
        block = encrypt_aes_ecb(key, mixed)
        if good:
            assert decrypt_pin_block(block, pan, key, "iso-4") == digits[2 : 2 + length]
        else:
            with pytest.raises(ValueError, match="malformed PIN block"):
                decrypt_pin_block(block, pan, key, "iso-4")
            with pytest.raises(ValueError, match="malformed PIN block"):
                translate_pin_block(block, key, "iso-4", KEY, "iso-0", pan)


@given(pins, pans, aes_keys, aes_keys, st.integers(0, 15), st.integers(1, 255))
def test_a_translated_block_of_format_4_is_new(pin, pan, source_key, target_key, place, change):
    block = encrypt_pin_block(pin, pan, source_key, "iso-4")
    translated = translate_pin_block(block, source_key, "iso-4", target_key, "iso-4", pan)
    field = decrypt_aes_ecb(target_key, translated)
    field = decrypt_aes_ecb(target_key, bytes(a ^ b for a, b in zip(field, encode_pan_field_iso_4(pan), strict=True)))
    old = decrypt_aes_ecb(source_key, block)
    old = decrypt_aes_ecb(source_key, bytes(a ^ b for a, b in zip(old, encode_pan_field_iso_4(pan), strict=True)))
    assert field[:8] == old[:8]
    assert field[8:] != old[8:]
    damaged = bytearray(block)
    damaged[place] ^= change
    try:
        assert len(decrypt_pin_block(bytes(damaged), pan, source_key, "iso-4")) >= 4  # one of very many is a PIN
    except ValueError as error:
        assert str(error).startswith("malformed PIN block")


@given(st.binary(min_size=8, max_size=8), st.sampled_from(OF_DES))
def test_any_clear_block_is_judged_as_the_standard_does(clear, pin_format):
    """The word-wise check against one written digit by digit."""
    digits = (clear if pin_format == "iso-1" else xor_pan(clear)).hex()
    length = int(digits[1], 16)
    good = digits[0] == pin_format[-1] and 4 <= length <= 12 and digits[2 : 2 + length].isdigit()
    fill = set(digits[2 + length :])
    if pin_format == "iso-0":
        good = good and fill <= {"f"}
    if pin_format == "iso-3":
        good = good and fill <= set("abcdef")
    block = encrypt_blocks(KEY, clear)
    if good:
        assert decrypt_pin_block(block, PAN, KEY, pin_format) == digits[2 : 2 + length]
    else:
        with pytest.raises(ValueError, match="malformed PIN block"):
            decrypt_pin_block(block, PAN, KEY, pin_format)


@given(pins, st.integers(0, 15), st.integers(0, 15))
def test_one_changed_nibble_is_judged_as_the_standard_does(pin, position, nibble):
    digits = list(xor_pan(decrypt_blocks(KEY, encrypt_pin_block(pin, PAN, KEY))).hex())
    digits[position] = f"{nibble:x}"
    clear = bytes.fromhex("".join(digits))
    test_any_clear_block_is_judged_as_the_standard_does.hypothesis.inner_test(xor_pan(clear), "iso-0")


def test_wrong_pan_or_key_is_found_or_yields_another_pin():
    block = encrypt_pin_block("1234", PAN, KEY)
    with pytest.raises(ValueError, match="malformed PIN block"):
        decrypt_pin_block(block, "4012345678891", KEY)
    with pytest.raises(ValueError, match="malformed PIN block"):
        decrypt_pin_block(block, PAN, OTHER)


@pytest.mark.parametrize("pan", ["", "4", "40123456789012345678", "40123456789x9", "401234567890\uff19"])
def test_bad_pan_is_refused_without_showing_it(pan):
    for pin_format in ("iso-0", "iso-3", "iso-4"):
        with pytest.raises(ValueError, match="a PAN has 2 to 19 digits") as caught:
            encrypt_pin_block("1234", pan, KEY, pin_format)
        assert not pan or pan not in str(caught.value)
    with pytest.raises(ValueError, match="malformed PIN block"):
        translate_pin_block(bytes(8), KEY, "iso-0", KEY, "iso-0", pan)


def test_short_pan_counts_as_led_by_zeros():
    block = encrypt_pin_block("1234", "4012", KEY)
    assert block == encrypt_pin_block("1234", "0000000004012", KEY)


@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12a4", "12 4", "\uff11\uff12\uff13\uff14"])
def test_bad_pin_is_refused_without_showing_it(pin):
    with pytest.raises(ValueError, match="a PIN has 4 to 12 digits") as caught:
        encrypt_pin_block(pin, PAN, KEY)
    assert str(caught.value) == "a PIN has 4 to 12 digits"


def test_bad_keys_blocks_and_formats_are_refused():
    for size in (0, 7, 9, 17, 32):
        needed = "a key of iso-0 has 8, 16 or 24 bytes" if size else "a PIN key has 8 bytes or more"
        with pytest.raises(ValueError, match=f"{needed}, not {size}"):
            encrypt_pin_block("1234", PAN, bytes(size))
    for size in (8, 15, 33):
        with pytest.raises(ValueError, match=f"a key of iso-4 has 16, 24 or 32 bytes, not {size}"):
            encrypt_pin_block("1234", PAN, bytes(size), "iso-4")
    for pin_format, needed in (("iso-0", 8), ("iso-4", 16)):
        for size in {7, 8, 9, 15, 16, 17} - {needed}:
            with pytest.raises(ValueError, match=f"a PIN block of {pin_format} has {needed} bytes, not {size}"):
                decrypt_pin_block(bytes(size), PAN, KEY, pin_format)
            with pytest.raises(ValueError, match=f"a PIN block of {pin_format} has {needed} bytes, not {size}"):
                translate_pin_block(bytes(size), KEY, pin_format, KEY, "iso-0", PAN)
    for name in ("none", "iso-2", "iso-5"):
        with pytest.raises(ValueError, match=f"unknown PIN block format '{name}'; known are iso-0, iso-1, iso-3"):
            encrypt_pin_block("1234", PAN, KEY, name)


def test_sign_in_vector():
    vector = VECTORS["cup_sign_in"]
    master, pin_key, mac_key = (bytes.fromhex(vector[name]) for name in ("terminal_master_key", "pin_key", "mac_key"))
    assert build_sign_in_keys(master, pin_key, mac_key) == bytes.fromhex(vector["field_62"])


SIGN_IN_SIZES = [
    # form, bytes of the PIN key, of the MAC key, and what the MAC key takes
    ("own", 8, 8, 8),
    ("own", 16, 8, 16),
    ("own", 16, 16, 16),
    ("own", 24, 8, 24),
    ("own", 24, 24, 24),
    ("whole", 8, 8, 8),
    ("whole", 16, 16, 16),
    ("whole", 24, 24, 24),
    ("half", 8, 8, 8),
    ("half", 16, 8, 16),
    ("half", 24, 8, 24),
    ("short", 8, 8, 8),
    ("short", 16, 8, 8),
    ("short", 24, 8, 8),
]


@given(keys, st.sampled_from([row for row in SIGN_IN_SIZES if row[3]]), st.booleans(), st.data())
@settings(deadline=None)
def test_sign_in_keys_are_laid_out_as_their_form_says(master, sizes, has_track_key, data):
    form, room, mac_size, mac_room = sizes
    pin_key, mac_key, track_key = (
        data.draw(st.binary(min_size=size, max_size=size)) for size in (room, mac_size, room if has_track_key else 0)
    )
    expected = [openssl_tdes(master, pin_key), openssl_tdes(pin_key, bytes(8))[:4]]
    expected += [openssl_tdes(master, mac_key).ljust(mac_room, b"\0"), openssl_tdes(mac_key, bytes(8))[:4]]
    if has_track_key:
        expected += [openssl_tdes(master, track_key), openssl_tdes(track_key, bytes(8))[:4]]
    block = build_sign_in_keys(master, pin_key, mac_key, track_key, mac_key_form=form)
    assert block == b"".join(expected)
    assert len(block) == (3 if has_track_key else 2) * (room + 4) - (room - 8 if form == "short" else 0)
    opened = open_sign_in_keys(master, block, has_track_key=has_track_key, mac_key_form=form)
    assert opened == (pin_key, mac_key, track_key)


def openssl_tdes(key, data):
    """Block by block, by the library that all the world uses."""
    cipher = Cipher(TripleDES(key * (24 // len(key)) if len(key) != 16 else key + key[:8]), ECB()).encryptor()
    return cipher.update(data) + cipher.finalize()


@pytest.mark.parametrize("form", MAC_KEY_FORMS)
@pytest.mark.parametrize("mac_size", [8, 16, 24])
@pytest.mark.parametrize("pin_size", [8, 16, 24])
def test_sign_in_keys_that_do_not_fit_are_refused(form, pin_size, mac_size):
    if any(row[:3] == (form, pin_size, mac_size) and row[3] for row in SIGN_IN_SIZES):
        assert build_sign_in_keys(KEY, bytes(pin_size), bytes(mac_size), mac_key_form=form)
        return
    with pytest.raises(ValueError, match=f"{form}.* MAC key of {mac_size} bytes beside a PIN key of {pin_size}"):
        build_sign_in_keys(KEY, bytes(pin_size), bytes(mac_size), mac_key_form=form)


@pytest.mark.parametrize("size", [8, 24])
def test_track_key_is_as_long_as_the_pin_key(size):
    with pytest.raises(ValueError, match=f"the track key has {size} bytes, and the PIN key 16"):
        build_sign_in_keys(KEY, KEY, KEY, bytes(size))


def test_sign_in_keys_need_every_key():
    with pytest.raises(ValueError, match="a PIN key has 8 bytes or more, not 0"):
        build_sign_in_keys(b"", KEY, bytes(8))
    with pytest.raises(ValueError, match="a PIN key has 8 bytes or more, not 0"):
        build_sign_in_keys(KEY, b"", bytes(8))
    with pytest.raises(ValueError, match="the MAC key of a sign-in answer has 8, 16 or 24 bytes, not 32"):
        build_sign_in_keys(KEY, KEY, bytes(32))
