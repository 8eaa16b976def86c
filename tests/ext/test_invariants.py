"""A broken invariant ends the process, with words on its standard error: memory is wrong then, and moves no money."""

from __future__ import annotations

import ctypes
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .journal_world import JournalWorld
from .world import World, purchase

ROOT = Path(__file__).resolve().parents[2]


def spoil(one: object, before: bytes, after: bytes) -> None:
    """Change what stands in an object's memory, as a stray pointer would."""
    memory = (ctypes.c_char * type(one).__basicsize__).from_address(id(one))
    assert memory.raw.count(before) == 1
    place = memory.raw.index(before)
    memory[place : place + len(after)] = after


def outcome_that_nobody_counted() -> None:
    world = World()
    issuer = world.issuer()
    terminal = world.terminal()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one())
    window = world.engine.state.duplicates
    assert (window.in_use, window.untold) == (1, 1)
    spoil(window, struct.pack("<III", window.share_percent, 1, 1), struct.pack("<III", window.share_percent, 1, 0))
    terminal.read_one()


def reversal_that_nobody_counted() -> None:
    world = World()
    issuer = world.issuer()
    terminal = world.terminal()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one())
    terminal.close()
    world.advance(1)
    reversal = issuer.read_one()
    store = world.engine.state.saf
    assert (store.room, store.in_use, store.all_at_issuer) == (store.room, 1, 1)
    counts = store.room, 1, 0, 0
    spoil(store, struct.pack("<5I", *counts, 1), struct.pack("<5I", *counts, 0))
    issuer.answer(reversal)


def position_ahead_of_its_record() -> None:
    world = JournalWorld()
    world.issuer()
    world.terminal().send(purchase(world))
    durable = world.journal.durable
    spoil(world.journal, struct.pack("<qii", durable, 0, 1), struct.pack("<q", durable + 1_000))
    world.sync()


BROKEN: dict[Callable[[], None], str] = {
    outcome_that_nobody_counted: "an approval that is told was counted as untold",
    reversal_that_nobody_counted: "what was at an issuer is counted",
    position_ahead_of_its_record: "nothing is durable before it is written",
}


@pytest.mark.parametrize(("breaks", "words"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_process_ends_where_memory_is_wrong(breaks, words):
    script = f"from {__name__} import {breaks.__name__} as breaks; breaks()"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGABRT, f"invariant broken: {words}\n")
