"""New keys for terminals, with the former ones kept."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from switch.cli.keys import app
from switch.keys.file import KeyFile
from switch.keys.key import Key, generate_value
from switch.keys.master import load_master_key

MASTER = bytes(range(32))


@pytest.fixture
def place(tmp_path):
    master = tmp_path / "master.key"
    master.write_text(MASTER.hex())
    master.chmod(0o600)
    with KeyFile.create(tmp_path / "keys.sealed", load_master_key(master, None)) as file:
        for terminal in range(10_000_001, 10_000_006):
            for usage, algorithm in (("tmk", "3des-2key"), ("tak", "des"), ("tpk", "3des-2key"), ("tdk", "3des-2key")):
                file.put(Key(f"terminal/{terminal}/{usage}", usage, algorithm, generate_value(algorithm)))
        file.put(Key("terminal/20000001/tak", "tak", "aes-128", generate_value("aes-128")))
        file.save()
    return tmp_path


def values(place):
    with KeyFile.open(place / "keys.sealed", load_master_key(place / "master.key", None)) as file:
        keys = file.keys()
        return {key.name: (key.value, key.algorithm) for key in keys}


def run(place, *words):
    options = ["--file", str(place / "keys.sealed"), "--master-key-file", str(place / "master.key")]
    return CliRunner().invoke(app, [*options, "rotate", *words])


def test_one_terminal_gets_new_keys_and_keeps_the_old_ones(place):
    before = values(place)
    assert run(place, "10000002").stdout == "terminals with new keys: 1\n"
    after = values(place)
    for usage in ("tak", "tpk", "tdk"):
        name, former = f"terminal/10000002/{usage}", f"terminal/10000002/former/{usage}"
        assert after[former] == before[name]
        assert after[name] != before[name]
        assert after[name][1] == before[name][1]
    assert {name: after[name] for name in before if "10000002" not in name or name.endswith("tmk")} == {
        name: value for name, value in before.items() if "10000002" not in name or name.endswith("tmk")
    }


def test_all_in_batches_and_then_no_more(place):
    assert run(place, "--all", "--batch", "2").stdout == "terminals with new keys: 2\n"
    assert run(place, "--all", "--batch", "2").stdout == "terminals with new keys: 2\n"
    assert run(place, "--all").stdout == "terminals with new keys: 1\n"
    assert run(place, "--all").stdout == "terminals with new keys: 0\n"
    assert run(place, "--end").stdout == "15 former keys taken out\n"
    assert not [name for name in values(place) if "/former/" in name]
    assert run(place, "--all").stdout == "terminals with new keys: 5\n"


@pytest.mark.parametrize("terminal", ["20000001", "99999999"])
def test_who_cannot_be_told_new_keys_keeps_the_old_ones(place, terminal):
    before = values(place)
    result = run(place, "10000001", terminal)
    assert result.exit_code == 2
    assert f"terminal {terminal} has no tmk" in result.output
    assert values(place) == before


@pytest.mark.parametrize("terminals", [("10000002",), ("10000001", "10000002"), ("10000003", "10000003")])
def test_who_may_not_have_signed_in_since_keeps_the_only_keys_it_knows(place, terminals):
    assert run(place, "10000002").exit_code == 0
    before = values(place)
    result = run(place, *terminals)
    assert result.exit_code == 2
    assert f"terminal {terminals[-1]} has former keys" in result.output
    assert values(place) == before
    assert run(place, "--end").exit_code == 0
    assert run(place, "10000002").exit_code == 0


@pytest.mark.parametrize("words", [(), ("--all", "10000001"), ("--end", "--all"), ("10000001", "--batch", "2")])
def test_what_is_asked_wrongly(place, words):
    assert run(place, *words).exit_code == 2
