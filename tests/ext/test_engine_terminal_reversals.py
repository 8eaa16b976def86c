"""Whose payment a terminal's reversal takes back, and what becomes of one that cannot be taken or is not known."""

from __future__ import annotations

import pytest

from tests.ext.numbers import NO_CEILING, spend_numbers
from tests.ext.world import CARD, World, change, link, listener, purchase, reversal

OTHER_CARD = "6225000000000022"


def approve(world, terminal, issuer, request):
    terminal.send(request)
    asked = issuer.read_one()
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    return asked


def test_original_is_of_the_class_that_is_named(world):
    terminal, issuer = world.terminal(), world.issuer()
    held = purchase(world, t="0100")
    paid = change(held, t="0200")
    first = approve(world, terminal, issuer, held)
    second = approve(world, terminal, issuer, paid)
    for request, asked in ((held, first), (paid, second)):
        assert terminal.ask(reversal(world, request))["39"] == "00"
        world.tick()
        taken_back = issuer.read_one()
        assert taken_back["90"][:10] == asked["t"] + asked["11"]
        issuer.answer(taken_back)


def sent(world, *, finished):
    """A purchase at its issuer, or told; the lines of both sides, what was said and what was asked."""
    terminal, issuer = world.terminal(), world.issuer()
    paid = purchase(world)
    terminal.send(paid)
    asked = issuer.read_one()
    if finished:
        issuer.answer(asked)
        terminal.read_one()
    return terminal, issuer, paid, asked


@pytest.mark.parametrize("changes", [{"f2": OTHER_CARD}, {"f7": "0114080000"}])
@pytest.mark.parametrize("finished", [True, False])
def test_another_payment_is_left_alone(world, changes, finished):
    """Its issuer may know what is meant: it is asked in the terminal's words."""
    terminal, issuer, paid, asked = sent(world, finished=finished)
    taken_back = reversal(world, change(paid, **changes))
    answer = terminal.ask(taken_back)
    assert answer["39"] == "00"
    if not finished:
        issuer.answer(asked)
        assert terminal.read_one()["39"] == "00"
    world.tick()
    passed_on = issuer.read_one()
    assert (passed_on["2"], passed_on["90"]) == (taken_back["2"], taken_back["90"])
    assert "38" not in passed_on
    issuer.answer(passed_on, "25")
    assert terminal.ask(paid)["39"] == "00"


@pytest.mark.parametrize("finished", [True, False])
def test_wrong_class_is_no_other_payment(world, finished):
    terminal, issuer, paid, asked = sent(world, finished=finished)
    assert terminal.ask(reversal(world, change(paid, t="0100")))["39"] == "00"
    if not finished:
        issuer.answer(asked)
        assert terminal.read_one()["39"] == "68"
    world.tick()
    assert issuer.read_one()["90"][:10] == asked["t"] + asked["11"]


def test_older_payment_of_a_number_is_found_by_its_moment(world):
    terminal, issuer = world.terminal(), world.issuer()
    old = purchase(world, f11="000500", f7="0114080000", f13="0114")
    new = purchase(world, f11="000500")
    asked = approve(world, terminal, issuer, old)
    approve(world, terminal, issuer, new)
    assert terminal.ask(reversal(world, old))["39"] == "00"
    world.tick()
    assert issuer.read_one()["90"][4:10] == asked["11"]
    assert terminal.ask(new)["39"] == "00"
    assert terminal.ask(old)["39"] == "68"


def test_batch_tells_cup_payments_of_one_number_apart(world):
    terminal, issuer = world.terminal("cup"), world.issuer()
    old = purchase(world, "cup")
    asked = approve(world, terminal, issuer, old)
    approve(world, terminal, issuer, change(old, f60="22000002"))
    assert terminal.ask(reversal(world, old))["39"] == "00"
    world.tick()
    assert issuer.read_one()["90"][4:10] == asked["11"]


def test_refusal_that_may_pass_is_not_kept():
    world = World(limits={"duplicate_window_count_max": 1, "transactions_in_flight_max": 1})
    slow, terminal, issuer = world.terminal(), world.terminal(), world.issuer()
    slow.send(purchase(world, f48="X" * 80))  # under way, it takes all of the places
    unknown = reversal(world, purchase(world))
    assert terminal.ask(unknown)["39"] == "96"
    issuer.answer(issuer.read_one())
    assert slow.read_one()["39"] == "00"
    assert terminal.ask(change(unknown, t="0401"))["39"] == "00"
    world.settle()


def two_issuers(make_world):
    return make_world(
        links=[link("bank-a", "iso87-ascii"), link("bank-b", "iso87-ascii")], routes=["6,,,,,,bank-a:1|bank-b:2"]
    )


@pytest.mark.parametrize("code", ["25", "00"])
def test_unknown_original_is_asked_of_the_next_issuer(make_world, code):
    world = two_issuers(make_world)
    terminal, first, second = world.terminal(), world.issuer(), world.issuer("bank-b")
    assert terminal.ask(reversal(world, purchase(world)))["39"] == "00"
    world.tick()
    first.answer(first.read_one(), code)
    world.tick()
    if code == "00":
        assert second.read() == []
    else:
        assert world.engine.owed == 1
        passed_on = second.read_one()
        assert (passed_on["t"], passed_on["2"]) == ("0420", CARD)
        second.answer(passed_on, "25")
        # Nobody else can be asked, and the terminal was promised it: it is told to somebody, and kept.
        world.tick()
        assert [details["link"] for details in world.told("reversal_not_found")] == ["bank-a", "bank-b"]
        assert world.count("promised_reversals_not_found_total", link="bank-b") == 1
    world.tick()
    assert world.engine.owed == (code == "25")
    assert first.read() == second.read() == []


def test_what_cannot_be_passed_on_just_now_is_passed_on_later(make_world):
    """Its first issuer is asked again, until there is a number for the next one."""
    world = two_issuers(make_world)
    terminal, first = world.terminal(), world.issuer()
    assert terminal.ask(reversal(world, purchase(world)))["39"] == "00"
    world.tick()
    spend_numbers(world)
    asked = first.read_one()
    first.answer(asked, "25")
    assert world.engine.owed == 1
    world.engine.state.numbering.ceiling = NO_CEILING
    world.advance(12)
    again = first.read_one()
    assert (again["t"], again["37"]) == ("0421", asked["37"])
    first.answer(again, "25")
    second = world.issuer("bank-b")
    world.tick()
    second.answer(second.read_one())
    assert world.engine.owed == 0


def test_stored_answer_is_not_told_without_its_mac(make_world):
    world = make_world(listeners=[listener("open", "iso87-ascii", mac="none"), listener("iso", "iso87-ascii")])
    unsigned, terminal, issuer = world.terminal("open"), world.terminal(), world.issuer()
    paid = purchase(world)
    unsigned.send(paid, mac=False)
    issuer.answer(issuer.read_one())
    assert "128" not in unsigned.read_one()
    answer = terminal.ask(paid)
    assert answer["39"] == "94"
    assert terminal.is_sealed(answer)


def test_approval_that_was_told_once_may_be_forgotten(make_world):
    world = make_world(limits={"duplicate_window_seconds": 3})
    deaf, quick, issuer = world.terminal(), world.terminal(), world.issuer()
    paid = purchase(world)
    deaf.send(paid)
    issuer.answer(issuer.read_one())
    quick.send(paid)
    assert quick.read_one()["39"] == "00"
    deaf.send(paid)
    world.advance(5, step=1)
    assert world.engine.state.duplicates.in_use == 0
    assert len(deaf.read()) == 2
    deaf.close()
    assert world.engine.owed == 0


@pytest.mark.parametrize(
    ("syncs", "reason"), [(True, "peer does not read"), (False, "journal does not become durable")]
)
def test_stalls_are_told_apart(world, syncs, reason):
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    world.syncs = False
    issuer.answer(asked)
    if syncs:
        world.journal.sync()
    world.advance(11)
    assert terminal.hung_up == reason
    world.syncs = True
