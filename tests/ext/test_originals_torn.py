"""Originals of which the journal can tell only a part: what became of them stands where nobody can read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ext.seeking_world import SeekingWorld, bought, names, taking_back, world_of
from tests.ext.test_originals_referred import referring
from tests.ext.world import Document, IssuerLine, TerminalLine

LATER_S = 700  # than the duplicate window reaches
UNSURE_S = 60
CODE = "A1B2C3"


def sold_and_torn(
    is_later: bool = True, **changes: Any
) -> tuple[SeekingWorld, TerminalLine, IssuerLine, Document, Document, Document]:
    """A world whose journal has an approved sale, but nobody can read its OUTCOME: world, terminal, what was asked and
    told. Memory has forgotten it, unless it is not ``is_later``."""
    world = world_of("iso87-ascii", "iso87-ascii", **changes)
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    terminal.send(request)
    world.tick()
    world.sync()
    (name,) = world.memory.files
    before = bytes(world.memory.files[name])
    asked = bank.read_one()
    bank.answer(asked, f38=CODE)
    told = terminal.read_one()
    world.sync()
    if is_later:
        world.advance(LATER_S, step=LATER_S)
        world = world.killed()
    after = world.memory.files[name]
    first = next(at for at in range(len(after)) if at >= len(before) or after[at] != before[at])
    after[first + 100] ^= 1  # within the batch, behind its head
    if is_later:
        return world, world.terminal("pos"), world.issuer(), request, asked, told
    return world, terminal, bank, request, asked, told


def by_number(world: SeekingWorld, request: Document, told: Document) -> Document:
    """A reversal that names its original by the reference number alone."""
    return taking_back(world, request, named=False, f37=told["37"], f11="000999")


def let_pass(world: SeekingWorld, seconds: int) -> None:
    """Second by second, and originals are looked up in each."""
    for _ in range(seconds):
        world.advance(1)


def test_reversal_waits_for_a_while_and_takes_back_what_is_known():
    world, terminal, bank, request, asked, told = sold_and_torn()
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    let_pass(world, UNSURE_S - 2)
    assert bank.read() == []
    let_pass(world, 4)
    taken_back = bank.read_one()
    assert names(taken_back, asked, "iso87-ascii")
    assert "38" not in taken_back


def test_reversal_takes_back_at_once_what_memory_is_sure_of():
    world, terminal, bank, request, asked, told = sold_and_torn(is_later=False)
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    let_pass(world, 1)
    taken_back = bank.read_one()
    assert names(taken_back, asked, "iso87-ascii")
    assert taken_back["38"] == CODE


@pytest.mark.parametrize("not_found", ["forward", "refuse"])
def test_refund_of_what_may_have_been_refunded_goes_on_only_where_the_unknown_may(not_found):
    world, terminal, bank, request, asked, told = sold_and_torn(originals={"not_found": not_found})
    terminal.send(referring(world, "refund", request, told))
    let_pass(world, 2)
    if not_found == "refuse":
        assert terminal.read_one()["39"] == "96"
        assert bank.read() == []
    else:
        assert bank.read_one()["90"].startswith(asked["t"] + asked["11"] + asked["7"])
