"""What is sealed in the store: opened in its place alone, found by a hash, and carried through changes of keys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.keys import KeyFile
from switch.keys.problems import KeyFileError
from switch.keys.store_keys import renew_store_key
from switch.store.problems import StoreError
from switch.store.sealing import Place, Sealer, masked

from .registry import Office, call

NUMBER = "11010519491231002X"
HERE = Place("applications", "identity", "A1")


@pytest.fixture
def sealer():
    return Sealer({1: bytes(32)}, bytes(range(32)))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_was_sealed_opens_in_its_place_alone(clear):
    sealer = Sealer({1: bytes(32)}, bytes(32))
    sealed = sealer.seal(HERE, clear)
    assert sealer.open(HERE, sealed) == clear
    for elsewhere in (Place("people", "identity", "A1"), Place("applications", "account", "A1"), Place("a", "b", "c")):
        with pytest.raises(StoreError, match="damaged, or sealed for another place"):
            sealer.open(elsewhere, sealed)


@pytest.mark.parametrize("at", [1, 2, 5, 20, -1])
def test_what_was_changed_does_not_open(sealer, at):
    sealed = bytearray(sealer.seal(HERE, NUMBER.encode()))
    sealed[at] ^= 1
    with pytest.raises(StoreError) as caught:
        sealer.open(HERE, bytes(sealed))
    assert NUMBER not in str(caught.value)


def test_what_nobody_sealed_does_not_open(sealer):
    for other in (b"", b"\x02" * 60, NUMBER.encode()):
        with pytest.raises(StoreError, match="is not sealed as this program does it"):
            sealer.open(HERE, other)


def test_nothing_is_sealed_twice_alike_and_all_is_found(sealer):
    assert sealer.seal(HERE, b"x") != sealer.seal(HERE, b"x")
    assert sealer.hash("identity", NUMBER) == sealer.hash("identity", " 110105-19491231-002x ")
    assert sealer.hash("identity", NUMBER) != sealer.hash("account", NUMBER)
    assert sealer.hash("identity", NUMBER) != Sealer({1: bytes(32)}, bytes(32)).hash("identity", NUMBER)


def test_nothing_shows_a_value(sealer):
    values = sealer.columns(HERE, "identity", NUMBER)
    assert values["identity_masked"] == "*" * 14 + "002X"
    assert NUMBER not in repr(values) + repr(sealer)
    assert NUMBER.encode() not in b"".join(value for value in values.values() if isinstance(value, bytes))
    assert sealer.text("applications", "identity", values, "A1") == NUMBER


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("1", "*"), ("12", "**"), ("123", "**3"), ("123456", "****56")])
def test_a_short_value_is_hidden_more(text, shown):
    assert masked(text) == shown


def test_old_keys_are_kept_to_read(tmp_path):
    with KeyFile.create(tmp_path / "keys", bytes(32)) as file:
        with pytest.raises(KeyFileError, match="renew-key"):
            Sealer.of(file)
        assert renew_store_key(file).name == "store/1/sdk"
        sealed = Sealer.of(file).seal(HERE, b"first")
        found = Sealer.of(file).hash("x", "y")
        assert renew_store_key(file).name == "store/2/sdk"
        file.save(bytes(range(32)))
    with KeyFile.open(tmp_path / "keys", bytes(range(32))) as file:
        sealer = Sealer.of(file)
        assert sealer.open(HERE, sealed) == b"first"
        assert sealer.seal(HERE, b"")[:3] == b"\x01\x00\x02"
        assert sealer.hash("x", "y") == found
        with pytest.raises(StoreError, match="under key 2 of the store"):
            Sealer({1: bytes(32)}, bytes(32)).open(HERE, sealer.seal(HERE, b""))


def test_the_stores_keys_are_made_by_one_command_and_stay(tmp_path):
    office = Office(tmp_path / "switch", f"sqlite:{tmp_path}/store.db")
    assert "store/1/sdk: kcv" in office.does("store", "renew-key")
    keys = ("keys", "--config", office.config)
    for arguments, words in (
        (("remove", "store/1/sdk"), "must stay"),
        (("remove", "store/sik"), "must stay"),
        (("generate", "store/1/sdk", "--replace", "--algorithm", "aes-256"), "renew-key"),
        (("export", "store/1/sdk", "--under", "store/sik"), "go to nobody else"),
    ):
        status, said = call(*keys, *arguments)
        assert status in (1, 2), said
        assert words in said.replace("\n", " ")
    new = tmp_path / "new.key"
    assert call(*keys, "change-master-key", "--new-master-key-file", new)[0] == 0
    text = office.config.read_text().replace("secrets/master.key", str(new))
    office.config.write_text(text)
    assert "store/2/sdk: kcv" in office.does("store", "renew-key")
