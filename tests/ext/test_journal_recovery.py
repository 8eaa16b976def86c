"""After a crash: what was open is reversed, what is owed goes on, what was finished is remembered."""

from __future__ import annotations

import pytest

from switch.journal.recovery import RecoveryFailed
from tests.ext.journal_world import JournalWorld, ask_in_crowds, records_of
from tests.ext.world import CARD, LINKS, change, link, original_data, purchase, reversal


def asked(world, **changes):
    """A purchase that stands at the issuer: terminal, issuer, request, what the issuer was asked."""
    terminal, issuer = world.terminal("iso"), world.issuer()
    request = purchase(world, **changes)
    terminal.send(request)
    return terminal, issuer, request, issuer.read_one()


def types(world):
    return [record["type"] for record in records_of(world.memory)[0]]


def test_nothing_was_there():
    world = JournalWorld()
    assert (world.replayed.records, world.replayed.position) == (0, 0)
    assert world.journal.next_position == 1


def test_bytes_wait_until_their_record_is_durable():
    world = JournalWorld()
    world.syncs = False
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    assert issuer.read() == []
    world.sync()
    question = issuer.read_one()
    issuer.answer(question)
    assert terminal.read() == []
    world.sync()
    assert terminal.read_one()["39"] == "00"
    assert types(world) == ["INTENT", "OUTCOME"]


def test_request_without_outcome_is_reversed():
    world = JournalWorld()
    *_, request, question = asked(world)
    after = world.killed()
    assert (after.replayed.ended, after.replayed.reversed, after.replayed.remembered) == (1, 1, 0)
    assert types(after) == ["INTENT", "REVERSAL", "OUTCOME"]
    issuer = after.issuer()
    sent = issuer.read_one()
    assert sent["t"] == "0420"
    assert (sent["4"], sent["37"], sent["2"]) == (question["4"], question["37"], CARD)
    assert sent["90"][4:10] == question["11"]
    terminal = after.terminal("iso")
    terminal.send(request)
    assert terminal.read_one()["39"] == "68"
    issuer.answer(sent)
    after.settle()
    assert after.count("reversals_acknowledged_total") == 1


def test_inquiry_without_outcome_is_not_reversed():
    world = JournalWorld()
    *_, request, _ = asked(world, t="0100", f3="310000", f4=None)
    after = world.killed()
    assert (after.replayed.ended, after.replayed.reversed) == (1, 0)
    terminal = after.terminal("iso")
    terminal.send(request)
    assert terminal.read_one()["39"] == "68"
    assert after.issuer().read() == []


def test_a_time_out_that_is_told_after_a_restart_bears_the_number_that_its_issuer_knows():
    world = JournalWorld()
    *_, request, question = asked(world)
    after = world.killed()
    terminal = after.terminal("iso")
    terminal.send(request)
    answer = terminal.read_one()
    assert (answer["39"], answer["37"]) == ("68", question["37"])


def test_what_was_not_durable_was_not_asked():
    world = JournalWorld()
    world.syncs = False
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    after = world.killed()
    assert issuer.read() == []
    assert after.replayed.records == 0


@pytest.mark.parametrize("code", ["00", "51"])
@pytest.mark.parametrize("power", [False, True])
def test_stored_answers_are_given_again(code, power):
    world = JournalWorld()
    terminal, issuer, request, question = asked(world)
    issuer.answer(question, code)
    answer = terminal.read_one()
    after = world.killed(power=power)
    assert (after.replayed.remembered, after.replayed.ended) == (1, 0)
    terminal, issuer = after.terminal("iso"), after.issuer()
    terminal.send(request)
    assert terminal.read_one() == answer
    assert issuer.read() == []
    changed = {**request, "4": "000000009999"}
    terminal.send(changed)
    assert terminal.read_one()["39"] == "94"


def test_refusals_of_our_own_are_remembered():
    world = JournalWorld()
    terminal = world.terminal("iso")
    request = purchase(world, f2="5" * 16)
    terminal.send(request)
    answer = terminal.read_one()
    assert answer["39"] == "15"
    after = world.killed()
    terminal = after.terminal("iso")
    terminal.send(request)
    assert terminal.read_one() == answer


def test_what_was_refused_in_a_drain_is_never_charged():
    world = JournalWorld()
    terminal = world.terminal("iso")
    request = purchase(world)
    world.engine.drain()
    terminal.send(request)
    answer = terminal.read_one()
    assert answer["39"] == "91"
    after = world.killed()
    terminal, issuer = after.terminal("iso"), after.issuer()
    terminal.send(request)
    assert terminal.read_one() == answer
    assert issuer.read() == []


def test_an_approval_is_reversed_by_its_terminal_after_the_restart():
    world = JournalWorld()
    terminal, issuer, request, question = asked(world)
    issuer.answer(question)
    terminal.read_one()
    after = world.killed()
    terminal, issuer = after.terminal("iso"), after.issuer()
    terminal.send(reversal(after, request, f11="000077"))
    assert terminal.read_one()["39"] == "00"
    after.advance(0.25)
    first = issuer.read_one()
    assert (first["t"], first["37"], first["38"]) == ("0420", question["37"], "A1B2C3")
    again = after.killed()
    assert (again.replayed.resumed, again.replayed.reversed) == (1, 0)
    repeated = again.issuer().read_one()
    assert (repeated["t"], repeated["11"], repeated["37"]) == ("0421", first["11"], first["37"])


def test_time_out_is_durable_before_it_is_told():
    world = JournalWorld()
    terminal, _issuer, _request, question = asked(world)
    world.syncs = False
    world.advance(20)
    assert terminal.read() == []
    world.sync()
    assert terminal.read_one()["39"] == "68"
    after = world.killed()
    assert (after.replayed.resumed, after.replayed.ended) == (1, 0)
    assert after.issuer().read_one()["37"] == question["37"]


def test_reversed_is_not_sent_again():
    world = JournalWorld()
    terminal, issuer, request, _question = asked(world)
    world.advance(20)
    issuer.answer(issuer.read_one())
    world.sync()
    after = world.killed()
    assert (after.replayed.resumed, after.replayed.ended) == (0, 0)
    terminal = after.terminal("iso")
    terminal.send(request)
    assert terminal.read_one()["39"] == "68"


def test_numbers_go_on():
    world = JournalWorld()
    first = world.engine.state.numbering.next_stan
    for round_number in range(3):
        terminal, issuer, _, question = asked(world, f11=f"00100{round_number}")
        assert int(question["11"]) == first + round_number
        issuer.answer(question)
        assert terminal.read_one()["39"] == "00"
        world = world.killed()


def test_recovery_can_crash_anywhere():
    world = JournalWorld()
    asked(world)
    calls = len(world.killed().memory.calls)
    for fail_at in range(calls):
        disk = world.memory.copy()
        disk.fail_at = fail_at
        broken = JournalWorld(disk, now_s=101.0, begins=False)
        with pytest.raises((OSError, RecoveryFailed)):
            broken.begin()
        disk.fail_at = None
        after = JournalWorld(disk.copy(), now_s=102.0)
        assert after.engine.owed == 1, fail_at
        assert len(after.issuer().read()) == 1


def test_killed_again_and_again():
    world = JournalWorld()
    asked(world)
    for _ in range(5):
        world = world.killed()
        assert world.engine.owed == 1
    issuer = world.issuer()
    issuer.answer(issuer.read_one())
    world.sync()
    world = world.killed()
    assert world.engine.owed == 0


def test_link_that_is_gone_but_owed():
    world = JournalWorld()
    asked(world)
    with pytest.raises(RecoveryFailed, match=r"link bank-a is owed a reversal .*position 1.* no such link"):
        world.killed(links=LINKS[1:], routes=["4,,,,,,bank-b:1"])


def test_links_in_another_order():
    world = JournalWorld()
    *_, question = asked(world)
    after = world.killed(links=LINKS[::-1])
    assert after.issuer("bank-b").read() == []
    assert after.issuer("bank-a").read_one()["37"] == question["37"]


def test_old_outcomes_are_forgotten():
    world = JournalWorld()
    terminal, issuer, _request, question = asked(world)
    issuer.answer(question)
    terminal.read_one()
    assert world.killed(later_s=100_000).replayed.remembered == 0


def test_nothing_secret_is_in_the_files():
    world = JournalWorld()
    asked(world)
    content = b"".join(bytes(file) for file in world.memory.files.values())
    assert CARD.encode() not in content
    assert bytes.fromhex(CARD) not in content


def test_approval_of_a_link_that_is_gone_does_not_pass_for_taken_back():
    world = JournalWorld()
    terminal, issuer, paid, question = asked(world)
    issuer.answer(question)
    assert terminal.read_one()["39"] == "00"
    after = world.killed(links=[link("bank-z", "iso87-ascii"), LINKS[1]], routes=["6,,,,,,bank-z:1"])
    taking_back = reversal(after, paid, f11="000990")
    assert after.terminal("iso").ask(taking_back)["39"] == "96"
    assert ("reversal_without_request", {"rrn": question["37"]}) in after.notes
    # With the link back it is taken back after all.
    third = after.killed()
    assert third.terminal("iso").ask(change(taking_back, t="0401"))["39"] == "00"
    sent = third.issuer().read_one()
    assert (sent["t"], sent["37"]) == ("0420", question["37"])
    third.settle()


def test_more_time_outs_than_the_buffer_holds_are_all_reversed_when_the_disk_is_back():
    """While the disk stands still nothing is dropped, and what does not fit yet stands in nobody's way."""
    count, lines = 1600, 30
    world = JournalWorld(
        links=[link("bank-a", "iso87-ascii", in_flight_max=count), LINKS[1]],
        limits={
            "transactions_in_flight_max": 2 * count,
            "duplicate_window_count_max": 2 * count,
            "reversals_max": 2 * count,
        },
    )
    issuer = world.issuer()
    terminals = [world.terminal("iso") for _ in range(lines)]
    questions = {question["37"] for question in ask_in_crowds(world, issuer, terminals, count)}
    assert len(questions) == count
    world.syncs = False
    world.advance(16, step=4)
    assert 0 < world.engine.in_flight < count
    assert world.journal.refused_full == 0
    world.syncs = True
    undone = set()
    for _ in range(400):
        for sent in issuer.read():
            issuer.answer(sent)
            if sent["t"] != "0800":  # the link was suspended, and is asked whether it is there
                undone.add(sent["37"])
        world.advance(1, step=1)
        if len(undone) == count:
            break
    assert undone == questions
    assert issuer.hung_up is None
    world.settle()


@pytest.mark.parametrize("is_killed", [False, True])
def test_reversal_of_a_payment_that_never_came_leaves_another_of_its_number_alone(is_killed):
    world = JournalWorld()
    terminal, issuer, request, question = asked(world)
    issuer.answer(question)
    assert terminal.read_one()["39"] == "00"
    never_came = change(request, f7="0114080000", f13="0114")
    if is_killed:
        world = world.killed()
        terminal, issuer = world.terminal("iso"), world.issuer()
    assert terminal.ask(reversal(world, never_came))["39"] == "00"
    world.tick()
    passed_on = issuer.read_one()
    assert passed_on["90"] == original_data(never_came)
    issuer.answer(passed_on)
    assert world.engine.owed == 0
    assert terminal.ask(reversal(world, request))["39"] == "00"
    world.tick()
    undone = issuer.read_one()
    assert (undone["t"], undone["37"]) == ("0420", question["37"])


@pytest.mark.parametrize("is_killed", [False, True])
def test_payment_is_not_taken_for_one_of_its_number_that_was_given_up(is_killed):
    world = JournalWorld()
    terminal = world.terminal("iso")
    given_up = purchase(world)
    assert terminal.ask(reversal(world, given_up))["39"] == "00"
    if is_killed:
        world = world.killed()
        terminal = world.terminal("iso")
    issuer = world.issuer()
    issuer.read()
    terminal.send(change(given_up, f7="0114080000", f13="0114"))
    question = issuer.read_one()
    assert question["t"] == "0200"
    issuer.answer(question)
    assert terminal.read_one()["39"] == "00"
    assert terminal.ask(given_up)["39"] == "68"


def test_thousands_of_open_requests_and_entries_are_taken_up_again():
    """More than the tables of a recovery have room for at first, and twice: they grow, and lose nothing."""
    count, lines = 3000, 60
    limits = {
        "transactions_in_flight_max": 2 * count,
        "duplicate_window_count_max": 2 * count,
        "reversals_max": 4 * count,
    }
    links = [link("bank-a", "iso87-ascii", in_flight_max=count), LINKS[1]]
    world = JournalWorld(links=links, limits=limits)
    issuer = world.issuer()
    terminals = [world.terminal("iso") for _ in range(lines)]
    questions = {question["37"] for question in ask_in_crowds(world, issuer, terminals, count)}
    assert len(questions) == count
    world.sync()
    after = world.killed(links=links, limits=limits)
    assert (after.replayed.ended, after.replayed.reversed) == (count, count)
    third = after.killed(links=links, limits=limits)
    assert (third.replayed.ended, third.replayed.resumed) == (0, count)
    issuer = third.issuer()
    undone = set()
    while third.engine.owed:
        for sent in issuer.read():
            issuer.answer(sent)
            undone.add(sent["37"])
        third.tick()
    assert undone == questions
    third.settle()
