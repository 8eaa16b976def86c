"""What became of a request that memory has forgotten: its keeper asks, and the claimant's journal answers."""

from __future__ import annotations

import pytest

from switch.machine.partitioning import partition_of
from switch.server.original_lookups import CLAIM_OLD_SECONDS, old_claims
from tests.ext.claims_world import OTHER_TILL, SALE, TILL, Switch
from tests.ext.memory_disk import MemoryDisk
from tests.ext.test_claims import TWO, code
from tests.ext.test_claims_repartitioned import LAST_TILL
from tests.ext.test_claims_unsure import MINUTE_S, WINDOW_S, let_pass, refunded
from tests.ext.world import reversal

FREE = None


@pytest.fixture
def switch():
    return Switch(TWO)


def is_open(switch):
    states = switch.worker_of(SALE).engine.partitions.states
    return any(state.claims.open for state in states)


def outlast(switch):
    """The two are apart for longer than the window knows of anything, and meet again."""
    switch.part()
    let_pass(switch, WINDOW_S + 5 * MINUTE_S)
    switch.meet()
    let_pass(switch, 4 * MINUTE_S)


def granted(switch, told, kind="refund"):
    """A request whose claim is granted, and that its issuer has; the line on which its terminal waits."""
    document = switch.undoing(kind, TILL, told)
    line = switch.send(document)
    switch.step()
    assert is_open(switch)
    switch.part()
    return document, line


@pytest.mark.parametrize(("issuer", "expected"), [("00", "13"), ("05", FREE)])
@pytest.mark.parametrize("restarts", [(), ("keeper",), ("claimant",), ("keeper", "claimant")])
def test_what_became_of_it_is_told_after_a_long_outage(switch, issuer, expected, restarts):
    _, _, told = switch.sold()
    _, line = granted(switch, told)
    switch.answer(TILL, issuer)
    switch.step()
    assert line.read_one()["39"] == issuer
    let_pass(switch, WINDOW_S + MINUTE_S)
    for name in restarts:
        switch.kill(switch.workers.index(switch.worker_of(SALE if name == "keeper" else TILL)))
        switch.part()
    outlast(switch)
    assert not is_open(switch)
    assert refunded(switch, told) == expected


def test_a_void_stands_after_a_long_outage(switch):
    _, _, told = switch.sold()
    _, line = granted(switch, told, "void")
    switch.answer(TILL)
    switch.step()
    assert line.read_one()["39"] == "00"
    outlast(switch)
    assert not is_open(switch)
    assert refunded(switch, told) == "12"


def test_what_never_left_is_free_after_a_long_outage(switch):
    assert code(switch, switch.purchase(TILL)) == "00"  # so its journal was begun before
    switch.step(1)
    _, _, told = switch.sold()
    claimant, keeper = switch.worker_of(TILL), switch.worker_of(SALE)
    claimant.syncs = False  # so nothing leaves
    switch.send(switch.undoing("refund", TILL, told))
    for _ in range(20):
        if is_open(switch):
            break
        switch.step(0.01, 1)
        keeper.sync()
        claimant.syncs = not is_open(switch)
    switch.kill(switch.workers.index(claimant))
    assert sum(record["type"] == "INTENT" for record in switch.records(TILL)) == 1
    outlast(switch)
    assert not is_open(switch)
    assert refunded(switch, told) == FREE


def test_a_claim_stays_open_whose_claimant_has_lost_its_journal(switch):
    _, _, told = switch.sold()
    _, line = granted(switch, told)
    switch.answer(TILL)
    switch.step()
    assert line.read_one()["39"] == "00"
    claimant = switch.worker_of(TILL)
    for partition in claimant.owned:
        switch.disks[partition] = MemoryDisk()
    switch.kill(switch.workers.index(claimant))
    outlast(switch)
    assert is_open(switch)
    assert refunded(switch, told) == "13"
    keeper = switch.worker_of(SALE)
    count, oldest_s = keeper.engine.open_claims()
    assert count == 1
    assert WINDOW_S + 8 * MINUTE_S < oldest_s < WINDOW_S + 12 * MINUTE_S
    assert old_claims(keeper.engine) == {}
    let_pass(switch, CLAIM_OLD_SECONDS - oldest_s + 10)
    ((count, oldest_s),) = [tuple(old.values()) for old in old_claims(keeper.engine).values()]
    assert count == 1
    assert CLAIM_OLD_SECONDS <= oldest_s < CLAIM_OLD_SECONDS + MINUTE_S


def test_a_claim_stays_open_while_the_reversal_of_its_request_is_owed(switch):
    _, _, told = switch.sold()
    refund, line = granted(switch, told)
    switch.answer(TILL)
    switch.step()
    assert line.read_one()["39"] == "00"
    line = switch.send(reversal(switch.workers[0], refund))
    switch.step()
    assert line.read_one()["39"] == "00"
    outlast(switch)
    assert is_open(switch)
    assert refunded(switch, told) == "13"
    switch.worker_of(TILL).issuer()
    for _ in range(60):
        switch.step(1, 4)
        switch.answer(TILL)
    assert not is_open(switch)


def test_a_refund_that_was_voided_is_free_after_a_long_outage(switch):
    _, _, told = switch.sold()
    _, line = granted(switch, told)
    switch.answer(TILL)
    switch.step()
    given = line.read_one()
    assert code(switch, switch.undoing("refund_void", TILL, given)) == "00"
    outlast(switch)
    assert not is_open(switch)
    assert refunded(switch, told) == FREE


@pytest.mark.parametrize(("issuer", "expected"), [("00", "13"), ("05", FREE)])
def test_what_went_on_without_its_claim_is_told_after_a_long_outage(switch, issuer, expected):
    _, _, told = switch.sold()
    switch.carry()
    keeper = switch.worker_of(SALE)
    step = keeper.sync
    keeper.sync = lambda: None  # what it grants is not durable yet
    line = switch.send(switch.undoing("refund", TILL, told))
    switch.step()
    switch.part()
    switch.step(0.25, 30)
    switch.answer(TILL, issuer)
    keeper.sync = step
    switch.step()
    assert line.read_one()["39"] == issuer
    assert is_open(switch)
    outlast(switch)
    let_pass(switch, 2 * MINUTE_S)
    assert not is_open(switch)
    assert refunded(switch, told) == expected


def test_the_void_of_a_refund_stands_whose_keeper_asks_after_a_restart(switch):
    """The keeper does not know whether what it voids refers to something itself."""
    _, _, told = switch.sold()
    _, given = switch.ask(switch.undoing("refund", SALE, told))
    assert given["39"] == "00"
    claimant = switch.worker_of(TILL)
    line = switch.send(switch.undoing("refund_void", TILL, given))
    switch.step()
    switch.part()
    switch.answer(TILL)
    switch.step()
    assert line.read_one()["39"] == "00"
    switch.kill(switch.workers.index(claimant))
    switch.step(1, 2 * MINUTE_S)
    assert code(switch, switch.undoing("refund_void", OTHER_TILL, given)) == "12"


def test_nothing_is_kept_for_a_keeper_that_is_no_more():
    """The journal of a partition that is the only one now."""
    switch = Switch([(0, 1), (2,)])
    till = next(till for till in (SALE, TILL, OTHER_TILL, LAST_TILL) if partition_of(till, 3) == 0)
    sale = next(sale for sale in (SALE, TILL, OTHER_TILL, LAST_TILL) if partition_of(sale, 3) != 0)
    told = switch.ask(switch.purchase(sale))[1]
    refund = switch.undoing("refund", till, told)
    assert code(switch, refund) == "00"
    alone = Switch([(0,)])
    alone.disks[0] = switch.disks[0]
    alone.kill(0)
    line = alone.send(reversal(alone.workers[0], refund))
    alone.step()
    assert line.read_one()["39"] == "00"
    claims = alone.workers[0].engine.state.claims
    assert (claims.said, claims.sought) == ({}, {})
    assert any(record["type"] == "REVERSAL" and record.get("claim") for record in alone.records(till))
