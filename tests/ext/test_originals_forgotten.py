"""Originals that nothing but the journal knows any more: what of them is taken back, once, and as it was."""

from __future__ import annotations

import pytest

from switch.saf.owed_entries import NotOwed, close_entry, list_entries
from tests.ext.journal_world import records_of
from tests.ext.seeking_world import approve, bought, names, sold, stood_in, taking_back, world_of, world_of_parts
from tests.ext.test_originals_referred import referring
from tests.ext.world import change, link

LATER_S = 700  # than the duplicate window reaches
DAY_S = 86_400
PART = "000000000600"
MORE_THAN_A_PAGE = 300  # places of one key in an index


def by_number(world, request, told, **changes):
    """A reversal that names its original by the reference number alone."""
    return taking_back(world, request, named=False, f37=told["37"], f11="000999", **changes)


@pytest.mark.parametrize("amount", [PART, "000000001000"])
def test_of_a_part_the_part_is_taken_back(amount):
    world = world_of_parts()
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world, f4="000000001000")
    terminal.send(request)
    asked = bank.read_one()
    bank.answer(asked, "10", f4=PART, f38="A1B2C3")
    told = terminal.read_one()
    terminal = world.later(LATER_S)
    assert terminal.ask(by_number(world, request, told, f4=amount))["39"] == "00"
    world.tick()
    taken_back = bank.read_one()
    assert (taken_back["90"][4:10], taken_back["4"]) == (asked["11"], PART)


def test_its_issuer_is_not_told_of_it_any_more():
    world, _, request, told = stood_in()
    terminal = world.later(LATER_S)
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    world.tick()
    assert world.engine.owed == 0
    assert world.issuer().read() == []
    world.sync()
    ends = [one["type"] for one in records_of(world.memory)[0] if one["type"] in ("REVERSAL", "CANCELLED")]
    assert ends.count("CANCELLED") == 2  # the advice, and the reversal that came and is settled by that
    assert ends.count("REVERSAL") == 1


def test_it_is_taken_back_behind_its_advice_that_was_sent():
    world, _, request, told = stood_in()
    terminal = world.later(LATER_S)
    bank = world.issuer()
    world.tick()
    advice = bank.read_one()
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    world.tick()
    assert bank.read() == []
    bank.answer(advice)
    world.tick()
    assert bank.read_one()["90"][4:10] == advice["11"]


def test_what_was_taken_back_before_its_advice_is_not_taken_back_again():
    world, terminal, request, told = stood_in()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert world.engine.owed == 0
    terminal = world.later(LATER_S)
    bank = world.issuer()
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    world.tick()
    assert bank.read() == []
    assert world.engine.owed == 0


def test_what_was_taken_back_after_a_restart_is_not_taken_back_again():
    """Its REVERSAL stands in another segment than its INTENT."""
    world, _, _, request, asked, told = sold()
    world = world.killed()
    terminal, bank = world.terminal("pos"), world.issuer()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    taken_back = bank.read_one()
    assert taken_back["90"][4:10] == asked["11"]
    bank.answer(taken_back)
    terminal = world.later(LATER_S)
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    world.tick()
    assert bank.read() == []
    assert world.engine.owed == 0


def test_it_waits_for_the_link_that_is_gone():
    links = [link("bank-a", "iso87-ascii"), link("bank-b", "iso87-ascii")]
    world = world_of("iso87-ascii", "iso87-ascii", links=links, routes=["6,,,,,,bank-b:1"])
    request = bought(world)
    asked, told = approve(world, world.terminal("pos"), world.issuer("bank-b"), request)
    world = world.killed(later_s=LATER_S, links=links[:1], routes=["6,,,,,,bank-a:1"])
    terminal, other = world.terminal("pos"), world.issuer("bank-a")
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    for _ in range(3_600):
        world.advance(1, step=1)
    assert [one for one in other.read() if one["t"].startswith("04")] == []
    assert [entry["state"] for entry in list_entries(world.engine.state)[1]] == ["original looked up"]
    notes = [details["rrn"] for event, details in world.notes if event == "reversal_without_link"]
    assert set(notes) == {told["37"]}
    assert 60 < len(notes) < 130  # each second for a minute, then each minute
    world.sync()
    world = world.killed(links=links)
    bank, other = world.issuer("bank-b"), world.issuer("bank-a")
    world.tick()
    taken_back = bank.read_one()
    assert (taken_back["90"][4:10], taken_back["38"]) == (asked["11"], "A1B2C3")
    bank.answer(taken_back)
    world.tick()
    assert other.read() == []
    assert world.engine.owed == 0


@pytest.mark.parametrize("later_s", [1, LATER_S])
def test_of_two_that_are_alike_in_all_that_is_said_the_newer_one_is_meant(later_s):
    """Batches and STANs have begun anew since the older one."""
    world = world_of("cup", "cup")
    request = bought(world)
    terminal, bank = world.terminal("pos"), world.issuer()
    approve(world, terminal, bank, request)
    terminal = world.later(20 * DAY_S)
    newer, told = approve(world, terminal, bank, change(request, f13="0204"))
    terminal = world.later(later_s)
    void = referring(world, "void", request, told, f37=None)
    terminal.send(change(void, f61=void["61"][:12]))
    world.tick()
    sent = bank.read_one()
    assert (sent["37"], sent["61"][6:12]) == (newer["37"], newer["11"])


@pytest.mark.parametrize("later_s", [1, LATER_S])
def test_of_two_that_one_reversal_names_the_newer_one_is_taken_back(later_s):
    """One STAN and one moment, but by the terminal's clock two payments."""
    world, terminal, bank, request, _, _ = sold()
    newer, _ = approve(world, terminal, bank, change(request, f12="160001"))
    terminal = world.later(later_s)
    assert terminal.ask(taking_back(world, request, f12="160002"))["39"] == "00"
    world.tick()
    assert names(bank.read_one(), newer, "iso87-ascii")


def test_of_a_void_that_bears_the_number_of_its_sale_the_void_is_taken_back():
    world, terminal, bank, request, asked, told = sold()
    void = referring(world, "void", request, told)
    voided, _ = approve(world, terminal, bank, void)
    assert terminal.ask(by_number(world, void, told, f90=None))["39"] == "00"
    world.tick()
    assert bank.read_one()["90"][4:10] == voided["11"] != asked["11"]


def test_the_oldest_of_more_than_a_page_under_one_number_is_found():
    world, terminal, bank, request, asked, _ = sold(limits={"duplicate_window_count_max": 4_000})
    for times in range(MORE_THAN_A_PAGE):
        moment = f"0114{times // 60:02d}{times % 60:02d}00"
        approve(world, terminal, bank, change(request, f4=f"{2_000 + times:012d}", f7=moment, f12=moment[4:]))
    world = world.killed(later_s=LATER_S)
    terminal, bank = world.terminal("pos"), world.issuer()
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    world.tick()
    assert bank.read_one()["90"][4:10] == asked["11"]


@pytest.mark.parametrize("settles", [True, False])
def test_an_answer_to_the_look_up_before_the_last_counts_for_nothing(settles):
    """The one before brought nothing certain; whoever gives up what waits for the next one takes it out of the line."""
    world, _, bank, request, asked, told = sold()
    terminal = world.later(LATER_S)
    world.is_sought = False
    assert terminal.ask(by_number(world, request, told))["39"] == "00"
    world.sync()
    (first,) = world.engine.take_wanted()
    world.engine.settle(first, None, False)
    world.engine.settle(first, None, True)
    world.tick()
    assert bank.read() == []
    (entry,) = list_entries(world.engine.state)[1]
    assert entry["state"] == "original looked up"
    if settles:
        world.advance(1.1)
        world.is_sought = True
        world.tick()
        assert bank.read_one()["90"][4:10] == asked["11"]
        return
    close_entry(world.engine.state, rrn=entry["rrn"], name="Mei Lin", reason="settled by hand")
    with pytest.raises(NotOwed):
        close_entry(world.engine.state, rrn=entry["rrn"], name="Mei Lin", reason="settled by hand")
    world.sync()
    world.advance(1.1)
    assert world.engine.take_wanted() == []
    assert world.engine.owed == 0
