"""What is not known for sure of a request that was granted a claim: it counts as standing, however long."""

from __future__ import annotations

import pytest

from tests.ext.claims_world import OTHER_TILL, TILL, Switch
from tests.ext.test_claims import ONE, TWO
from tests.ext.world import IssuerLine, change

WINDOW_S = 600
MINUTE_S = 60


@pytest.fixture(params=[ONE, TWO], ids=["one worker", "two workers"])
def switch(request):
    return Switch(request.param)


def let_pass(switch, seconds):
    """Issuers take what they are sent, and answer nothing."""
    for _ in range(int(seconds / 10)):
        for worker in switch.workers:
            for line in worker.lines:
                if isinstance(line, IssuerLine):
                    line.read()
        switch.step(10, 1)


def refunded(switch, told):
    """What another till is told at once that refunds a sale; None: its issuer would be asked, which answers nothing."""
    line = switch.send(switch.undoing("refund", OTHER_TILL, told))
    switch.step()
    answers = line.read()
    return answers[0]["39"] if answers else None


def test_a_void_whose_delivery_nobody_has_noted_stands_when_the_window_has_forgotten_it(switch):
    """Its worker is killed when the answer has left, and before that is written down."""
    _, _, told = switch.sold()
    line = switch.send(switch.undoing("void", TILL, told))
    switch.step()
    switch.answer(TILL)
    switch.worker_of(TILL).sync()
    assert line.read_one()["39"] == "00"
    switch.kill(-1)
    let_pass(switch, WINDOW_S + 5 * MINUTE_S)
    assert refunded(switch, told) == "12"


def test_another_request_of_the_same_name_says_nothing_of_an_older_claim(switch):
    """The reversal of the first one is owed for longer than the window knows of it."""
    _, _, told = switch.sold()
    refund = switch.undoing("refund", TILL, told)
    switch.send(refund)
    switch.step()
    let_pass(switch, WINDOW_S + 2 * MINUTE_S)
    assert refunded(switch, told) == "13", "its reversal is not acknowledged"
    switch.send(change(refund, f3="000000", f37=None, f4="000000000007"))
    switch.step()
    let_pass(switch, 3 * MINUTE_S)
    assert refunded(switch, told) == "13"


def test_what_speaks_of_a_journal_that_is_gone_ends_no_connection():
    switch = Switch(TWO)
    _, _, told = switch.sold()
    switch.send(switch.undoing("refund", TILL, told))
    switch.step()
    keeper = switch.worker_of(told["41"])
    assert keeper is not switch.worker_of(TILL)
    switch.part()
    for partition in keeper.owned:
        switch.disks[partition] = type(switch.disks[partition])()
    switch.kill(switch.workers.index(keeper))
    switch.answer(TILL)
    switch.step()
    assert [worker.peer.fault for worker in switch.workers] == [None, None]
