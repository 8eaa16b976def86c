"""What refers to an original counts alike where it is found in the journal, and where memory is all there is."""

from __future__ import annotations

import pytest

from switch.saf.owed_entries import close_entry
from tests.ext.journal_world import JournalWorld
from tests.ext.seeking_world import taking_back
from tests.ext.test_engine_stand_in import RULE
from tests.ext.test_originals_referred import referring
from tests.ext.world import World, change, link, listener, purchase

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


def test_refund_whose_void_is_taken_back_counts_by_its_part_again(world):
    shop = Shop(world)
    request, told = shop.refund(AMOUNT, code="10", f4=PART, f38="A1B2C3")
    void = referring(world, "void", request, told, f3="220000", f4=PART)
    assert shop.ask(void)["39"] == "00"
    assert shop.refund(REST)[1]["39"] == "00"
    assert shop.ask(taking_back(world, void))["39"] == "00"
    assert shop.refund(REST)[1]["39"] == "13"


@pytest.mark.parametrize("world", [World, JournalWorld], indirect=True)
@pytest.mark.parametrize("of", ["sale", "refund"])
def test_void_whose_reversal_an_operator_gave_up_may_stand_or_not(world, of):
    """It timed out, and only the operator knows whether its issuer booked it: what it undid counts, and so does it."""
    shop = Shop(world)
    request, told = shop.refund(AMOUNT) if of == "refund" else (shop.sale, shop.told)
    changes = {"f3": "220000"} if of == "refund" else {}
    shop.terminal.send(referring(world, "void", request, told, **changes))
    world.tick()
    void = shop.issuer.read_one()
    shop.issuer.close()
    world.advance(16)
    assert shop.terminal.read_one()["39"] == "68"
    close_entry(world.engine.state, rrn=void["37"], name="Mei", reason="booked by hand")
    shop.issuer = world.issuer()
    assert shop.refund(AMOUNT)[1]["39"] == {"sale": "12", "refund": "13"}[of]
    assert shop.ask(taking_back(world, request))["39"] == {"sale": "12", "refund": "12"}[of]


def test_what_is_not_looked_for_takes_no_time_from_look_ups():
    """Memory is gone through a share of the time only; a second that nobody needed is not gone."""
    world = World(listeners=LISTENERS, links=LINKS, routes=["6,,,,,,bank-a:1"])
    shop = Shop(world)
    for _ in range(300):
        assert shop.ask(purchase(world, "pos", f4=AMOUNT))["39"] == "00"
    for _ in range(10_000):
        world.engine.tick()
    shop.terminal.send(taking_back(world, shop.sale, named=False, f37=shop.told["37"]))
    world.engine.tick()
    assert shop.terminal.read_one()["39"] == "00"
    assert shop.issuer.read_one()["t"] == "0420"


def test_refund_that_was_declined_does_not_count(world):
    shop = Shop(world)
    assert shop.refund(AMOUNT, code="05")[1]["39"] == "05"
    assert shop.refund(AMOUNT)[1]["39"] == "00"


def test_what_the_window_has_forgotten_is_not_known_to_memory():
    """Its entry is free: what stands there still is of nobody."""
    shop = Shop(World(listeners=LISTENERS, links=LINKS, routes=["6,,,,,,bank-a:1"]))
    world = shop.world
    for _ in range(9):  # their entries are taken again before that of the sale
        assert shop.ask(purchase(world, "pos"))["39"] == "00"
    world.advance(700, step=350)
    assert world.engine.state.duplicates.in_use == 0
    terminal = world.terminal("pos")
    assert terminal.ask(change(shop.sale, t="0400", f11=world.stan(), f37=shop.told["37"]))["39"] == "00"
    world.tick()
    passed_on = shop.issuer.read_one()
    assert "38" not in passed_on
    assert "90" not in passed_on
    assert world.count("originals_looked_up_total", result="not_found") == 1


def test_what_is_in_flight_is_where_it_was_sent():
    """Also where its entry of the window does not say so yet."""
    links = [*LINKS, link("bank-b", "iso87-ascii")]
    routes = ["6,,refund,,,,bank-a:1", "6,,,,,,bank-b:1"]
    world = World(listeners=LISTENERS, links=links, routes=routes, originals={"excess": "forward"})
    terminal, other = world.terminal("pos"), world.terminal("pos")
    first, second = world.issuer("bank-a"), world.issuer("bank-b")
    sale = purchase(world, "pos", f4=AMOUNT)
    terminal.send(sale)
    asked = second.read_one()
    other.send(referring(world, "refund", sale, {"37": asked["37"]}))
    world.tick()
    assert second.read_one()["90"][4:10] == asked["11"]
    assert first.read() == []


def test_what_its_issuer_is_still_to_be_told_of_may_be_refunded():
    links = [link("bank-a", "iso87-ascii", stand_in=RULE)]
    world = World(listeners=LISTENERS, links=links, routes=["6,,,,,,bank-a:1"])
    terminal = world.terminal("pos")
    request = purchase(world, "pos")
    told = terminal.ask(request)
    issuer = world.issuer()
    advice = issuer.read_one()
    terminal.send(referring(world, "refund", request, told))
    world.tick()
    sent = issuer.read_one()
    assert (sent["3"], sent["90"][4:10]) == ("200000", advice["11"])
