"""What `trace` tells of a transaction that others refer to, and of those that refer to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from switch.journal.disk import ScriptedDisk
from switch.journal.replay import JournalReader
from switch.saf.owed_entries import close_entry
from switch.tracing.finding import find
from switch.tracing.query import Query
from switch.tracing.steps import steps
from switch.tracing.story import moment
from switch.tracing.verdict import verdict
from tests.ext.journal_world import KEY, records_of
from tests.ext.seeking_world import approve, bought, original_data_of, taking_back, world_of, world_of_parts
from tests.ext.test_originals_referred import referring

LATER_S = 2 * 86_400
WINDOW = timedelta(seconds=600)


def told(world, rrn):
    """The verdict on the one transaction with a reference number, and its story."""
    world.journal.end_turn()
    world.advance(0.25)
    world.journal.end_turn()
    world.sync()
    found = find(JournalReader(ScriptedDisk(world.memory), KEY), Query(rrn=rrn), WINDOW)
    (story,) = found.stories
    return verdict(story, lambda us: "?" if us is None else str(moment(us)), None), story


def sold(world):
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    _, answer = approve(world, terminal, bank, request)
    return terminal, bank, request, answer


def test_a_voided_purchase_is_not_the_merchants():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    judged, _ = told(world, answer["37"])
    assert judged.code == "approved_and_delivered"
    _, voided = approve(world, terminal, bank, referring(world, "void", request, answer))
    judged, story = told(world, answer["37"])
    assert judged.code == "voided"
    assert "the cardholder gets 10.00 (currency 156) back, and the merchant is not credited" in judged.money
    assert "void of 10.00 (currency 156), RRN " + voided["37"] in judged.words
    assert [one.rrn for one in story.references] == [voided["37"]]
    judged, story = told(world, voided["37"])
    assert f"of the purchase of 10.00 (currency 156), RRN {answer['37']}" in judged.words
    assert story.original.rrn == answer["37"]


@pytest.mark.parametrize(("amounts", "code"), [(["400"], "partly_refunded"), (["400", "600"], "refunded")])
def test_refunds_belong_to_their_sale_days_later(amounts, code):
    world = world_of("iso87-ascii", "iso87-ascii")
    _, _, request, answer = sold(world)
    refunds = []
    for number, amount in enumerate(amounts):
        world = world.killed(later_s=LATER_S)
        terminal, bank = world.terminal("pos"), world.issuer()
        refund = referring(world, "refund", request, answer, f4=amount.rjust(12, "0"), f11=f"{900 + number:06d}")
        refunds.append(approve(world, terminal, bank, refund)[1]["37"])
    judged, story = told(world, answer["37"])
    assert judged.code == code
    assert [one.rrn for one in story.references] == refunds
    judged, story = told(world, refunds[-1])
    assert story.original.rrn == answer["37"]
    assert [one.rrn for one in story.original.references] == refunds


def test_a_refund_that_was_voided_gives_nothing_back():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    refund = referring(world, "refund", request, answer)
    _, refunded = approve(world, terminal, bank, refund)
    assert told(world, answer["37"])[0].code == "refunded"
    _, voided = approve(world, terminal, bank, referring(world, "void", refund, refunded, f3="220000"))
    judged, story = told(world, answer["37"])
    assert [one.rrn for one in story.references] == [refunded["37"]]
    assert judged.code == "approved_and_delivered"
    assert f"refund of 10.00 (currency 156), RRN {refunded['37']}, voided at" in judged.words
    assert judged.money.endswith("it is the merchant's at settlement")
    judged, story = told(world, refunded["37"])
    assert judged.code == "voided"
    assert [one.rrn for one in story.references] == [voided["37"]], "found by its refund, and by the purchase"
    assert judged.words.count(voided["37"]) == 1


@pytest.mark.parametrize(("amount", "code"), [("200", "partly_refunded"), ("600", "refunded")])
def test_refund_of_a_sale_that_was_approved_in_part(amount, code):
    world = world_of_parts()
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    terminal.send(request)
    bank.answer(bank.read_one(), "10", f4="000000000600", f38="A1B2C3")
    answer = terminal.read_one()
    approve(world, terminal, bank, referring(world, "refund", request, answer, f4=amount.rjust(12, "0")))
    judged, _ = told(world, answer["37"])
    assert judged.code == code
    assert "10.00" not in judged.money
    if code == "partly_refunded":
        assert "4.00 (currency 156) is the merchant's" in judged.money


def test_a_declined_void_changes_nothing():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    terminal.send(referring(world, "void", request, answer))
    world.tick()
    bank.answer(bank.read_one(), "05")
    terminal.read_one()
    judged, _ = told(world, answer["37"])
    assert judged.code == "approved_and_delivered"
    assert "not approved" in judged.words


def test_a_refund_of_a_completion_is_counted_once():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, completion, completed = hold_completed(world)[:4]
    refund = referring(world, "refund", completion, completed, t="0200", f25="00", f4="000000000400")
    approve(world, terminal, bank, refund)
    judged, story = told(world, completed["37"])
    assert len(story.references) == 1
    assert judged.code == "partly_refunded"
    assert "gets 4.00 (currency 156) back; 6.00 (currency 156) is the merchant's" in judged.money


def test_a_completion_stands_for_its_hold():
    world = world_of("iso87-ascii", "iso87-ascii")
    *_, answer = hold_completed(world)
    judged, _ = told(world, answer["37"])
    assert judged.code == "completed"


def hold_completed(world):
    """A hold and its completion: terminal, issuer, the completion, what was told of it, and of the hold."""
    terminal, bank = world.terminal("pos"), world.issuer()
    held = bought(world, t="0100")
    _, answer = approve(world, terminal, bank, held)
    completion = {
        **held,
        "t": "0220",
        "11": world.stan(),
        "25": "06",
        "37": answer["37"],
        "90": original_data_of(held, "iso87-ascii"),
    }
    _, completed = approve(world, terminal, bank, completion)
    return terminal, bank, completion, completed, answer


def test_reversal_that_came_days_later_belongs_to_its_original():
    world = world_of("iso87-ascii", "iso87-ascii")
    _, _, request, answer = sold(world)
    world = world.killed(later_s=LATER_S)
    terminal, bank = world.terminal("pos"), world.issuer()
    terminal.ask(taking_back(world, request))
    world.tick()
    bank.answer(bank.read_one())
    world.tick()
    judged, _ = told(world, answer["37"])
    assert judged.code == "reversed"
    assert "the terminal took it back" in judged.words


@pytest.mark.parametrize("comes", [False, True])
def test_reversal_that_overtook_its_payment_was_not_refused(comes):
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, _ = world.terminal("pos"), world.issuer()
    request = bought(world)
    assert terminal.ask(taking_back(world, request))["39"] == "00"
    if comes:
        assert terminal.ask(request)["39"] == "68"
    world.journal.end_turn()
    world.advance(0.25)
    world.journal.end_turn()
    world.sync()
    stan = Query(terminal=request["41"], stan=int(request["11"]))
    found = find(JournalReader(ScriptedDisk(world.memory), KEY), stan, WINDOW)
    (story,) = [story for story in found.stories if story.overtakes]
    judged = verdict(story, str, "68")
    ends = "one came, and was refused" if comes else "one that still comes is refused"
    assert judged.words == f"a terminal's own reversal of a payment that had not come: {ends}"
    assert all("refused (" not in verdict(one, str, None).words for one in found.stories)
    told_of = [one.words for one in steps(story, "68")]
    assert told_of[0] == "its payment is not known: one that still comes is refused"
    assert ("answer to the payment, that it was not approved, left to the terminal" in told_of) == comes


def test_reversal_that_was_refused_says_what_forbids_it():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    approve(world, terminal, bank, referring(world, "void", request, answer))
    terminal.send(taking_back(world, request))
    world.tick()
    refusal = terminal.read_one()
    judged, _ = told(world, refusal["37"])
    assert judged.code == "reversal_request"
    assert "a void, refund or completion of its original stands" in judged.words
    assert judged.money == "nothing has changed by this request"


def test_reversal_that_was_withheld_is_not_sent_and_says_why():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    refund = referring(world, "refund", request, answer, f4="000000000400")
    approve(world, terminal, bank, refund)
    world = world.killed(later_s=LATER_S)
    terminal, bank = world.terminal("pos"), world.issuer()
    assert terminal.ask(taking_back(world, request, f11="000901"))["39"] == "00"
    world.tick()
    assert bank.read() == []
    (stored,) = [record for record in records_of(world.memory)[0] if record["type"] == "REVERSAL"]
    judged, story = told(world, stored["rrn"])
    assert judged.code == "reversal_withheld"
    assert f"the purchase of 10.00 (currency 156), RRN {answer['37']}" in judged.words
    assert "the terminal was told that it is taken back" in judged.money
    assert any("reversal cancelled before it was sent" in one.words for one in steps(story, None))
    judged, story = told(world, answer["37"])
    assert judged.code == "partly_refunded"
    assert [one.kind.label for one in story.references] == ["refund"]


@pytest.mark.parametrize("kind", ["void", "refund"])
@pytest.mark.parametrize("asked", ["timed out", "taken back"])
def test_reversal_that_an_operator_gave_up_says_nothing_of_what_stands(kind, asked):
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    undoing = referring(world, kind, request, answer)
    terminal.send(undoing)
    world.tick()
    sent = bank.read_one()
    if asked == "taken back":
        bank.answer(sent)
        terminal.read_one()
        bank.close()
        assert terminal.ask(taking_back(world, undoing))["39"] == "00"
    else:
        bank.close()
        world.advance(16)
        terminal.read_one()
    judged, _ = told(world, answer["37"])
    assert judged.code == "approved_and_delivered"
    assert f"{kind} of 10.00 (currency 156), RRN {sent['37']}, whose reversal is owed since" in judged.words
    close_entry(world.engine.state, rrn=sent["37"], name="Mei", reason="told by phone")
    judged, story = told(world, answer["37"])
    assert judged.code == "perhaps_undone"
    assert f"RRN {sent['37']}, whose reversal Mei gave up at" in judged.words
    assert "because told by phone, so that whether it stands is for the operator to know" in judged.words
    assert "reversed at" not in judged.words
    assert "ask Mei, who gave that up, or the issuer, whether it stands" in judged.money
    assert "is the merchant's at settlement" not in judged.money
    assert not story.references[0].stands
    judged, _ = told(world, sent["37"])
    assert judged.code == "reversal_closed"


def test_reversal_that_is_owed_after_one_that_was_given_up_is_what_counts():
    """The void timed out, its reversal was given up, and then the issuer approved after all: it is owed once more."""
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    terminal.send(referring(world, "void", request, answer))
    world.tick()
    sent = bank.read_one()
    world.advance(16)
    terminal.read_one()
    bank.answer(bank.read_one(), "96")
    close_entry(world.engine.state, rrn=sent["37"], name="Mei", reason="told by phone")
    bank.answer(sent)
    world.tick()
    judged, story = told(world, sent["37"])
    assert [entry.is_open for entry in story.reversals] == [False, True]
    assert story.given_up is None
    assert judged.code == "reversal_under_way"
    judged, _ = told(world, answer["37"])
    assert judged.code == "approved_and_delivered"
    assert f"RRN {sent['37']}, whose reversal is owed since" in judged.words


def test_reversal_that_was_acknowledged_is_told_with_the_time_of_that():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank, request, answer = sold(world)
    _, voided = approve(world, terminal, bank, void := referring(world, "void", request, answer))
    assert terminal.ask(taking_back(world, void))["39"] == "00"
    world.advance(5)
    bank.answer(bank.read_one())
    world.tick()
    judged, story = told(world, answer["37"])
    assert judged.code == "approved_and_delivered"
    (entry,) = story.references[0].reversals
    assert entry.ended_us > entry.stored_us
    assert f"RRN {voided['37']}, reversed at {moment(entry.ended_us)}" in judged.words
