"""What refers to an original counts alike where it is found in the journal, and where memory is all there is."""

from __future__ import annotations

import pytest

from tests.ext.journal_world import JournalWorld
from tests.ext.test_originals_referred import referring
from tests.ext.world import World, link, listener, purchase

AMOUNT, PART, REST = "000000001000", "000000000600", "000000000400"
LISTENERS = [listener("pos", "iso87-ascii", partial_approval="always")]
LINKS = [link("bank-a", "iso87-ascii", partial_approval=True)]


@pytest.fixture(params=[World, JournalWorld])
def world(request):
    """A world without a journal, and one with it."""
    return request.param(listeners=LISTENERS, links=LINKS, routes=["6,,,,,,bank-a:1"])


class Shop:
    """A terminal, its issuer, and a sale."""

    def __init__(self, world):
        self.world = world
        self.terminal, self.issuer = world.terminal("pos"), world.issuer()
        self.sale = purchase(world, "pos", f4=AMOUNT)
        self.told = self.ask(self.sale)

    def ask(self, request, code="00", **changes):
        self.terminal.send(request)
        self.world.tick()
        if asked := self.issuer.read():
            self.issuer.answer(asked[0], code, **changes)
        return self.terminal.read_one()

    def refund(self, amount, **changes):
        request = referring(self.world, "refund", self.sale, self.told, f4=amount)
        return request, self.ask(request, **changes)


def test_refund_counts_by_the_part_of_it_that_was_approved(world):
    shop = Shop(world)
    assert shop.refund(AMOUNT, code="10", f4=PART, f38="A1B2C3")[1]["39"] == "10"
    assert shop.refund(AMOUNT)[1]["39"] == "13"
    assert shop.refund(REST)[1]["39"] == "00"


def test_refund_that_was_voided_counts_no_more(world):
    shop = Shop(world)
    request, told = shop.refund(AMOUNT)
    assert told["39"] == "00"
    assert shop.refund(AMOUNT)[1]["39"] == "13"
    void = referring(world, "void", request, told, f3="220000")
    voided = shop.ask(void)
    assert voided["39"] == "00"
    assert shop.refund(AMOUNT)[1]["39"] == "00"
