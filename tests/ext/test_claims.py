"""An original of another partition is found, named as its issuer knows it, and what refers to it is counted there."""

from __future__ import annotations

import pytest

from tests.ext.claims_world import OTHER_TILL, SALE, TILL, Switch
from tests.ext.world import reversal

ONE, TWO = [(0, 1, 2, 3)], [(0, 1), (2, 3)]


@pytest.fixture(params=[ONE, TWO], ids=["one worker", "two workers"])
def switch(request):
    return Switch(request.param)


def code(switch, document, issuer="00", **changes):
    return switch.ask(document, issuer, **changes)[1]["39"]


def test_a_refund_at_another_till_names_its_original(switch):
    _, sale, told = switch.sold()
    asked, answer = switch.ask(switch.undoing("refund", TILL, told))
    assert answer["39"] == "00"
    assert asked["90"].startswith(sale["t"] + sale["11"] + sale["7"])
    assert asked["38"] == "A1B2C3"


def test_a_sale_is_refunded_once_whatever_the_tills(switch):
    _, _, told = switch.sold()
    assert code(switch, switch.undoing("refund", TILL, told)) == "00"
    for till in (OTHER_TILL, SALE, TILL):
        assert code(switch, switch.undoing("refund", till, told)) == "13"
        assert code(switch, switch.undoing("void", till, told)) == "12"


def test_parts_add_up(switch):
    _, _, told = switch.sold()
    for till in (TILL, SALE, OTHER_TILL, TILL):
        assert code(switch, switch.undoing("refund", till, told, f4="000000000250")) == "00"
    for till in (TILL, SALE, OTHER_TILL):
        assert code(switch, switch.undoing("refund", till, told, f4="000000000001")) == "13"


def test_what_was_voided_elsewhere_is_not_refunded(switch):
    _, _, told = switch.sold()
    assert code(switch, switch.undoing("void", TILL, told)) == "00"
    for till in (OTHER_TILL, SALE):
        assert code(switch, switch.undoing("void", till, told)) == "12"
        assert code(switch, switch.undoing("refund", till, told)) == "12"


def test_a_refund_that_is_declined_frees_the_amount(switch):
    _, _, told = switch.sold()
    assert code(switch, switch.undoing("refund", TILL, told), "05") == "05"
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"
    assert code(switch, switch.undoing("refund", SALE, told)) == "13"


@pytest.mark.parametrize("tills", [(TILL, OTHER_TILL), (TILL, OTHER_TILL, SALE)])
def test_two_refunds_at_one_moment_do_not_pass_one_another(switch, tills):
    _, _, told = switch.sold()
    lines = [switch.send(switch.undoing("refund", till, told)) for till in tills]
    switch.step()
    for till in tills:
        switch.answer(till)
    switch.step()
    assert sorted(line.read_one()["39"] for line in lines) == ["00", "13", "13"][: len(tills)]


def test_a_refund_that_is_taken_back_frees_the_amount_once_its_issuer_knows(switch):
    _, _, told = switch.sold()
    refund = switch.undoing("refund", TILL, told)
    assert code(switch, refund) == "00"
    line = switch.send(reversal(switch.workers[0], refund))
    switch.step()
    assert line.read_one()["39"] == "00"
    switch.step(0.5)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told, f4="000000000001")) == "13"
    switch.answer(TILL)
    switch.step(0.5)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"


def test_a_sale_is_not_taken_back_while_its_refund_is_under_way(switch):
    sale, _, told = switch.sold()
    line = switch.send(switch.undoing("refund", TILL, told))
    switch.step()
    reversing = switch.send(reversal(switch.workers[0], sale))
    switch.step()
    assert reversing.read_one()["39"] == "12"
    switch.answer(TILL, "05")
    switch.step()
    assert line.read_one()["39"] == "05"
    assert code(switch, reversal(switch.workers[0], sale)) == "00"


def test_a_refund_of_another_partition_can_be_voided_and_sets_the_amount_free(switch):
    """The void is done at the till that refunded, or at another one, where it claims the refund."""
    for voids_at in (TILL, OTHER_TILL, SALE):
        _, _, told = switch.sold()
        _, given = switch.ask(switch.undoing("refund", TILL, told))
        assert given["39"] == "00"
        void = switch.undoing("refund_void", voids_at, given)
        assert code(switch, void) == "00"
        switch.step(0.5)
        assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"
        assert code(switch, switch.undoing("refund", SALE, told)) == "13"
        # What the void has set free may be with others: it is not taken back any more.
        assert code(switch, reversal(switch.workers[0], void)) == "12"


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("stands", [True, False])
def test_both_sides_know_it_after_a_restart(switch, number, stands):
    _, _, told = switch.sold()
    assert code(switch, switch.undoing("refund", TILL, told), "00" if stands else "05") == ("00" if stands else "05")
    switch.kill(number)
    switch.step()
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == ("13" if stands else "00")


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("moment", range(10))
def test_a_claim_whose_request_never_left_is_free_after_a_restart(switch, number, moment):
    """The till asks again; nobody else gets it meanwhile."""
    _, _, told = switch.sold()
    refund = switch.undoing("refund", TILL, told)
    switch.send(refund)
    switch.step(0.01, moment)
    switch.kill(number)
    switch.step()
    switch.answer(TILL)
    switch.step(0.5, 30)
    switch.answer(TILL)  # the reversal of what was under way
    switch.step(0.5)
    first = code(switch, refund)
    second = code(switch, switch.undoing("refund", OTHER_TILL, told))
    assert (first == "00") != (second == "00"), (first, second)


@pytest.mark.parametrize("is_lost", [True, False])
def test_what_becomes_of_a_claim_is_said_when_the_keeper_is_there_again(is_lost):
    """Whether it was not said yet, or what was said is lost."""
    switch = Switch(TWO)
    _, _, told = switch.sold()
    line = switch.send(switch.undoing("refund", TILL, told))
    switch.step()
    if is_lost:
        switch.answer(TILL, "05")
        switch.worker_of(TILL).tick()
    switch.part()
    switch.answer(TILL, "05")
    switch.step()
    assert line.read_one()["39"] == "05"
    switch.meet()
    switch.step()
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"


@pytest.mark.parametrize(("not_found", "expected"), [("forward", "00"), ("refuse", "96")])
def test_a_keeper_that_is_away(not_found, expected):
    switch = Switch(TWO, not_found=not_found)
    _, _, told = switch.sold()
    switch.part()
    line = switch.send(switch.undoing("refund", TILL, told))
    switch.step(0.25, 30)
    switch.answer(TILL)
    switch.step()
    assert line.read_one()["39"] == expected


def test_a_claim_that_is_granted_too_late_counts_for_the_request_that_went_on_without():
    switch = Switch(TWO)
    _, _, told = switch.sold()
    keeper = switch.worker_of(SALE)
    line = switch.send(switch.undoing("refund", TILL, told))
    switch.carry()
    switch.step(0.01, 3)
    keeper.is_slow = True
    switch.step(0.25, 30)
    switch.answer(TILL)
    switch.step()
    assert line.read_one()["39"] == "00"
    keeper.is_slow = False
    switch.step()
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "13"


def test_a_number_that_is_the_terminals_own_is_not_found_for_certain(switch):
    switch = Switch(switch.owned, not_found="refuse")
    _, _, told = switch.sold()
    strange = {"70153ZZZZZZZ": "25", told["37"][:-1] + "Z": "25", "123456789012": "25"}
    for rrn, expected in strange.items():
        assert code(switch, switch.undoing("refund", TILL, told, f37=rrn)) == expected


def test_another_card_is_another_payment(switch):
    switch = Switch(switch.owned, not_found="refuse")
    _, _, told = switch.sold()
    assert code(switch, switch.undoing("refund", TILL, told, f2="6225000000000022")) == "25"


@pytest.mark.parametrize("number", [0, -1])
def test_a_refund_whose_reversal_is_owed_at_a_restart_is_free_when_that_is_acknowledged(switch, number):
    _, _, told = switch.sold()
    refund = switch.undoing("refund", TILL, told)
    assert code(switch, refund) == "00"
    line = switch.send(reversal(switch.workers[0], refund))
    switch.step()
    assert line.read_one()["39"] == "00"
    switch.kill(number)
    switch.step(0.5)
    assert code(switch, switch.undoing("refund", SALE, told, f4="000000000001")) == "13"
    for _ in range(20):  # until it is answered while it is at the issuer
        switch.step(0.5, 4)
        switch.answer(TILL)
    switch.step(0.5)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"


def test_a_claim_is_durable_before_its_request_leaves():
    switch = Switch(TWO)
    _, _, told = switch.sold()
    keeper = switch.worker_of(SALE)
    keeper.syncs = False
    switch.send(switch.undoing("refund", TILL, told))
    switch.step()
    assert not any(record["type"] == "INTENT" for record in switch.records(TILL))
    keeper.syncs = True
    switch.step()
    assert any(record["type"] == "INTENT" for record in switch.records(TILL))
