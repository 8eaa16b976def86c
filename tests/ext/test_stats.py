"""Counters, gauges and histograms in shared memory."""

import os
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from switch.base.stats import BUCKET_BOUNDS_NS, RULES, Stats, StatsError

HISTOGRAM_SLOTS = len(BUCKET_BOUNDS_NS) + 2


def in_child(work):
    """Run ``work`` in a forked process; its exit status, 99 when it raised."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_counter_adds_and_gauge_is_set():
    stats = Stats(4096)
    requests = stats.counter("requests_total", "Requests.", {"listener": "a"})
    in_flight = stats.gauge("in_flight", "In flight.")
    stats.add(requests, 3)
    stats.add(requests)
    stats.set(in_flight, 7)
    stats.set(in_flight, 2)
    assert stats.value(requests) == 4
    assert stats.value(in_flight) == 2


def test_same_series_has_the_same_index_and_other_labels_another():
    stats = Stats(4096)
    first = stats.counter("requests_total", "Requests.", {"listener": "a"})
    assert stats.counter("requests_total", "Requests.", {"listener": "a"}) == first
    assert stats.counter("requests_total", "Requests.", {"listener": "b"}) != first


@given(st.lists(st.integers(0, 2**62), max_size=50))
def test_histogram_counts_as_bisect_does(durations):
    stats = Stats(4096)
    latency = stats.histogram("latency_seconds", "Latency.")
    expected = [0] * (len(BUCKET_BOUNDS_NS) + 1)
    for duration in durations:
        stats.observe(latency, duration)
        expected[bisect_left(BUCKET_BOUNDS_NS, duration)] += 1
    counts, total = stats.histogram_value(latency)
    assert counts == expected
    assert total == sum(durations) % 2**64


@pytest.mark.parametrize("bound", BUCKET_BOUNDS_NS)
def test_bucket_bounds_are_inclusive(bound):
    stats = Stats(4096)
    latency = stats.histogram("latency_seconds", "Latency.")
    stats.observe(latency, bound)
    stats.observe(latency, bound + 1)
    counts, _ = stats.histogram_value(latency)
    place = BUCKET_BOUNDS_NS.index(bound)
    assert counts[place : place + 2] == [1, 1]


def test_bounds_ascend_from_50_microseconds_to_a_minute():
    assert list(BUCKET_BOUNDS_NS) == sorted(set(BUCKET_BOUNDS_NS))
    assert BUCKET_BOUNDS_NS[0] == 50_000
    assert BUCKET_BOUNDS_NS[-1] == 60_000_000_000


def test_workers_write_their_own_stretch_and_are_summed():
    stats = Stats(4096, workers=3)
    requests = stats.counter("requests_total", "Requests.")
    in_flight = stats.gauge("in_flight", "In flight.")
    latency = stats.histogram("latency_seconds", "Latency.")

    def work(worker):
        stats.use_worker(worker)
        for _ in range(1000):
            stats.add(requests)
        stats.set(in_flight, 5)
        stats.observe(latency, 60_000)
        return 0

    assert [in_child(lambda w=w: work(w)) for w in range(3)] == [0, 0, 0]
    assert stats.value(requests) == 3000
    assert stats.value(in_flight) == 15
    assert stats.histogram_value(latency)[1] == 180_000
    stats.clear_worker(1)
    assert stats.value(in_flight) == 10
    assert stats.value(requests) == 3000


def test_another_process_than_the_only_worker_may_not_add_series():
    stats = Stats(4096)
    requests = stats.counter("requests_total", "Requests.")

    def work():
        if stats.counter("requests_total", "Requests.") != requests:
            return 1
        try:
            stats.counter("others_total", "Others.")
        except StatsError as error:
            return 0 if "before the workers start" in str(error) else 2
        return 3

    assert in_child(work) == 0


def test_full_memory_is_refused_with_the_figures():
    stats = Stats(1024)
    stats.histogram("a_seconds", "A.")
    stats.histogram("b_seconds", "B.")
    left = stats.slots - stats.slots_used
    assert left == 1024 // 8 - 3 * HISTOGRAM_SLOTS
    with pytest.raises(StatsError, match=rf"c_seconds.*{HISTOGRAM_SLOTS} slots needed, {left} of 128 left"):
        stats.histogram("c_seconds", "C.")
    for number in range(left):
        stats.counter("requests_total", "Requests.", {"n": str(number)})
    with pytest.raises(StatsError, match=r"1 slots needed, 0 of 128 left; raise limits\.statistics_bytes"):
        stats.gauge("one_more", "One more.")


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (lambda s: s.counter("requests", "R."), "ends in _total"),
        (lambda s: s.histogram("latency_ms", "L."), "ends in _seconds"),
        (lambda s: s.gauge("Depth", "D."), "lower-case"),
        (lambda s: s.gauge("depth", "D.", {"le": "1"}), "le"),
        (lambda s: s.gauge("depth", "D.", {"Link": "1"}), "Link"),
        (lambda s: s.gauge("depth", "D.", {"link": 1}), "int, needed a string"),
        (lambda s: s.gauge("known", "K.", {"other": "x"}), "was registered as a gauge"),
        (lambda s: s.use_worker(1), "needed 0 to 0"),
        (lambda s: s.clear_worker(1), "needed 0 to 0"),
    ],
)
def test_wrong_registration_is_refused(register, message):
    stats = Stats(4096)
    stats.gauge("known", "K.", {"link": "x"})
    with pytest.raises(StatsError, match=message):
        register(stats)


@pytest.mark.parametrize(("size", "workers"), [(0, 1), (1 << 31, 1), (4096, 0), (4096, 1025)])
def test_wrong_sizes_are_refused(size, workers):
    with pytest.raises(StatsError, match="needed"):
        Stats(size, workers)


@pytest.mark.parametrize("index", [0, 38, 40, 4096])
def test_index_of_no_series_is_refused_from_python(index):
    stats = Stats(4096)
    stats.gauge("depth", "D.")
    for use in (lambda: stats.value(index), lambda: stats.add(index), lambda: stats.set(index, 1)):
        with pytest.raises(IndexError):
            use()
    with pytest.raises(IndexError):
        stats.observe(39, 1)
    with pytest.raises(IndexError):
        stats.histogram_value(39)


def test_prometheus_reads_what_was_written():
    stats = Stats(4096)
    stats.add(stats.counter("requests_total", "Requests.", {"listener": 'odd "name"\\\n'}), 5)
    stats.set(stats.gauge("in_flight", "In flight."), 9)
    latency = stats.histogram("latency_seconds", "Latency.", {"link": "a"})
    for duration in (40_000, 60_000, 90_000_000_000):
        stats.observe(latency, duration)
    registry = CollectorRegistry()
    registry.register(stats)
    families = {f.name: f for f in text_string_to_metric_families(generate_latest(registry).decode())}
    (request,) = families["requests"].samples
    assert (request.labels, request.value) == ({"listener": 'odd "name"\\\n'}, 5)
    assert families["in_flight"].samples[0].value == 9
    buckets = {s.labels["le"]: s.value for s in families["latency_seconds"].samples if s.name.endswith("_bucket")}
    assert len(buckets) == len(BUCKET_BOUNDS_NS) + 1
    assert (buckets["5e-05"], buckets["7.5e-05"], buckets["60"], buckets["+Inf"]) == (1, 2, 2, 3)
    values = {s.name: s.value for s in families["latency_seconds"].samples}
    assert values["latency_seconds_count"] == 3
    assert values["latency_seconds_sum"] == pytest.approx(90.0001)


def test_exposition_says_what_the_client_library_says():
    stats = Stats(4096)
    for name in ('odd "name"\\\n{}', "", "a"):
        stats.add(stats.counter("requests_total", "Requests\nand \\ more.", {"listener": name, "link": "x"}), 5)
        latency = stats.histogram("latency_seconds", "Latency.", {"link": name})
        for duration in (40_000, 60_000, 90_000_000_000):
            stats.observe(latency, duration)
    stats.set(stats.gauge("in_flight", "In flight."), 2**64 - 1)
    stats.observe(stats.histogram("plain_seconds", "Plain."), 1)
    registry = CollectorRegistry()
    registry.register(stats)

    def read(text):
        return [
            (
                family.name,
                family.documentation,
                family.type,
                {(s.name, *sorted(s.labels.items())): float(s.value) for s in family.samples},
            )
            for family in text_string_to_metric_families(text.decode())
        ]

    assert read(stats.exposition()) == read(generate_latest(registry))


def test_exposition_of_nothing():
    assert Stats(4096).exposition() == b""


def test_gauges_of_several_workers_follow_their_rule():
    stats = Stats(4096, workers=4)
    gauges = {rule: stats.gauge(f"of_{rule}", "Of several.", rule=rule) for rule in RULES}
    assert [stats.value(gauges[rule]) for rule in RULES] == [0, 0, 0], "nobody has said anything"

    def work(worker):
        stats.use_worker(worker)
        for gauge in gauges.values():
            stats.set(gauge, worker + 3)
        return 0

    for worker in (0, 2, 1):  # the last one has no part
        assert in_child(lambda w=worker: work(w)) == 0
    assert [stats.value(gauges[rule]) for rule in RULES] == [12, 5, 3]
    stats.clear_worker(2)
    stats.clear_worker(0)
    assert [stats.value(gauges[rule]) for rule in RULES] == [4, 4, 4], "the dead have no part"
    stats.clear_worker(1)
    assert [stats.value(gauges[rule]) for rule in RULES] == [0, 0, 0]
    assert b"of_min{} 0\n" in stats.exposition()


def test_the_smallest_of_one_worker_is_what_it_says():
    stats = Stats(4096)
    gauge = stats.gauge("up", "Up.", rule="min")
    assert stats.value(gauge) == 0
    stats.set(gauge, 1)
    stats.clear_worker(0)
    assert stats.value(gauge) == 0


def test_a_rule_is_one_and_the_same():
    stats = Stats(4096)
    stats.gauge("up", "Up.", {"link": "a"}, "min")
    with pytest.raises(StatsError, match="up: was registered with rule min, not sum"):
        stats.gauge("up", "Up.", {"link": "b"})
    with pytest.raises(StatsError, match="'mean' is not one of sum, max, min"):
        stats.gauge("depth", "Depth.", rule="mean")


def test_a_counter_is_not_set():
    stats = Stats(4096)
    with pytest.raises(StatsError, match="a counter is added to"):
        stats.set(stats.counter("requests_total", "Requests."), 3)


def test_series_of_any_process_are_known_in_all():
    """Those of before the fork, and those of which the first transaction came later, in whichever worker."""
    stats = Stats(1 << 16, workers=4)
    early = stats.counter("requests_total", "Requests.", {"n": "early"})

    def work(worker):
        stats.use_worker(worker)
        for number in range(worker * 50, worker * 50 + 100):  # each overlaps with the next
            stats.add(stats.counter("requests_total", "Requests.", {"n": str(number)}))
            stats.observe(stats.histogram("latency_seconds", "Latency.", {"n": str(number % 7)}), 60_000)
        smallest = stats.gauge("up", "Up.", {"n": "late"}, "min")
        stats.set(smallest, worker + 5)
        stats.add(early)
        return 0

    children = []
    for worker in range(3):
        children.append(os.fork())
        if children[-1] == 0:
            status = 99
            try:
                status = work(worker)
            finally:
                os._exit(status)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert stats.value(early) == 3
    families = {f.name: f for f in text_string_to_metric_families(stats.exposition().decode())}
    counts = {sample.labels["n"]: sample.value for sample in families["requests"].samples}
    assert counts == {"early": 3} | {
        str(number): sum(first <= number < first + 100 for first in (0, 50, 100)) for number in range(200)
    }
    latencies = [s.value for s in families["latency_seconds"].samples if s.name.endswith("_count")]
    assert (len(latencies), sum(latencies)) == (7, 300)
    assert families["up"].samples[0].value == 5

    def successor():
        stats.use_worker(1)
        late = stats.counter("requests_total", "Requests.", {"n": "60"})
        return 0 if stats.value(late) == 2 and stats.slots_used > early + 200 else 1

    assert in_child(successor) == 0


def test_full_memory_is_refused_in_any_process():
    stats = Stats(1024, workers=2)

    def work():
        stats.use_worker(1)
        for number in range(2):
            stats.histogram("latency_seconds", "Latency.", {"n": str(number)})
        with pytest.raises(StatsError, match=r"39 slots needed, \d+ of 128 left; raise limits\.statistics_bytes"):
            stats.histogram("latency_seconds", "Latency.", {"n": "one more"})
        return 0

    assert in_child(work) == 0
    long = Stats(1024, workers=2)
    with pytest.raises(StatsError, match="no room for the name of another series"):
        long.counter("requests_total", "R" * 5000)
    assert long.counter("requests_total", "R") == HISTOGRAM_SLOTS


@pytest.mark.parametrize("workers", [1, 3])
def test_retired_counters_are_told_together_and_their_room_is_used_again(workers):
    stats = Stats(1 << 16, workers=workers)
    other = {"rule": "other"}
    used, told = set(), 0
    for number in range(50):
        index = stats.counter("refused_total", "Refused.", {"rule": f"a@{number}"})
        used.add(index)
        for worker in range(workers):
            stats.use_worker(worker)
            stats.add(index, number + 1)
        told += workers * (number + 1)
        former = stats.labels_of("refused_total")[:-2]
        epoch = stats.epoch
        stats.retire("refused_total", [labels for labels in former if labels != other], other)
        assert stats.epoch == epoch + 1
    lines = [line for line in stats.exposition().decode().splitlines() if not line.startswith("#")]
    names = {line.partition(" ")[0] for line in lines}
    assert names == {'refused_total{rule="a@48"}', 'refused_total{rule="a@49"}', 'refused_total{rule="other"}'}
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == told
    assert len(used) <= 5
    assert stats.value(stats.counter("refused_total", "Refused.", {"rule": "a@49"})) == workers * 50


def test_what_one_process_retires_the_others_ask_for_anew():
    stats = Stats(1 << 16, workers=3)
    first = stats.counter("refused_total", "Refused.", {"rule": "a@1"})
    stats.add(first, 5)
    epoch = stats.look()

    def retires():
        stats.use_worker(1)
        stats.counter("refused_total", "Refused.", {"rule": "a@2"})
        stats.retire("refused_total", [{"rule": "a@1"}], {"rule": "other"})
        return 0 if stats.counter("refused_total", "Refused.", {"rule": "a@3"}) == first else 1

    assert in_child(retires) == 0
    assert stats.look() != epoch
    assert [labels["rule"] for labels in stats.labels_of("refused_total")] == ["a@2", "other", "a@3"]
    anew = stats.counter("refused_total", "Refused.", {"rule": "a@1"})
    assert anew != first
    stats.add(anew, 2)
    told = stats.exposition().decode().splitlines()
    assert {line for line in told if line.startswith("refused")} == {
        'refused_total{rule="a@1"} 2',
        'refused_total{rule="a@2"} 0',
        'refused_total{rule="a@3"} 0',
        'refused_total{rule="other"} 5',
    }


def test_histograms_and_gauges_stay_where_they_are_when_counters_are_retired():
    stats = Stats(1 << 16, workers=2)
    slow = stats.histogram("slow_seconds", "Slow.")
    low = stats.gauge("low", "Low.", rule="min")
    gone = stats.counter("refused_total", "Refused.", {"rule": "a@1"})
    stats.observe(slow, 1_000_000)
    stats.set(low, 4)
    stats.retire("refused_total", [{"rule": "a@1"}], {"rule": "other"})
    lower = stats.gauge("lower", "Lower.", rule="min")
    assert lower == gone
    stats.set(lower, 3)
    assert (stats.value(low), stats.value(lower)) == (4, 3)
    assert sum(stats.histogram_value(slow)[0]) == 1
    stats.clear_worker(0)
    assert (stats.value(low), stats.value(lower)) == (0, 0)
