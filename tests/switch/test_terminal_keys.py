"""Keys of terminals that a sign-in cannot carry: told by ``check``, and never sent under a key of another algorithm."""

from __future__ import annotations

import pytest

from switch.config.terminal_keys import TOLD_MAX, TerminalKeys
from switch.keys import Key, KeyFile
from switch.keys.key import generate_value
from switch.pin import build_sign_in_keys

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
        ({"tmk": "aes-128", "tpk": "3des-2key", "tak": "des"}, False, "a key for aes-128"),
        ({"tmk": "sm4", "tpk": "3des-2key", "tak": "des"}, False, "a key for sm4"),
        ({"tmk": "3des-2key", "tpk": "3des-2key", "tak": "des"}, True, ""),
        ({"tmk": "3des-2key", "tpk": "des", "tak": "des"}, True, ""),
        ({"tmk": "3des-2key", "tak": "des"}, True, "no tpk"),
        ({"tmk": "3des-2key", "tpk": "3des-2key"}, True, "no tak"),
        ({"tmk": "3des-2key", "tpk": "3des-3key", "tak": "des"}, True, "tpk is a key for 3des-3key"),
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
    if not word:
        assert build_sign_in_keys(values["tmk"], values["tpk"], values["tak"])


def test_many_are_counted(keys):
    for number in range(TOLD_MAX + 5):
        keys.put(Key(f"terminal/{number:08d}/tmk", "tmk", "aes-128", generate_value("aes-128")))
    keys.save()
    source = TerminalKeys(keys)
    for number in range(TOLD_MAX + 5):
        for _ in range(2):
            assert source.get(f"terminal/{number:08d}/tmk") is None
    warnings = list(source.warnings("keys.sealed"))
    assert len(warnings) == TOLD_MAX + 1
    assert warnings[-1].reason.startswith("5 more terminals")
