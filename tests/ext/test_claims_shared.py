"""One terminal behind another worker leaves the keeper's places for look-ups to others."""

from __future__ import annotations

import pytest

from switch.machine.partitioning import partition_of
from tests.ext.claims_world import SALE, TILL, Switch
from tests.ext.mesh_records import SAMPLES, written
from tests.ext.test_claims import TWO, code

NEIGHBOUR = "10000009"
PLACES = 100
KEEPER, CLAIMANT = partition_of(SALE, 4), partition_of(TILL, 4)
assert partition_of(NEIGHBOUR, 4) == CLAIMANT


def begun(percent):
    switch = Switch(TWO, limits={"terminal_share_percent": percent}, waiting_max=4 * PLACES)
    switch.worker_of(SALE).is_slow = True
    return switch


def waiting(switch):
    (state,) = (one for one in switch.worker_of(SALE).engine.partitions.states if one.partition == KEEPER)
    return state.claims.asked


def crowd(switch, terminals):
    """Ask for a claim for each; how many of them wait then."""
    keeper = switch.worker_of(SALE)
    before = len(waiting(switch))
    for stan, terminal in enumerate(terminals):
        part = {"terminal": terminal.encode(), "stan": stan, "claimant": CLAIMANT, "partition": KEEPER}
        part["rrn"] = f"{terminal[-4:]}{stan:08d}".encode()  # each claims another payment
        keeper.engine.hear(keeper.peer, written("claim", SAMPLES["claim"] | part))
    assert keeper.peer.fault is None
    return len(waiting(switch)) - before


def test_a_terminal_has_its_share_of_the_places_that_are_free():
    switch = begun(25)
    assert crowd(switch, [TILL] * PLACES) == 20, "a quarter of the other 80"
    assert crowd(switch, [NEIGHBOUR] * PLACES) == 16, "a quarter of the other 64"
    assert crowd(switch, [TILL] * PLACES) == 0


def test_terminals_that_the_asking_partition_cannot_have_share_one_terminals():
    switch = begun(25)
    assert crowd(switch, [f"{number:08d}" for number in range(PLACES)]) == 20
    assert crowd(switch, [SALE] * PLACES) == 0, "it is the keeper's own"
    assert crowd(switch, [TILL] * PLACES) == 16


def test_with_a_share_of_all_there_is_no_such_limit():
    assert crowd(begun(100), [TILL] * (PLACES + 1)) == PLACES


def test_two_of_one_terminal_are_looked_up_at_one_time_and_all_in_their_turns():
    switch = begun(25)
    keeper = switch.worker_of(SALE)
    assert crowd(switch, [TILL] * 7) == 7
    assert crowd(switch, [NEIGHBOUR]) == 1
    keeper.sync()
    turns = []
    while looked_up := keeper.engine.take_wanted():
        turns.append(len(looked_up))
        assert not keeper.engine.take_wanted()
        for one in looked_up:
            keeper.engine.settle(one, None)
    assert (turns, waiting(switch)) == ([3, 2, 2, 1], {})


@pytest.mark.parametrize("percent", [1, 25])
def test_a_refund_finds_a_place_beside_a_crowd(percent):
    switch = begun(percent)
    keeper = switch.worker_of(SALE)
    keeper.is_slow = False
    _, _, told = switch.sold()
    keeper.is_slow = True
    crowd(switch, [NEIGHBOUR] * PLACES)
    keeper.is_slow = False
    assert code(switch, switch.undoing("refund", TILL, told)) == "00"
    assert code(switch, switch.undoing("refund", SALE, told)) == "13"
