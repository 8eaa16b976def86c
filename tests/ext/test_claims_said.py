"""What a claimant says of a claim is written down only where the claim is its own, as memory or the journal knows."""

from __future__ import annotations

import pytest

from switch.machine.partitioning import partition_of
from tests.ext.claims_world import OTHER_TILL, SALE, TILL, Switch
from tests.ext.mesh_records import judged, written
from tests.ext.test_claims import ONE, TWO, code
from tests.ext.test_claims_unsure import MINUTE_S, WINDOW_S, let_pass

GONE = 2
KEEPER, CLAIMANT, STRANGER = (partition_of(terminal, 4) for terminal in (SALE, TILL, "10000007"))


def refunded():
    """A sale whose refund stands at another worker."""
    switch = Switch(TWO)
    _, _, told = switch.sold()
    assert code(switch, switch.undoing("refund", TILL, told)) == "00"
    (claim,) = (record for record in switch.records(SALE) if record["type"] == "CLAIM")
    return switch, told, claim["position"]


def said(switch, claimant, *positions):
    """What the keeper writes down, and what it answers, when a worker says that claims are gone."""
    keeper = switch.worker_of(SALE)
    before = len(switch.records(SALE))
    records = [
        written(
            "claim_state",
            {
                "partition": KEEPER,
                "position": position,
                "approved_minor": 0,
                "claimant": claimant,
                "number": 1_000 + number,
                "state": GONE,
            },
        )
        for number, position in enumerate(positions)
    ]
    keeper.engine.hear(keeper.peer, b"".join(records))
    answered = []
    for _ in range(3 * len(positions) + 3):
        keeper.seek()
        keeper.tick()
        keeper.sync()
        output = keeper.peer.take_output()
        while output:
            kind, values, size = judged(output)
            output = output[size:]
            if kind == "claim_noted":
                answered.append((values["position"], values["number"] - 1_000))
    assert keeper.peer.fault is None
    return [record["type"] for record in switch.records(SALE)[before:]], sorted(answered)


def test_what_is_no_claim_fills_no_journal():
    switch, _, claim = refunded()
    positions = [position for position in range(1, 20) if position != claim]
    for claimant in (CLAIMANT, STRANGER):
        assert said(switch, claimant, *positions) == ([], [(one, number) for number, one in enumerate(positions)])


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_nobody_decides_a_claim_of_another_partition(is_forgotten):
    switch, told, claim = refunded()
    if is_forgotten:
        let_pass(switch, WINDOW_S + 2 * MINUTE_S)
    assert said(switch, STRANGER, claim) == ([], [(claim, 0)])
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "13"
    assert said(switch, CLAIMANT, claim) == (["CLAIM_STATE"], [(claim, 0)])
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"


@pytest.mark.parametrize("owned", [ONE, TWO])
@pytest.mark.parametrize("number", [None, 0, -1])
def test_a_claim_that_memory_has_forgotten_is_set_free_by_a_late_void(owned, number):
    switch = Switch(owned)
    _, _, told = switch.sold()
    _, given = switch.ask(switch.undoing("refund", TILL, told))
    assert given["39"] == "00"
    let_pass(switch, WINDOW_S + 2 * MINUTE_S)
    if number is not None:
        switch.kill(number)
        switch.step()
    assert code(switch, switch.undoing("refund_void", TILL, given)) == "00"
    switch.step(0.5)
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"
    assert code(switch, switch.undoing("refund", SALE, told)) == "13"
    switch.step(MINUTE_S, 3)
    assert [worker.engine.partitions.states[0].claims.said for worker in switch.workers] == [{} for _ in switch.workers]


def test_what_the_journal_cannot_tell_now_is_said_again_until_it_can():
    switch, _, claim = refunded()
    let_pass(switch, WINDOW_S + 2 * MINUTE_S)
    keeper = switch.worker_of(SALE)
    keeper.is_certain = False
    assert said(switch, STRANGER, claim, 1) == ([], [(claim, 0)])
    keeper.is_certain = True
    assert said(switch, STRANGER, 1) == ([], [(1, 0)])
