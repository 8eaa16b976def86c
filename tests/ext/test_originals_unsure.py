"""Originals that the journal could not be asked for in time: what memory is sure of counts."""

from __future__ import annotations

import pytest

from tests.ext.seeking_world import names, sold, taking_back
from tests.ext.test_originals_referred import is_named, referring

PATIENCE_S = 6


@pytest.mark.parametrize("kind", ["void", "refund"])
def test_request_goes_on_with_what_memory_is_sure_of(kind):
    world, terminal, bank, request, asked, told = sold()
    world.is_sought = False
    terminal.send(referring(world, kind, request, told))
    world.tick()
    assert bank.read() == []
    world.advance(PATIENCE_S)
    passed_on = bank.read_one()
    assert is_named(passed_on, asked, "iso87-ascii")
    bank.answer(passed_on)
    assert terminal.read_one()["39"] == "00"
    # It counts: what goes beyond the sale is refused.
    terminal.send(referring(world, "refund", request, told))
    world.advance(PATIENCE_S)
    assert terminal.read_one()["39"] == {"void": "12", "refund": "13"}[kind]


def test_request_goes_on_in_its_own_words_where_memory_is_not_sure():
    world, terminal, bank, request, _, told = sold()
    world.is_sought = False
    terminal.send(referring(world, "void", request, told, f90=None, f37=None))
    world.advance(PATIENCE_S)
    assert "90" not in bank.read_one()


def test_reversal_takes_back_what_memory_is_sure_of():
    """It was approved by a process that has ended since, and the journal's files cannot be read."""
    world, terminal, bank, request, asked, _ = sold()
    world.sync()
    world = world.killed()
    terminal, bank = world.terminal("pos"), world.issuer()
    world.is_sought = False
    assert terminal.ask(taking_back(world, request, f11=request["11"]))["39"] == "00"
    world.tick()
    for wanted in world.engine.take_wanted():
        world.engine.settle(wanted, None, False)
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")


def test_what_a_look_up_brings_when_its_request_has_ended_changes_nothing():
    world, terminal, bank, request, _, told = sold()
    world.is_sought = False
    terminal.send(referring(world, "refund", request, told))
    world.tick()
    world.sync()
    (wanted,) = world.engine.take_wanted()
    world.advance(PATIENCE_S)
    bank.answer(bank.read_one())
    assert terminal.read_one()["39"] == "00"
    world.engine.settle(wanted, None)
    world.tick()
    assert (bank.read(), terminal.read()) == ([], [])
