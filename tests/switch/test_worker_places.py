"""Which worker of which node this is: partitions, numbers, connections and what is told are dealt out over all, also
where nodes have unequally many workers."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest

from switch.base.stats import Stats
from switch.server.issuers import endpoints_of
from switch.server.place import Place, WorkerId

PARTITIONS = 12
CREWS = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (1, 3), (2, 1, 3)]

pytestmark = pytest.mark.parametrize("crews", CREWS, ids=str)


@pytest.fixture
def places(crews):
    """Of each node, those of its workers."""
    return [
        [Place(number, workers, PARTITIONS, Stats(65_536), node=node, crews=crews) for number in range(workers)]
        for node, workers in enumerate(crews)
    ]


def every(places):
    return [place for crew in places for place in crew]


def test_each_worker_tells_each_other_node_once_and_all_of_a_node_are_heard(places):
    for place in every(places):
        told = Counter(worker.node for worker in place.far if place.tells_counts(worker))
        assert told == {node: 1 for node in range(len(places)) if node != place.node}


def test_far_are_all_of_other_nodes_and_mates_all_of_this_one(places, crews):
    everybody = {WorkerId(node, number) for node, workers in enumerate(crews) for number in range(workers)}
    for place in every(places):
        own = WorkerId(place.node, place.number)
        assert {own, *place.others} == everybody
        assert len(place.others) == len(everybody) - 1
        assert all(worker.node == place.node for worker in place.others[: len(place.mates)])
        assert list(place.others[len(place.mates) :]) == list(place.far)
        assert all(worker.node != place.node for worker in place.far)


def test_each_has_a_rank_of_its_own(places, crews):
    assert [place.rank for place in every(places)] == list(range(sum(crews)))
    assert {place.ranks for place in every(places)} == {sum(crews)}


@pytest.mark.parametrize("total", [1, 2, 3, 5, 8])
def test_connections_in_all_are_made_once(places, total):
    section = SimpleNamespace(connections_total=total, connections=1, endpoints=["a", "b", "c"])
    dealt = Counter(endpoint for place in every(places) for endpoint in endpoints_of(section, place))
    assert dealt == Counter(section.endpoints[number % 3] for number in range(total))


def test_each_partition_has_one_owner_of_whom_all_know(places):
    owners = {}
    for place in every(places):
        for partition in place.owned:
            assert owners.setdefault(partition, place) is place
            assert partition % len(places) == place.node, "its node stays, whatever number of workers that has"
    assert len(owners) == PARTITIONS
    for place in every(places):
        for partition, at in enumerate(place.owners(PARTITIONS)):
            owner = WorkerId(place.node, place.number) if at is None else place.others[at]
            assert owner == WorkerId(owners[partition].node, owners[partition].number)


def test_who_is_of_the_crew(places, crews):
    for place in every(places):
        for node, workers in enumerate([*crews, 0]):
            assert [place.is_crew(WorkerId(node, number)) for number in range(4)] == [
                number < workers for number in range(4)
            ]
