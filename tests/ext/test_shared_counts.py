"""Counts that processes share: nothing is lost, no limit is exceeded by one, and who dies leaves the tables whole."""

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.base.stats import Stats
from switch.dialect.kinds import Kind
from switch.dialect.reasons import Reason
from switch.tables.risk import Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.stand_in import StandIn
from switch.tables.time_windows import SHARDS_MAX, WindowTable

PROCESSES = 4
YUAN = 156
HOUR_MS = 3_600_000
CARDS = [f"40000012345{number:05d}" for number in range(20)]
PURCHASE = 1 << Kind.PURCHASE


@dataclass
class Limit(RuleTerms):
    name: str = "limit"
    scope: str = "card"
    kinds: int = PURCHASE
    currency: int = YUAN
    window_ms: int = HOUR_MS
    sliding: bool = True
    amount_max: int | None = None
    count_max: int | None = None
    single_max: int | None = None


def in_processes(work, count=PROCESSES):
    """Run ``work`` in several processes at once; what each of them gave back as a number."""
    pipes = [os.pipe() for _ in range(count)]
    gate, start = os.pipe()
    children = []
    for number, (_, writer) in enumerate(pipes):
        children.append(os.fork())
        if children[-1] == 0:
            status = 99
            try:
                os.close(start)
                os.read(gate, 1)  # until all are there
                os.write(writer, str(work(number)).encode())
                status = 0
            finally:
                os._exit(status)
    os.close(gate)
    os.close(start)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert statuses == [0] * count
    said = [int(os.read(reader, 64)) for reader, _ in pipes]
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)
    return said


def risk_of(*limits, room=100_000, is_shared=True):
    return Risk.build(None, WindowTable(room, is_shared=is_shared), rules=limits)


def buy(risk, pan, amount=10):
    return risk.check_request(Kind.PURCHASE, pan=pan, amount_minor=amount, currency=YUAN, now_ms=HOUR_MS)


def stand_in_of(workers=PROCESSES, stats=None, cards_room=1_000, limit=(YUAN, 100, None, None, None)):
    return StandIn(
        Stats(1 << 16, workers + 1) if stats is None else stats,
        "bank",
        kinds=PURCHASE,
        bins=[],
        allows_pin=True,
        window_seconds=3600,
        cards_room=cards_room,
        limits=[limit],
        workers=workers,
    )


def test_what_processes_count_at_once_is_all_counted():
    risk = risk_of(Limit(amount_max=10**9), Limit("count", count_max=10**6))

    def work(number):
        order = random.Random(number)
        return sum(buy(risk, order.choice(CARDS), 1) == Reason.APPROVED for _ in range(2_000))

    assert in_processes(work) == [2_000] * PROCESSES
    # One that has a limit of what is there already says of each card how much that is.
    counted = 0
    for pan in CARDS:
        below, above = 0, 8_001
        while above - below > 1:  # the largest amount that still fits
            middle = (below + above) // 2
            fits = Risk.build(None, risk.windows, rules=[Limit(amount_max=middle)], previous=risk)
            if buy(fits, pan, 1) == Reason.APPROVED:
                fits.uncount_request(Kind.PURCHASE, pan=pan, amount_minor=1, currency=YUAN, now_ms=HOUR_MS)
                above = middle
            else:
                below = middle
        counted += below
    assert counted == 8_000


@pytest.mark.parametrize("limit", [Limit(count_max=100), Limit(amount_max=1_000), Limit(count_max=100, sliding=False)])
def test_no_limit_is_exceeded_by_one(limit):
    """Look and count are one step for all: each card is approved just as often as its limit says, by all together."""
    risk = risk_of(limit)

    def work(number):
        order = random.Random(number)
        approved = 0
        for _ in range(100):
            cards = list(CARDS)
            order.shuffle(cards)
            approved += sum(buy(risk, pan) == Reason.APPROVED for pan in cards)
        return approved

    assert sum(in_processes(work)) == 100 * len(CARDS)


def test_what_is_taken_back_elsewhere_may_be_spent_again():
    risk = risk_of(Limit(count_max=1))

    def work(_):
        done = 0
        deadline = time.monotonic() + 20
        while done < 200 and time.monotonic() < deadline:
            if buy(risk, CARDS[0]) == Reason.APPROVED:
                risk.uncount_request(Kind.PURCHASE, pan=CARDS[0], amount_minor=10, currency=YUAN, now_ms=HOUR_MS)
                done += 1
        return done

    assert in_processes(work) == [200] * PROCESSES
    assert buy(risk, CARDS[0]) == Reason.APPROVED


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50)), max_size=200), st.sampled_from([1, 300, 100_000]))
def test_a_shared_table_says_what_one_of_a_single_process_says(payments, room):
    limits = (Limit(amount_max=100), Limit("count", count_max=5, sliding=False))
    shared, own = risk_of(*limits, room=room), risk_of(*limits, room=room, is_shared=False)
    for card, amount in payments:
        pan = f"40000012345{card:05d}"
        if own.windows.used == room:
            break  # which window is given up depends on the shard
        assert buy(shared, pan, amount) == buy(own, pan, amount)
    assert shared.windows.used == own.windows.used


@pytest.mark.parametrize(
    ("room", "shards"), [(1, 1), (511, 1), (512, 2), (100_000, SHARDS_MAX), (1_000_000, SHARDS_MAX)]
)
def test_a_shared_table_has_as_many_shards_as_are_worth_it(room, shards):
    table = WindowTable(room, is_shared=True)
    assert (table.shard_count, table.used) == (shards, 0)
    assert WindowTable(room).shard_count == 1
    assert WindowTable(room, 0, True, 1).shard_count == 1
    assert table.size_bytes >= room * 130


@pytest.mark.parametrize("shards", [0, SHARDS_MAX + 1])
def test_impossible_numbers_of_shards(shards):
    with pytest.raises(ValueError, match="has 1 to 64 shards"):
        WindowTable(1, 0, True, shards)


def test_the_locks_of_one_who_died_are_taken_over():
    risk = risk_of(Limit(count_max=3))
    assert [buy(risk, CARDS[0]) for _ in range(2)] == [Reason.APPROVED] * 2

    def dies():
        risk.windows.hold_all()
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        dies()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert risk.windows.taken_over == 0
    assert [buy(risk, CARDS[0]) for _ in range(2)] == [Reason.APPROVED, Reason.COUNT_LIMIT]
    assert [buy(risk, pan) for pan in CARDS[1:]] == [Reason.APPROVED] * (len(CARDS) - 1)
    risk.windows.hold_all()
    risk.windows.release_all()
    assert risk.windows.taken_over == risk.windows.shard_count


def test_whoever_is_killed_while_it_counts_leaves_a_table_that_others_count_in():
    """Killed at any instruction, windows begun and given up included: the room is small and the cards are many."""
    limit = 50
    risk = risk_of(Limit(count_max=limit), Limit("sum", amount_max=10**9, sliding=False), room=40)
    ready, say = os.pipe()

    def counts():
        order = random.Random(os.getpid())
        os.write(say, b".")
        while True:
            buy(risk, f"41{order.randrange(10**6):014d}")

    for delay_ms in range(40):
        child = os.fork()
        if child == 0:
            counts()
        os.read(ready, 1)
        for _ in range(delay_ms % 7):  # they count both at once until one of them dies
            buy(risk, f"42{delay_ms:014d}")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for number in range(10):
            assert buy(risk, f"43{number:014d}") in (Reason.APPROVED, Reason.COUNT_LIMIT)
    for pipe in (ready, say):
        os.close(pipe)
    fresh = "4999999999999999"
    said = Counter(buy(risk, fresh) for _ in range(limit + 10))
    assert said == {Reason.APPROVED: limit, Reason.COUNT_LIMIT: 10}


class TestStandIn:
    def test_no_limit_is_exceeded_by_one_and_nothing_is_lost(self):
        """Of cards, and of what is outstanding; what is taken back may be approved again."""
        stats = Stats(1 << 16, PROCESSES)
        rule = stand_in_of(stats=stats, limit=(YUAN, 100, 500, 60, 7_777))

        def work(number):
            stats.use_worker(number)
            rule.replayed()
            order = random.Random(number)
            approved = 0
            for turn in range(600):
                pan, amount = order.choice(CARDS), order.randrange(1, 30)
                if rule.claim_payment(Kind.PURCHASE, pan, amount, YUAN) == "allowed":
                    approved += amount
                    if turn % 5 == 0:
                        rule.give_back(pan, amount, YUAN)
                        approved -= amount
            return approved

        said = in_processes(work)
        assert sum(said) == rule.outstanding(YUAN)
        assert 7_777 - 30 < rule.outstanding(YUAN) <= 7_777

    @pytest.mark.parametrize(
        ("limit", "verdict", "times"),
        [
            ((YUAN, 100, 100, None, None), "card_amount", 10),
            ((YUAN, 100, None, 7, None), "card_count", 7),
            ((YUAN, 100, None, None, 125), "outstanding", 12),
        ],
    )
    def test_each_limit_holds_for_all_together(self, limit, verdict, times):
        stats = Stats(1 << 16, PROCESSES)
        rule = stand_in_of(stats=stats, limit=limit)

        def work(number):
            stats.use_worker(number)
            rule.replayed()
            return sum(rule.claim_payment(Kind.PURCHASE, CARDS[0], 10, YUAN) == "allowed" for _ in range(50))

        assert sum(in_processes(work)) == times
        assert rule.claim_payment(Kind.PURCHASE, CARDS[0], 10, YUAN) == verdict

    def test_a_successor_counts_nothing_twice(self):
        """What the dead worker had outstanding stands until its successor knows it from the journals; windows stay."""
        stats = Stats(1 << 16, 3)
        rule = stand_in_of(2, stats, limit=(YUAN, 100, 100, None, 500))

        def first(_):
            stats.use_worker(0)
            rule.replayed()
            for pan in CARDS[:3]:
                assert rule.claim_payment(Kind.PURCHASE, pan, 60, YUAN) == "allowed"
            # The last one was claimed and never written down.
            return rule.outstanding(YUAN)

        assert in_processes(first, 1) == [180]

        def second(_):
            stats.use_worker(0)
            for pan in CARDS[:2]:
                rule.recount_payment(pan, 60, YUAN)
            assert rule.outstanding(YUAN) == 180, "until all was read"
            rule.replayed()
            assert rule.outstanding(YUAN) == 120
            verdicts = [rule.claim_payment(Kind.PURCHASE, pan, 40, YUAN) for pan in CARDS[:3]]
            assert verdicts == ["allowed"] * 3, "in the window of each card there are 60 as before"
            assert rule.claim_payment(Kind.PURCHASE, CARDS[0], 1, YUAN) == "card_amount"
            return rule.outstanding(YUAN)

        assert in_processes(second, 1) == [240]
        gauge = stats.gauge("authswitch_stand_in_outstanding", "", {"link": "bank", "currency": "156"})
        assert stats.value(gauge) == 240

    def test_a_whole_restart_counts_all_again(self):
        stats = Stats(1 << 16, 2)
        rule = stand_in_of(2, stats, limit=(YUAN, 100, 100, None, 500))

        def work(number):
            stats.use_worker(number)
            if number == 1:
                rule.replayed()
                return 0
            rule.recount_payment(CARDS[0], 60, YUAN)
            rule.replayed()
            return ["allowed", "card_amount"].index(rule.claim_payment(Kind.PURCHASE, CARDS[0], 50, YUAN))

        assert in_processes(work, 2) == [1, 0]
        assert rule.outstanding(YUAN) == 60

    def test_several_in_one_process_share_as_forked_ones_do(self):
        made = stand_in_of(2, Stats(1 << 16, 2), limit=(YUAN, 100, 100, None, 500))

        def forked(number):
            stats = Stats(1 << 16, 2)
            stats.use_worker(number)
            return made.forked(stats), stats

        first, second = forked(0)[0], forked(1)[0]
        first.replayed()
        second.replayed()
        assert first.claim_payment(Kind.PURCHASE, CARDS[0], 60, YUAN) == "allowed"
        assert second.claim_payment(Kind.PURCHASE, CARDS[0], 60, YUAN) == "card_amount"
        assert second.claim_payment(Kind.PURCHASE, CARDS[1], 60, YUAN) == "allowed"
        successor, stats = forked(0)
        assert successor.outstanding(YUAN) == 120, "until its journals were read"
        successor.replayed()
        assert successor.outstanding(YUAN) == second.outstanding(YUAN) == 60
        gauge = stats.gauge("authswitch_stand_in_outstanding", "", {"link": "bank", "currency": "156"})
        assert stats.value(gauge) == 0
        with pytest.raises(ValueError, match="for one process"):
            stand_in_of(1).forked(stats)

    def test_one_worker_alone_shares_nothing(self):
        rule = stand_in_of(1)
        rule.recount_payment(CARDS[0], 30, YUAN)
        assert (rule.outstanding(YUAN), rule.windows.is_shared) == (30, False)
        rule.replayed()
        assert rule.outstanding(YUAN) == 30

    @pytest.mark.parametrize("workers", [0, 9])
    def test_impossible_numbers_of_workers(self, workers):
        with pytest.raises(ValueError, match="workers; the statistics have room for 3"):
            stand_in_of(workers, Stats(1 << 16, 3))
