"""No wrong reference makes the switch take back, void or refund another payment than the one that is meant."""

from __future__ import annotations

from functools import partial

import pytest

from switch.journal.claim_search import look_up
from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from tests.ext.journal_world import DAYS, KEY
from tests.ext.seeking_world import (
    approve,
    bought,
    original_data_of,
    sold,
    stood_in,
    taking_back,
    world_of,
    world_of_parts,
)
from tests.ext.test_originals_referred import referring
from tests.ext.world import OTHER_MERCHANT, TERMINALS, VISA, change

LATER_S = 700  # than the duplicate window reaches
DAY_S = 86_400
NEIGHBOUR = {"f41": "10000001"}  # of the same merchant
STRANGER = {"f41": "10000003", "f42": OTHER_MERCHANT}
ROUTES = ["6,,,,,,bank-a:1", "4,,,,,,bank-a:1"]
started = partial(sold, routes=ROUTES)


def stans_taken_back(world, bank):
    """The STANs that the issuer is told to take back, by field 90."""
    world.tick()
    taken = []
    for message in bank.read():
        assert message["t"] == "0420"
        taken.append(message.get("90", "")[4:10])
        bank.answer(message, "25" if message.get("38") is None else "00")
    return taken


@pytest.mark.parametrize("with_card", [True, False])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("who", [NEIGHBOUR, STRANGER])
@pytest.mark.parametrize("later_s", [1, LATER_S])
def test_nobody_takes_back_what_another_terminal_has_done(later_s, who, named, with_card):
    world, _, bank, request, asked, told = started()
    terminal = world.later(later_s)
    card = {} if with_card else {"f2": None}
    terminal.send(taking_back(world, request, named=named, f37=told["37"], **who, **card))
    assert asked["11"] not in stans_taken_back(world, bank)
    terminal.read()
    if later_s == 1:
        assert terminal.ask(request)["39"] == "00"


@pytest.mark.parametrize("kind", ["void", "refund"])
@pytest.mark.parametrize(
    ("who", "changes", "code"),
    [
        (NEIGHBOUR, {}, None),
        (NEIGHBOUR, {"f2": None}, "30"),
        (NEIGHBOUR, {"f37": None}, "25"),
        (STRANGER, {}, "25"),
        ({}, {"f2": VISA}, "25"),
        ({}, {"f2": None}, "30"),  # its issuer has to be told the card
    ],
)
def test_who_may_refer_to_a_payment(kind, who, changes, code):
    world, terminal, _, request, _, told = started(originals={"not_found": "refuse"})
    terminal.send(referring(world, kind, request, told, **who, **changes))
    world.tick()
    if code is None:
        assert terminal.read() == []
    else:
        assert terminal.read_one()["39"] == code


def test_reference_number_left_over_from_another_payment_does_not_name_it():
    """The terminal takes back what never came here, and repeats the number that it was told last."""
    world, terminal, bank, request, asked, told = started()
    never = bought(world)
    assert terminal.ask(taking_back(world, never, f37=told["37"]))["39"] == "00"
    assert asked["11"] not in stans_taken_back(world, bank)
    assert terminal.ask(request)["39"] == "00"


NAMELESS = {
    "another number": {"f37": "701500000001", "f11": "000950"},
    "a STAN of before": {"f11": "999000"},
    "a moment of before": {"f7": "0115075900", "f11": "000950"},
}


@pytest.mark.parametrize("later_s", [1, LATER_S])
@pytest.mark.parametrize("says", [None, *NAMELESS])
def test_what_is_alike_is_not_meant_where_something_speaks_of_another_payment(says, later_s):
    """The terminal takes back what was refused, or never came here, and has paid with the same card since."""
    world, _, bank, request, asked, _ = started()
    terminal = world.later(later_s)
    reversal = taking_back(world, request, named=False, **NAMELESS.get(says, {"f11": "000950"}))
    assert terminal.ask(reversal)["39"] == "00"
    assert (asked["11"] in stans_taken_back(world, bank)) == (says is None)


@pytest.mark.parametrize(
    ("spoken", "sold_at", "moment"),
    [
        ("iso87-ascii", "1231235950", "0101000010"),
        ("iso93-binary", "261231235950", "270101000010"),
        ("iso93-binary", "261025025950", "261025020010"),
    ],
    ids=["new year", "new year by the terminal's year", "end of summer"],
)
def test_clocks_that_begin_anew_or_are_set_back_go_on(spoken, sold_at, moment):
    """A reversal that names nothing, of what was done a moment before."""
    world = world_of(spoken, "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    field = "f7" if spoken.startswith("iso87") else "f12"
    asked, _ = approve(world, terminal, bank, bought(world, **{field: sold_at}))
    reversal = taking_back(world, bought(world, **{field: moment}), named=False, f11="000950")
    assert terminal.ask(reversal)["39"] in ("00", "400")
    assert stans_taken_back(world, bank) == [asked["11"]]


@pytest.mark.parametrize("later_s", [1, LATER_S])
@pytest.mark.parametrize("kind", ["void", "refund"])
def test_reference_number_names_a_void_or_refund_whatever_the_processing_code_is(kind, later_s):
    """Terminals reverse all that they do as if it were a sale."""
    world, terminal, bank, request, _, told = started()
    follower = referring(world, kind, request, told)
    asked, followed = approve(world, terminal, bank, follower)
    terminal = world.later(later_s)
    reversal = taking_back(world, follower, named=False, f3="000000", f37=followed["37"], f11="000950", f90=None)
    assert terminal.ask(reversal)["39"] == "00"
    assert stans_taken_back(world, bank) == [asked["11"]]


@pytest.mark.parametrize("which", [0, 1])
def test_reference_number_tells_payments_of_one_stan_and_moment_apart(which):
    """A frame that was sent again when the duplicate window had forgotten it is another payment."""
    world, _, bank, request, asked, told = started()
    again = approve(world, world.later(LATER_S), bank, request, f38="Z9Y8X7")
    terminal = world.later(LATER_S)
    meant = ((asked, told), again)[which]
    terminal.send(referring(world, "void", request, meant[1], f38=None))
    world.tick()
    sent = bank.read_one()
    assert (sent["90"][4:10], sent["38"]) == (meant[0]["11"], ("A1B2C3", "Z9Y8X7")[which])


@pytest.mark.parametrize("which", [0, 1])
def test_reversal_takes_back_the_one_that_its_reference_number_names(which):
    """A payment that the duplicate window has forgotten, or another one that has its place and its name there."""
    world, _, bank, request, asked, told = started()
    terminal = world.later(LATER_S)
    payments = [(asked, told), approve(world, terminal, bank, request)]
    reversal = taking_back(world, request, named=False, f11="000950", f37=payments[which][1]["37"])
    assert terminal.ask(reversal)["39"] == "00"
    assert stans_taken_back(world, bank) == [payments[which][0]["11"]]
    assert terminal.ask(request)["39"] == ("00", "68")[which]


@pytest.mark.parametrize(("stands", "code"), [("000000005000", "13"), ("000000000000", "00")])
@pytest.mark.parametrize("spoken", ["iso87-ascii", "iso87-binary"])
def test_reversal_of_a_part_is_not_taken_for_one_of_the_whole(spoken, stands, code):
    """Field 95 says what stands in place of the amount: no dialect here carries that on."""
    world = world_of(spoken, "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, _ = approve(world, terminal, bank, request)
    replaced = stands + "0" * 12 + "C00000000" + "C00000000"
    assert terminal.ask(taking_back(world, request, f95=replaced))["39"] == code
    assert (asked["11"] in stans_taken_back(world, bank)) == (code == "00")


@pytest.mark.parametrize(("days", "is_meant"), [(0.5, True), (20, False)])
def test_stan_that_began_anew_is_not_the_one_of_weeks_ago(days, is_meant):
    """A terminal that says no moment; and what it takes back may never have come here."""
    world, _, bank, request, asked, _ = started()
    terminal = world.later(days * DAY_S)
    data = original_data_of(request, "iso87-ascii", moment="0" * 10)
    reversal = taking_back(world, request, f90=data, f12="170000", f13="0204")
    assert terminal.ask(reversal)["39"] == "00"
    assert (asked["11"] in stans_taken_back(world, bank)) == is_meant


def test_stan_alone_takes_nothing_back():
    world, _, bank, request, asked, _ = started()
    terminal = world.later(LATER_S)
    data = original_data_of(request, "iso87-ascii", moment="0" * 10)
    terminal.send(taking_back(world, request, f90=data, f12="170000", f2=None, f4=None))
    assert asked["11"] not in stans_taken_back(world, bank)
    assert terminal.read_one()["39"] == "25"


def test_same_stan_and_batch_on_another_day_is_another_payment():
    world = world_of("cup", "cup", originals={"not_found": "refuse"})
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    _, told = approve(world, terminal, bank, request)
    void = referring(world, "void", request, told, f37=None)
    for date, is_found in (("0110", False), ("0115", True)):
        terminal.send(change(void, f11=world.stan(), f61=void["61"][:-4] + date))
        world.tick()
        if is_found:
            assert bank.read_one()["t"] == "0200"
        else:
            assert terminal.read_one()["39"] == "25"


# --- what an original has become --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_killed", [False, True])
def test_refunds_are_held_to_the_part_that_was_approved(is_killed):
    world = world_of_parts()
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    terminal.send(request)
    bank.answer(bank.read_one(), "10", f4="000000000600", f38="A1B2C3")
    told = terminal.read_one()
    assert told["4"] == "000000000600"
    if is_killed:
        world = world.killed(later_s=LATER_S)
        terminal, bank = world.terminal("pos"), world.issuer()
    for stan, amount, code in ((901, "601", "13"), (902, "600", "00"), (903, "1", "13")):
        terminal.send(referring(world, "refund", request, told, f4=amount.rjust(12, "0"), f11=f"{stan:06d}"))
        world.tick()
        if code == "00":
            bank.answer(bank.read_one())
        assert terminal.read_one()["39"] == code


@pytest.mark.parametrize("left_out", [{"f37": None, "f11": "000950"}, {"f90": None, "f11": "000950"}])
@pytest.mark.parametrize("later_s", [1, LATER_S])
def test_reversal_of_the_part_that_was_approved_finds_its_original(later_s, left_out):
    """By field 90 with another hour, or by the reference number alone."""
    world = world_of_parts()
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    terminal.send(request)
    asked = bank.read_one()
    bank.answer(asked, "10", f4="000000000600", f38="A1B2C3")
    told = terminal.read_one()
    terminal = world.later(later_s)
    data = original_data_of(request, "iso87-ascii", moment="0115020000")
    said = {"f37": told["37"], "f90": data, "f4": "000000000600", "f12": "170000", **left_out}
    assert terminal.ask(taking_back(world, request, **said))["39"] == "00"
    assert stans_taken_back(world, bank) == [asked["11"]]


def test_payment_in_flight_cannot_be_voided_and_can_be_taken_back():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    terminal.send(request)
    asked = bank.read_one()
    other = world.terminal("pos")
    other.send(referring(world, "void", request, {"37": asked["37"]}))
    world.tick()
    assert other.read_one()["39"] == "25"
    assert other.ask(taking_back(world, request))["39"] == "00"
    bank.answer(asked)
    assert terminal.read_one()["39"] == "68"
    assert stans_taken_back(world, bank) == [asked["11"]]


@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("kind", ["reversal", "refund"])
def test_approval_by_stand_in_is_an_original(kind, is_told):
    world, terminal, request, told = stood_in()
    assert told["38"].startswith("SI")
    if is_told:
        bank = world.issuer()
        world.tick()
        advice = bank.read_one()
        bank.answer(advice)
        world.tick()
    terminal = world.later(LATER_S)
    bank = world.issuer()
    if not is_told:
        advice = bank.read_one()
    if kind == "reversal":
        assert terminal.ask(taking_back(world, request))["39"] == "00"
        world.tick()
        bank.answer(advice)
        world.tick()
        taken = bank.read_one()
        assert taken["90"][4:10] == advice["11"]
        return
    terminal.send(referring(world, kind, request, told))
    world.tick()
    sent = bank.read_one()
    assert sent["90"][4:10] == advice["11"]
    assert sent["37"] != advice["37"]


def test_void_of_a_void_and_refund_after_a_void_was_taken_back():
    world, terminal, bank, request, _, told = started()
    void = referring(world, "void", request, told)
    voided, told_of_void = approve(world, terminal, bank, void)
    terminal.send(referring(world, "void", void, told_of_void, f11="000800"))
    world.tick()
    passed_on = bank.read_one()  # no kind of void has a void for its original: its issuer decides
    assert passed_on["90"][4:10] == void["11"]
    bank.answer(passed_on, "12")
    assert terminal.read_one()["39"] == "12"
    assert terminal.ask(taking_back(world, void))["39"] == "00"
    assert stans_taken_back(world, bank) == [voided["11"]]
    _, answer = approve(world, terminal, bank, referring(world, "refund", request, told))
    assert answer["39"] == "00"


def test_too_many_references_to_one_payment_are_refused():
    """Each is read for the next one: nobody may make look-ups long for others."""
    world, terminal, bank, request, _, told = started(limits={"duplicate_window_count_max": 4_000})
    refund = referring(world, "refund", request, told, f4="000000000001")
    for number in range(512):
        terminal.send(change(refund, f11=f"{10_000 + number:06d}"))
        world.tick()
        bank.answer(bank.read_one(), "05")
        assert terminal.read_one()["39"] == "05"
    terminal.send(change(refund, f11="020000"))
    world.tick()
    bank.answer(bank.read_one())
    assert terminal.read_one()["39"] == "00"
    terminal.send(change(refund, f11="020001"))
    world.tick()
    assert terminal.read_one()["39"] == "12"
    terminal.send(taking_back(world, request))
    world.tick()
    assert terminal.read_one()["39"] == "12"


@pytest.mark.parametrize("date", ["0115", "0116"])
def test_the_batch_that_is_named_goes_before_what_is_alike_in_all_else(date):
    """The terminal's clock may stand on another day, and the amount of a refund may be another payment's."""
    world = world_of("cup", "cup")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, told = approve(world, terminal, bank, request)
    terminal = world.later(DAY_S)
    other = change(request, f60="22000002", f4="000000000400")
    approve(world, terminal, bank, other)
    refund = referring(world, "refund", request, told, f37=None, f4="000000000400")
    terminal.send(change(refund, f61=refund["61"][:-4] + date))
    world.tick()
    assert bank.read_one()["61"][6:12] == asked["11"]


def test_a_stan_that_begins_anew_many_times_is_found_as_far_as_originals_are_kept():
    world, terminal, bank, request, asked, _ = started()
    for times in range(1, 101):
        terminal = world.later(DAY_S / 5)
        date = f"01{15 + times // 5}" if times < 85 else f"02{times // 5 - 16:02d}"
        hour = f"{times % 5 * 4 + 1:02d}0000"
        approve(world, terminal, bank, change(request, f7=date + hour, f12=hour, f13=date))
    terminal = world.later(1)
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    assert stans_taken_back(world, bank) == [asked["11"]]


def test_a_look_up_that_cannot_look_at_all_is_not_certain():
    """A terminal that uses one STAN over and over, and does not say when."""
    world, terminal, bank, request, _, _ = started()
    for times in range(70):
        moment = f"0115{times // 60:02d}{times % 60:02d}00"
        approve(world, terminal, bank, change(request, f7=moment, f12=moment[4:]))
    terminal = world.later(LATER_S)
    world.is_sought = False
    nameless = original_data_of(request, "iso87-ascii", moment="0" * 10)
    assert terminal.ask(taking_back(world, request, f90=nameless))["39"] == "00"
    world.sync()
    (wanted,) = world.engine.take_wanted()
    finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    assert look_up(finder, wanted) == (None, False)
    world.engine.settle(wanted, None, False)
    world.tick()
    assert bank.read() == []


def test_terminal_that_has_moved_to_another_merchant_refunds_nothing_of_the_one_before(monkeypatch):
    world, _, _, request, _, told = sold(originals={"not_found": "refuse"})
    monkeypatch.setitem(TERMINALS, request["41"], (OTHER_MERCHANT, *TERMINALS[request["41"]][1:]))
    world = world.killed()
    terminal, bank = world.terminal("pos"), world.issuer()
    terminal.send(referring(world, "refund", request, told, f42=OTHER_MERCHANT, f11="000099"))
    world.tick()
    assert terminal.read_one()["39"] == "25"
    assert bank.read() == []


def test_a_look_up_that_has_not_read_up_to_the_question_is_not_certain():
    """Of what was written since it knows nothing: that there is no original cannot be said."""
    world, terminal, *_ = started()
    world.is_sought = False
    behind = Finder(ScriptedDisk(world.memory), KEY, days=DAYS)
    terminal.send(change(bought(world), t="0220", f3="200000", f37="123456789012"))
    world.journal.end_turn()
    world.sync()
    (wanted,) = world.engine.take_wanted()
    assert look_up(behind, wanted) == (None, wanted.asked_at <= behind.position)
    terminal.send(bought(world, f11="000099"))
    world.sync()
    terminal.send(change(bought(world, f11="000100"), t="0220", f3="200000", f37="123456789012"))
    world.journal.end_turn()
    world.sync()
    (later,) = world.engine.take_wanted()
    assert later.asked_at > behind.position
    assert look_up(behind, later) == (None, False)
    behind.refresh()
    assert look_up(behind, later) == (None, True)
