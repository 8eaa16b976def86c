"""Key blocks against the published ones and psec, and everything that must be refused."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psec import tr31

from switch.keys import Key
from switch.keys.key import check_value
from switch.keys.key_block import is_key_block, take_apart, unwrap_key_block, wrap_key_block
from switch.keys.names import ALGORITHMS

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "keyblocks_and_dukpt.json").read_text())["key_blocks"]
PROTECTING = {"A": "3des-2key", "B": "3des-2key", "C": "3des-2key", "D": "aes-256"}
KEY_USAGES = {"P0": "zpk", "B0": "bdk"}
CLEAR = bytes.fromhex("C0FFEE0123456789DEADBEEFFEDCBA98")
DES_ZMK = Key("link/a/zmk", "zmk", "3des-2key", bytes.fromhex("DD7515F2BFC17F85CE48F3CA25CB21F6"))
AES_ZMK = Key("link/a/zmk", "zmk", "aes-128", bytes.fromhex("DD7515F2BFC17F85CE48F3CA25CB21F6"))


def protecting_of(vector):
    return Key("link/a/zmk", "zmk", PROTECTING[vector["version"]], bytes.fromhex(vector["kbpk"]))


def opened(vector, text):
    usage = KEY_USAGES[vector["block"][5:7]]
    return unwrap_key_block(protecting_of(vector), text, f"link/a/{usage}", usage)


def named(vector):
    return f"{vector['version']}-{vector['block'][5:9]}-{len(vector['block'])}"


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_published_blocks_open(vector):
    assert is_key_block(vector["block"])
    assert opened(vector, vector["block"]).value == bytes.fromhex(vector["key"])


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_a_block_changed_at_any_character_is_refused(vector):
    block = vector["block"]
    for place, character in enumerate(block):
        for other in {"0", "1", "F", "E", "Z", " ", "\n", "é", character.swapcase()} - {character}:
            with pytest.raises(ValueError, match=r"^key block: |protects no key blocks") as refused:
                opened(vector, block[:place] + other + block[place + 1 :])
            assert vector["key"] not in str(refused.value).upper()


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_a_block_cut_short_or_lengthened_is_refused(vector):
    block = vector["block"]
    wrong = [block[:end] for end in range(len(block))]
    wrong += [block + "0" * more for more in range(1, 65)]
    wrong += [block[:16] + "0" * more + block[16:] for more in range(1, 65)]
    # Also where the length that it says is the one that it has.
    wrong += [f"{text[0]}{len(text):04}{text[5:]}" for text in wrong if len(text) > 4]
    for text in wrong:
        with pytest.raises(ValueError, match=r"^key block: "):
            opened(vector, text)


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_a_block_does_not_open_under_another_key(vector):
    under = protecting_of(vector)
    for place in range(len(under.value)):
        other = bytearray(under.value)
        other[place] ^= 0x10
        usage = KEY_USAGES[vector["block"][5:7]]
        with pytest.raises(ValueError, match="was not made under this key, or was damaged"):
            unwrap_key_block(Key(under.name, "zmk", under.algorithm, bytes(other)), vector["block"], "x", usage)


def keys_of(families, least=16):
    names = [name for name, (size, family) in ALGORITHMS.items() if family in families and size >= least]
    return st.sampled_from(names).flatmap(
        lambda name: st.tuples(st.just(name), st.binary(min_size=ALGORITHMS[name].size, max_size=ALGORITHMS[name].size))
    )


USAGES_WRITTEN = {"tmk": "K0", "zmk": "K0", "tpk": "P0", "zpk": "P0", "bdk": "B0", "tdk": "D0"}
MAC_USAGES = {"des": "M1", "3des-2key": "M3", "3des-3key": "M3"}
MODES_WRITTEN = {"tmk": "B", "zmk": "B", "tpk": "B", "zpk": "B", "bdk": "X", "tdk": "B", "tak": "C", "zak": "C"}


@settings(deadline=None)
@given(st.sampled_from(("des", "aes")), st.data(), st.sampled_from(sorted(MODES_WRITTEN)))
def test_what_is_written_opens_with_psec_and_here(family, data, usage):
    protecting, kbpk = data.draw(keys_of((family,)))
    algorithm, value = data.draw(keys_of(("des",) if family == "des" else ("des", "aes"), least=8))
    under = Key("link/a/zmk", "zmk", protecting, kbpk)
    key = Key(f"some/{usage}", usage, algorithm, value)
    block = wrap_key_block(under, key)
    header, found = tr31.unwrap(kbpk, block)
    assert found == value
    assert header.version_id == {"des": "B", "aes": "D"}[family]
    assert header.key_usage == USAGES_WRITTEN.get(usage, MAC_USAGES.get(algorithm, "M6"))
    assert header.algorithm == {"des": "D", "3des-2key": "T", "3des-3key": "T"}.get(algorithm, "A")
    assert (header.mode_of_use, header.exportability) == (MODES_WRITTEN[usage], "E")
    assert unwrap_key_block(under, block, key.name, usage) == key
    assert wrap_key_block(under, key) != block  # its padding is random


OPTIONAL = st.dictionaries(
    st.sampled_from(("KS", "KV", "CT", "IK", "LB", "TS", "ZZ", "10")),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300),
    max_size=5,
)


@settings(deadline=None)
@given(st.sampled_from("ABCD"), st.data(), OPTIONAL, st.sampled_from("BEN"), st.sampled_from("ENS"))
def test_what_psec_writes_opens_here(version, data, optional, mode, exportability):
    protecting, kbpk = data.draw(keys_of(("aes",) if version == "D" else ("des",)))
    algorithm, value = data.draw(keys_of(("aes",) if version == "D" else ("des",)))
    header = tr31.Header(version, "P0", "A" if version == "D" else "T", mode, "00", exportability)
    for identifier, content in optional.items():
        header.blocks[identifier] = content
    longest = data.draw(st.none() | st.integers(len(value), 64))
    block = tr31.KeyBlock(kbpk, header).wrap(value, longest)
    under = Key("link/a/zmk", "zmk", protecting, kbpk)
    key = unwrap_key_block(under, block, "link/a/zpk", "zpk")
    assert key == Key("link/a/zpk", "zpk", algorithm, value, exportable=exportability != "N")
    found = take_apart(block).optional
    assert dict(one for one in found if one[0] != "PB") == optional
    place = data.draw(st.integers(0, len(block) - 1))
    changed = block[:place] + ("0" if block[place] != "0" else "1") + block[place + 1 :]
    with pytest.raises(ValueError, match=r"^key block: "):
        unwrap_key_block(under, changed, "link/a/zpk", "zpk")


@settings(deadline=None)
@given(st.text(st.sampled_from("ABCD0123459KPSTXBEN "), max_size=200))
def test_any_text_is_a_block_or_refused(rest):
    for begin in ("", "B", f"B{len(rest) + 16:04}P0TE00E0200", f"D{len(rest) + 16:04}P0AE00E9900"):
        try:
            take_apart(begin + rest)
        except ValueError as error:
            assert str(error).startswith("key block: ")


def psec_block(usage="P0", mode="E", exportability="E", *, under=DES_ZMK, letter="T", value=CLEAR, blocks=None):
    header = tr31.Header("D" if under is AES_ZMK else "B", usage, letter, mode, "00", exportability)
    for identifier, content in (blocks or {}).items():
        header.blocks[identifier] = content
    return tr31.KeyBlock(under.value, header).wrap(value)


@pytest.mark.parametrize(
    ("usage", "said", "mode", "words"),
    [
        ("zpk", "M3", "C", "its key is for M3, and no zpk"),
        ("zak", "P0", "B", "its key is for P0, and no zak"),
        ("zmk", "P0", "B", "its key is for P0, and no zmk"),
        ("zpk", "K0", "B", "its key is for K0, and no zpk"),
        ("zpk", "D0", "B", "its key is for D0, and no zpk"),
        ("bdk", "B1", "X", "its key is for B1, and no bdk"),
        ("zpk", "P0", "D", "to be used in mode D; a zpk needs B or E or N"),
        ("tpk", "P0", "E", "to be used in mode E; a tpk needs B or D or N"),
        ("zak", "M3", "G", "to be used in mode G; a zak needs C or N"),
        ("zak", "M3", "V", "to be used in mode V; a zak needs C or N"),
        ("zmk", "K1", "D", "to be used in mode D; a zmk needs B or N"),
        ("bdk", "B0", "N", ""),
        ("zmk", "K1", "B", ""),
        ("zak", "M1", "N", ""),
        ("tpk", "P0", "D", ""),
        ("zak", "M6", "C", "a key of algorithm 3des-2key is not for M6"),
    ],
)
def test_usage_and_mode_must_be_those_of_the_name(usage, said, mode, words):
    block = psec_block(said, mode)
    if not words:
        assert unwrap_key_block(DES_ZMK, block, f"x/{usage}", usage).value == CLEAR
        return
    with pytest.raises(ValueError, match=words):
        unwrap_key_block(DES_ZMK, block, f"x/{usage}", usage)


def test_a_mac_key_of_aes_is_for_cmac():
    for said, is_taken in (("M6", True), ("M3", False)):
        block = psec_block(said, "C", under=AES_ZMK, letter="A")
        if is_taken:
            assert unwrap_key_block(AES_ZMK, block, "x/zak", "zak").algorithm == "aes-128"
        else:
            with pytest.raises(ValueError, match="a key of algorithm aes-128 is not for M3"):
                unwrap_key_block(AES_ZMK, block, "x/zak", "zak")


def test_a_key_that_must_not_be_exported_is_kept_so():
    key = unwrap_key_block(DES_ZMK, psec_block(exportability="N"), "x/zpk", "zpk")
    assert not key.exportable
    with pytest.raises(ValueError, match="key x/zpk must not be exported"):
        wrap_key_block(DES_ZMK, key)
    with pytest.raises(ValueError, match="a sign-in sends a tpk to its terminal"):
        unwrap_key_block(DES_ZMK, psec_block(mode="D", exportability="N"), "x/tpk", "tpk")
    with pytest.raises(ValueError, match="was not made under this key, or was damaged"):
        unwrap_key_block(DES_ZMK, psec_block(exportability="N").replace("P0TE00N", "P0TE00E"), "x/zpk", "zpk")


def test_check_values_in_the_block_are_compared():
    right, protecting = check_value("3des-2key", CLEAR), DES_ZMK.check_value
    for blocks in ({"KC": "00" + right}, {"KP": "00" + protecting}, {"KC": "01" + "0" * 10}, {"KC": "0"}):
        assert unwrap_key_block(DES_ZMK, psec_block(blocks=blocks), "x/zpk", "zpk").value == CLEAR
    for identifier, content in (("KC", "00000000"), ("KP", "00" + right), ("KC", "00"), ("KC", "00" + right + "1")):
        with pytest.raises(ValueError, match=f"the check value in its block {identifier} is not the key's"):
            unwrap_key_block(DES_ZMK, psec_block(blocks={identifier: content}), "x/zpk", "zpk")
    aes = check_value("aes-128", CLEAR)
    block = psec_block(under=AES_ZMK, letter="A", blocks={"KC": "01" + aes})
    assert unwrap_key_block(AES_ZMK, block, "x/zpk", "zpk").check_value == aes


def test_which_keys_protect_blocks():
    block = psec_block()
    for under, words in (
        (AES_ZMK, "version B is not protected by a key of algorithm aes-128"),
        (Key("x/zmk", "zmk", "des", bytes(8)), "a key of algorithm des protects no key blocks"),
        (Key("x/zmk", "zmk", "sm4", bytes(16)), "a key of algorithm sm4 protects no key blocks"),
        (Key("x/zpk", "zpk", "3des-2key", DES_ZMK.value), "only tmk and zmk wrap other keys"),
    ):
        with pytest.raises(ValueError, match=words):
            unwrap_key_block(under, block, "x/zpk", "zpk")
    aes_in_des = psec_block(letter="A")
    with pytest.raises(ValueError, match="a key of algorithm aes-128 must not travel under one of algorithm 3des-2key"):
        unwrap_key_block(DES_ZMK, aes_in_des, "x/zpk", "zpk")
    with pytest.raises(ValueError, match="must not travel under"):
        wrap_key_block(DES_ZMK, Key("x/zpk", "zpk", "aes-128", CLEAR))
    with pytest.raises(ValueError, match=re.escape("key x/zpk (zpk, sm4) has no form as a key block")):
        wrap_key_block(AES_ZMK, Key("x/zpk", "zpk", "sm4", CLEAR))


def test_size_and_algorithm_must_agree():
    for letter, value in (("T", bytes(8)), ("D", bytes(16)), ("T", bytes(17)), ("H", bytes(16))):
        with pytest.raises(ValueError, match=f"a key of {len(value)} bytes is none of algorithm {letter}"):
            unwrap_key_block(DES_ZMK, psec_block(letter=letter, value=value), "x/zpk", "zpk")


def test_a_block_that_its_maker_keeps_is_refused(monkeypatch):
    for context in "0129":
        header = tr31.Header("B", "P0", "T", "E", "00", "E")
        monkeypatch.setattr(header, "_reserved", f"{context}0")
        block = tr31.KeyBlock(DES_ZMK.value, header).wrap(CLEAR)
        assert block[14:16] == f"{context}0"
        if context == "1":
            with pytest.raises(ValueError, match="is for its maker to keep"):
                unwrap_key_block(DES_ZMK, block, "x/zpk", "zpk")
        else:
            assert unwrap_key_block(DES_ZMK, block, "x/zpk", "zpk").value == CLEAR


def test_hex_is_no_key_block():
    chosen = random.Random(31)
    for _ in range(2_000):
        text = "".join(chosen.choice("ABCD0123") for _ in range(32))
        assert not is_key_block(text)
    assert not is_key_block("A0032 DEADBEEF")
    assert not is_key_block("")
    assert is_key_block("B0080P0TE")
