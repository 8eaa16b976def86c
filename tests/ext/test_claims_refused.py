"""A claim comes before what its claimant finds out by itself: of what is refused then, it stands in nobody's way."""

from __future__ import annotations

import pytest

from tests.ext.claims_world import OTHER_TILL, TILL, Switch
from tests.ext.test_claims import ONE, TWO, code
from tests.ext.world import IssuerLine


@pytest.mark.parametrize("owned", [ONE, TWO], ids=["one worker", "two workers"])
@pytest.mark.parametrize("again", [False, True], ids=["once", "asked again"])
def test_a_refund_that_is_refused_behind_its_claim_frees_the_amount_at_once(owned, again):
    """Its issuer is not there. What repeats it is told the same, and claims nothing."""
    switch = Switch(owned)
    _, _, told = switch.sold()
    refund = switch.undoing("refund", TILL, told)
    line = switch.send(refund)
    for worker in switch.workers:
        for issuer in [one for one in worker.lines if isinstance(one, IssuerLine)]:
            issuer.close()
    for _ in range(20):
        switch.step(0.01, 1)
        if answers := line.read():
            break
    assert [answer["39"] for answer in answers] == ["91"]
    assert sum(record["type"] == "CLAIM" for record in switch.records(told["41"])) == 1
    switch.step(0.01, 5)
    assert [len(state.claims.open) for one in switch.workers for state in one.engine.partitions.states] == [0] * 4
    if again:
        line.send(refund)
        switch.step()
        assert line.read_one()["39"] == "91"
    for worker in switch.workers:
        worker.issuer()
    switch.step()
    assert code(switch, switch.undoing("refund", OTHER_TILL, told)) == "00"
