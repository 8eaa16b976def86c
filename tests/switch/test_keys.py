"""Keys, their check values, how they travel, and the keys that are derived."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psec.des import generate_kcv

from switch.crypto.mac import ALGORITHMS as MAC_ALGORITHMS
from switch.crypto.mac import KEY_SIZES, compute_mac
from switch.keys import ALGORITHMS, USAGES, Key
from switch.keys.key import (
    algorithm_of_des_size,
    check_value,
    combine_components,
    generate_value,
    is_weak_des_key,
    set_odd_parity,
)
from switch.keys.names import check_algorithm, check_name, check_usage, usage_of_name
from switch.keys.sign_in import build_sign_in_keys, open_sign_in_keys
from switch.keys.wrapping import unwrap_key, wrap_key

# The oracle psec uses 3DES of `cryptography` in ways that the latter wants to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

VECTORS = Path(__file__).parent.parent / "vectors"
MAC_VECTORS = json.loads((VECTORS / "mac.json").read_text())
PIN_VECTORS = json.loads((VECTORS / "pin_and_keys.json").read_text())
SIGN_IN = {
    name: bytes.fromhex(PIN_VECTORS["cup_sign_in"][name])
    for name in ("terminal_master_key", "field_62", "pin_key", "mac_key")
}
SECRET = bytes.fromhex("C0FFEE0123456789DEADBEEFFEDCBA98")


@pytest.mark.parametrize("vector", MAC_VECTORS["key_check_values"], ids=lambda vector: vector["kcv"])
def test_check_value_vectors(vector):
    parts = vector.get("components") or [vector["key"]]
    value = combine_components([bytes.fromhex(part) for part in parts])
    assert check_value("3des-2key", value) == vector["kcv"]


@given(st.sampled_from((16, 24)).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_check_value_of_3des_agrees_with_psec(value):
    assert check_value(algorithm_of_des_size(len(value)), value, 8) == generate_kcv(value, 8).hex().upper()


def test_check_values_of_other_algorithms():
    des = bytes.fromhex("0123456789ABCDEF")
    assert check_value("des", des) == generate_kcv(des * 2, 3).hex().upper() == "D5D44F"
    aes = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    assert check_value("aes-128", aes) == compute_mac("aes-cmac", aes, bytes(16))[:5].hex().upper()
    assert check_value("sm4", SECRET) == check_value("sm4", SECRET, 16)[:6]


def test_key_shows_its_check_value_only():
    key = Key("link/bank-a/zak", "zak", "3des-2key", SECRET)
    shown = f"Key('link/bank-a/zak', usage='zak', algorithm='3des-2key', kcv='{check_value('3des-2key', SECRET)}')"
    assert repr(key) == str(key) == f"{key}" == shown
    assert SECRET.hex() not in shown.lower()


@pytest.mark.parametrize(
    ("name", "usage", "algorithm", "size", "reason"),
    [
        ("", "tak", "des", 8, "'' is no key name"),
        ("/tak", "tak", "des", 8, "'/tak' is no key name"),
        ("a b", "tak", "des", 8, "'a b' is no key name"),
        ("a" * 129, "tak", "des", 8, "is no key name"),
        ("a", "kek", "des", 8, "unknown key usage 'kek'; known are tmk, tak, tpk, zmk, zak, zpk, bdk"),
        ("a", "tak", "rc4", 8, "unknown key algorithm 'rc4'; known are des, 3des-2key"),
        ("a", "tak", "3des-2key", 15, "a key of algorithm 3des-2key has 16 bytes, not 15"),
    ],
)
def test_what_is_no_key_is_refused(name, usage, algorithm, size, reason):
    with pytest.raises(ValueError, match=reason):
        Key(name, usage, algorithm, bytes(size))


def test_names_of_the_sealed_file_keep_their_numbers():
    first = "tmk tak tpk zmk zak zpk bdk jwk sdk sik rbk cmp tdk had cik"
    assert list(USAGES) == first.split()
    assert list(ALGORITHMS) == ["des", "3des-2key", "3des-3key", "aes-128", "aes-192", "aes-256", "sm4"]
    for usage in USAGES:
        assert check_usage(usage) == usage == usage_of_name(f"terminal/1/{usage}") == usage_of_name(usage)
    assert usage_of_name("terminal/1/key") is None
    check_name("a" * 128)


def test_mac_algorithms_have_the_order_of_their_numbers():
    """``MacAlgorithm`` of ext/crypto/mac.pxd; every size that a MAC wants can be kept."""
    assert MAC_ALGORITHMS == ("none", "x9.9", "x9.19", "cup-ecb", "cup-sm4", "aes-cmac")
    sizes = {algorithm.size for algorithm in ALGORITHMS.values()}
    assert {size for name in MAC_ALGORITHMS[1:] for size in KEY_SIZES[name]} <= sizes


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_generated_keys(algorithm):
    size, family = check_algorithm(algorithm)
    values = {generate_value(algorithm) for _ in range(50)}
    assert len(values) == 50
    for value in values:
        assert len(value) == size
        if family == "des":
            assert all(byte.bit_count() % 2 for byte in value)
            assert len({value[at : at + 8] for at in range(0, size, 8)}) == size // 8


@given(st.binary(min_size=8, max_size=8))
def test_parity_is_odd_and_changes_nothing_else(value):
    adjusted = set_odd_parity(value)
    assert all(byte.bit_count() % 2 for byte in adjusted)
    assert [byte >> 1 for byte in adjusted] == [byte >> 1 for byte in value]
    assert check_value("des", adjusted) == check_value("des", value)


def test_weak_keys_are_known_whatever_their_parity():
    for weak in ("0101010101010101", "0000000000000000", "FEFEFEFEFEFEFEFE", "1F1F1F1F0E0E0E0E", "E1FF1FE1F1FF0EF1"):
        value = bytes.fromhex(weak)
        assert is_weak_des_key(value) == (weak != "E1FF1FE1F1FF0EF1")
    assert not is_weak_des_key(bytes.fromhex("0123456789ABCDEF"))


def test_components_must_be_alike():
    with pytest.raises(ValueError, match="no key component was given"):
        combine_components([])
    with pytest.raises(ValueError, match="component 2 has 8 bytes, but component 1 has 16"):
        combine_components([bytes(16), bytes(8)])
    assert combine_components([SECRET, bytes(16), SECRET, SECRET]) == SECRET


WRAPPINGS = [
    (master, algorithm)
    for master, wrapped in (
        ("des", ("des",)),
        ("3des-2key", ("des", "3des-2key", "3des-3key")),
        ("3des-3key", ("des", "3des-2key", "3des-3key")),
        ("aes-128", tuple(ALGORITHMS)),
        ("aes-256", tuple(ALGORITHMS)),
        ("sm4", ("sm4",)),
    )
    for algorithm in wrapped
]


@pytest.mark.parametrize(("master", "algorithm"), WRAPPINGS)
def test_wrapped_key_comes_back(master, algorithm):
    under = Key("link/a/zmk", "zmk", master, generate_value(master))
    value = generate_value(algorithm)
    wrapped = wrap_key(under, algorithm, value)
    assert value not in wrapped
    assert unwrap_key(under, algorithm, wrapped) == value
    with pytest.raises(ValueError, match=r"bytes, not|was not wrapped under this key"):
        unwrap_key(under, algorithm, wrapped + bytes(8))


def test_every_other_wrapping_is_refused():
    for master in ALGORITHMS:
        under = Key("terminal/1/tmk", "tmk", master, generate_value(master))
        for algorithm in ALGORITHMS:
            if (master, algorithm) in WRAPPINGS or master == "aes-192":
                continue
            with pytest.raises(
                ValueError, match=f"algorithm {algorithm} must not travel under one of algorithm {master}"
            ):
                wrap_key(under, algorithm, generate_value(algorithm))


def test_aes_wrapping_notices_another_key():
    wrapped = wrap_key(Key("z/zmk", "zmk", "aes-256", bytes(32)), "aes-128", SECRET)
    with pytest.raises(ValueError, match="was not wrapped under this key, or was damaged"):
        unwrap_key(Key("z/zmk", "zmk", "aes-256", bytes(31) + b"\1"), "aes-128", wrapped)
    with pytest.raises(ValueError, match="a key of algorithm aes-192 has 24 bytes, not 16"):
        unwrap_key(Key("z/zmk", "zmk", "aes-256", bytes(32)), "aes-192", wrapped)


@pytest.mark.parametrize("usage", ["tak", "tpk", "zak", "zpk", "bdk", "jwk"])
def test_working_keys_wrap_nothing(usage):
    under = Key("some/key", usage, "3des-2key", SECRET)
    with pytest.raises(ValueError, match=f"key some/key is a {usage}; only tmk and zmk wrap other keys"):
        wrap_key(under, "des", bytes(8))


def test_wrapping_vector_of_the_cup_write_up():
    vector = MAC_VECTORS["cup_ecb"][0]
    under = Key("terminal/1/tmk", "tmk", "3des-2key", bytes.fromhex(vector["terminal_master_key"]))
    assert unwrap_key(under, "des", bytes.fromhex(vector["encrypted_mac_key"])) == bytes.fromhex(vector["key"])


def test_sign_in_vector_opens():
    keys = open_sign_in_keys(SIGN_IN["terminal_master_key"], SIGN_IN["field_62"])
    assert keys == (SIGN_IN["pin_key"], SIGN_IN["mac_key"], b"")
    assert repr(keys) == "SignInKeys(pin_key kcv='900ECCE3', mac_key kcv='CFF1592A', track_key kcv='none')"


@pytest.mark.parametrize(("pin_size", "mac_size"), [(8, 8), (16, 8), (16, 16)])
def test_sign_in_keys_come_back(pin_size, mac_size):
    pin_key, mac_key = SECRET[:pin_size], SECRET[::-1][:mac_size]
    block = build_sign_in_keys(SIGN_IN["terminal_master_key"], pin_key, mac_key)
    assert open_sign_in_keys(SIGN_IN["terminal_master_key"], block) == (pin_key, mac_key, b"")


def test_sign_in_keys_damaged_at_any_byte_are_refused():
    block = SIGN_IN["field_62"]
    for place in range(len(block)):
        damaged = bytearray(block)
        damaged[place] ^= 0x10
        with pytest.raises(ValueError, match=f"check value of the {'PIN' if place < 20 else 'MAC'} key does not agree"):
            open_sign_in_keys(SIGN_IN["terminal_master_key"], bytes(damaged))
    with pytest.raises(ValueError, match="check value of the PIN key does not agree"):
        open_sign_in_keys(SECRET, block)
    for size in (0, 23, 39, 41, 60):
        with pytest.raises(ValueError, match=f"a sign-in key block has 24 or 40 or 56 bytes, not {size}"):
            open_sign_in_keys(SECRET, bytes(size))


def test_key_is_not_in_what_an_error_says():
    with pytest.raises(ValueError, match="has 24 bytes, not 16") as caught:
        Key("a/tak", "tak", "3des-3key", SECRET)
    assert SECRET.hex() not in str(caught.value).lower()
