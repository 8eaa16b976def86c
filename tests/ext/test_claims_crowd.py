"""Very many claims on one payment at one time: none is counted nowhere, and together they cost few look-ups."""

from __future__ import annotations

import pytest

from tests.ext.claims_world import OTHER_TILL, SALE, TILL, Switch
from tests.ext.test_claims import TWO
from tests.ext.world import change

SALE_MINOR = 7_50
REFUND_MINOR = 1_25
REFUNDS = 8
LOOK_UP_S = 0.6
"""A round of the keeper: at so many a claim each, the last would wait longer than its patience."""

CROWDS = {"one worker": [[0, 1, 2, 3]], "two workers": TWO}


def told_of(switch, tills):
    """Codes of very many refunds of one sale, all at once."""
    _, _, told = switch.sold(f4=f"{SALE_MINOR:012d}")
    lines = []
    for number in range(REFUNDS):
        for till in tills:
            refund = switch.undoing("refund", till, told, f4=f"{REFUND_MINOR:012d}", f11=f"{number + 1:06d}")
            lines.append(switch.send(refund))
    codes = []
    for _ in range(20):
        switch.step(LOOK_UP_S, 1)
        for till in tills:
            switch.answer(till)
        codes += [answer["39"] for line in lines for answer in line.read()]
    return codes


@pytest.mark.parametrize("owned", CROWDS.values(), ids=CROWDS)
def test_no_more_is_given_back_than_was_paid(owned):
    codes = told_of(Switch(owned), (TILL, OTHER_TILL))
    assert len(codes) == 2 * REFUNDS
    assert {one: codes.count(one) for one in set(codes)} == {
        "00": SALE_MINOR // REFUND_MINOR,
        "13": 2 * REFUNDS - SALE_MINOR // REFUND_MINOR,
    }


def test_a_keeper_that_has_no_time_for_it_leaves_nothing_uncounted():
    """It is there, and does not come to look: whoever asks is told to come again, and no issuer hears of it."""
    switch = Switch(TWO)
    _, _, told = switch.sold()
    keeper = switch.worker_of(SALE)
    keeper.is_slow = True
    refund = switch.undoing("refund", TILL, told)
    line = switch.send(refund)
    switch.step(0.25, 30)
    assert switch.answer(TILL) is None
    assert line.read_one()["39"] == "96"
    keeper.is_slow = False
    switch.step(0.25, 10)
    again = switch.send(change(refund, f11="000888"))
    switch.step()
    switch.answer(TILL)
    switch.step()
    assert again.read_one()["39"] == "00"


def test_where_the_issuer_decides_it_goes_on():
    switch = Switch(TWO, excess="forward")
    _, _, told = switch.sold()
    switch.worker_of(SALE).is_slow = True
    line = switch.send(switch.undoing("refund", TILL, told))
    switch.step(0.25, 30)
    assert switch.answer(TILL) is not None
    switch.step()
    assert line.read_one()["39"] == "00"


def test_a_claim_does_not_pass_a_refund_at_a_till_of_its_keeper():
    """Both are looked up before either is decided."""
    switch = Switch(TWO)
    _, _, told = switch.sold()
    keeper = switch.worker_of(SALE)
    keeper.is_slow = True
    lines = [switch.send(switch.undoing("refund", till, told)) for till in (TILL, SALE)]
    switch.step()
    keeper.is_slow = False
    switch.step()
    for till in (TILL, SALE):
        switch.answer(till)
    switch.step()
    assert sorted(line.read_one()["39"] for line in lines) == ["00", "13"]
