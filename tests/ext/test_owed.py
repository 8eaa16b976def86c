"""What issuers are owed, as an operator sees and moves it: listed, sent at once, given up, overdue."""

from __future__ import annotations

import struct

import pytest

from switch.saf.owed_entries import NotOwed, close_entry, list_entries, note_overdue, retry_entry
from tests.ext.journal_world import JournalWorld
from tests.ext.test_engine_stand_in import two_links
from tests.ext.test_journal_told import rewritten
from tests.ext.world import CARD, VISA, link, purchase, reversal

REVERSAL = 3
BEFORE_STAN = 16 + 16
"""Bytes of a REVERSAL before its STAN."""

BEFORE_CARD = BEFORE_STAN + 13


def owed_one(world, terminal, issuer):
    """A purchase that timed out; its reference number, and its reversal as the issuer got it."""
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(15.1)
    terminal.read_one()
    return asked["37"], issuer.read_one()


def owed_many(world, terminal, issuer, count):
    """Purchases that timed out together, whose reversals the issuer has refused; their reference numbers."""
    for _ in range(count):
        terminal.send(purchase(world))
    rrns = [asked["37"] for asked in issuer.read()]
    world.advance(15.1)
    for first in issuer.read():
        issuer.answer(first, "96")
    return rrns


def refuse_all(issuer):
    """The issuer acknowledges nothing of what it was sent."""
    for attempt in issuer.read():
        issuer.answer(attempt, "96")


def owed_twice(second):
    """Two reversals of one reference number, refused by their issuers: the world, the number, and both issuers.

    Earlier versions gave numbers twice when a clock was set back; so such a journal is made from one of today.
    """
    links = [link("bank-a", "iso87-ascii"), link("bank-b", "iso87-ascii")]
    world = JournalWorld(links=links)
    rrn, first = owed_one(world, world.terminal(), world.issuer())
    world.lines[-1].answer(first, "96")
    world.sync()
    disk = world.memory.copy()
    (name,) = disk.files
    seen = []
    rewritten(disk.files[name], 4, lambda record: seen.append(record) or record)
    (twin,) = [record for record in seen if record[4] == REVERSAL]
    stan, attempts, owner = struct.unpack_from("<IIH", twin, BEFORE_STAN)
    twin = twin[:BEFORE_STAN] + struct.pack("<IIH", stan + 1_000, attempts, second) + twin[BEFORE_STAN + 10 :]
    twin = twin[:BEFORE_CARD] + bytes.fromhex(f"{VISA}0000") + twin[BEFORE_CARD + 10 :]
    assert owner == 0
    disk.files[name] = rewritten(disk.files[name], 4, bytes, twin)
    world = JournalWorld(disk, now_s=200.0, links=links)
    issuer, other = world.issuer("bank-a"), world.issuer("bank-b")
    world.tick()
    refuse_all(issuer)
    refuse_all(other)
    return world, rrn, issuer, other


def listed(world, **filters):
    return list_entries(world.engine.state, **filters)[1]


def test_an_entry_says_all(world):
    terminal, issuer = world.terminal(), world.issuer()
    rrn, first = owed_one(world, terminal, issuer)
    (entry,) = listed(world)
    assert (entry["what"], entry["rrn"], entry["link"]) == ("reversal", rrn, "bank-a")
    assert (entry["state"], entry["attempts"], entry["cause"]) == ("in flight", 1, "timeout")
    assert (entry["amount_minor"], entry["currency"], entry["pan"]) == (1000, 156, CARD)
    assert entry["terminal"] == first["41"]
    assert entry["next_attempt_seconds"] is None
    issuer.answer(first, "96")
    (entry,) = listed(world)
    assert entry["state"] == "paused"
    assert 0 < entry["next_attempt_seconds"] <= 2 * world.engine.state.links[0].saf.pause_ns / 1e9
    issuer.close()
    assert listed(world)[0]["state"] == "link down"


def test_filters(world):
    terminal, issuer = world.terminal(), world.issuer()
    rrns = owed_many(world, terminal, issuer, 3)
    assert [entry["rrn"] for entry in listed(world)] == rrns, "the oldest comes first"
    assert list_entries(world.engine.state, most=1)[0] == 3
    assert [entry["rrn"] for entry in listed(world, most=1)] == rrns[:1]
    assert [entry["rrn"] for entry in listed(world, rrn=rrns[1])] == rrns[1:2]
    assert listed(world, link="bank-b") == []
    assert len(listed(world, link="bank-a")) == 3
    assert listed(world, what="advice") == []
    assert listed(world, overdue=True) == []


def test_retry_of_one_does_not_wait(world):
    terminal, issuer = world.terminal(), world.issuer()
    rrn, first = owed_one(world, terminal, issuer)
    assert retry_entry(world.engine.state, rrn=rrn) == 0, "it is at the issuer"
    issuer.answer(first, "96")
    world.tick()
    assert issuer.read() == []
    assert retry_entry(world.engine.state, rrn=rrn) == 1
    world.tick()
    assert issuer.read_one()["t"] == "0421"
    with pytest.raises(NotOwed, match="no reversal with RRN 000000000000 is owed"):
        retry_entry(world.engine.state, rrn="000000000000")


def test_retry_of_a_link(world):
    terminal, issuer = world.terminal(), world.issuer()
    owed_many(world, terminal, issuer, 2)
    assert retry_entry(world.engine.state, link="bank-b") == 0
    assert retry_entry(world.engine.state, link="bank-a") == 2
    world.tick()
    assert [message["t"] for message in issuer.read()] == ["0421", "0421"]


def test_one_number_on_two_links(world):
    """The first of both was hastened, or given up, whichever link was meant."""
    world, rrn, issuer, other = owed_twice(1)
    state = world.engine.state
    assert [entry["link"] for entry in listed(world, rrn=rrn)] == ["bank-a", "bank-b"]
    said = f"2 reversals with RRN {rrn} are owed, to bank-a and bank-b: say which with --link"
    with pytest.raises(NotOwed, match=said):
        retry_entry(state, rrn=rrn)
    with pytest.raises(NotOwed, match=said):
        close_entry(state, rrn=rrn, name="Mei", reason="by phone")
    with pytest.raises(NotOwed, match=f"no reversal with RRN {rrn} is owed to bank-c"):
        retry_entry(state, rrn=rrn, link="bank-c")
    with pytest.raises(NotOwed, match="no advice with RRN"):
        retry_entry(state, rrn=rrn, link="bank-a", what="advice")
    assert retry_entry(state, rrn=rrn, link="bank-b") == 1
    world.tick()
    assert issuer.read() == []
    assert other.read_one()["t"] == "0421"
    assert close_entry(state, rrn=rrn, name="Mei", reason="by phone", link="bank-a")[1]["pan"] == CARD
    assert [entry["link"] for entry in listed(world)] == ["bank-b"]
    assert retry_entry(state, rrn=rrn) == 0, "the other is at its issuer, and needs no --link any more"


def test_one_number_twice_on_one_link():
    """Both are sent at once, as is right for either; neither is given up in the place of the other."""
    world, rrn, issuer, _ = owed_twice(0)
    state = world.engine.state
    with pytest.raises(NotOwed, match=f"2 reversals with RRN {rrn} are owed to bank-a, and nothing tells them apart"):
        close_entry(state, rrn=rrn, name="Mei", reason="by phone", link="bank-a")
    assert retry_entry(state, rrn=rrn, link="bank-a") == 2
    world.tick()
    assert [attempt["t"] for attempt in issuer.read()] == ["0421", "0421"]


def test_what_is_given_up_is_never_sent_again(world):
    terminal, issuer = world.terminal(), world.issuer()
    rrn, first = owed_one(world, terminal, issuer)
    state = world.engine.state
    with pytest.raises(NotOwed, match="at the issuer just now"):
        close_entry(state, rrn=rrn, name="Mei", reason="by phone")
    issuer.answer(first, "96")
    for name, reason in (("", "by phone"), ("Mei", ""), ("Mei", "x" * 256)):
        with pytest.raises(ValueError, match="required"):
            close_entry(state, rrn=rrn, name=name, reason=reason)
    with pytest.raises(NotOwed, match="no advice with RRN"):
        close_entry(state, rrn=rrn, name="Mei", reason="by phone", what="advice")
    position, entry = close_entry(state, rrn=rrn, name="Mei", reason="by phone")
    assert world.journal.records[position - 1] == (
        "closed",
        {"link": 0, "rrn": rrn, "operator": "Mei", "why": "by phone"},
    )
    assert entry["rrn"] == rrn
    assert world.engine.owed == 0
    assert world.count("reversals_closed_total") == 1
    world.advance(60)
    assert [message for message in issuer.read() if message["t"].startswith("04")] == []


def test_an_approval_behind_what_was_given_up_is_reversed(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(15.1)
    issuer.answer(issuer.read_one(), "96")
    close_entry(world.engine.state, rrn=asked["37"], name="Mei", reason="by phone")
    issuer.answer(asked)
    assert [entry["cause"] for entry in listed(world)] == ["late_approval"]


def test_a_reversal_that_waits_behind_its_advice_is_given_up_alone(make_world):
    """The advice goes on, and nothing of the other is left to follow it."""
    world = make_world(**two_links())
    terminal = world.terminal()
    paid = purchase(world)
    terminal.ask(paid)
    issuer = world.issuer()
    told = issuer.read_one()
    assert terminal.ask(reversal(world, paid))["39"] == "00"
    (waits,) = listed(world, what="reversal")
    assert waits["state"] == "behind its advice"
    (ahead,) = listed(world, what="advice")
    assert ahead["pan"] == paid["2"]
    close_entry(world.engine.state, rrn=waits["rrn"], name="Mei", reason="booked by hand")
    issuer.answer(told)
    world.tick()
    assert listed(world) == []
    assert issuer.read() == []


def test_nothing_is_given_up_without_its_record(world):
    terminal, issuer = world.terminal(), world.issuer()
    rrn, first = owed_one(world, terminal, issuer)
    issuer.answer(first, "96")
    world.journal.fail()
    with pytest.raises(NotOwed, match="journal cannot be written"):
        close_entry(world.engine.state, rrn=rrn, name="Mei", reason="by phone")
    assert world.engine.owed == 1


def test_what_is_overdue_is_told_once(world):
    terminal, issuer = world.terminal(), world.issuer()
    rrn, first = owed_one(world, terminal, issuer)
    issuer.answer(first, "96")
    assert note_overdue(world.engine.state)[0][1] == 0
    world.now_s += 3601
    world._set_clock()
    seconds, count, _ = note_overdue(world.engine.state)[0]
    assert seconds > 3600
    assert count == 1
    note_overdue(world.engine.state)
    told = [details for event, details in world.notes if event == "reversal_overdue"]
    assert [(one["rrn"], one["link"], one["what"]) for one in told] == [(rrn, "bank-a", "reversal")]
    assert listed(world, overdue=True)[0]["overdue"]
