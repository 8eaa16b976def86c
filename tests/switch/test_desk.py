"""The admin side of many workers: sums, who is missing, and one that does not answer holds up nobody."""

from __future__ import annotations

import asyncio
import socket

import pytest

from switch.admin.health import Readiness
from switch.config.mesh_sections import Node
from switch.saf.owed_entries import NotOwed
from switch.server.control import WorkerSilent
from switch.server.desk import Desk, Seat, seats_of
from switch.server.handover import News
from switch.server.supervisor import Life, LifeState

WHICH = {"link": None, "what": None, "rrn": None, "overdue": False, "most": 3}
CLOSED = {"rrn": "1", "what": "reversal", "link": None, "operator": "li", "reason": "paid"}


class Worker:
    """One worker, as its desk sees it."""

    def __init__(self, ages=(), reasons=(), links=("up",), rrn="1", lacks=(), partitions=(), nodes=None, claims=None):
        self.partitions = partitions
        self.nodes = {} if nodes is None else {"nodes": nodes}
        self.claims = {} if claims is None else {"claims_undecided": claims}
        self.entries = [{"rrn": rrn, "age_seconds": age} for age in ages]
        self.reasons = list(reasons)
        self.lacks = list(lacks)
        self.outdated = False
        self.links = links
        self.closed = []
        self.refusal = self.close_refusal = None

    async def status(self):
        return {
            "in_flight": 2,
            "reversals_waiting": len(self.entries),
            "mac_failures": [{"terminal": "T1", "requests": 3}],
            "listeners": [{"name": "pos", "address": "0.0.0.0:5830", "connections": 5}],
            "links": [
                {"name": f"bank-{number}", "state": state, "in_flight": 1, "timeouts_in_a_row": number}
                for number, state in enumerate(self.links)
            ],
            **self.nodes,
            **self.claims,
            "partitions": [{"number": one, "in_flight": 1, "reversals_waiting": 0} for one in self.partitions],
        }

    async def readiness(self):
        return Readiness(self.reasons, self.lacks, self.outdated)

    async def listed(self, *, link, what, rrn, overdue, most):
        if self.refusal:
            raise self.refusal
        found = [entry for entry in self.entries if rrn in (None, entry["rrn"])]
        return {"count": len(found), "owed": found[:most]}

    async def retry(self, *, rrn, what, link):
        if not self.entries:
            raise NotOwed(f"no {what} with RRN {rrn} is owed")
        return len(self.entries)

    async def give_up(self, **which):
        if self.close_refusal:
            raise self.close_refusal
        if not self.entries:
            raise NotOwed("no such entry")
        self.closed.append(which)
        return {"closed": self.entries[0], "position": 7, "durable": True}

    async def drain(self):
        raise AssertionError("the supervisor drains all")


class Silent:
    """Does not answer."""

    def __getattr__(self, _name):
        async def silence(**_):
            raise WorkerSilent("worker 1 does not answer")

        return silence


def desk_of(*workers, partitions=4, restarts=None):
    seats = [
        Seat(
            str(number),
            worker,
            range(number, partitions, len(workers)),
            Life(
                LifeState.RUNS if worker is not None else LifeState.WAITS,
                100 + number,
                5.0,
                number if restarts is None else restarts,
            ),
        )
        for number, worker in enumerate(workers)
    ]
    drained = []
    desk = Desk(seats, {"name": "switch-1"}, lambda: drained.append(True))
    desk.drained = drained
    return desk


def test_status_has_the_sums_and_the_workers():
    status = asyncio.run(desk_of(Worker([1.0, 9.0]), Worker([5.0])).status())
    assert {key: status[key] for key in ("name", "in_flight", "reversals_waiting")} == {
        "name": "switch-1",
        "in_flight": 4,
        "reversals_waiting": 3,
    }
    assert status["mac_failures"] == [{"terminal": "T1", "requests": 6}]
    assert status["listeners"] == [{"name": "pos", "address": "0.0.0.0:5830", "connections": 10}]
    assert status["links"] == [{"name": "bank-0", "state": "up", "in_flight": 2, "timeouts_in_a_row": 0}]
    assert status["workers"][1] == {
        "worker": "1",
        "pid": 101,
        "state": "runs",
        "since": 5.0,
        "restarts": 1,
        "partitions": [1, 3],
        "in_flight": 2,
        "reversals_waiting": 1,
    }


def test_status_has_claims_that_are_open_for_long():
    workers = [Worker(), Worker(claims={"count": 2, "oldest_seconds": 5_000})]
    workers.append(Worker(claims={"count": 1, "oldest_seconds": 4_000}))
    status = asyncio.run(desk_of(*workers).status())
    assert status["claims_undecided"] == {"count": 3, "oldest_seconds": 5_000}
    assert "claims_undecided" not in asyncio.run(desk_of(Worker()).status())


def test_status_has_partitions_and_nodes_as_with_one_worker():
    away, there = ({"here": here, "node": "b", "worker": 0, "connected": here == 1} for here in range(2))
    status = asyncio.run(desk_of(Worker(nodes=[away]), Worker(partitions=[1, 3], nodes=[there])).status())
    assert status["nodes"] == [away, there]
    assert status["partitions"] == [
        {"number": 0, "in_flight": None, "reversals_waiting": None},
        {"number": 1, "in_flight": 1, "reversals_waiting": 0},
        {"number": 2, "in_flight": None, "reversals_waiting": None},
        {"number": 3, "in_flight": 1, "reversals_waiting": 0},
    ]
    assert "nodes" not in asyncio.run(desk_of(Worker()).status())


def test_status_names_who_does_not_answer_and_says_what_the_others_say():
    status = asyncio.run(desk_of(Worker(links=("up", "down")), Silent(), None, Worker(links=("down", "up"))).status())
    assert [row["state"] for row in status["workers"]] == [
        "runs",
        "does not answer",
        "waits to be forked again",
        "runs",
    ]
    assert [row["in_flight"] for row in status["workers"]] == [2, None, None, 2]
    assert status["in_flight"] == 4
    assert [link["state"] for link in status["links"]] == ["up in 1 of 2 workers, down in 1 of 2 workers",
                                                           "down in 1 of 2 workers, up in 1 of 2 workers"]  # fmt: skip


WORKER_0 = "worker 0 (partitions 0, 2)"
UNREACHED = "worker 1 cannot be reached from here"
FULL = "no payment is accepted in partition 2: limits.reversals_max is reached"
WAITS = "worker 1 waits to be forked again: partitions 1, 3"


@pytest.mark.parametrize(
    ("workers", "reasons", "lacks"),
    [
        ([Worker(), Worker()], [], []),
        ([Worker(reasons=["draining"]), Worker(reasons=["draining"])], ["draining"], []),
        (
            [Worker(reasons=["starting", "draining"]), Worker(reasons=["draining"])],
            ["draining", f"{WORKER_0}: starting"],
            [],
        ),
        (
            [Worker(reasons=["draining"], lacks=[UNREACHED]), None],
            [f"{WORKER_0}: draining", f"{WORKER_0}: {UNREACHED}", WAITS],
            [],
        ),
        ([Worker(lacks=[FULL]), Worker()], [], [f"{WORKER_0}: {FULL}"]),
        ([Worker(reasons=["no link is up"]), Worker()], [], [f"{WORKER_0}: no link is up"]),
        ([Worker(), Silent()], [], ["worker 1 does not answer: partitions 1, 3"]),
        ([Worker(lacks=[UNREACHED]), None], [], [f"{WORKER_0}: {UNREACHED}", WAITS]),
        (
            [Silent(), Silent(), Worker(reasons=["starting"]), None],
            [
                "worker 2 (partition 2): starting",
                "worker 1 does not answer: partition 0",
                "worker 1 does not answer: partition 1",
                "worker 3 waits to be forked again: partition 3",
            ],
            [],
        ),
    ],
)
def test_what_a_part_lacks_is_named_and_is_a_reason_only_where_nobody_is_served(workers, reasons, lacks):
    assert says(desk_of(*workers)) == (reasons, lacks)


def says(desk):
    """Its reasons, and what is lacking besides."""
    found = asyncio.run(desk.readiness())
    return list(found.reasons), list(found.lacks)


@pytest.mark.parametrize("missing", ["reasons", "lacks"])
def test_until_all_were_served_once_each_that_is_not_is_a_reason(missing):
    workers = [Worker(), Worker(**{missing: ["not yet"]})]
    desk = desk_of(*workers, restarts=0)
    assert says(desk) == (["worker 1 (partitions 1, 3): not yet"], [])
    setattr(workers[1], missing, [])
    assert says(desk) == ([], [])
    setattr(workers[1], missing, ["no more"])
    assert says(desk) == ([], ["worker 1 (partitions 1, 3): no more"])


def test_who_has_died_before_he_served_is_waited_for_no_more():
    desk = desk_of(Worker(), Worker(reasons=["starting"]), restarts=0)
    assert says(desk)[0] == ["worker 1 (partitions 1, 3): starting"]
    desk.hear(News("1", Life(LifeState.WAITS, 200, 6.0, 1), None))
    assert says(desk) == ([], [WAITS])


def test_one_on_an_older_copy_is_not_waited_for():
    workers = [Worker(reasons=["starting"]), Worker(reasons=["older copy"], lacks=["worker 0 cannot be reached"])]
    workers[1].outdated = True
    desk = desk_of(*workers, restarts=0)
    assert says(desk)[0], "the other one does not serve yet"
    workers[0].reasons, workers[0].lacks = [], ["worker 1 cannot be reached"]
    reasons, lacks = says(desk)
    assert (reasons, len(lacks)) == ([], 3)
    workers[0].outdated, workers[0].reasons = True, ["another older copy"]
    assert says(desk)[0], "nobody serves"


def test_where_all_are_on_older_copies_none_is_served():
    workers = [Worker(reasons=["older copy"]), Worker(reasons=["older copy"])]
    for worker in workers:
        worker.outdated = True
    assert says(desk_of(*workers, restarts=0))[0] == ["older copy"]


def test_what_is_owed_is_listed_together_oldest_first():
    desk = desk_of(Worker([9.0, 1.0]), Worker([5.0, 3.0]))
    listed = asyncio.run(desk.listed(**WHICH))
    assert [entry["age_seconds"] for entry in listed["owed"]] == [9.0, 5.0, 3.0]
    assert listed["count"] == 4
    assert "silent" not in listed
    listed = asyncio.run(desk_of(Worker([9.0]), Silent()).listed(**WHICH))
    assert (listed["count"], listed["silent"]) == (1, ["worker 1 does not answer"])
    with pytest.raises(NotOwed, match=r"^worker 1 does not answer$"):
        asyncio.run(desk_of(Silent(), Silent()).listed(**WHICH))


def test_a_refusal_of_all_is_told_once():
    workers = [Worker(), Worker()]
    for worker in workers:
        worker.refusal = NotOwed("there is no link x; there are a, b")
    with pytest.raises(NotOwed, match=r"^there is no link x; there are a, b$"):
        asyncio.run(desk_of(*workers).listed(**WHICH))


def test_retries_are_summed_and_refused_where_nobody_owes_it():
    assert asyncio.run(desk_of(Worker([1.0, 2.0]), Worker()).retry(rrn="1", what="reversal", link=None)) == 2
    with pytest.raises(NotOwed, match=r"^no reversal with RRN 1 is owed; worker 1 does not answer$"):
        asyncio.run(desk_of(Worker(), Silent()).retry(rrn="1", what="reversal", link=None))


class TestGivingUp:
    def test_the_one_who_owes_it_gives_it_up(self):
        workers = Worker([1.0], rrn="2"), Worker([1.0], rrn="1"), Silent()
        closed = asyncio.run(desk_of(*workers).give_up(**CLOSED))
        assert closed["position"] == 7
        assert (workers[0].closed, workers[1].closed) == ([], [CLOSED])

    def test_several_who_owe_it_give_up_nothing(self):
        workers = Worker([1.0]), Worker([2.0])
        with pytest.raises(NotOwed, match="workers 0 and 1 owe a reversal with RRN 1 each"):
            asyncio.run(desk_of(*workers).give_up(**CLOSED))
        assert not workers[0].closed + workers[1].closed

    def test_nobody_owes_it(self):
        with pytest.raises(NotOwed, match=r"^no such entry$"):
            asyncio.run(desk_of(Worker(), Worker()).give_up(**CLOSED))
        with pytest.raises(NotOwed, match="as far as is known: worker 1 does not answer"):
            asyncio.run(desk_of(Worker(), Silent()).give_up(**CLOSED))

    def test_who_owes_it_says_nothing_more(self):
        worker = Worker([1.0])
        worker.close_refusal = WorkerSilent("worker 0 does not answer")
        with pytest.raises(NotOwed, match="worker 0 does not answer: list what is owed before you try again"):
            asyncio.run(desk_of(worker).give_up(**CLOSED))


def test_drain_is_handed_on():
    desk = desk_of(Worker())
    desk.drain()
    assert desk.drained
    assert desk.live()


def test_a_mistake_of_ours_is_not_taken_for_silence():
    worker = Worker()
    worker.status = lambda: asyncio.sleep(0, 1 // 0)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(desk_of(worker).status())


def test_seats_share_the_partitions_out():
    seats = seats_of(3, 7)
    assert [list(seat.partitions) for seat in seats] == [[0, 3, 6], [1, 4], [2, 5]]
    assert [seat.owned() for seat in seats_of(2, 1)] == ["partition 0", "no partition"]


def test_news_seat_a_worker_and_its_connection():
    async def run():
        seats = seats_of(2, 2)
        desk = Desk(seats, {}, lambda: None)
        ours, theirs = socket.socketpair()
        stray, other = socket.socketpair()
        desk.hear(News("desk", Life(), stray))
        assert stray.fileno() == -1
        desk.hear(News("1", Life(LifeState.RUNS, 7, 1.0, 2), ours))
        assert (seats[1].life.pid, seats[0].life.state) == (7, LifeState.WAITS)
        await asyncio.gather(*desk._joining)
        readiness = asyncio.create_task(desk.readiness())
        theirs.setblocking(False)
        async with asyncio.timeout(10):
            assert await asyncio.get_running_loop().sock_recv(theirs, 100)
        theirs.close()
        assert (await readiness).reasons == [
            "worker 0 waits to be forked again: partition 0",
            "worker 1 has ended: partition 1",
        ]
        other.close()

    asyncio.run(run())


def test_a_seat_has_the_partitions_of_its_worker_on_its_node():
    seats = seats_of(2, 8, Node(1, 2))
    assert [list(seat.partitions) for seat in seats] == [[1, 5], [3, 7]]
