"""The sealed key file and the master key that opens it."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.keys import ALGORITHMS, USAGES, Key, KeyFile, KeyFileError, load_master_key
from switch.keys.file import HEADER_BYTES, MAGIC, TAG_BYTES
from switch.keys.key import generate_value
from switch.keys.master import create_master_key

MASTER = bytes(range(32))
TAK = Key("terminal/10000001/tak", "tak", "3des-2key", bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
ZAK = Key("link/bank-a/zak", "zak", "aes-128", bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.sealed"


@pytest.fixture
def filled(path):
    with KeyFile.create(path, MASTER) as file:
        file.put(TAK)
        file.put(ZAK)
        file.save()
    return path


def test_keys_come_back_after_saving(filled):
    with KeyFile.open(filled, MASTER) as file:
        assert list(file.names()) == [ZAK.name, TAK.name]
        assert list(file.keys()) == [ZAK, TAK]
        assert file.get(TAK.name) == TAK
        assert TAK.name in file
        assert "terminal/10000002/tak" not in file
        assert len(file) == 2


def test_source_gives_clear_bytes_or_none(filled):
    with KeyFile.open(filled, MASTER) as file:
        source = file.source()
        assert source.get(TAK.name) == TAK.value
        assert source.get("terminal/10000002/tak") is None
        assert source.get("terminal/１/tak") is None  # noqa: RUF001 - a full-width digit
        file.put(Key("terminal/10000002/tak", "tak", "des", bytes(8)))
        file.remove(TAK.name)
        assert source.get("terminal/10000002/tak") == bytes(8)
        assert source.get(TAK.name) is None


def test_changes_are_seen_before_saving_and_lost_without_it(filled):
    with KeyFile.open(filled, MASTER) as file:
        changed = Key(TAK.name, "tak", "aes-256", bytes(32))
        file.put(changed, replace=True)
        file.remove(ZAK.name)
        assert file.get(TAK.name) == changed
        assert list(file.names()) == [TAK.name]
        assert len(file) == 1
        with pytest.raises(KeyFileError, match="link/bank-a/zak: there is no such key"):
            file.get(ZAK.name)
    with KeyFile.open(filled, MASTER) as file:
        assert list(file.keys()) == [ZAK, TAK]


def test_removed_key_is_gone_from_the_file(filled):
    with KeyFile.open(filled, MASTER) as file:
        file.remove(TAK.name)
        file.save()
        with pytest.raises(KeyFileError, match="there is no such key"):
            file.remove(TAK.name)
    with KeyFile.open(filled, MASTER) as file:
        assert list(file.names()) == [ZAK.name]


def test_existing_key_is_replaced_only_on_demand(filled):
    with KeyFile.open(filled, MASTER) as file:
        with pytest.raises(KeyFileError, match=f"{TAK.name}: exists already") as caught:
            file.put(TAK)
        assert (caught.value.file, caught.value.key) == (str(filled), TAK.name)
        file.put(Key(TAK.name, "tak", "des", bytes(8)), replace=True)
        file.save()
        assert file.get(TAK.name).value == bytes(8)


names = st.text("abcdefghij0123456789/-_.", min_size=1, max_size=20).map(lambda text: "k" + text)


@given(st.dictionaries(names, st.tuples(st.sampled_from(list(USAGES)), st.sampled_from(list(ALGORITHMS))), max_size=60))
def test_any_set_of_keys_is_found_by_name(tmp_path_factory, described):
    keys = [Key(name, usage, algorithm, generate_value(algorithm)) for name, (usage, algorithm) in described.items()]
    path = tmp_path_factory.mktemp("keys") / "keys"
    with KeyFile.create(path, MASTER) as file:
        for key in keys:
            file.put(key)
        file.save()
    with KeyFile.open(path, MASTER) as file:
        assert sorted(keys, key=lambda key: key.name) == list(file.keys())
        for key in keys:
            assert file.get(key.name) == key
            assert file.value(key.name) == key.value


def test_very_many_keys(path):
    with KeyFile.create(path, MASTER) as file:
        for number in range(20_000):
            file.put(Key(f"terminal/{number:08d}/tak", "tak", "3des-2key", number.to_bytes(16, "big")))
        file.save()
    assert path.stat().st_size < 20_000 * 64
    with KeyFile.open(path, MASTER) as file:
        assert len(file) == 20_000
        for number in range(0, 20_000, 17):
            assert file.value(f"terminal/{number:08d}/tak") == number.to_bytes(16, "big")
        assert file.value("terminal/00020000/tak") is None


def test_nothing_in_the_file_can_be_read(filled):
    content = filled.read_bytes()
    for secret in (TAK.value, ZAK.value, TAK.name.encode(), b"bank-a", MASTER):
        assert secret not in content
    assert filled.stat().st_mode & 0o777 == 0o600


def test_each_save_looks_different(filled):
    before = filled.read_bytes()
    with KeyFile.open(filled, MASTER) as file:
        file.save()
    after = filled.read_bytes()
    assert len(after) == len(before)
    assert after[len(MAGIC) : len(MAGIC) + 72] != before[len(MAGIC) : len(MAGIC) + 72]


def test_change_at_any_byte_is_noticed(filled):
    content = filled.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x20
        filled.write_bytes(changed)
        with pytest.raises(KeyFileError):
            KeyFile.open(filled, MASTER)


def test_cut_at_any_byte_is_noticed(filled):
    content = filled.read_bytes()
    for size in range(len(content)):
        filled.write_bytes(content[:size])
        with pytest.raises(KeyFileError):
            KeyFile.open(filled, MASTER)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a sealed key file"),
        (b"[keys]\n", "is not a sealed key file"),
        (MAGIC, "is cut short: it has only 8 bytes"),
        (MAGIC + bytes(HEADER_BYTES + TAG_BYTES), "this master key does not open it, or its header was damaged"),
    ],
)
def test_what_is_no_key_file_is_refused(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=reason):
        KeyFile.open(path, MASTER)


def test_another_master_key_does_not_open_it(filled):
    with pytest.raises(KeyFileError, match="this master key does not open it") as caught:
        KeyFile.open(filled, bytes(32))
    assert MASTER.hex() not in str(caught.value)


def test_saving_under_another_master_key(filled):
    other = bytes(reversed(range(32)))
    with KeyFile.open(filled, MASTER) as file:
        file.save(other)
        file.save()
    with pytest.raises(KeyFileError, match="this master key does not open it"):
        KeyFile.open(filled, MASTER)
    with KeyFile.open(filled, other) as file:
        assert file.get(TAK.name) == TAK


def test_two_writers_do_not_overwrite_each_other(filled):
    with KeyFile.open(filled, MASTER) as first, KeyFile.open(filled, MASTER) as second:
        first.remove(ZAK.name)
        first.save()
        second.remove(TAK.name)
        with pytest.raises(KeyFileError, match="was changed by somebody else meanwhile; nothing was written"):
            second.save()
    with KeyFile.open(filled, MASTER) as file:
        assert list(file.names()) == [TAK.name]


def test_failed_save_leaves_the_old_file(filled, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    with KeyFile.open(filled, MASTER) as file:
        file.remove(TAK.name)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(KeyFileError, match="cannot be written: No space left on device"):
            file.save()
    monkeypatch.undo()
    assert [entry.name for entry in filled.parent.iterdir()] == [filled.name]
    with KeyFile.open(filled, MASTER) as file:
        assert list(file.keys()) == [ZAK, TAK]


def test_file_is_made_once_and_where_it_can_be(path, filled):
    with pytest.raises(KeyFileError, match="exists already; a key file is never overwritten"):
        KeyFile.create(filled, MASTER)
    with pytest.raises(KeyFileError, match="cannot be written: No such file or directory"):
        KeyFile.create(path.parent / "nowhere" / "keys", MASTER)
    with pytest.raises(KeyFileError, match="cannot be read: No such file or directory"):
        KeyFile.open(path.parent / "nothing", MASTER)


def test_closing_wipes_the_table(filled):
    file = KeyFile.open(filled, MASTER)
    view = memoryview(file._table.memory)
    assert TAK.value in view.tobytes()
    file._table.memory.seek(0)
    wipe_without_closing = file._table
    with pytest.raises(BufferError):
        wipe_without_closing.wipe()
    assert not any(view)
    view.release()
    file.close()
    file.close()


def test_file_shows_no_key(filled):
    with KeyFile.open(filled, MASTER) as file:
        assert repr(file) == f"KeyFile({str(filled)!r})"


def test_master_key_from_a_private_file(tmp_path):
    path = tmp_path / "master.key"
    master_key = create_master_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_master_key(path) == master_key
    path.chmod(0o400)
    assert load_master_key(path) == master_key
    with pytest.raises(KeyFileError, match="exists already; a master key is never overwritten"):
        create_master_key(path)
    with pytest.raises(KeyFileError, match="cannot be written"):
        create_master_key(tmp_path / "nowhere" / "master.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o777])
def test_master_key_that_others_can_use_is_refused(tmp_path, mode):
    path = tmp_path / "master.key"
    create_master_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"its mode is {mode:04o}, so others can use it; needed 0600 or 0400"):
        load_master_key(path)


def test_master_key_from_the_environment(monkeypatch):
    monkeypatch.setenv("AUTHSWITCH_MASTER_KEY", MASTER.hex().upper() + "\n")
    assert load_master_key(variable="AUTHSWITCH_MASTER_KEY") == MASTER
    monkeypatch.delenv("AUTHSWITCH_MASTER_KEY")
    with pytest.raises(KeyFileError, match=r"\$AUTHSWITCH_MASTER_KEY: the environment has no such variable"):
        load_master_key(variable="AUTHSWITCH_MASTER_KEY")


@pytest.mark.parametrize("text", ["", "00", MASTER.hex()[:-1], MASTER.hex() + "0", MASTER.hex()[:-1] + "g", "ab " * 32])
def test_what_is_no_master_key_is_refused_without_showing_it(tmp_path, text):
    path = tmp_path / "master.key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(KeyFileError, match="needed 64 hex digits, and that is not what is there") as caught:
        load_master_key(path)
    assert str(caught.value) == f"{path}: needed 64 hex digits, and that is not what is there"


def test_master_key_has_exactly_one_place(tmp_path):
    for places in ({}, {"file": tmp_path, "variable": "X"}):
        with pytest.raises(KeyFileError, match="needed exactly one of a master key file and an environment variable"):
            load_master_key(**places)
    with pytest.raises(KeyFileError, match="is not a regular file"):
        load_master_key(tmp_path)
    with pytest.raises(KeyFileError, match="cannot be read: No such file or directory"):
        load_master_key(tmp_path / "nothing")
