"""A claim that is granted when its request went on without: it is told as any other, and goes to no other request."""

from __future__ import annotations

import pytest

from switch.dialect.kinds import Kind
from switch.machine.partitioning import partition_of
from tests.ext.claims_world import OTHER_TILL, SALE, TILL, Switch
from tests.ext.mesh_records import SAMPLES, written
from tests.ext.test_claims import TWO, code
from tests.ext.world import change, reversal

MINUTE_S = 60


@pytest.fixture
def switch():
    return Switch(TWO)


def refunded_without_claim(switch, told, issuer="00", **changes):
    """A refund at a till whose keeper was asked, and then away; its claim is granted afterwards. None as ``issuer``: no
    answer."""
    keeper = switch.worker_of(SALE)
    refund = switch.undoing("refund", TILL, told, **changes)
    keeper.is_slow = True
    line = switch.send(refund)
    switch.step()
    switch.part()
    switch.step(0.25, 30)
    given = None
    if issuer is not None:
        switch.answer(TILL, issuer)
        switch.step()
        given = line.read_one()
        assert given["39"] == issuer
    keeper.is_slow = False
    switch.step(0.25, 30)
    switch.meet()
    switch.step(0.25, 30)
    return refund, given


def wait_for_reminders(switch):
    switch.step(1, 2 * MINUTE_S)
    switch.answer(TILL)
    switch.step()


@pytest.mark.parametrize("number", [None, 0, -1])
def test_it_counts_while_the_request_stands(switch, number):
    _, _, told = switch.sold()
    refunded_without_claim(switch, told)
    if number is not None:
        switch.kill(number)
        wait_for_reminders(switch)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "13"


@pytest.mark.parametrize("number", [None, 0, -1])
def test_it_is_free_when_the_request_was_declined(switch, number):
    _, _, told = switch.sold()
    refunded_without_claim(switch, told, "05")
    if number is not None:
        switch.kill(number)
        wait_for_reminders(switch)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"


@pytest.mark.parametrize("number", [None, 0, -1])
@pytest.mark.parametrize("is_late", [False, True], ids=["reversed after the restart", "reversed before it"])
def test_it_is_free_when_the_reversal_of_the_request_is_acknowledged(switch, number, is_late):
    _, _, told = switch.sold()
    refund, _ = refunded_without_claim(switch, told)
    if number is not None and not is_late:
        switch.kill(number)
    line = switch.send(reversal(switch.workers[0], refund))
    switch.step()
    assert line.read_one()["39"] == "00"
    if number is not None and is_late:
        switch.kill(number)
        switch.step()
    assert code(switch, switch.undoing("refund", OTHER_TILL, told, f4="000000000001")) == "13"
    for _ in range(20):
        switch.step(0.5, 4)
        switch.answer(TILL)
    wait_for_reminders(switch)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"


def test_it_is_free_when_the_request_was_reversed_before_it_was_granted(switch):
    """Its issuer does not answer."""
    _, _, told = switch.sold()
    keeper = switch.worker_of(SALE)
    keeper.is_slow = True
    switch.send(switch.undoing("refund", TILL, told))
    switch.step()
    switch.part()
    switch.step(0.25, 30)
    switch.worker_of(TILL).lines[0].read()
    switch.step(1, 60)
    keeper.is_slow = False
    switch.meet()
    switch.worker_of(TILL).issuer()  # which has given the first connection up
    switch.step()
    assert code(switch, switch.undoing("refund", OTHER_TILL, told, f4="000000000001")) == "13"
    for _ in range(20):
        switch.step(0.5, 4)
        switch.answer(TILL)
    wait_for_reminders(switch)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"


@pytest.mark.parametrize("number", [None, 0, -1])
def test_it_is_free_when_the_request_was_voided(switch, number):
    _, _, told = switch.sold()
    _, given = refunded_without_claim(switch, told)
    if number is not None:
        switch.kill(number)
    void = switch.undoing("refund_void", TILL, given)
    assert code(switch, void) == "00"
    switch.step(0.5)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"
    assert code(switch, reversal(switch.workers[0], void)) == "12", "what it has set free may be with others"


def test_a_request_does_not_take_what_another_one_of_its_name_was_granted(switch):
    """The till comes back with the same numbers, and another payment of the same card and amount."""
    _, _, first = switch.sold()
    _, sale, second = switch.sold()
    keeper = switch.worker_of(SALE)
    keeper.is_slow = True
    request = switch.undoing("refund", TILL, first)
    switch.send(request).close()
    switch.step(0.25, 30)
    line = switch.send(change(request, f37=second["37"]))
    keeper.is_slow = False
    switch.step(0.25)
    asked = switch.answer(TILL)
    switch.step()
    assert line.read_one()["39"] == "00"
    assert asked["90"].startswith(sale["t"] + sale["11"] + sale["7"])
    wait_for_reminders(switch)
    assert code(switch, switch.undoing("refund", OTHER_TILL, second)) == "13"
    assert code(switch, switch.undoing("refund", OTHER_TILL, first)) == "00"


def test_nothing_is_said_of_it_before_it_is_durable_that_it_refers():
    """Else a crash could part it again from what others were granted because of it."""
    switch = Switch(TWO)
    _, _, told = switch.sold()
    keeper, claimant = switch.worker_of(SALE), switch.worker_of(TILL)
    keeper.is_slow = True
    switch.send(switch.undoing("refund", TILL, told))
    switch.step()
    switch.part()
    switch.step(0.25, 30)
    switch.answer(TILL)
    keeper.is_slow = False
    switch.step(0.25, 10)
    claimant.syncs = False
    switch.meet()
    switch.step(0.25, 10)
    assert states_of(switch) == []
    claimant.syncs = True
    switch.step(0.25, 10)
    assert states_of(switch) == ["stands"]


def states_of(switch):
    """What the keeper has written down of what became of claims."""
    return [one["state"] for one in switch.records(SALE) if one["type"] == "CLAIM_STATE"]


def test_a_keeper_that_grants_claims_to_payments_is_cut_off(switch):
    claimant = switch.worker_of(TILL)
    said = {**SAMPLES["claimed"], "partition": partition_of(TILL, 4), "claimant": partition_of(TILL, 4)}
    said |= {"keeper": partition_of(SALE, 4), "link": 0, "transaction_kind": Kind.PURCHASE.value}
    claimant.engine.hear(claimant.peer, written("claimed", said))
    assert "a claim that cannot be" in claimant.peer.fault
