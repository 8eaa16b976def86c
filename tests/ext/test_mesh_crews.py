"""Counts between nodes of several workers, also of unequally many: each is told once, by whoever counts it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.dialect.reasons import Reason
from switch.machine.partitioning import partition_of
from switch.tables.count_log import KEPT
from tests.ext.mesh_world import TERMINALS, asked_by
from tests.ext.node_world import OTHER, PARTITIONS, Nodes
from tests.ext.test_shared_counts import YUAN, Limit

COUNT_MAX, OUTSTANDING_MAX = 5, 5_000
CREWS = [(2, 1), (1, 2), (2, 2)]
ONCE_MORE_IS_TOO_MUCH = [Reason.APPROVED, Reason.COUNT_LIMIT]


def nodes_of(crews, count_max=COUNT_MAX):
    return Nodes(crews, [Limit("count", count_max=count_max)], OUTSTANDING_MAX)


def workers_of(crews):
    return [(node, number) for node, crew in enumerate(crews) for number in range(crew)]


ONE_AND_ANOTHER = [
    (crews, one, other) for crews in CREWS for one, other in product(workers_of(crews), repeat=2) if one[0] != other[0]
]


@pytest.mark.parametrize(("crews", "one", "other"), ONE_AND_ANOTHER, ids=str)
def test_what_any_worker_counts_each_of_the_other_node_knows_once(crews, one, other):
    nodes = nodes_of(crews)
    assert [nodes[one].buy() for _ in range(COUNT_MAX - 1)] == [Reason.APPROVED] * (COUNT_MAX - 1)
    nodes.carry()
    assert [nodes[other].buy() for _ in range(2)] == ONCE_MORE_IS_TOO_MUCH


@pytest.mark.parametrize("crews", CREWS, ids=str)
def test_what_all_workers_have_outstanding_is_one_sum_at_each(crews):
    nodes = nodes_of(crews)
    workers = workers_of(crews)
    for number, worker in enumerate(workers):
        assert nodes[worker].stand_in_for(amount=100 << number) == "allowed"
        nodes.carry()
    total = (100 << len(workers)) - 100
    for worker in workers:
        assert nodes[worker].stand_in.outstanding(YUAN) == total
        assert nodes[worker].stand_in_for(OTHER, OUTSTANDING_MAX + 1 - total) == "outstanding"


@pytest.mark.parametrize(("crews", "one", "other"), ONE_AND_ANOTHER, ids=str)
def test_a_successor_goes_on_with_what_the_one_before_it_heard(crews, one, other):
    """How far each far worker was heard is known of each: what was told by all of them counts once."""
    nodes = nodes_of(crews, count_max=100)
    counted = 0
    for worker in workers_of(crews):
        for _ in range(3 + counted):  # each of them another number of times
            assert nodes[worker].buy() == Reason.APPROVED
            counted += 1
        nodes.carry()
    nodes.replace(one)
    nodes.replace(other)
    for _ in range(100 - counted):
        assert nodes[other].buy() == Reason.APPROVED
        nodes.carry()
    assert {nodes[worker].buy() for worker in workers_of(crews)} == {Reason.COUNT_LIMIT}


@pytest.mark.parametrize("crews", CREWS, ids=str)
def test_what_was_heard_is_not_told_again(crews):
    """Of no worker, when the line has been cut."""
    nodes = nodes_of(crews, count_max=1_000)
    for worker in workers_of(crews):
        for _ in range(100):
            assert nodes[worker].buy() == Reason.APPROVED
    before = nodes.carried_bytes
    nodes.carry()
    told = nodes.carried_bytes - before
    nodes.part()
    nodes.meet()
    assert nodes.carried_bytes - before - told < told / len(workers_of(crews)) / 2


@pytest.mark.parametrize(("crews", "one", "other"), ONE_AND_ANOTHER, ids=str)
def test_a_successor_tells_what_the_one_before_it_could_not(crews, one, other):
    nodes = nodes_of(crews)
    nodes.part()
    assert [nodes[one].buy() for _ in range(COUNT_MAX - 1)] == [Reason.APPROVED] * (COUNT_MAX - 1)
    nodes.replace(one)
    nodes.meet()
    assert [nodes[other].buy() for _ in range(2)] == ONCE_MORE_IS_TOO_MUCH


def test_what_finds_no_room_is_told_when_there_is_some():
    """More than waits for a peer that does not read: nothing is passed over."""
    nodes = nodes_of((2, 1), count_max=KEPT)
    nodes.part()
    for _ in range(KEPT):
        assert nodes[0, 1].buy(amount=0) == Reason.APPROVED
    nodes.meet()
    assert nodes[1, 0].world.count("mesh_counts_lost_total") == 0
    assert nodes[1, 0].buy(amount=0) == Reason.COUNT_LIMIT
    assert nodes[1, 0].buy(OTHER, amount=0) == Reason.APPROVED


def test_the_oldest_that_is_kept_is_not_counted_again():
    nodes = nodes_of((1, 1), count_max=KEPT + 1)
    first, second = nodes[0, 0], nodes[1, 0]
    assert first.buy(amount=0) == Reason.APPROVED
    oldest = first.say(second.id)
    second.hear(first.id, oldest)
    for _ in range(KEPT - 1):
        assert first.buy(amount=0) == Reason.APPROVED
    nodes.carry()
    second.hear(first.id, oldest)
    assert [second.buy(amount=0) for _ in range(2)] == ONCE_MORE_IS_TOO_MUCH


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.integers(0, 3)),
        st.tuples(st.just("replace"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["carry", "part", "meet"]), st.just(0)),
    )
)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(CREWS), STEPS)
def test_however_workers_die_and_lines_break_each_payment_counts_once_everywhere(crews, steps):
    nodes, counted = nodes_of(crews, count_max=10_000), 0
    workers = workers_of(crews)
    for what, number in steps:
        worker = workers[number % len(workers)]
        if what == "buy":
            assert nodes[worker].buy() == Reason.APPROVED
            counted += 1
        elif what == "carry" and nodes.is_up:
            nodes.carry()
        elif what == "part" and nodes.is_up:
            nodes.part()
        elif what == "meet" and not nodes.is_up:
            nodes.meet()
        elif what == "replace":
            nodes.replace(worker)
    if not nodes.is_up:
        nodes.meet()
    nodes.carry()
    for node in range(len(crews)):
        assert nodes[node, 0].has_counted(counted)


def test_what_is_at_all_others_is_counted():
    """A drain waits for it."""
    nodes = nodes_of((1, 1, 1))
    spread = 0
    for front in nodes.workers.values():
        away = [name for name in TERMINALS if partition_of(name, PARTITIONS) not in front.place.owned]
        for name in away:
            front.world.terminal().send(asked_by(front.world, name))
        assert front.engine.at_others == len(away)
        spread = max(spread, len({partition_of(name, PARTITIONS) % len(nodes.crews) for name in away}))
    assert spread > 1, "it is at several of them"
