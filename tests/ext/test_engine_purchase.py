"""A purchase there and back, in every pair of dialects."""

from __future__ import annotations

import pytest

from tests.ext.world import CARD, VISA, World, link, listener, purchase

TERMINAL_DIALECTS = ("cup", "iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary")


@pytest.fixture
def world():
    built = World()
    yield built
    built.settle()


@pytest.mark.parametrize("name", ["cup", "iso"])
@pytest.mark.parametrize(("bank", "card"), [("bank-a", CARD), ("bank-b", VISA)])
def test_purchase_there_and_back(world, name, bank, card):
    terminal, issuer = world.terminal(name), world.issuer(bank)
    request = purchase(world, name, f2=card)
    terminal.send(request)
    assert terminal.read() == []
    asked = issuer.read_one()
    assert (asked["t"], asked["2"], asked["4"]) == ("0200", card, request["4"])
    issuer.answer(asked)
    answer = terminal.read_one()
    assert answer["t"] == "0210"
    assert answer["39"] == "00"
    assert answer["11"] == request["11"]
    assert terminal.is_sealed(answer)
