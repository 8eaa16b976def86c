"""Indexes of sealed segments: a file that is gone, or not what it was, is made anew."""

from __future__ import annotations

import os
import struct

import pytest

from switch.journal.disk import FileDisk, ScriptedDisk
from switch.journal.original_search import Finder
from tests.ext.journal_world import DAYS, KEY
from tests.ext.seeking_world import SeekingWorld, approve, bought, taking_back, world_of
from tests.ext.test_originals_referred import referring
from tests.ext.world import Document, IssuerLine, TerminalLine

HEAD_BYTES = 72
PLACE_BYTES = 16
OTHER_KEY = bytes(32)
LATER_S = 700  # than the duplicate window reaches


def three_days() -> tuple[SeekingWorld, TerminalLine, IssuerLine, Document, Document]:
    """A world with two sealed segments that have indexes, the payment of the first, and what its issuer was asked."""
    world = world_of("iso87-ascii", "iso87-ascii")
    request = bought(world)
    asked, _ = approve(world, world.terminal("pos"), world.issuer(), request)
    for day in range(2):
        world = world.killed(later_s=9 * 86_400)
        terminal, bank = world.terminal("pos"), world.issuer()
        approve(world, terminal, bank, bought(world, f11=f"{900 + day:06d}"))
    finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    while finder.index_one():
        pass
    return world, terminal, bank, request, asked


def index_of_the_first(world: SeekingWorld) -> str:
    return min(name for name in world.memory.files if name.endswith(".index"))


def remove(world: SeekingWorld, name: str) -> None:
    del world.memory.files[name]


def cut_short(world: SeekingWorld, name: str) -> None:
    del world.memory.files[name][HEAD_BYTES + 3 * PLACE_BYTES :]


def make_longer(world: SeekingWorld, name: str) -> None:
    world.memory.files[name] += bytes(5)


def empty(world: SeekingWorld, name: str) -> None:
    file = world.memory.files[name]
    file[HEAD_BYTES:] = bytes(len(file) - HEAD_BYTES)


def flip_keys(world: SeekingWorld, name: str) -> None:
    file = world.memory.files[name]
    for place in range(HEAD_BYTES, len(file), PLACE_BYTES):
        file[place] ^= 1


def flip_places(world: SeekingWorld, name: str) -> None:
    file = world.memory.files[name]
    for place in range(HEAD_BYTES, len(file), PLACE_BYTES):
        file[place + 8] ^= 1


def say_another_end(world: SeekingWorld, name: str) -> None:
    file = world.memory.files[name]
    struct.pack_into("<q", file, 32, struct.unpack_from("<q", file, 32)[0] - 2)


BEFORE_IT_IS_OPENED = (make_longer, say_another_end)
AT_ANY_TIME = (remove, cut_short, empty, flip_keys, flip_places)


@pytest.mark.parametrize(
    ("damage", "is_open"),
    [(damage, False) for damage in BEFORE_IT_IS_OPENED + AT_ANY_TIME] + [(damage, True) for damage in AT_ANY_TIME],
)
def test_index_that_is_not_what_it_was_is_made_anew(damage, is_open):
    world, terminal, bank, request, asked = three_days()
    name = index_of_the_first(world)
    whole = bytes(world.memory.files[name])
    if is_open:
        world.finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    damage(world, name)
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert bank.read_one()["90"].startswith("0200" + asked["11"])
    assert (world.finder.damaged, world.finder.unindexed) == (0, 0)
    assert bytes(world.memory.files[name]) == whole


def test_indexes_under_another_key_of_the_journal_are_made_anew():
    """Hashes under another secret find nothing: whoever asked them would say that there is no original."""
    world, terminal, bank, request, asked = three_days()
    later = Finder(ScriptedDisk(world.memory), OTHER_KEY + KEY, days=DAYS)
    assert later.unindexed == 2
    while later.index_one():
        pass
    assert Finder(ScriptedDisk(world.memory), OTHER_KEY + KEY, days=DAYS).unindexed == 0
    world.finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert bank.read_one()["90"].startswith("0200" + asked["11"])


def test_index_of_what_stood_there_before_is_made_anew():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, _ = approve(world, terminal, bank, request)
    copy = world.killed()
    approve(world, terminal, bank, bought(world, f11="000900"))
    later = SeekingWorld(world.memory.copy(), now_s=world.now_s + 1, **world.changes)
    finder = Finder(ScriptedDisk(later.memory), KEY, days=DAYS)
    assert finder.index_one()
    name = index_of_the_first(later)
    copy.memory.files[name] = later.memory.files[name]  # the copy of the journal is put back where the later one was
    bank = copy.issuer()
    terminal = copy.later(LATER_S)
    assert terminal.ask(taking_back(copy, request))["39"] == "00"
    copy.tick()
    assert bank.read_one()["90"].startswith("0200" + asked["11"])
    assert copy.finder.damaged == 0


def test_a_pipe_where_an_index_should_be_is_no_index(tmp_path):
    """Nobody ever writes to it, so that opening it would wait for ever."""
    world, *_ = three_days()
    for name, content in world.memory.files.items():
        (tmp_path / name).write_bytes(bytes(content))
    index = tmp_path / index_of_the_first(world)
    index.unlink()
    os.mkfifo(index)
    finder = Finder(FileDisk(str(tmp_path), exclusive=False), KEY, days=DAYS)
    finder.refresh()
    while finder.index_one():
        pass
    assert index.is_file()
    assert finder.unindexed == 0


def test_index_that_the_disk_does_not_take_is_in_memory_until_it_does():
    world, terminal, bank, request, asked = three_days()
    name = index_of_the_first(world)
    remove(world, name)
    world.finder = finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.sync()
    (wanted,) = world.engine.take_wanted()
    world.memory.room = 0
    finder.refresh()
    world.engine.settle(wanted, finder.find(wanted))
    world.tick()
    assert bank.read_one()["90"].startswith("0200" + asked["11"])
    with pytest.raises(OSError, match="No space"):
        finder.index_one()
    assert name not in world.memory.files
    world.memory.room = None
    assert finder.index_one()
    assert len(world.memory.files[name]) > HEAD_BYTES
    assert not finder.index_one()


@pytest.mark.parametrize(("probes", "code"), [(100, "00"), (10, "12")])
def test_a_look_up_searches_only_so_often(probes, code):
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    _, told = approve(world, terminal, bank, request)
    for _ in range(3):
        approve(world, terminal, bank, referring(world, "refund", request, told, f4="000000000001"))
    for day in range(3):
        world = world.killed(later_s=86_400)
        terminal, bank = world.terminal("pos"), world.issuer()
        approve(world, terminal, bank, bought(world, f11=f"{900 + day:06d}"))
    world.finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS, probes=probes)
    terminal.send(referring(world, "refund", request, told, f4="000000000001", f11="000990"))
    world.tick()
    for asked in bank.read():
        bank.answer(asked)
    world.tick()
    assert terminal.read_one()["39"] == code
