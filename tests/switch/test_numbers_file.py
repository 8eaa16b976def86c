"""The file that keeps the highest number: for when the journal is gone, or off."""

from __future__ import annotations

import asyncio
import errno
import os
from types import SimpleNamespace

import pytest

from switch.base.stats import Stats
from switch.config.models import Config
from switch.journal.numbers import AHEAD_NUMBERS, NumbersError, NumbersKeeper, numbers_file
from switch.machine.numbering import Numbering

NOW_S = 1_795_400_000


def begun(file, *, is_binding=True, instance=0, instances=1):
    """A start of the switch: its numbering, and what keeps the file."""
    numbering = Numbering(instance, instances)
    stats = Stats(65_536)
    keeper = NumbersKeeper(file, numbering, stats, instance=numbering.instance, is_binding=is_binding)
    keeper.begin()
    keeper.open()
    numbering.reserve(NOW_S)
    return SimpleNamespace(numbering=numbering, keeper=keeper, stats=stats)


def test_a_start_begins_behind_the_file(tmp_path):
    file = tmp_path / "journal.numbers"
    seen = set()
    for _ in range(3):
        one = begun(file)
        seen |= {one.numbering.rrn() for _ in range(1_000)}
    assert len(seen) == 3_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.numbers"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_journal_nothing_is_given_beyond_the_file(tmp_path):
    one = begun(tmp_path / "numbers")
    first = one.numbering.next
    while one.numbering.next < one.numbering.limit or one.numbering.reserve(NOW_S):
        one.numbering.rrn()
    assert one.numbering.next == first + AHEAD_NUMBERS


def test_is_written_again_in_time(tmp_path):
    one = begun(tmp_path / "numbers")

    async def keep():
        one.keeper.keep()
        await asyncio.get_running_loop().shutdown_default_executor()

    before = one.numbering.ceiling
    asyncio.run(keep())
    assert one.numbering.ceiling == before
    for _ in range(AHEAD_NUMBERS // 2 + 1):
        if one.numbering.next == one.numbering.limit:
            one.numbering.reserve(NOW_S)
        one.numbering.rrn()
    asyncio.run(keep())
    assert one.numbering.ceiling == one.numbering.next + AHEAD_NUMBERS
    assert f"reserved_to {one.numbering.ceiling}\n" in (tmp_path / "numbers").read_text()


@pytest.mark.parametrize("is_binding", [True, False])
def test_a_disk_that_does_not_take_it(tmp_path, monkeypatch, is_binding):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    if is_binding:
        with pytest.raises(NumbersError, match="cannot be written: No space left on device"):
            begun(tmp_path / "numbers")
        return
    one = begun(tmp_path / "numbers", is_binding=False)
    assert len(one.numbering.rrn()) == 12
    assert b"authswitch_numbers_file_failed 1" in one.stats.exposition()


def test_nothing_is_given_beyond_what_a_full_disk_took(tmp_path, monkeypatch):
    """The file was written once; the next time there is no room for it."""
    one = begun(tmp_path / "numbers")
    before, text = one.numbering.ceiling, (tmp_path / "numbers").read_text()
    for _ in range(AHEAD_NUMBERS // 2 + 1):
        if one.numbering.next == one.numbering.limit:
            one.numbering.reserve(NOW_S)
        one.numbering.rrn()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def keep():
        one.keeper.keep()
        await asyncio.get_running_loop().shutdown_default_executor()

    monkeypatch.setattr(os, "fsync", full)
    asyncio.run(keep())
    assert b"authswitch_numbers_file_failed 1" in one.stats.exposition()
    assert one.numbering.ceiling == before
    assert (tmp_path / "numbers").read_text() == text


@pytest.mark.parametrize("head", ["", "authswitch numbers 1\ninstance 0\n"], ids=["no head", "no such number"])
def test_what_is_no_file_of_numbers_is_refused(tmp_path, head):
    file = tmp_path / "numbers"
    file.write_text(f"{head}reserved_to {1 << 63}\n")
    with pytest.raises(NumbersError, match="is no file of numbers"):
        begun(file)


def test_each_instance_has_its_own(tmp_path):
    file = tmp_path / "numbers"
    begun(file, instances=2)
    with pytest.raises(NumbersError, match=r"has the numbers of instance 0, and switch\.instance is 1"):
        begun(file, instance=1, instances=2)


@pytest.mark.parametrize(
    ("switch", "journal", "where"),
    [
        ({}, {"mode": "files", "directory": "/srv/journal"}, "/srv/journal.numbers"),
        ({}, {"mode": "off"}, "None"),
        ({"numbers_file": "/srv/numbers"}, {"mode": "off"}, "/srv/numbers"),
    ],
)
def test_where_it_is(switch, journal, where):
    config = Config.model_validate(
        {
            "switch": {"name": "one", "acquirer_id": "1", **switch},
            "journal": journal,
            "registry": {"merchants": "m.csv", "terminals": "t.csv"},
            "routes": {"file": "r.csv"},
            "listener": [{"name": "pos", "bind": "127.0.0.1:0", "dialect": "cup"}],
            "link": [{"name": "bank", "dialect": "cup", "endpoints": ["127.0.0.1:1"]}],
        }
    )
    assert str(numbers_file(config)) == where
