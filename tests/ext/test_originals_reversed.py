"""A terminal's own reversal names its original as its issuer knows it, however late it comes, in whatever way."""

from __future__ import annotations

import contextlib

import pytest

from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from switch.journal.replay import JournalDamaged
from tests.ext.journal_world import DAYS, KEY
from tests.ext.seeking_world import (
    DIALECTS,
    ORIGINAL_FIELD,
    approve,
    bought,
    names,
    original_data_of,
    sold,
    taking_back,
    world_of,
)
from tests.ext.world import VISA, change, link

LATER_S = 700  # than the duplicate window reaches


def unnamed(world, request, told):
    return taking_back(world, request, named=False)


def by_original_data(world, request, told):
    return taking_back(world, request)


def by_reference_number(world, request, told):
    return taking_back(world, request, named=False, f37=told["37"], f11="000999")


def by_wrong_class(world, request, told):
    spoken = world.config.listeners[0].dialect
    field = f"f{ORIGINAL_FIELD[spoken]}"
    mti = request["t"][0] + "100"
    return taking_back(world, request, **{field: original_data_of(request, spoken, mti=mti)})


def by_another_time(world, request, told):
    spoken = world.config.listeners[0].dialect
    field = f"f{ORIGINAL_FIELD[spoken]}"
    moment = "270115080000" if spoken.startswith("iso93") else "0115000000"
    return taking_back(world, request, **{field: original_data_of(request, spoken, moment=moment)})


def by_zeros(world, request, told):
    spoken = world.config.listeners[0].dialect
    field = f"f{ORIGINAL_FIELD[spoken]}"
    moment = "0" * (12 if spoken.startswith("iso93") else 10)
    return taking_back(world, request, **{field: original_data_of(request, spoken, mti="0000", moment=moment)})


WAYS = [by_original_data, by_reference_number, unnamed, by_wrong_class, by_another_time, by_zeros]
CUP_WAYS = [by_original_data, by_reference_number]


@pytest.mark.parametrize("later_s", [1, LATER_S])
@pytest.mark.parametrize("issuer", DIALECTS)
@pytest.mark.parametrize(
    ("terminals", "way"),
    [(spoken, way) for spoken in DIALECTS for way in (CUP_WAYS if spoken == "cup" else WAYS)],
)
def test_reversal_names_its_original_as_its_issuer_knows_it(terminals, way, issuer, later_s):
    world = world_of(terminals, issuer)
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, told = approve(world, terminal, bank, request)
    terminal = world.later(later_s)
    answer = terminal.ask(way(world, request, told))
    assert answer["39"] == ("400" if terminals.startswith("iso93") else "00")
    world.tick()
    taken_back = bank.read_one()
    assert names(taken_back, asked, issuer)
    assert taken_back["38"] == "A1B2C3"
    bank.answer(taken_back)
    world.tick()
    assert world.engine.owed == 0


@pytest.mark.parametrize("set_s", [-90, -3 * 86_400, 2_000, 40 * 86_400])
def test_a_payment_that_is_not_named_is_found_though_the_clock_was_set(set_s):
    """How long ago it was is told by the journal's own time: its terminal has just done it."""
    world, terminal, bank, request, asked, told = sold()
    world.wall_ahead_s = set_s
    terminal = world.later(1)
    assert terminal.ask(unnamed(world, request, told))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")


@pytest.mark.parametrize("set_s", [-2_000, 0])
def test_a_payment_of_a_while_ago_is_not_found_without_a_name(set_s):
    world, terminal, bank, request, _, told = sold()
    terminal = world.later(1_000)
    world.wall_ahead_s = set_s
    assert terminal.ask(unnamed(world, request, told))["39"] == "00"
    world.tick()
    assert "90" not in bank.read_one()


@pytest.mark.parametrize("crash", ["", "kill", "power"])
@pytest.mark.parametrize("files", [True, False])
def test_original_is_found_over_restarts_and_segments(crash, files):
    world = world_of("iso87-ascii", "iso87-ascii", files=files)
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, _ = approve(world, terminal, bank, request)
    terminal = world.later(LATER_S)
    for day in range(0 if crash == "power" else 3):  # what this disk had before a restart is not safe from power
        world = world.killed(later_s=9 * 86_400)
        terminal, bank = world.terminal("pos"), world.issuer()
        approve(world, terminal, bank, bought(world, f11=f"{900 + day:06d}"))
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    if crash:
        world = world.killed(power=crash == "power")
        bank = world.issuer()
    world.tick()
    taken_back = bank.read_one()
    assert names(taken_back, asked, "iso87-ascii")
    bank.answer(taken_back)
    world.tick()
    assert world.engine.owed == 0


def test_reversal_is_not_sent_before_its_original_was_looked_up():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    approve(world, terminal, bank, request)
    terminal = world.later(LATER_S)
    world.is_sought = False
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.advance(30)
    assert bank.read() == []
    assert world.engine.owed == 1
    world.is_sought = True
    world.tick()
    assert bank.read_one()["90"][:4] == "0200"


def test_what_was_reversed_or_declined_is_not_reversed_again():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request, declined = bought(world), bought(world)
    approve(world, terminal, bank, request)
    terminal.send(declined)
    bank.answer(bank.read_one(), "51")
    terminal.read_one()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    bank.answer(bank.read_one())
    terminal = world.later(LATER_S)
    for one in (request, declined):
        assert terminal.ask(taking_back(world, one))["39"] == "00"
    world.tick()
    assert bank.read() == []
    assert world.engine.owed == 0


def test_another_payment_of_the_same_card_and_amount_is_not_taken_for_the_original():
    """Without a name, of two payments that are alike neither can be meant for sure: the issuer is asked."""
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    first, second = bought(world), bought(world)
    for request in (first, second):
        approve(world, terminal, bank, request)
    assert terminal.ask(taking_back(world, first, named=False))["39"] == "00"
    world.tick()
    passed_on = bank.read_one()
    assert "90" not in passed_on
    assert {name: passed_on[name] for name in ("2", "3", "4")} == {name: first[name] for name in ("2", "3", "4")}
    assert terminal.ask(first)["39"] == terminal.ask(second)["39"] == "00"


@pytest.mark.parametrize("issuer", DIALECTS)
def test_unknown_original_is_passed_on_with_all_that_is_said(issuer):
    spoken = issuer
    world = world_of(spoken, issuer)
    terminal, bank = world.terminal("pos"), world.issuer()
    code = {"cup": "96", "iso93-binary": "909"}.get(spoken, "68")
    never = taking_back(world, bought(world), f37="702012000345", f38="Z9Y8X7", f39=code)
    answer = terminal.ask(never)
    assert answer["39"] == ("400" if spoken.startswith("iso93") else "00")
    world.tick()
    passed_on = bank.read_one()
    for field in ("2", "3", "4", "37", "38", "41", "42", "49"):
        assert passed_on[field] == never[field], field
    if spoken == "cup":
        assert passed_on["39"] == "96"
    else:
        assert passed_on[str(ORIGINAL_FIELD[spoken])] == never[str(ORIGINAL_FIELD[spoken])]
    assert bank.is_sealed(passed_on)


def test_reversal_without_a_card_waits_for_its_original():
    world, terminal, bank, request, asked, _ = sold()
    terminal = world.later(LATER_S)
    terminal.send(taking_back(world, request, f2=None))
    assert terminal.read() == []
    world.tick()
    assert terminal.read_one()["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")
    terminal.send(taking_back(world, bought(world), f2=None))
    world.tick()
    assert terminal.read_one()["39"] == "25"


def test_reversal_without_a_card_is_refused_for_now_where_nobody_looks():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal = world.terminal("pos")
    world.is_sought = False
    unknown = taking_back(world, bought(world), f2=None)
    terminal.send(unknown)
    world.advance(6)
    assert terminal.read_one()["39"] == "96"
    world.is_sought = True
    terminal.send(change(unknown, t="0401"))
    world.tick()
    assert terminal.read_one()["39"] == "25"


def test_original_on_another_link_than_the_route_says_now_is_found():
    links = [link("bank-a", "iso87-ascii"), link("bank-b", "cup")]
    world = world_of("iso87-ascii", "iso87-ascii", links=links, routes=["6,,,,,,bank-b:1"])
    terminal, bank = world.terminal("pos"), world.issuer("bank-b")
    request = bought(world)
    asked, _ = approve(world, terminal, bank, request)
    world = world.killed(
        later_s=LATER_S,
        listeners=[{"name": "pos", "bind": "127.0.0.1:0", "dialect": "iso87-ascii"}],
        links=links,
        routes=["6,,,,,,bank-a:1"],
    )
    terminal, bank, other = world.terminal("pos"), world.issuer("bank-b"), world.issuer("bank-a")
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "cup")
    assert other.read() == []


def test_reversal_of_another_card_is_passed_on_to_its_issuer():
    world = world_of("iso87-ascii", "iso87-ascii", routes=["6,,,,,,bank-a:1", "4,,,,,,bank-a:1"])
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    approve(world, terminal, bank, request)
    assert terminal.ask(taking_back(world, request, f2=VISA))["39"] == "00"
    world.tick()
    assert bank.read_one()["2"] == VISA
    assert terminal.ask(request)["39"] == "00"


def test_look_up_that_failed_is_tried_again():
    world, terminal, bank, request, asked, _ = sold()
    terminal = world.later(LATER_S)
    world.is_sought = False
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    for _ in range(3):
        (wanted,) = world.engine.take_wanted()
        world.engine.settle(wanted, None, False)
        assert world.engine.take_wanted() == bank.read() == []
        world.advance(1)
    world.is_sought = True
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")


def test_reversal_whose_original_nobody_can_look_up_is_passed_on_at_last():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    unknown = taking_back(world, bought(world))
    world.is_sought = False
    assert terminal.ask(unknown)["39"] == "00"
    for _ in range(61):
        for wanted in world.engine.take_wanted():
            assert bank.read() == []
            world.engine.settle(wanted, None, False)
        world.advance(1)
    assert bank.read_one()["90"] == unknown["90"]


def test_original_is_looked_up_when_all_before_its_reversal_is_durable():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    world.syncs = False
    request = bought(world)
    terminal.send(request)
    some_hours_off = original_data_of(request, "iso87-ascii", moment="0115030000")
    terminal.send(taking_back(world, request, f90=some_hours_off))
    world.tick()
    assert world.engine.take_wanted() == []
    world.syncs = True
    assert world.seek() == 1
    world.tick()
    assert world.count("originals_looked_up_total", result="found") == 1
    asked = bank.read_one()
    assert asked["t"] == "0200"
    bank.answer(asked)
    world.tick()
    assert bank.read_one()["t"] == "0420"


def test_segment_that_cannot_be_read_counts_as_long_as_it_is_there():
    world = world_of("iso87-ascii", "iso87-ascii")
    for day in range(3):
        approve(world, world.terminal("pos"), world.issuer(), bought(world, f11=f"{900 + day:06d}"))
        world = world.killed()
    first, *_ = sorted(world.memory.files)
    finder = Finder(ScriptedDisk(world.memory), KEY, days=DAYS, files=False)
    assert (finder.damaged, finder.unindexed) == (0, 3)
    world.memory.files[first][600] ^= 1
    while finder.unindexed:
        with contextlib.suppress(JournalDamaged):
            finder.index_one()
    assert finder.damaged == 1
    del world.memory.files[first]
    finder.refresh()
    assert finder.damaged == 0


@pytest.mark.parametrize("set_s", [400 * 86_400, -400 * 86_400])
def test_payment_of_earlier_segments_is_found_though_the_clock_was_set(set_s):
    world = world_of("iso87-ascii", "iso87-ascii")
    request = bought(world)
    asked, _ = approve(world, world.terminal("pos"), world.issuer(), request)
    for number, ahead_s in enumerate((0, 0, set_s)):
        world = world.killed(later_s=3600, wall_ahead_s=ahead_s)
        terminal, bank = world.terminal("pos"), world.issuer()
        approve(world, terminal, bank, bought(world, f11=f"{900 + number:06d}"))
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii")


@pytest.mark.parametrize(("moment", "is_found"), [("0228193000", True), ("0228093000", False)])
def test_moment_of_another_zone_is_near_at_the_end_of_february_too(moment, is_found):
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world, f7="0301003000")
    asked, _ = approve(world, terminal, bank, request)
    said = original_data_of(request, "iso87-ascii", moment=moment)
    assert terminal.ask(taking_back(world, request, f90=said))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), asked, "iso87-ascii") == is_found
