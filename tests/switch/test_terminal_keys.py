"""Keys of terminals that a sign-in cannot carry: told by ``check``, and never sent under a key of another algorithm."""

from __future__ import annotations

import pytest

from switch.check.terminal_keys import TOLD_MAX, TerminalKeys
from switch.crypto.sign_in_keys import build_sign_in_keys
from switch.keys import Key, KeyFile
from switch.keys.key import generate_value

MASTER_KEY = bytes(range(32))


@pytest.fixture
def keys(tmp_path):
    with KeyFile.create(tmp_path / "keys.sealed", MASTER_KEY) as file:
        yield file


def put(keys, terminal, **algorithms):
    for usage, algorithm in algorithms.items():
        keys.put(Key(f"terminal/{terminal}/{usage}", usage, algorithm, generate_value(algorithm)))
    keys.save()


@pytest.mark.parametrize(
    ("algorithms", "is_given", "word"),
    [
        ({"tmk": "aes-128", "tpk": "3des-2key", "tak": "des"}, False, ""),
        ({"tmk": "sm4", "tpk": "3des-2key", "tak": "des"}, True, "tpk is a key for 3des-2key"),
        ({"tmk": "sm4", "tpk": "sm4", "tak": "des"}, True, "tak is a key for des"),
        ({"tmk": "sm4", "tpk": "sm4", "tak": "sm4"}, True, ""),
        ({"tmk": "3des-2key", "tpk": "sm4", "tak": "sm4"}, True, "tpk is a key for sm4"),
        ({"tmk": "3des-2key", "tpk": "3des-2key", "tak": "des"}, True, ""),
        ({"tmk": "3des-2key", "tpk": "des", "tak": "des"}, True, ""),
        ({"tmk": "3des-2key", "tak": "des"}, True, "no tpk"),
        ({"tmk": "3des-2key", "tpk": "3des-2key"}, True, "no tak"),
        ({"tmk": "3des-2key", "tpk": "3des-3key", "tak": "des"}, True, ""),
        ({"tmk": "3des-2key", "tpk": "3des-3key", "tak": "3des-2key"}, True, "tak is a key for 3des-2key"),
        ({"tmk": "3des-2key", "tpk": "aes-128", "tak": "des"}, True, "tpk is a key for aes-128"),
        ({"tmk": "3des-2key", "tpk": "3des-2key", "tak": "aes-128"}, True, "tak is a key for aes-128"),
        ({"tmk": "3des-2key", "tpk": "des", "tak": "3des-2key"}, True, "tak is a key for 3des-2key"),
    ],
)
def test_what_a_sign_in_carries(keys, algorithms, is_given, word):
    put(keys, "10000001", **algorithms)
    source = TerminalKeys(keys)
    values = {usage: source.get(f"terminal/10000001/{usage}") for usage in ("tmk", "tpk", "tak")}
    assert (values["tmk"] is not None) == is_given
    warnings = list(source.warnings("keys.sealed"))
    assert [(one.key, one.severity) for one in warnings] == [("terminal/10000001/tmk", "warning")] * bool(word)
    assert all(word in one.reason for one in warnings)
    if is_given and not word:
        is_sm4 = algorithms["tmk"] == "sm4"
        assert build_sign_in_keys(values["tmk"], values["tpk"], values["tak"], is_sm4=is_sm4)


def test_many_are_counted(keys):
    for number in range(TOLD_MAX + 5):
        keys.put(Key(f"terminal/{number:08d}/tmk", "tmk", "3des-2key", generate_value("3des-2key")))
    keys.save()
    source = TerminalKeys(keys)
    for number in range(TOLD_MAX + 5):
        for _ in range(2):
            assert source.get(f"terminal/{number:08d}/tmk") is not None
    warnings = list(source.warnings("keys.sealed"))
    assert len(warnings) == TOLD_MAX + 1
    assert warnings[-1].reason.startswith("5 more terminals")


HEADING = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate"


def misfits(keys, *rows):
    """What is said of a table with these terminals."""
    lines = ["# terminals", HEADING, *(f"{id_},m,active,,,{mac},{pin}," for id_, mac, pin in rows), ""]
    return keys.misfits("terminals.csv", "\n".join(lines).encode())


@pytest.mark.parametrize(
    ("mac", "pin", "algorithms", "reason"),
    [
        ("cup-sm4", "none", {"tak": "aes-128"}, "tak is a key for aes-128, which cup-sm4 cannot use"),
        ("cup-sm4", "none", {"tak": "3des-2key"}, "tak is a key for 3des-2key, which cup-sm4 cannot use"),
        ("cup-sm4", "none", {"tak": "sm4"}, ""),
        ("aes-cmac", "none", {"tak": "3des-2key"}, "tak is a key for 3des-2key, which aes-cmac cannot use"),
        ("aes-cmac", "none", {"tak": "sm4"}, "tak is a key for sm4, which aes-cmac cannot use"),
        ("aes-cmac", "none", {"tak": "aes-128"}, ""),
        ("x9.19", "none", {"tak": "aes-128"}, "tak is a key for aes-128, which x9.19 cannot use"),
        ("x9.19", "none", {"tak": "3des-2key"}, ""),
        ("none", "iso-0", {"tpk": "aes-128"}, "tpk is a key for aes-128, which PIN blocks of iso-0 cannot use"),
        ("none", "iso-0", {"tpk": "sm4"}, "tpk is a key for sm4, which PIN blocks of iso-0 cannot use"),
        ("none", "iso-4", {"tpk": "3des-2key"}, "tpk is a key for 3des-2key, which PIN blocks of iso-4 cannot use"),
        ("none", "iso-4", {"tpk": "aes-256"}, ""),
        ("none", "iso-0", {"tpk": "3des-2key"}, ""),
        ("none", "none", {"tpk": "aes-128"}, ""),
        ("none", "none", {"tmk": "aes-256"}, "tmk is a key for aes-256, and the answer to a sign-in is enciphered"),
    ],
)
@pytest.mark.parametrize("asked", [(), ("tak", "tpk", "tmk"), ("tmk",)], ids=["unasked", "asked", "in part"])
def test_key_of_another_algorithm_than_its_use(keys, mac, pin, algorithms, reason, asked):
    put(keys, "10000001", **algorithms)
    source = TerminalKeys(keys)
    for usage in asked:
        source.get(f"terminal/10000001/{usage}")
    problems = misfits(source, ("10000001", mac, pin))
    assert [(one.key, one.severity) for one in problems] == [("line 3", "error")] * bool(reason)
    assert all(reason in one.reason for one in problems)


def test_some_of_many_are_named(keys):
    names = [f"{number:08d}" for number in range(TOLD_MAX + 5)]
    for name in names:
        keys.put(Key(f"terminal/{name}/tak", "tak", "aes-128", generate_value("aes-128")))
    problems = misfits(TerminalKeys(keys), *((name, "cup-sm4", "none") for name in names))
    assert [one.key for one in problems] == [*(f"line {3 + number}" for number in range(TOLD_MAX)), ""]
    assert problems[-1].reason == "and 5 more keys that do not fit their use"
