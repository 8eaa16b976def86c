"""After a crash: advices that are owed go on, those that nobody was told of are void, and all of it stays in order."""

from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switch.base.checksum import checksum
from switch.journal.carry_forward import keep_up
from switch.journal.disk import ScriptedDisk
from switch.journal.recovery import RecoveryFailed
from switch.journal.replay import JournalDamaged, JournalReader
from switch.journal.search import SafVisitor
from switch.saf.owed_entries import list_entries
from tests.ext.journal_world import KEY, JournalWorld, records_of
from tests.ext.test_engine_advice import advice
from tests.ext.test_engine_stand_in import limits, two_links
from tests.ext.test_journal_files import BATCH, HEAD, last_batch_start, last_segment, unsealed
from tests.ext.world import change, link, purchase, reversal

CARD_FREE = two_links(limits(card_amount_max=None, card_count_max=None))


def types(world):
    return [record["type"] for record in records_of(world.memory)[0]]


def records(world, sort):
    return [record for record in records_of(world.memory)[0] if record["type"] == sort]


def finish(world):
    """Let the issuer take note of all; what it was told, in order."""
    issuer = world.issuer()
    told = []
    for _ in range(60):
        messages = issuer.read()
        told += messages
        for one in messages:
            issuer.answer(one)
        if world.engine.owed == 0:
            break
        world.advance(5)
    world.settle()
    return told


@pytest.mark.parametrize("make", [purchase, advice])
@pytest.mark.parametrize("power", [False, True])
def test_what_was_told_is_owed_after_a_crash(make, power):
    world = JournalWorld(**two_links())
    request = make(world)
    answer = world.terminal().ask(request)
    assert types(world) == ["ADVICE", "OUTCOME"]
    assert [record["stand_in"] for record in records_of(world.memory)[0]] == [make is purchase] * 2
    after = world.killed(power=power, **two_links())
    assert (after.replayed.resumed, after.replayed.remembered, after.replayed.ended) == (1, 1, 0)
    assert after.terminal().ask(request) == answer
    (told,) = finish(after)
    # Whether one has left before nobody knows: the issuer is told that it may be the second.
    assert (told["t"], told["37"], told.get("38")) == ("0221", answer["37"], answer.get("38") or request.get("38"))
    assert types(after)[-1] == "REVERSED"
    third = after.killed(**two_links())
    assert (third.replayed.resumed, third.engine.owed) == (0, 0)
    assert third.terminal().ask(request) == answer
    assert third.issuer().read() == []
    third.settle()


def cut_last_batch(content: bytearray, stan: int | None = None) -> None:
    """Leave of a segment's last batch only the first record, sealed anew: as if power was lost before the others.

    ``stan`` is put into the place of the advice's STAN.
    """
    _, _, _, _, _, _, _, nonce, wrapped, tag, _, _ = HEAD.unpack_from(content)
    sealer = AESGCM(AESGCM(KEY).decrypt(nonce, wrapped + tag, bytes(content[:56])))
    at = last_batch_start(bytes(content))
    magic, whole, first, _, _, _, kind, _, wall, _, _ = BATCH.unpack_from(content, at)
    (_, _, _, clear) = unsealed(bytes(content))[-1]
    record = bytearray(clear[: int.from_bytes(clear[:4], "little")])
    if stan is not None:
        record[111:115] = stan.to_bytes(4, "little")
    size = -(-(64 + len(record)) // 8) * 8
    head = BATCH.pack(magic, size, first, 1, len(record), len(record), kind, 0, wall, bytes(16), 0)
    sealed = sealer.encrypt(struct.pack("<QI", at, 0), bytes(record), head[:40])
    body = head[:40] + sealed[-16:] + bytes(8) + sealed[:-16] + bytes(size - 64 - len(record))
    content[at : at + max(whole, size)] = (body[:60] + checksum(body).to_bytes(4, "little") + body[64:]).ljust(
        whole, b"\0"
    )


@pytest.mark.parametrize("stan", [999_999, 1_000_000, 0xFFFFFFFF])
def test_a_number_beyond_all_stans_is_not_read(stan):
    world = JournalWorld(**two_links())
    world.terminal().ask(purchase(world))
    cut_last_batch(last_segment(world.memory), stan)
    if stan < 1_000_000:
        assert records(world, "ADVICE")[0]["link_stan"] == stan
        return
    with pytest.raises(JournalDamaged, match="record here cannot be read"):
        records_of(world.memory)


@pytest.mark.parametrize("make", [purchase, advice])
def test_without_its_outcome_it_never_happened(make):
    """Power is lost when only the first of the two records is durable."""
    world = JournalWorld(**two_links())
    request = make(world)
    world.terminal().ask(request)
    world.settle()
    fresh = JournalWorld(**two_links())
    fresh.syncs = False
    terminal = fresh.terminal()
    terminal.send(request)
    fresh.sync()
    cut_last_batch(last_segment(fresh.memory))
    assert types(fresh) == ["ADVICE"]
    after = fresh.killed(**two_links())
    assert (after.replayed.resumed, after.replayed.remembered, after.engine.owed) == (0, 0, 0)
    assert types(after) == ["ADVICE", "CANCELLED"]
    assert records(after, "CANCELLED")[0]["cause"] == "restart"
    again = after.killed(**two_links())
    assert again.engine.owed == 0
    assert types(again) == ["ADVICE", "CANCELLED"]
    # Its terminal was not told, and asks again: it is taken as new, once.
    assert again.terminal().ask(request)["39"] == "00"
    assert len(finish(again)) == 1


def test_numbers_go_on_behind_those_of_advices():
    world = JournalWorld(**two_links())
    terminal = world.terminal()
    first = terminal.ask(purchase(world))
    after = world.killed(**two_links())
    second = after.terminal().ask(purchase(after, f11="000900"))
    assert int(second["37"][4:], 36) > int(first["37"][4:], 36)
    earlier, later = sorted(int(told["11"]) for told in finish(after))
    assert later == earlier + 1


def test_limits_hold_over_a_restart():
    world = JournalWorld(**two_links())
    terminal = world.terminal()
    assert terminal.ask(purchase(world, f4="000000020000"))["39"] == "00"
    after = world.killed(**two_links())
    assert after.count("stand_in_outstanding", link="bank-a") == 20_000
    terminal = after.terminal()
    assert terminal.ask(purchase(after, f11="000901", f4="000000010001"))["39"] == "91"
    assert terminal.ask(purchase(after, f11="000902", f4="000000010000"))["39"] == "00"
    assert len(finish(after)) == 2
    assert after.count("stand_in_outstanding", link="bank-a") == 0


def test_what_a_restart_has_not_counted_is_not_given_back():
    """Its issuer had taken note of it; what is still owed for the same card counts as before."""
    world = JournalWorld(**two_links())
    terminal = world.terminal()
    known, owed = purchase(world, f4="000000010000"), purchase(world, f4="000000020000")
    assert [terminal.ask(one)["39"] for one in (known, owed)] == ["00", "00"]
    issuer = world.issuer()
    first, second = issuer.read()
    issuer.answer(first)
    issuer.answer(second, "96")
    world.sync()
    after = world.killed(**two_links())
    terminal = after.terminal()
    assert terminal.ask(reversal(after, known, f11="000990"))["39"] == "00"
    assert terminal.ask(purchase(after, f11="000901", f4="000000010001"))["39"] == "91"
    assert terminal.ask(purchase(after, f11="000902", f4="000000010000"))["39"] == "00"


@pytest.mark.parametrize("make", [purchase, advice])
def test_cancelled_stays_cancelled(make):
    world = JournalWorld(**two_links())
    terminal = world.terminal()
    request = make(world)
    terminal.ask(request)
    assert terminal.ask(reversal(world, request))["39"] == "00"
    assert types(world) == ["ADVICE", "OUTCOME", "CANCELLED", "OUTCOME"]
    after = world.killed(**two_links())
    assert after.engine.owed == 0
    assert after.terminal().ask(change(request))["39"] == ("68" if make is purchase else "00")
    assert finish(after) == []


@pytest.mark.parametrize("make", [purchase, advice])
def test_reversal_of_what_may_have_been_sent_before_the_crash_follows_it(make):
    world = JournalWorld(**two_links())
    request = make(world)
    world.terminal().ask(request)
    after = world.killed(**two_links())
    assert after.terminal().ask(reversal(after, request, f11="000990"))["39"] == "00"
    assert after.engine.owed == 2
    # Again a crash: the order is kept.
    third = after.killed(**two_links())
    assert (third.engine.owed, third.replayed.resumed) == (2, 2)
    told = finish(third)
    assert [one["t"] for one in told] == ["0221", "0420"]
    assert told[1]["90"][:10] == f"0220{told[0]['11']}"
    assert third.terminal().ask(request)["39"] == ("68" if make is purchase else "00")
    third.settle()


def test_reversal_follows_an_advice_that_was_written_down_once_more_behind_it():
    world = JournalWorld(**two_links())
    request = purchase(world)
    world.terminal().ask(request)
    after = world.killed(**two_links())
    after.terminal().ask(reversal(after, request, f11="000990"))
    (owed,) = records(after, "REVERSAL")
    keep_up(after.engine.state, after.journal, after.journal.next_position - owed["position"])
    after.sync()
    assert [record["position"] > owed["position"] for record in records(after, "ADVICE")] == [False, True]
    third = after.killed(**two_links())
    assert [one["t"] for one in finish(third)] == ["0221", "0420"]


def test_answered_before_the_crash_and_reversed_after_it():
    world = JournalWorld(**two_links())
    request = purchase(world)
    world.terminal().ask(request)
    issuer = world.issuer()
    issuer.answer(issuer.read_one())
    world.sync()
    after = world.killed(**two_links())
    assert after.engine.owed == 0
    assert after.terminal().ask(reversal(after, request, f11="000990"))["39"] == "00"
    (undone,) = finish(after)
    assert undone["t"] == "0420"


def test_declined_is_in_the_journal():
    world = JournalWorld(**two_links())
    world.terminal().ask(purchase(world))
    issuer = world.issuer()
    issuer.answer(issuer.read_one(), "51")
    world.sync()
    (answered,) = records(world, "REVERSED")
    (noted,) = records(world, "ADVICE")
    (outcome,) = records(world, "OUTCOME")
    assert answered["reversal"] == answered["original"] == outcome["intent"] == noted["position"]
    assert answered["reason"] == 12
    assert (noted["kind"], noted["stand_in"], outcome["approved"], outcome["stand_in"]) == (1, True, True, True)
    world.settle()


def test_written_down_once_more_it_keeps_its_name():
    world = JournalWorld(**two_links())
    terminal = world.terminal()
    request = purchase(world)
    answer = terminal.ask(request)
    keep_up(world.engine.state, world.journal, 0)
    world.sync()
    first, second = records(world, "ADVICE")
    assert (second["replaces"], second["original"], second["rrn"]) == (
        first["position"],
        first["position"],
        first["rrn"],
    )
    after = world.killed(**two_links())
    assert after.replayed.resumed == 1
    assert after.terminal().ask(request) == answer
    assert after.terminal().ask(reversal(after, request, f11="000990"))["39"] == "00"
    third = after.killed(**two_links())
    assert [one["t"] for one in finish(third)] == ["0221", "0420"]
    assert {record["original"] for record in records(third, "REVERSED")} == {first["position"]}


@pytest.mark.parametrize("make", [purchase, advice])
@pytest.mark.parametrize("reversed_first", [True, False])
def test_written_down_once_more_it_stays_before_its_reversal(make, reversed_first):
    world = JournalWorld(**two_links())
    request = make(world)
    world.terminal().ask(request)
    world = world.killed(**two_links())
    taking_back = reversal(world, request, f11="000990")
    if reversed_first:
        assert world.terminal().ask(taking_back)["39"] == "00"
    (noted,) = records(world, "ADVICE")
    keep_up(world.engine.state, world.journal, world.journal.next_position - noted["position"] - 1)
    world.sync()
    assert types(world)[-1] == "ADVICE"
    after = world.killed(**two_links())
    if not reversed_first:
        assert after.terminal().ask(taking_back)["39"] == "00"
    issuer = after.issuer()
    told = issuer.read_one()
    assert told["t"] == "0221"
    issuer.answer(told)
    assert issuer.read_one()["t"] == "0420"
    after.settle()


def test_link_that_is_gone_keeps_the_switch_from_starting():
    world = JournalWorld(**two_links())
    world.terminal().ask(purchase(world))
    with pytest.raises(RecoveryFailed, match="bank-a is owed"):
        world.killed(links=[link("bank-b", "iso87-ascii")], routes=["6,,,,,,bank-b:1"])


def test_rule_that_is_gone_does_not():
    world = JournalWorld(**two_links())
    world.terminal().ask(purchase(world))
    after = world.killed(
        links=[link("bank-a", "iso87-ascii"), link("bank-b", "iso87-ascii")], routes=["6,,,,,,bank-a:1"]
    )
    assert len(finish(after)) == 1


def test_store_that_is_too_small_is_told():
    world = JournalWorld(**CARD_FREE)
    terminal = world.terminal()
    for _ in range(5):
        assert terminal.ask(purchase(world))["39"] == "00"
    with pytest.raises(RecoveryFailed, match=r"limits\.reversals_max is 4"):
        world.killed(limits={"reversals_max": 4}, **CARD_FREE)


def test_every_step_of_the_way():
    """Kill it after each record in turn: the issuer hears of each payment once it was told, and of none besides."""
    for last in range(1, 12):
        world = JournalWorld(**CARD_FREE)
        terminal = world.terminal()
        approved = []
        taken_back = []
        for number in range(4):
            asked = purchase(world, f4=f"{1000 + number:012d}")
            if terminal.ask(asked)["39"] == "00":
                approved.append(asked["4"])
            if number % 2 and terminal.ask(reversal(world, asked))["39"] == "00":
                taken_back.append(asked["4"])
            if len(types(world)) >= last:
                break
        after = world.killed(**CARD_FREE)
        told = [one["4"] for one in finish(after)]
        assert sorted(told) == sorted(set(approved) - set(taken_back))


def owed_by_the_journal(world):
    """What ``authswitch reversals list`` says when no daemon runs."""
    reader = JournalReader(ScriptedDisk(world.memory), KEY)
    found = SafVisitor()
    reader.replay(found, reader.index_of(reader.segments[-1].low_water))
    return found.owed()


@pytest.mark.parametrize("make", [purchase, advice])
def test_written_down_once_more_it_is_owed_without_what_stood_before(make):
    world = JournalWorld(**two_links())
    world.terminal().ask(make(world))
    (first,) = records(world, "ADVICE")
    world = world.killed(later_s=1000, **two_links())
    keep_up(world.engine.state, world.journal, 0)
    world.sync()
    world = world.killed(**two_links())
    (owed,) = owed_by_the_journal(world)
    assert (owed["original"], owed["rrn"]) == (first["position"], first["rrn"])
    world.settle()


@pytest.mark.parametrize("sort", ["ADVICE", "REVERSAL"])
def test_written_down_once_more_it_is_as_old_as_it_was(sort):
    world = JournalWorld(**two_links())
    request = purchase(world)
    issuer = world.issuer() if sort == "REVERSAL" else None
    world.terminal().send(request)
    if issuer is not None:
        issuer.read_one()
        world.advance(20)
        issuer.close()
    world.sync()
    began_us = records(world, sort)[0]["wall_us"]
    world = world.killed(later_s=4000, **two_links())
    keep_up(world.engine.state, world.journal, 0)
    world.sync()
    assert abs(records(world, sort)[-1]["wall_us"] - began_us) < 1000
    world = world.killed(later_s=10, **two_links())
    _, (owed,) = list_entries(world.engine.state)
    assert owed["age_seconds"] == pytest.approx((world.engine.state.calendar.wall_us - began_us) / 1e6, abs=0.01)
    assert owed["overdue"]
    world.settle()
