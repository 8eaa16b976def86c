"""What is taken back, and what refers to it: the issuer gets the reversal of a void before that of its sale.

A void that is taken back makes its sale stand again. Its reversal may not arrive after that of the sale.
"""

from __future__ import annotations

import pytest

from switch.journal.carry_forward import keep_up
from switch.saf.owed_entries import close_entry, list_entries, retry_entry
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.seeking_world import approve, bought, names, sold, taking_back, world_of
from tests.ext.test_engine_advice import advice
from tests.ext.test_engine_stand_in import two_links
from tests.ext.test_journal_told import rewritten
from tests.ext.test_originals_referred import LATER_S, ask, completing, referring
from tests.ext.test_originals_taken_back import RESTARTS, restarted
from tests.ext.world import ONE_ROUTE, World, link, listener

BEHIND = "behind what refers to it"
PATIENT_S = 3
"""Longer than what waits takes to see that it need not."""

REVERSAL, INTENT, ADVICE = 3, 1, 9
PART_BYTES = 16 + 64
FLAGS_AT, REFERS = 16 + 58, 2
REFERS_TO_AT = 16 + 70
ADVICE_ORIGINAL_AT = 16 + 79


def next_sent(world, bank, seconds=120):
    """What the issuer gets next, alone, besides echo tests."""
    for _ in range(seconds):
        world.advance(1, step=0.5)
        if sent := [one for one in bank.read() if one["t"][1] != "8"]:
            (only,) = sent
            return only
    raise AssertionError("nothing is sent")


def owed_both(kind="void", spoken="iso87-ascii", issuer="iso87-ascii", **changes):
    """A world in which the first attempt of the reversal of a void, refund or completion was refused, and the terminal
    takes the original back, too: world, terminal, issuer, what was asked first, and the reversal that is owed."""
    world = world_of(spoken, issuer, **changes)
    terminal, bank = world.terminal("pos"), world.issuer()
    held = kind == "completion"
    request = bought(world, **({"t": "0100"} if held else {}))
    asked, told = approve(world, terminal, bank, request)
    second = completing(world, request, told, "600") if held else referring(world, kind, request, told)
    approve(world, terminal, bank, second)
    accepted = "400" if spoken.startswith("iso93") else "00"
    ask(world, terminal, taking_back(world, second))
    assert terminal.read_one()["39"] == accepted
    world.tick()
    first = bank.read_one()
    bank.answer(first, "96" if not issuer.startswith("iso93") else "909")
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == accepted, "it is taken back, and that is told at once"
    world.tick()
    return world, terminal, bank, asked, first


def states(world):
    return {entry["rrn"]: entry["state"] for entry in list_entries(world.engine.state)[1]}


def is_sent_next(world, bank, asked):
    """Whether the reversal of what was asked goes out now, alone, and ends all that is owed."""
    world.advance(PATIENT_S)
    sent = bank.read_one()
    bank.answer(sent)
    world.tick()
    return sent["37"] == asked["37"] and names(sent, asked, "iso87-ascii") and world.engine.owed == 0


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("kind", ["void", "refund", "completion"])
def test_original_is_taken_back_after_what_refers_to_it(kind, how):
    world, terminal, bank, asked, first = owed_both(kind)
    world.tick()
    assert bank.read() == []
    assert states(world)[asked["37"]] == BEHIND
    world, terminal, bank = restarted(world, terminal, bank, how)
    again = next_sent(world, bank)
    assert (again["t"], again["37"]) == ("0421", first["37"])
    assert states(world)[asked["37"]] == BEHIND
    bank.answer(again)
    assert is_sent_next(world, bank, asked)


@pytest.mark.parametrize(("spoken", "issuer"), [("cup", "iso93-ascii"), ("iso93-binary", "cup"), ("cup", "cup")])
def test_order_is_kept_in_every_dialect(spoken, issuer):
    world, _, bank, _, first = owed_both("void", spoken, issuer)
    assert bank.read() == []
    again = next_sent(world, bank)
    bank.answer(again)
    last = next_sent(world, bank)
    assert first["11"] == again["11"] != last["11"]
    bank.answer(last)
    assert world.engine.owed == 0


def test_order_is_kept_without_a_journal():
    world = World(listeners=[listener("pos", "iso87-ascii")], links=[link("bank-a", "iso87-ascii")], routes=ONE_ROUTE)
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, told = approve(world, terminal, bank, request)
    void = referring(world, "void", request, told)
    approve(world, terminal, bank, void)
    ask(world, terminal, taking_back(world, void))
    first = bank.read_one()
    ask(world, terminal, taking_back(world, request))
    assert [one["39"] for one in terminal.read()] == ["00", "00"]
    world.advance(PATIENT_S)
    assert bank.read() == []
    bank.answer(first)
    assert is_sent_next(world, bank, asked)


def test_attempt_that_is_lost_is_waited_for():
    world, _, bank, request, asked, told = sold()
    terminal = world.terminal("pos")
    ask(world, terminal, referring(world, "void", request, told))
    bank.read_one()
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    lost = bank.read_one()
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == "00"
    world.advance(5)
    assert bank.read() == [], "whether the issuer has got it nobody knows"
    bank.answer(lost)
    assert is_sent_next(world, bank, asked)


@pytest.mark.parametrize("how", ["forgotten", "cut off"])
def test_order_is_kept_when_memory_does_not_know_the_void(how):
    """The duplicate window has forgotten it when it is taken back, or a crash has cut it off."""
    world, terminal, bank, request, asked, told = sold()
    void = referring(world, "void", request, told)
    if how == "forgotten":
        approve(world, terminal, bank, void)
        terminal = world.later(LATER_S)
        assert terminal.ask(taking_back(world, void))["39"] == "00"
        world.tick()
    else:
        ask(world, terminal, void)
        bank.read_one()
        world, terminal, bank = restarted(world, terminal, bank, "kill")
    first = bank.read_one()
    bank.answer(first, "96")
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == "00"
    world.advance(PATIENT_S)
    assert bank.read() == []
    assert states(world)[asked["37"]] == BEHIND
    again = next_sent(world, bank)
    assert again["37"] == first["37"]
    bank.answer(again)
    assert is_sent_next(world, bank, asked)


@pytest.mark.parametrize("how", ["", "kill"])
def test_it_goes_on_when_an_operator_gives_up_what_it_waits_for(how):
    world, terminal, bank, asked, first = owed_both()
    assert retry_entry(world.engine.state, rrn=asked["37"]) == 0, "nobody can send it before its time"
    assert bank.read() == []
    close_entry(world.engine.state, rrn=first["37"], name="Mei", reason="seen in the issuer's file")
    world.sync()
    world, _, bank = restarted(world, terminal, bank, how)
    assert is_sent_next(world, bank, asked)


def test_operator_gives_up_what_waits():
    world, _, bank, asked, first = owed_both()
    close_entry(world.engine.state, rrn=asked["37"], name="Mei", reason="settled by hand")
    assert states(world) == {first["37"]: "paused"}
    bank.answer(next_sent(world, bank))
    world.advance(PATIENT_S)
    assert bank.read() == []
    assert world.engine.owed == 0


def test_it_goes_on_when_neither_is_found():
    at_once = {"booking_horizon_seconds": 0}
    world = world_of("iso87-ascii", "iso87-ascii", links=[link("bank-a", "iso87-ascii", reversal=at_once)])
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    asked, told = approve(world, terminal, bank, request)
    ask(world, terminal, referring(world, "void", request, told))
    bank.read_one()
    world.advance(16)
    terminal.read_one()
    first = bank.read_one()
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == "00"
    bank.answer(first, "25")
    world.advance(PATIENT_S)
    sent = bank.read_one()
    assert sent["37"] == asked["37"]
    bank.answer(sent, "25")
    world.tick()
    assert states(world) == {asked["37"]: "not found yet"}, "an approval that is denied waits for an operator"


@pytest.mark.parametrize("end", ["declined", "timed out"])
def test_void_in_flight_is_waited_for(end):
    """Where excess is left to the issuer, a sale is taken back though its void is under way."""
    world, terminal, bank, request, asked, told = sold(originals={"excess": "forward"})
    ask(world, terminal, referring(world, "void", request, told))
    void = bank.read_one()
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == "00"
    world.advance(5)
    assert bank.read() == []
    assert states(world) == {asked["37"]: BEHIND}
    if end == "declined":
        bank.answer(void, "05")
    else:
        world.advance(16)
        sent = bank.read_one()
        assert sent["37"] == void["37"]
        world.advance(5)
        assert bank.read() == []
        bank.answer(sent)
    terminal.read_one()
    assert is_sent_next(world, bank, asked)


def test_reversal_that_was_sent_waits_with_its_next_attempt():
    """The void came after the sale was taken back, and its reversal after the first attempt."""
    world, terminal, bank, request, asked, told = sold(originals={"excess": "forward"})
    ask(world, terminal, taking_back(world, request))
    assert terminal.read_one()["39"] == "00"
    world.tick()
    bank.answer(bank.read_one(), "96")
    ask(world, terminal, referring(world, "void", request, told))
    void = bank.read_one()
    world.advance(16, step=0.5)
    sent = [one for one in bank.read() if one["t"][1] == "4"]
    assert [one["37"] for one in sent] == [void["37"]], "and no second attempt of the other one"
    bank.answer(sent[0])
    terminal.read_one()
    assert is_sent_next(world, bank, asked)


def stored(world):
    """The REVERSALs of its journal, by what they are of."""
    world.sync()
    records = records_of(world.memory)[0]
    return [one for one in records if one["type"] == "REVERSAL"]


def test_reversal_that_is_written_once_more_says_what_it_refers_to():
    world, _, _, asked, first = owed_both()
    keep_up(world.engine.state, world.journal, carry_records=0)
    of_void, of_sale, *again = stored(world)
    assert (of_void["rrn"], of_sale["rrn"]) == (first["37"], asked["37"])
    assert of_void["refers_to"] == of_sale["original"] > 0
    assert of_sale["refers_to"] == 0
    assert [one["refers_to"] for one in again] == [of_void["refers_to"], 0]


def as_before(record):
    """A REVERSAL as a version before wrote it."""
    if record[4] != REVERSAL or not record[FLAGS_AT] & REFERS:
        return record
    record = bytearray(record)
    record[FLAGS_AT] &= ~REFERS
    del record[PART_BYTES : PART_BYTES + 8]
    record[:4] = len(record).to_bytes(4, "little")
    return bytes(record)


def without_references(record):
    """An INTENT that says nothing of its original, as if it were not there."""
    if record[4] != INTENT:
        return record
    return record[:REFERS_TO_AT] + bytes(8) + record[REFERS_TO_AT + 8 :]


@pytest.mark.parametrize("change_record", [as_before, without_references])
def test_order_is_known_from_what_the_journal_holds(change_record):
    """A version before did not say in a REVERSAL what its original refers to; nor may its INTENT be there any more."""
    world, terminal, bank, asked, first = owed_both()
    world.sync()
    changed = []

    def noting(record):
        changed.append(change_record(record) != record)
        return change_record(record)

    for name, content in world.memory.files.items():
        if name.endswith(".journal"):
            world.memory.files[name] = rewritten(content, 4, noting)
    assert any(changed)
    world, terminal, bank = restarted(world, terminal, bank, "kill")
    again = next_sent(world, bank)
    assert again["37"] == first["37"]
    bank.answer(again)
    assert is_sent_next(world, bank, asked)


def test_what_an_advice_refers_to_is_known_without_the_record_that_was_first():
    """It was written down once more, and says itself what it refers to."""
    world = JournalWorld(**two_links())
    world.terminal().ask(advice(world))
    world = world.killed(later_s=1000, **two_links())
    keep_up(world.engine.state, world.journal, carry_records=0)
    world.sync()
    for name, content in world.memory.files.items():
        if name.endswith(".journal"):
            world.memory.files[name] = rewritten(content, 4, referring_to_seven)
    world = world.killed(**two_links())
    keep_up(world.engine.state, world.journal, carry_records=0)
    world.sync()
    advices = [one for one in records_of(world.memory)[0] if one["type"] == "ADVICE"]
    assert [one.get("refers_to", 0) for one in advices] == [0, 7, 7]
    world.settle()


def referring_to_seven(record):
    """An ADVICE that was written down once more refers to something."""
    if record[4] != ADVICE or not int.from_bytes(record[ADVICE_ORIGINAL_AT : ADVICE_ORIGINAL_AT + 8], "little"):
        return record
    return record[:REFERS_TO_AT] + (7).to_bytes(8, "little") + record[REFERS_TO_AT + 8 :]


def test_others_do_not_wait():
    """Only what refers to the same original counts, however many are owed."""
    patient = link("bank-a", "iso87-ascii", timeouts_to_unhealthy=1_000, reversal={"window": 64})
    world = world_of("iso87-ascii", "iso87-ascii", links=[patient])
    terminal, bank = world.terminal("pos"), world.issuer()
    sales = [bought(world) for _ in range(20)]
    told = [approve(world, terminal, bank, sale) for sale in sales]
    for sale, (_, answer) in list(zip(sales, told, strict=True))[::2]:
        ask(world, terminal, referring(world, "void", sale, answer))
    voids = bank.read()
    world.advance(16)
    terminal.read()
    lost = {one["37"]: one for one in bank.read() if one["t"] == "0420"}
    assert lost.keys() == {one["37"] for one in voids}
    for sale in sales:
        ask(world, terminal, taking_back(world, sale))
    assert [one["39"] for one in terminal.read()] == ["00"] * 20
    world.advance(PATIENT_S)
    sent = [one["37"] for one in bank.read()]
    assert sorted(sent) == sorted(asked["37"] for asked, _ in told[1::2])
    for one in lost.values():
        bank.answer(one)
    world.advance(PATIENT_S)
    assert sorted(one["37"] for one in bank.read()) == sorted(asked["37"] for asked, _ in told[::2])
