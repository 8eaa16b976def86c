"""Voids, refunds and completions name their original as its issuer knows it, and do not go beyond it."""

from __future__ import annotations

import pytest

from switch.dialect.kinds import Kind
from switch.tables.risk import Risk
from switch.tables.time_windows import WindowTable
from tests.ext.seeking_world import (
    DIALECTS,
    MOMENT,
    ORIGINAL_FIELD,
    approve,
    bought,
    original_data_of,
    sold,
    world_of,
)
from tests.ext.test_engine_risk import Limit
from tests.ext.world import World, change, link, purchase

LATER_S = 700  # than the duplicate window reaches
KINDS = {
    # processing code in ISO and CUP, MTI and 60.1 in CUP
    "void": ("020000", "200000", "0200", "23"),
    "refund": ("200000", "200000", "0220", "25"),
}


def referring(world, kind, request, told, **changes):
    """What undoes a purchase, named by reference number, and as the dialect names an original."""
    spoken = world.config.listeners[0].dialect
    iso, cup, mti, code = KINDS[kind]
    document = change(request, f11=world.stan(), f37=told["37"])
    if spoken == "cup":
        document |= {"t": mti, "3": cup, "60": code + request["60"][2:]}
        document["61"] = request["60"][2:8] + request["11"] + "0115"
    else:
        field = str(ORIGINAL_FIELD[spoken])
        document |= {"3": iso, field: original_data_of(request, spoken)}
    return change(document, **changes)


def code_of(world, code):
    spoken = world.config.listeners[0].dialect
    in_1993 = {"00": "000", "12": "902", "13": "110", "25": "914"}
    return in_1993[code] if spoken.startswith("iso93") else code


def ask(world, terminal, document):
    terminal.send(document)
    world.tick()


def is_named(sent, asked, issuer):
    """Whether a void or refund names what an issuer was asked, as its dialect does."""
    assert sent["38"] == "A1B2C3"
    said = sent[str(ORIGINAL_FIELD[issuer])]
    if issuer == "cup":
        batch = asked.get("60", "")[2:8].rjust(6, "0")
        return said == batch + asked["11"] + "0115" and sent["37"] == asked["37"]
    return said.startswith(asked["t"] + asked["11"] + asked[MOMENT[issuer]])


@pytest.mark.parametrize("later_s", [1, LATER_S])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("issuer", DIALECTS)
@pytest.mark.parametrize("terminals", DIALECTS)
def test_original_is_named_as_its_issuer_knows_it(terminals, issuer, kind, later_s):
    world = world_of(terminals, issuer)
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, told = approve(world, terminal, bank, request)
    terminal = world.later(later_s)
    undoing = referring(world, kind, request, told)
    sent, answer = approve(world, terminal, bank, undoing)
    assert bank.is_sealed(sent)
    assert is_named(sent, asked, issuer)
    assert answer["39"] == code_of(world, "00")
    assert answer["11"] == undoing["11"]


def test_date_of_an_original_is_that_of_the_acquirers_zone():
    """It is sold at 20:01 UTC, eight hours east of which the next day has begun."""
    world = world_of("cup", "cup", now_s=12 * 3_600 + 60)
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    _, told = approve(world, terminal, bank, request)
    sent, _ = approve(world, terminal, bank, referring(world, "void", request, told))
    assert sent["61"][12:16] == "0116"


@pytest.mark.parametrize("way", ["reference number", "original data"])
def test_each_of_the_ways_to_name_it_is_enough(way):
    world, terminal, bank, request, asked, told = sold()
    left_out = {"reference number": {"f90": None}, "original data": {"f37": None}}[way]
    sent, _ = approve(world, terminal, bank, referring(world, "refund", request, told, **left_out))
    assert is_named(sent, asked, "iso87-ascii")


def test_second_void_is_refused_over_restarts():
    world, terminal, bank, request, _, told = sold()
    approve(world, terminal, bank, referring(world, "void", request, told))
    for _ in range(2):
        for kind in KINDS:
            ask(world, terminal, referring(world, kind, request, told))
            assert terminal.read_one()["39"] == "12"
        world = world.killed(later_s=LATER_S)
        terminal = world.terminal("pos")


def test_declined_and_reversed_void_does_not_count():
    world, terminal, bank, request, _, told = sold()
    ask(world, terminal, referring(world, "void", request, told))
    bank.answer(bank.read_one(), "05")
    assert terminal.read_one()["39"] == "05"
    timed_out = referring(world, "void", request, told)
    ask(world, terminal, timed_out)
    bank.read_one()
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    taken_back = bank.read_one()
    assert taken_back["t"] == "0420"
    bank.answer(taken_back)
    world.tick()
    _, answer = approve(world, terminal, bank, referring(world, "void", request, told))
    assert answer["39"] == "00"


def test_refunds_come_to_the_sale_and_no_further():
    world, terminal, bank, request, _, told = sold()
    for number, (amount, code) in enumerate((("400", "00"), ("601", "13"), ("600", "00"), ("1", "13"))):
        refund = referring(world, "refund", request, told, f4=amount.rjust(12, "0"), f11=f"{900 + number:06d}")
        ask(world, terminal, refund)
        if code == "00":
            bank.answer(bank.read_one())
        assert terminal.read_one()["39"] == code
        world = world.killed()
        terminal, bank = world.terminal("pos"), world.issuer()
    ask(world, terminal, referring(world, "void", request, told, f11="000950"))
    assert terminal.read_one()["39"] == "12"


def test_refund_that_was_voided_does_not_count():
    world, terminal, bank, request, _, told = sold()
    refund = referring(world, "refund", request, told)
    _, refunded = approve(world, terminal, bank, refund)
    for kind, code in (("refund", "13"), ("void", "12")):  # it is with the cardholder already
        ask(world, terminal, referring(world, kind, request, told))
        assert terminal.read_one()["39"] == code
    original = original_data_of(refund, "iso87-ascii")
    undone = change(refund, f3="220000", f11=world.stan(), f37=refunded["37"], f90=original)
    assert approve(world, terminal, bank, undone)[1]["39"] == "00"
    for kind in ("refund", "void"):
        ask(world, terminal, referring(world, kind, request, told))
        bank.answer(bank.read_one(), "05")
        assert terminal.read_one()["39"] == "05"


def test_refunds_count_when_the_link_of_their_sale_is_gone():
    world, terminal, bank, request, _, told = sold()
    world = world.killed(links=[link("bank-b", "iso87-ascii")], routes=["6,,,,,,bank-b:1"])
    terminal, bank = world.terminal("pos"), world.issuer("bank-b")
    refund = referring(world, "refund", request, told, f4="000000000600", f11="000901")
    assert approve(world, terminal, bank, refund)[1]["39"] == "00"
    ask(world, terminal, change(refund, f11="000902"))
    assert terminal.read_one()["39"] == "13"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_another_currency_than_its_original_is_refused(kind):
    world, terminal, bank, request, _, told = sold()
    ask(world, terminal, referring(world, kind, request, told, f49="840"))
    assert terminal.read_one()["39"] == "13"
    assert bank.read() == []
    _, answer = approve(world, terminal, bank, referring(world, kind, request, told, f49=None))
    assert answer["39"] == "00"


def test_two_refunds_at_once_do_not_pass_one_another():
    world, terminal, bank, request, _, told = sold()
    world.is_sought = False
    for _ in range(2):
        terminal.send(referring(world, "refund", request, told, f4="000000000600"))
    world.is_sought = True
    world.tick()
    world.tick()
    bank.answer(bank.read_one())
    assert sorted(answer["39"] for answer in terminal.read()) == ["00", "13"]


def completing(world, held, told, amount):
    """The completion of a hold."""
    original = original_data_of(held, "iso87-ascii")
    return change(held, t="0220", f11=world.stan(), f25="06", f4=amount.rjust(12, "0"), f37=told["37"], f90=original)


@pytest.mark.parametrize(("amount", "code"), [("1150", "00"), ("1151", "13")])
def test_completion_is_held_to_its_hold(amount, code):
    world, terminal, bank, held, asked, told = sold("0100")
    ask(world, terminal, completing(world, held, told, amount))
    if code == "00":
        sent = bank.read_one()
        assert is_named(sent | {"38": "A1B2C3"}, asked, "iso87-ascii")
        bank.answer(sent)
    assert terminal.read_one()["39"] == code


@pytest.mark.parametrize(("amount", "code"), [("1000", "00"), ("1001", "13")])
def test_completion_is_held_to_what_the_configuration_allows(amount, code):
    world, terminal, bank, held, _, told = sold("0100", originals={"completion_percent_max": 100})
    ask(world, terminal, completing(world, held, told, amount))
    sent = bank.read()
    assert len(sent) == (code == "00")
    for one in sent:
        bank.answer(one)
    assert terminal.read_one()["39"] == code


def test_completions_come_to_their_hold_together_and_end_it():
    world, terminal, bank, held, _, told = sold("0100")
    assert approve(world, terminal, bank, completing(world, held, told, "600"))[1]["39"] == "00"
    ask(world, terminal, completing(world, held, told, "551"))
    assert terminal.read_one()["39"] == "13"
    original = original_data_of(held, "iso87-ascii")
    ask(world, terminal, change(held, f3="020000", f11=world.stan(), f37=told["37"], f90=original))
    assert terminal.read_one()["39"] == "12"
    assert approve(world, terminal, bank, completing(world, held, told, "550"))[1]["39"] == "00"


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_unknown_original_is_forwarded_as_it_is_said_or_refused(kind, refuses):
    originals = {"not_found": "refuse"} if refuses else {}
    world = world_of("iso87-ascii", "iso87-ascii", originals=originals)
    terminal, bank = world.terminal("pos"), world.issuer()
    unknown = referring(world, kind, bought(world), {"37": "702012000345"})
    ask(world, terminal, unknown)
    if refuses:
        assert terminal.read_one()["39"] == "25"
        assert bank.read() == []
        return
    sent = bank.read_one()
    assert (sent["90"], sent["37"]) == (unknown["90"], unknown["37"])
    bank.answer(sent)
    assert terminal.read_one()["39"] == "00"


def test_what_goes_beyond_is_forwarded_where_the_configuration_says_so():
    world = world_of("iso87-ascii", "iso87-ascii", originals={"excess": "forward"})
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, told = approve(world, terminal, bank, request)
    for _ in range(2):
        sent, answer = approve(world, terminal, bank, referring(world, "void", request, told))
        assert is_named(sent, asked, "iso87-ascii")
        assert answer["39"] == "00"


def test_original_decides_whom_to_ask():
    links = [link("bank-a", "iso87-ascii"), link("bank-b", "cup")]
    world = world_of("iso87-ascii", "iso87-ascii", links=links, routes=["6,,,,,,bank-a:1|bank-b:2"])
    terminal, other = world.terminal("pos"), world.issuer("bank-b")
    request = bought(world)
    asked, told = approve(world, terminal, other, request)
    bank = world.issuer("bank-a")
    sent, _ = approve(world, terminal, other, referring(world, "void", request, told))
    assert is_named(sent, asked, "cup")
    assert bank.read() == []
    other.close()
    ask(world, terminal, referring(world, "refund", request, told, f2=None))
    assert bank.read() == []


def test_repeat_joins_what_waits_and_reversal_stops_it():
    world, terminal, bank, request, _, told = sold()
    world.is_sought = False
    void = referring(world, "void", request, told)
    terminal.send(void)
    second = world.terminal("pos")
    second.send(void)
    reversal = change(void, t="0400", f11=world.stan(), f37=None, f90=original_data_of(void, "iso87-ascii"))
    assert terminal.ask(reversal)["39"] == "00"
    world.is_sought = True
    world.tick()
    assert second.read_one()["39"] == "68"
    assert terminal.read() == bank.read() == []


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_was_taken_back_while_it_waited_does_not_come_again(is_killed):
    """Its line breaks, or the switch, before anything of it was written down."""
    world, terminal, bank, request, _, told = sold()
    world.is_sought = False
    void = referring(world, "void", request, told)
    lost = world.terminal("pos")
    lost.send(void)
    reversal = change(void, t="0400", f11=world.stan(), f37=None, f90=original_data_of(void, "iso87-ascii"))
    assert terminal.ask(reversal)["39"] == "00"
    lost.close()
    if is_killed:
        world = world.killed()
        terminal, bank = world.terminal("pos"), world.issuer()
    world.is_sought = True
    world.tick()
    ask(world, terminal, void)
    assert terminal.read_one()["39"] == "68"
    assert bank.read() == []


def test_wait_ends_when_nobody_answers():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    world.is_sought = False
    terminal.send(referring(world, "refund", bought(world), {"37": "702012000345"}))
    world.advance(4.5)
    assert bank.read() == []
    world.advance(1)
    assert bank.read_one()["3"] == "200000"


def test_too_many_that_wait_are_refused():
    world = world_of("iso87-ascii", "iso87-ascii", originals={"waiting_max": 2})
    terminal = world.terminal("pos")
    world.is_sought = False
    for _ in range(3):
        terminal.send(referring(world, "refund", bought(world), {"37": "702012000345"}))
    assert terminal.read_one()["39"] == "96"
    assert world.count("refused_at_limit_total", limit="originals") == 1


def test_one_terminal_does_not_take_all_places():
    limits = {"terminal_share_percent": 25}
    world = world_of("iso87-ascii", "iso87-ascii", originals={"waiting_max": 20}, limits=limits)
    terminal, other, bank = world.terminal("pos"), world.terminal("pos"), world.issuer()
    world.is_sought = False
    for _ in range(30):
        terminal.send(referring(world, "refund", bought(world), {"37": "702012000345"}))
    assert {answer["39"] for answer in terminal.read()} == {"96"}
    other.send(referring(world, "refund", bought(world, f41="10000001"), {"37": "702012000345"}))
    assert other.read() == []
    world.is_sought = True
    world.tick()
    assert len(bank.read()) == 5  # four of the first one
    assert world.engine.state.inquiries.waiting.count == 0


def test_what_waits_no_longer_leaves_its_terminal_room():
    limits = {"terminal_share_percent": 25}
    world = world_of("iso87-ascii", "iso87-ascii", originals={"waiting_max": 20}, limits=limits)
    terminal, bank = world.terminal("pos"), world.issuer()
    for _ in range(30):
        refund = referring(world, "refund", bought(world), {"37": "702012000345"})
        assert approve(world, terminal, bank, refund)[1]["39"] == "00"


def test_look_ups_of_one_terminal_leave_turns_for_those_of_others():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, other, bank = world.terminal("pos"), world.terminal("pos"), world.issuer()
    world.is_sought = False
    requests = [referring(world, "refund", bought(world), {"37": "702012000345"}) for _ in range(5)]
    for request in requests:
        terminal.send(request)
    other.send(referring(world, "refund", bought(world, f41="10000001"), {"37": "702012000345"}))
    world.sync()
    wanted = world.engine.take_wanted()
    assert len(wanted) == 3  # two of the first terminal
    # What has waited too long goes on without, and has to be looked up all the same: it makes no room for more.
    world.advance(6)
    assert len(bank.read()) == 6
    for request in requests:
        terminal.send(change(request, f11=world.stan()))
    world.sync()
    assert world.engine.take_wanted() == []
    world.engine.settle(wanted[0], None)
    assert len(world.engine.take_wanted()) == 1
    for one in wanted[1:]:
        world.engine.settle(one, None)
    assert len(world.engine.take_wanted()) == 1


def test_request_that_was_looked_up_goes_on_by_the_route_of_its_own_currency():
    world, terminal, bank, request, _, told = sold(routes=["6,,,156,,,bank-a:1"])
    world.is_sought = False
    terminal.send(referring(world, "refund", request, told))
    assert terminal.ask(bought(world, f49="840"))["39"] == "15"
    world.is_sought = True
    world.tick()
    assert bank.read_one()["49"] == "156"


def test_request_that_was_looked_up_is_held_against_the_limits_of_its_own_currency():
    limit = Limit(kinds=1 << Kind.REFUND, amount_max=None, single_max=500)
    world, terminal, bank, request, _, told = sold(risk=Risk.build(None, WindowTable(16), rules=[limit]))
    world.is_sought = False
    terminal.send(referring(world, "refund", request, told))
    terminal.send(bought(world, f49="840"))
    world.is_sought = True
    world.tick()
    assert [one["49"] for one in bank.read()] == ["840"]
    assert terminal.read_one()["39"] == "61"


def test_without_a_journal_memory_knows_originals():
    world = World(routes=["6,,,,,,bank-a:1"])
    terminal, bank = world.terminal("iso"), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = bank.read_one()
    bank.answer(asked)
    told = terminal.read_one()
    void = change(request, f3="020000", f11=world.stan(), f37=told["37"])
    terminal.send(void)
    sent = bank.read_one()
    assert is_named(sent | {"38": "A1B2C3"}, asked, "iso87-ascii")
    bank.answer(sent)
    assert terminal.read_one()["39"] == "00"
    terminal.send(change(void, f11=world.stan()))
    assert terminal.read_one()["39"] == "12"
    world.settle()
