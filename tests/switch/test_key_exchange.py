"""What a key must be that an issuer sends."""

import pytest

from switch.keys.brought import KEPT_MAX, RECORDS_MAX, note_had, record_names, was_had
from switch.keys.exchange import NotTakenError, offered_key
from switch.keys.file import KeyFile
from switch.keys.key import Key, check_value, generate_value
from switch.keys.key_block import wrap_key_block
from switch.keys.names import former_name
from switch.keys.table import packed
from switch.keys.wrapping import wrap_key

ZAK, ZPK, ZMK = "link/a/zak", "link/a/zpk", "link/a/zmk"
SORTS = [
    ("3des-2key", "3des-2key"),
    ("3des-3key", "3des-3key"),
    ("aes-128", "3des-2key"),
    ("aes-256", "aes-128"),
    ("aes-128", "des"),
    ("sm4", "sm4"),
]


def in_force(tmp_path, master, algorithm):
    values = {name: generate_value(algorithm) for name in (ZAK, former_name(ZAK), ZPK)}
    keys = [Key(name, name.rpartition("/")[2], algorithm, value) for name, value in values.items()]
    keys.append(Key(ZMK, "zmk", master, generate_value(master)))
    return KeyFile.of_table(tmp_path / "keys", packed(sorted(keys, key=lambda key: key.name)))


def under(keys, value, algorithm, check_bytes=3):
    return wrap_key(keys.get(ZMK), algorithm, value).hex() + check_value(algorithm, value, check_bytes)


@pytest.mark.parametrize(("master", "algorithm"), SORTS)
@pytest.mark.parametrize("check_bytes", [3, 4, 8])
def test_a_key_with_its_check_value(tmp_path, master, algorithm, check_bytes):
    keys, value = in_force(tmp_path, master, algorithm), generate_value(algorithm)
    key = offered_key(keys, ZAK, ZMK, under(keys, value, algorithm, check_bytes), [ZPK])
    assert (key.name, key.usage, key.algorithm, key.value) == (ZAK, "zak", algorithm, value)
    assert value.hex() not in repr(key)


def test_a_key_block_says_what_it_is_for(tmp_path):
    keys, value = in_force(tmp_path, "3des-2key", "3des-2key"), generate_value("3des-2key")
    block = wrap_key_block(keys.get(ZMK), Key(ZAK, "zak", "3des-2key", value))
    assert offered_key(keys, ZAK, ZMK, block, [ZPK]).value == value
    with pytest.raises(NotTakenError):
        offered_key(keys, ZPK, ZMK, block, [ZAK])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda keys: keys.value(former_name(ZAK)), "had that key before"),
        (lambda keys: keys.value(ZPK), "for another use"),
        (lambda _: bytes.fromhex("0101010101010101FEFEFEFEFEFEFEFE"), "weak"),
    ],
)
def test_keys_that_nobody_should_take(tmp_path, made, words):
    keys = in_force(tmp_path, "3des-2key", "3des-2key")
    with pytest.raises(NotTakenError, match=words):
        offered_key(keys, ZAK, ZMK, under(keys, made(keys), "3des-2key"), [ZPK])


@pytest.mark.parametrize("text", ["", "00", "zz", "00" * 16, "00" * 30, "B0096"])
def test_what_is_no_key(tmp_path, text):
    with pytest.raises(NotTakenError):
        offered_key(in_force(tmp_path, "3des-2key", "3des-2key"), ZAK, ZMK, text, [ZPK])


@pytest.mark.parametrize(("master", "algorithm"), SORTS)
def test_a_key_that_the_link_had_comes_back_by_no_message(tmp_path, master, algorithm):
    keys = in_force(tmp_path, master, algorithm)
    had = [Key(ZAK, "zak", algorithm, generate_value(algorithm)) for _ in range(40)]
    for key in (*had, had[3]):
        note_had(keys, key, ZMK)
    for key in had:
        with pytest.raises(NotTakenError, match="had that key before"):
            offered_key(keys, ZAK, ZMK, under(keys, key.value, algorithm), [ZPK])
    fresh = generate_value(algorithm)
    assert offered_key(keys, ZAK, ZMK, under(keys, fresh, algorithm), [ZPK]).value == fresh


def test_the_same_key_once_more_is_no_old_one(tmp_path):
    """Its answer got lost."""
    keys = in_force(tmp_path, "3des-2key", "3des-2key")
    note_had(keys, keys.get(ZAK), ZMK)
    assert offered_key(keys, ZAK, ZMK, under(keys, keys.value(ZAK), "3des-2key"), [ZPK]) == keys.get(ZAK)


def test_parity_bits_make_no_other_key_of_des(tmp_path):
    keys = in_force(tmp_path, "3des-2key", "3des-2key")
    had = keys.get(ZAK)
    note_had(keys, had, ZMK)
    assert was_had(keys, Key(ZAK, "zak", "3des-2key", bytes(byte ^ 1 for byte in had.value)), ZMK)


def test_as_many_are_remembered_as_is_said_and_no_more(tmp_path):
    keys = in_force(tmp_path, "3des-2key", "3des-2key")
    had = [Key(ZAK, "zak", "3des-2key", generate_value("3des-2key")) for _ in range(KEPT_MAX + 100)]
    for key in had:
        note_had(keys, key, ZMK)
    assert [was_had(keys, key, ZMK) for key in had] == [False] * 100 + [True] * KEPT_MAX
    assert all(name in keys for name in record_names(ZAK))
    assert len(list(keys.names())) == 4 + RECORDS_MAX
    text = "".join(map(repr, keys.keys()))
    assert keys.value(record_names(ZAK)[0]).hex() not in text.lower()
