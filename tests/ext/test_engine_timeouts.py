"""What an issuer does wrong: no answer, late, twice, with a wrong MAC, to somebody else."""

from __future__ import annotations

import pytest

from tests.ext.world import ONE_ROUTE, VISA, change, issuer_answer, link, purchase
from tests.simulation.world import a_million_later


@pytest.mark.parametrize(("name", "code"), [("iso", "68"), ("cup", "98")])
def test_time_out_is_told_and_reversed(world, name, code):
    terminal, issuer = world.terminal(name), world.issuer()
    request = purchase(world, name)
    terminal.send(request)
    asked = issuer.read_one()
    world.advance(14.9)
    assert terminal.read() == []
    world.advance(0.2)
    answer = terminal.read_one()
    assert (answer["39"], answer["11"]) == (code, request["11"])
    assert "38" not in answer
    assert terminal.is_sealed(answer)
    assert [what for what, _ in world.journal.records] == ["intent", "reversal", "outcome", "attempt"]
    taken_back = issuer.read_one()
    assert (taken_back["t"], taken_back["39"], taken_back["4"]) == ("0420", "68", asked["4"])
    assert taken_back["90"][:10] == f"0200{asked['11']}"
    assert taken_back["90"][10:20] == asked["7"]
    assert taken_back["37"] == asked["37"]
    assert "38" not in taken_back
    assert issuer.is_sealed(taken_back)
    issuer.answer(taken_back)
    assert world.engine.owed == 0
    assert world.journal.records[-1][0] == "reversed"
    assert world.count("link_timeouts_total", link="bank-a") == 1
    assert terminal.ask(request)["39"] == code


def test_outcome_and_reversal_are_durable_before_the_terminal_is_told(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.read_one()
    world.syncs = False
    world.advance(16)
    assert issuer.read() == []
    assert terminal.read() == []
    world.journal.sync(2)
    assert issuer.read_one()["t"] == "0420"
    assert terminal.read() == []
    world.journal.sync(3)
    assert terminal.read_one()["39"] == "68"


def test_late_approval_changes_nothing(world):
    terminal, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    terminal.send(request)
    asked = issuer.read_one()
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    issuer.answer(asked)
    assert terminal.read() == []
    assert world.count("link_late_answers_total", link="bank-a") == 1
    assert world.engine.owed == 1
    assert terminal.ask(request)["39"] == "68"
    assert issuer.read_one()["t"] == "0420"


def test_number_of_a_late_request_is_not_used_again(make_world):
    world = make_world()
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.advance(16)
    terminal.read()
    taken_back = issuer.read_one()
    issuer.answer(taken_back)
    used = {asked["11"], taken_back["11"]}
    for _ in range(5):
        terminal.send(purchase(world))
        one = issuer.read_one()
        assert one["11"] not in used
        issuer.answer(one)
        assert terminal.read_one()["39"] == "00"
    assert world.engine.state.transactions.in_use == 1
    world.advance(61, step=1)
    assert world.engine.state.transactions.in_use == 0
    issuer.answer(asked)
    assert world.count("link_unmatched_answers_total", link="bank-a") == 1


def test_balance_inquiry_is_not_reversed(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world, f3="310000", f4=None))
    issuer.read_one()
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    assert world.engine.owed == 0
    assert issuer.read() == []


def test_issuer_that_timed_out_itself_is_sent_a_reversal(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one(), "68")
    assert terminal.read_one()["39"] == "68"
    world.tick()
    assert issuer.read_one()["t"] == "0420"


def test_time_outs_in_order_whatever_was_answered_between(world):
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(6):
        terminal.send(purchase(world))
        world.advance(1)
    asked = issuer.read()
    for one in asked[1::2]:
        issuer.answer(one)
    assert [one["39"] for one in terminal.read()] == ["00"] * 3
    world.advance(9.5)
    assert [one["11"] for one in terminal.read()] == ["000001"]
    world.advance(2)
    assert [one["11"] for one in terminal.read()] == ["000003"]


@pytest.mark.parametrize("fault", ["wrong", "missing"])
def test_wrong_mac_on_an_answer_ends_nothing(world, fault):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    if fault == "missing":
        issuer.answer(asked, mac=False)
    else:
        issuer.feed(issuer.frame(issuer.encode(issuer_answer(asked))[:-1] + b"?"))
    assert terminal.read() == []
    assert world.count("link_mac_failures_total", link="bank-a") == (fault == "missing")
    forged = bytearray(issuer.encode(issuer_answer(asked, "51")))
    forged[-1] = forged[-1] ^ 1 if forged[-1] not in b"@`G" else ord("0")
    issuer.feed(issuer.frame(bytes(forged)))
    assert terminal.read() == []
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    assert issuer.read_one()["t"] == "0420"


def test_right_answer_after_a_forged_one(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.answer(asked, "00", mac=False)
    issuer.answer(asked, "51")
    assert terminal.read_one()["39"] == "51"


def test_answer_given_twice(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.answer(asked)
    issuer.answer(asked, "51")
    assert [one["39"] for one in terminal.read()] == ["00"]
    assert world.count("link_unmatched_answers_total", link="bank-a") == 1


@pytest.mark.parametrize("bank", ["bank-a", "bank-b"])
@pytest.mark.parametrize(
    "changes",
    [
        {"f41": "10000007"},
        {"f4": "000000000999"},
        {"f4": "000000001001"},
        {"t": "0410"},
        {"t": "0110"},
        {"t": "0810"},
        {"f11": "000099"},
        {"f11": "000000"},
        {"f11": None},
    ],
)
def test_answer_to_something_else_reaches_nobody(world, bank, changes):
    terminal, issuer = world.terminal(), world.issuer(bank)
    terminal.send(purchase(world, f2=VISA if bank == "bank-b" else "6225000000000014"))
    asked = issuer.read_one()
    issuer.answer(asked, **changes)
    assert terminal.read() == []
    counted = world.count("link_mismatched_answers_total") + world.count("link_unmatched_answers_total")
    assert counted == 1
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"


def test_answer_with_the_number_of_somebody_else(world):
    mine, other, issuer = world.terminal(), world.terminal("cup"), world.issuer()
    mine.send(purchase(world, f4="000000000111"))
    other.send(purchase(world, "cup", f4="000000000222"))
    first, second = issuer.read()
    issuer.answer(change(first, f11=second["11"]))
    issuer.answer(change(second, f11=first["11"]))
    assert mine.read() == []
    assert other.read() == []
    assert world.count("link_mismatched_answers_total") == 2
    issuer.answer(second)
    assert other.read_one()["4"] == "000000000222"


def test_answer_on_another_link(world):
    terminal, issuer, other = world.terminal(), world.issuer(), world.issuer("bank-b")
    terminal.send(purchase(world))
    asked = issuer.read_one()
    other.answer(asked)
    assert terminal.read() == []
    assert world.count("link_unmatched_answers_total", link="bank-b") == 1
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"


def test_answer_on_another_connection_of_the_link(world):
    terminal, first, second = world.terminal(), world.issuer(), world.issuer()
    terminal.send(purchase(world))
    asked = [*first.read(), *second.read()]
    first.close()
    second.answer(asked[0])
    assert terminal.read_one()["39"] == "00"


def test_answer_without_a_code_is_none(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one(), f39=None)
    assert terminal.read() == []
    assert world.count("link_format_errors_total", link="bank-a") == 1
    world.advance(16)
    assert terminal.read_one()["39"] == "68"


def test_answer_with_an_unknown_code_is_a_refusal(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one(), "ZZ")
    assert terminal.read_one()["39"] == "05"
    assert world.engine.owed == 0


@pytest.mark.parametrize(
    "garbage", [b"\x00", b"0210", b"0210" + b"F" * 16, b"\xff" * 200, b"0200" + b"0" * 16, b"0620" + b"0" * 16]
)
def test_garbage_of_an_issuer_harms_nobody(world, garbage):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.feed(issuer.frame(garbage))
    assert issuer.hung_up is None
    assert issuer.read() == []
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    assert world.count("link_format_errors_total") + world.count("link_unexpected_messages_total") == 1


def test_broken_framing_of_an_issuer(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.read_one()
    issuer.feed(b"\xff\xff\xff")
    assert issuer.hung_up == "frame cannot be read"
    assert world.link("bank-a").connections.state_name == "down"
    assert world.count("link_frame_errors_total", link="bank-a") == 1
    assert terminal.ask(purchase(world))["39"] == "91"


def test_matching_by_reference_number(make_world):
    world = make_world(links=[link("bank-a", "iso87-ascii", match={"by": "rrn", "verify": [41]})], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.answer(asked, f37=None)
    issuer.answer(asked, f37="ABCDEFGHIJKL")
    assert terminal.read() == []
    issuer.answer(asked, f11="999999")
    assert terminal.read_one()["39"] == "00"


def test_another_reference_number_of_the_same_stan_is_another_request(make_world):
    world = make_world(links=[link("bank-a", "iso87-ascii", match={"by": "rrn", "verify": [41]})], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    issuer.answer(asked, f37=a_million_later(asked["37"]))
    assert terminal.read() == []
    assert world.count("link_mismatched_answers_total", link="bank-a") == 1
    issuer.answer(asked, "51")
    assert terminal.read_one()["39"] == "51"


@pytest.mark.parametrize("kept", [41, 4])
def test_one_repeated_field_is_enough(world, kept):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one(), **{f"f{field}": None for field in (41, 4) if field != kept})
    assert terminal.read_one()["39"] == "00"


def test_answer_that_repeats_nothing_is_nobodys(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one(), f41=None, f4=None, f7=None)
    assert terminal.read() == []
    assert world.count("link_mismatched_answers_total", link="bank-a") == 1
    world.advance(16)
    assert terminal.read_one()["39"] == "68"
    assert world.engine.owed == 1


def test_answer_of_another_function_is_nobodys(world):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one(), t="0290")
    assert terminal.read() == []
    assert world.count("link_mismatched_answers_total", link="bank-a") == 1
