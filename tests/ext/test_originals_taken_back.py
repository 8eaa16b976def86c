"""A terminal's reversal of what others refer to: nobody gets a payment back twice, however void and reversal follow."""

from __future__ import annotations

import pytest

from switch.journal.carry_forward import keep_up
from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from switch.saf.owed_entries import close_entry
from tests.ext.journal_world import DAYS, KEY
from tests.ext.seeking_world import (
    DIALECTS,
    approve,
    bought,
    names,
    original_data_of,
    sold,
    taking_back,
    world_of,
)
from tests.ext.test_originals_in_memory import LINKS, LISTENERS
from tests.ext.test_originals_referred import LATER_S, ask, code_of, completing, referring
from tests.ext.world import World, change, purchase

AMOUNT, MOST, REST = "000000001000", "000000000600", "000000000400"
RESTARTS = ["", "kill", "power"]


def restarted(world, terminal, bank, how):
    """The world after a crash, with its terminal and issuer; the same where there is none."""
    if not how:
        return world, terminal, bank
    world = world.killed(power=how == "power")
    return world, world.terminal("pos"), world.issuer()


def found(world, wanted):
    """What the journal knows at this moment of what is wanted."""
    finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS, files=False)
    finder.refresh()
    return finder.find(wanted)


def voiding(world, request, told, kind):
    """The void of a refund or completion."""
    code = {"refund": "220000", "completion": "020000"}[kind]
    original = original_data_of(request, "iso87-ascii")
    return change(request, t="0200", f3=code, f11=world.stan(), f37=told["37"], f90=original)


def is_refused(world, terminal, bank, reversal, code):
    """Whether a reversal is refused, again and again, and nothing of it goes to the issuer."""
    for _ in range(2):
        ask(world, terminal, reversal)
        if terminal.read_one()["39"] != code:
            return False
        world.advance(3)
    return bank.read() == [] and world.engine.owed == 0


def is_taken_back(world, terminal, bank, reversal, asked):
    ask(world, terminal, reversal)
    assert terminal.read_one()["39"] == "00"
    world.tick()
    sent = bank.read_one()
    bank.answer(sent)
    world.tick()
    return names(sent, asked, "iso87-ascii") and world.engine.owed == 0


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("kind", ["void", "refund"])
@pytest.mark.parametrize("spoken", DIALECTS)
def test_what_was_voided_or_refunded_is_not_taken_back_besides(spoken, kind, how):
    world = world_of(spoken, "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    _, told = approve(world, terminal, bank, request)
    assert approve(world, terminal, bank, referring(world, kind, request, told))[1]["39"] == code_of(world, "00")
    world, terminal, bank = restarted(world, terminal, bank, how)
    reversal = taking_back(world, request)
    assert is_refused(world, terminal, bank, reversal, "902" if spoken.startswith("iso93") else "12")
    assert world.count("transactions_total", kind="reversal", reason="invalid_transaction") == 1
    world, terminal, bank = restarted(world, terminal, bank, "kill")
    assert terminal.ask(reversal)["39"] == ("902" if spoken.startswith("iso93") else "12")


def test_hold_that_was_completed_is_not_taken_back():
    world, terminal, bank, held, _, told = sold("0100")
    assert approve(world, terminal, bank, completing(world, held, told, "600"))[1]["39"] == "00"
    assert is_refused(world, terminal, bank, taking_back(world, held), "12")


def test_void_that_is_in_flight_may_yet_stand():
    world, terminal, bank, request, asked, told = sold()
    ask(world, terminal, referring(world, "void", request, told))
    sent = bank.read_one()
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == "12"
    bank.answer(sent, "05")
    assert terminal.read_one()["39"] == "05"
    assert is_taken_back(world, terminal, bank, taking_back(world, request), asked)


@pytest.mark.parametrize("how", ["", "kill"])
@pytest.mark.parametrize("end", ["declined", "timed out", "taken back"])
def test_sale_whose_void_does_not_stand_is_taken_back(end, how):
    world, terminal, bank, request, asked, told = sold()
    void = referring(world, "void", request, told)
    ask(world, terminal, void)
    if end == "timed out":
        bank.read_one()
        world.advance(16)
    else:
        bank.answer(bank.read_one(), "05" if end == "declined" else "00")
    assert terminal.read_one()["39"] == {"declined": "05", "timed out": "68", "taken back": "00"}[end]
    if end == "taken back":
        assert is_refused(world, terminal, bank, taking_back(world, request), "12")
        assert terminal.ask(taking_back(world, void))["39"] == "00"
        world.tick()
    if end != "declined":
        bank.answer(bank.read_one())
        world.tick()
    world, terminal, bank = restarted(world, terminal, bank, how)
    assert is_taken_back(world, terminal, bank, taking_back(world, request), asked)


@pytest.mark.parametrize("how", RESTARTS)
def test_void_whose_reversal_an_operator_gave_up_may_stand(how):
    """The void timed out, and its issuer may have booked it: whether it did, only the operator knows."""
    world, terminal, bank, request, _, told = sold()
    ask(world, terminal, referring(world, "void", request, told))
    void = bank.read_one()
    bank.close()
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    close_entry(world.engine.state, rrn=void["37"], name="Mei", reason="booked by hand")
    world.tick()
    assert world.engine.owed == 0
    world, terminal, bank = restarted(world, terminal, world.issuer(), how)
    assert is_refused(world, terminal, bank, taking_back(world, request), "12")


def test_void_that_was_never_asked_for_does_not_count():
    """Nothing refers to the sale: it is taken back at once, without a look-up."""
    world, terminal, bank, request, asked, told = sold()
    ask(world, terminal, referring(world, "void", request, told, f4="000000001001"))
    assert terminal.read_one()["39"] == "13"
    world.is_sought = False
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")


@pytest.mark.parametrize("how", RESTARTS)
def test_reversal_that_was_promised_is_withheld_where_a_void_stands(how):
    world, terminal, bank, request, _, told = sold()
    approve(world, terminal, bank, referring(world, "void", request, told))
    terminal = world.later(LATER_S)
    world.is_sought = False
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    assert world.engine.owed == 1
    world.is_sought = True
    world.tick()
    assert bank.read() == []
    assert world.engine.owed == 0
    (note,) = world.told("reversal_withheld")
    assert (note["link"], note["rrn"], note["reason"]) == ("bank-a", told["37"], "invalid_transaction")
    assert world.count("promised_reversals_withheld_total", link="bank-a") == 1
    world, terminal, bank = restarted(world, terminal, bank, how)
    world.advance(5)
    assert bank.read() == []
    assert world.engine.owed == 0


def test_sale_whose_reversal_was_withheld_is_taken_back_when_its_void_is():
    world, terminal, bank, request, asked, told = sold()
    void = referring(world, "void", request, told)
    approve(world, terminal, bank, void)
    terminal = world.later(LATER_S)
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    world = world.killed()
    terminal, bank = world.terminal("pos"), world.issuer()
    assert terminal.ask(taking_back(world, void))["39"] == "00"
    world.tick()
    bank.answer(bank.read_one())
    world.tick()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")


@pytest.mark.parametrize("code", ["00", "05"])
def test_promised_reversal_waits_for_the_end_of_the_void(code):
    world, terminal, bank, request, asked, told = sold()
    terminal = world.later(LATER_S)
    ask(world, terminal, referring(world, "void", request, told))
    sent = bank.read_one()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    for _ in range(3):
        world.advance(1)
        world.tick()
    assert bank.read() == world.told("reversal_withheld") == []
    bank.answer(sent, code)
    world.advance(2)
    world.tick()
    if code == "00":
        assert len(world.told("reversal_withheld")) == 1
        assert world.engine.owed == 0
    else:
        assert names(bank.read_one(), asked, "iso87-ascii")


def test_look_up_of_a_reversal_that_a_void_has_overtaken_is_not_believed():
    world, terminal, bank, request, _, told = sold()
    terminal = world.later(LATER_S)
    world.is_sought = False
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.sync()
    (wanted,) = world.engine.take_wanted()
    original = found(world, wanted)
    terminal.send(referring(world, "void", request, told))
    world.is_sought = True
    world.tick()
    bank.answer(bank.read_one())
    assert terminal.read_one()["39"] == "00"
    world.engine.settle(wanted, original)
    world.advance(2)
    world.tick()
    assert bank.read() == []
    assert len(world.told("reversal_withheld")) == 1


def test_look_up_of_a_void_that_a_reversal_has_overtaken_is_not_believed():
    world, terminal, bank, request, asked, told = sold()
    world.is_sought = False
    terminal.send(referring(world, "void", request, told))
    world.sync()
    (wanted,) = world.engine.take_wanted()
    original = found(world, wanted)
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.engine.settle(wanted, original)
    world.is_sought = True
    world.tick()
    assert terminal.read_one()["39"] == "25"
    assert names(bank.read_one(), asked, "iso87-ascii")


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize(("second", "code"), [(AMOUNT, "13"), ("000000000001", "13"), ("", "00")])
def test_void_of_a_refund_stays_where_another_refund_has_taken_its_place(second, code, how):
    world, terminal, bank, request, _, told = sold()
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    void = voiding(world, refund, refunded, "refund")
    asked, answer = approve(world, terminal, bank, void)
    assert answer["39"] == "00"
    if second:
        again = referring(world, "refund", request, told, f4=second)
        assert approve(world, terminal, bank, again)[1]["39"] == "00"
    world, terminal, bank = restarted(world, terminal, bank, how)
    reversal = taking_back(world, void)
    if code == "00":
        assert is_taken_back(world, terminal, bank, reversal, asked)
        ask(world, terminal, referring(world, "refund", request, told, f4="000000000001", f11="000950"))
        assert terminal.read_one()["39"] == "13"
    else:
        assert is_refused(world, terminal, bank, reversal, code)


@pytest.mark.parametrize(("undone", "code"), [("void", "12"), ("reversal", "25")])
def test_void_of_a_refund_stays_where_its_sale_does_not(undone, code):
    world, terminal, bank, request, _, told = sold()
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    void = voiding(world, refund, refunded, "refund")
    approve(world, terminal, bank, void)
    if undone == "void":
        approve(world, terminal, bank, referring(world, "void", request, told))
    else:
        ask(world, terminal, taking_back(world, request))
        assert terminal.read_one()["39"] == "00"
        bank.answer(bank.read_one())
    world.tick()
    assert is_refused(world, terminal, bank, taking_back(world, void), code)


@pytest.mark.parametrize("how", ["", "kill"])
@pytest.mark.parametrize("kind", ["completion_void", "void"])  # as terminals say it, of a completion or of any sale
@pytest.mark.parametrize(("second", "code"), [("551", "13"), ("550", "00")])
def test_void_of_a_completion_stays_where_others_have_used_the_hold_up(second, code, kind, how):
    world, terminal, bank, held, _, told = sold("0100")
    completion = completing(world, held, told, "600")
    _, completed = approve(world, terminal, bank, completion)
    void = change(voiding(world, completion, completed, "completion"), f25="06" if kind == "completion_void" else "00")
    asked, answer = approve(world, terminal, bank, void)
    assert answer["39"] == "00"
    assert world.count("transactions_total", kind=kind, reason="approved") == 1
    assert approve(world, terminal, bank, completing(world, held, told, second))[1]["39"] == "00"
    world, terminal, bank = restarted(world, terminal, bank, how)
    if code == "00":
        assert is_taken_back(world, terminal, bank, taking_back(world, void), asked)
    else:
        assert is_refused(world, terminal, bank, taking_back(world, void), code)


def test_promised_reversal_of_a_void_is_withheld_where_another_refund_stands():
    world, terminal, bank, request, _, told = sold()
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    void = voiding(world, refund, refunded, "refund")
    approve(world, terminal, bank, void)
    world = world.killed(later_s=LATER_S)  # in another segment
    terminal, bank = world.terminal("pos"), world.issuer()
    again = referring(world, "refund", request, told, f11="000901")
    assert approve(world, terminal, bank, again)[1]["39"] == "00"
    world = world.killed()
    terminal, bank = world.terminal("pos"), world.issuer()
    assert terminal.ask(taking_back(world, void, f11="000902"))["39"] == "00"
    world.tick()
    world.advance(2)
    assert bank.read() == []
    assert [note["reason"] for note in world.told("reversal_withheld")] == ["invalid_amount"]


def test_refund_counts_as_long_as_its_void_may_be_declined():
    world, terminal, bank, request, _, told = sold()
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    ask(world, terminal, voiding(world, refund, refunded, "refund"))
    sent = bank.read_one()
    ask(world, terminal, referring(world, "refund", request, told))
    assert terminal.read_one()["39"] == "13"
    bank.answer(sent, "00")
    assert terminal.read_one()["39"] == "00"
    assert approve(world, terminal, bank, referring(world, "refund", request, told))[1]["39"] == "00"


@pytest.mark.parametrize("later_s", [1, LATER_S])
@pytest.mark.parametrize("amount", ["000000000999", "000000000001", "000000001001"])
def test_void_is_of_the_whole_of_it(amount, later_s):
    world, terminal, bank, request, _, told = sold()
    terminal = world.later(later_s)
    ask(world, terminal, referring(world, "void", request, told, f4=amount))
    assert terminal.read_one()["39"] == "13"
    assert bank.read() == []
    assert approve(world, terminal, bank, referring(world, "void", request, told))[1]["39"] == "00"


def test_issuer_decides_where_the_configuration_says_so():
    world, terminal, bank, request, asked, told = sold(originals={"excess": "forward"})
    void = referring(world, "void", request, told, f4=REST)
    assert approve(world, terminal, bank, void)[0]["4"] == REST
    assert is_taken_back(world, terminal, bank, taking_back(world, request), asked)


class Shop:
    """A terminal and its issuer, without a journal."""

    def __init__(self):
        self.world = World(listeners=LISTENERS, links=LINKS, routes=["6,,,,,,bank-a:1"])
        self.terminal, self.issuer = self.world.terminal("pos"), self.world.issuer()

    def ask(self, request):
        self.terminal.send(request)
        if asked := self.issuer.read():
            self.issuer.answer(asked[0])
        return self.terminal.read_one()


def test_memory_knows_what_refers_to_a_payment():
    shop = Shop()
    sale = purchase(shop.world, "pos", f4=AMOUNT)
    told = shop.ask(sale)
    refund = referring(shop.world, "refund", sale, told)
    refunded = shop.ask(refund)
    assert shop.ask(taking_back(shop.world, sale))["39"] == "12"
    void = voiding(shop.world, refund, refunded, "refund")
    assert shop.ask(void)["39"] == "00"
    assert shop.ask(referring(shop.world, "refund", sale, told, f4=REST))["39"] == "00"
    assert shop.ask(taking_back(shop.world, void))["39"] == "13"
    assert shop.ask(taking_back(shop.world, sale))["39"] == "12"
    assert shop.issuer.read() == []


def test_memory_knows_the_part_of_a_void_that_counts():
    shop = Shop()
    sale = purchase(shop.world, "pos", f4=AMOUNT)
    told = shop.ask(sale)
    refund = referring(shop.world, "refund", sale, told, f4=MOST)
    refunded = shop.ask(refund)
    void = voiding(shop.world, refund, refunded, "refund")
    assert shop.ask(void)["39"] == "00"
    assert shop.ask(referring(shop.world, "refund", sale, told, f4=REST))["39"] == "00"
    assert shop.ask(taking_back(shop.world, void))["39"] == "00"


@pytest.mark.parametrize("when", ["window", "window over a restart", "store", "store over a restart", "carried"])
@pytest.mark.parametrize("is_void", [False, True])
def test_what_a_terminal_approved_is_not_taken_back_besides_its_refund(when, is_void):
    """Its issuer has not taken note of it: it is known by its advice, once the window has forgotten it."""
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    sale = purchase(world, "pos", t="0220", f38="654321", f37=None)
    told = terminal.ask(sale)
    world.tick()
    bank.answer(bank.read_one(), "91")
    request = referring(world, "void" if is_void else "refund", sale, told, t="0200")
    ask(world, terminal, request)
    bank.answer(next(one for one in bank.read() if one["t"] == "0200"))
    assert terminal.read_one()["39"] == "00"
    if when == "carried":
        keep_up(world.engine.state, world.journal, 0)
        world.sync()
    if when.startswith("window"):
        world, terminal, bank = restarted(world, terminal, bank, "kill" if "restart" in when else "")
    else:
        terminal = world.later(LATER_S)
        if when != "store":
            world = world.killed()
            terminal = world.terminal("pos")
        bank = world.issuer()
    ask(world, terminal, taking_back(world, sale))
    assert terminal.read_one()["39"] == "12"
    world.advance(3)
    assert {one["t"] for one in bank.read()} <= {"0220", "0221"}
    assert world.engine.owed == 1
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == "00"
    world.tick()
    ask(world, terminal, taking_back(world, sale))
    assert terminal.read_one()["39"] == "00"


def test_reversal_without_a_name_means_what_was_done_before_it_came():
    """However long after a crash it is looked up."""
    world, _, _, request, asked, _ = sold()
    terminal = world.later(LATER_S)
    world.is_sought = False
    assert terminal.ask(taking_back(world, request, named=False))["39"] == "00"
    world = world.killed(later_s=20 * 60)
    bank = world.issuer()
    world.tick()
    assert bank.read_one()["90"][4:10] == asked["11"]
