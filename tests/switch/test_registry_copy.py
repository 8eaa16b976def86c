"""The copy of what the store says: changes are appended, and whoever is killed leaves what was there or what is new."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.merchants import copying
from switch.merchants.copying import Copy
from switch.merchants.source import Changes, Files
from switch.store.audit import Head
from switch.tables.registry import BOUND_MERCHANT_COLUMNS

SHOP = {"id": "m0", "name": "Kai, 3", "state": "active", "category": "5942", "kinds": ""}
CALLS = ("open", "fsync", "ftruncate", "pwrite", "rename", "unlink")
KILLED = 9


def head(number):
    return Head(number, number.to_bytes(32, "big"))


def till(number, state="active"):
    row = dict.fromkeys(("listeners", "kinds", "certificate"), "")
    return {
        "id": f"1{number:07d}",
        "merchant": "m0",
        "state": state,
        "mac_algorithm": "none",
        "pin_format": "none",
    } | row


def changes(number, *tills):
    return Changes(head(number), {"m0": SHOP}, {one["id"]: one for one in tills})


BASE = Files(head(5), b"id,name,state,category,kinds\n", b"id,merchant,state\n")


@pytest.fixture
def copy(tmp_path):
    copy = Copy(tmp_path / "registry")
    copy.write(BASE)
    return copy


def appended(copy, *steps):
    known = Changes(BASE.head)
    for one in steps:
        known.add(one)
        copy.keep(BASE.head, one, known)
    return known


def test_what_was_appended_is_read(copy):
    known = appended(copy, changes(6, till(1)), changes(9, till(2), till(1, "closed")))
    again = Copy(copy.folder)
    assert again.read() == BASE
    assert again.read_changes(BASE.head) == known
    appended(again, changes(12, till(3)))
    assert Copy(copy.folder).read_changes(BASE.head).terminals.keys() == {"10000001", "10000002", "10000003"}
    assert Copy(copy.folder).read_changes(head(4)) == Changes(head(4))


@settings(deadline=None)
@given(st.integers(0, 2_000), st.integers(0, 255))
def test_a_torn_or_spoilt_tail_is_cut_off(tmp_path_factory, left, spoilt):
    copy = Copy(tmp_path_factory.mktemp("copy"))
    copy.write(BASE)
    first, second = changes(6, till(1)), changes(7, till(2))
    appended(copy, first)
    (file,) = copy.folder.glob("changes-*")
    whole = file.stat().st_size
    appended(copy, second)
    data = bytearray(file.read_bytes())
    place = whole + left % (len(data) - whole)
    data[place] ^= spoilt
    file.write_bytes(data if spoilt else data[:place])
    again = Copy(copy.folder)
    assert again.read_changes(BASE.head) == first
    appended(again, changes(8, till(3)))
    assert Copy(copy.folder).read_changes(BASE.head).terminals.keys() == {"10000001", "10000003"}


def test_many_rows_are_written_in_parts_and_again_when_the_file_is_large(copy, monkeypatch):
    monkeypatch.setattr(copying, "FOLD_BYTES", 100_000)
    copy = Copy(copy.folder)
    copy._fold_at = 100_000  # as a new one has it
    known = Changes(BASE.head)
    for number in range(6, 40):
        step = changes(number, *(till(one, "suspended" if number % 2 else "active") for one in range(1_000)))
        known.add(step)
        copy.keep(BASE.head, step, known)
        assert copy._changes(BASE.head).stat().st_size < 700_000
    assert Copy(copy.folder).read_changes(BASE.head) == known
    assert copy.is_large(BASE.head)
    folded = copy.folded(BASE)
    assert folded.head == head(39)
    assert folded.merchants.decode().splitlines()[1:] == ['m0,"Kai, 3",active,5942,,,,,']
    assert len(folded.terminals.decode().splitlines()) == 1_001
    copy.write(folded)
    assert {file.name for file in copy.folder.iterdir()} == {"base", "merchants-39.csv", "terminals-39.csv"}


def test_a_base_of_an_earlier_version_is_read_and_folded(tmp_path):
    copy = Copy(tmp_path / "registry")
    heading = ",".join(BOUND_MERCHANT_COLUMNS)
    earlier = f'{heading.removesuffix(",class,same_identity")}\nm0,Kai,active,5942,,i,a\nm1,"B, 2",active,5942,,i,a\n'
    copy.write(Files(head(5), earlier.encode(), BASE.terminals))
    files = copy.read()
    assert files.merchants.decode() == f'{heading}\nm0,Kai,active,5942,,i,a,,\nm1,"B, 2",active,5942,,i,a,,\n'
    held = {**SHOP, "identity": "i", "account": "a", "class": "small", "same_identity": "1f"}
    copy.keep(files.head, Changes(head(6), {"m0": held}), Changes(head(6), {"m0": held}))
    folded = copy.folded(files).merchants.decode().splitlines()
    assert folded[1:] == ['m0,"Kai, 3",active,5942,,i,a,small,1f', 'm1,"B, 2",active,5942,,i,a,,']


def test_nothing_is_appended_to_a_base_that_is_not_there(copy):
    with pytest.raises(FileNotFoundError):
        copy.keep(head(6), changes(7, till(1)), changes(7, till(1)))
    (copy.folder / "terminals-5.csv").unlink()
    with pytest.raises(FileNotFoundError):
        appended(copy, changes(7, till(1)))
    assert not list(copy.folder.glob("changes-*"))


def killed_at(number, work):
    """Do it in a process that ends before its system call of this number, half of a write done; whether it ended so."""
    process = os.fork()
    if process == 0:
        left = itertools.count(number, -1)
        for name in CALLS:
            setattr(os, name, ending(name, getattr(os, name), left))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == KILLED


def ending(name, real, left):
    def call(*arguments, **named):
        if next(left) == 0:
            if name == "pwrite":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
            os._exit(KILLED)
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("fold_bytes", [1, 1 << 20])
def test_whoever_is_killed_at_any_call_leaves_what_was_there_or_what_is_new(tmp_path, monkeypatch, fold_bytes):
    monkeypatch.setattr(copying, "FOLD_BYTES", fold_bytes)
    first, second, third = changes(6, till(1)), changes(7, till(2)), changes(8, till(3))
    later = Files(head(8), BASE.merchants, BASE.terminals + b"more\n")
    was_killed = True
    for number in itertools.count():
        copy = Copy(tmp_path / str(number))
        copy.write(BASE)
        appended(copy, first)

        def work(folder=copy.folder):
            again = Copy(folder)
            known = again.read_changes(BASE.head)
            for step in (second, third):
                known.add(step)
                again.keep(BASE.head, step, known)
            again.write(later)

        was_killed = killed_at(number, work)
        found = Copy(copy.folder)
        files = found.read()
        assert files == later or (was_killed and files == BASE)
        tills = list(found.read_changes(files.head).terminals)
        assert tills == ["10000001", "10000002", "10000003"][: len(tills)]
        if files == BASE:
            assert tills
            appended(found, changes(9, till(4)))
            assert list(Copy(copy.folder).read_changes(BASE.head).terminals) == [*tills, "10000004"]
        if not was_killed:
            break
    assert number > 20
