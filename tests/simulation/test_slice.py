"""A slice of the simulation for every test run; ``make simulate`` and ``make nightly`` go on where it stops."""

from __future__ import annotations

from pathlib import Path

import pytest

import switch.path.engine
from switch.machine.numbering import Numbering

from .clock import START_WALL_S
from .commands import Wish, run_some
from .options import FAULTS, MESH_FAULTS, NODES, PARTITIONS, WORKERS, Options
from .run import execute
from .worker import BEFORE_THE_LAST_STAN, LAST_STANS, numbering_from

pytestmark = pytest.mark.usefixtures("kept_between_runs")

IS_TRACED = "debug" in Path(switch.path.engine.__file__).parts
SEEDS = range(50 if IS_TRACED else 300)
"""Few on the debug build: each of its lines is counted."""


SEEDS_OF_ALL_KINDS = (1, 4, 6, 21)
"""Of one partition, of several, of two and three workers, and of two nodes."""


@pytest.mark.timeout(600)
def test_nothing_is_violated():
    tally, failures = run_some(Wish(), SEEDS)
    assert not [(failure.options.command(), *map(str, failure.violations)) for failure in failures]
    assert tally.runs == len(SEEDS)
    assert min(tally.outcomes[state] for state in ("approved", "declined", "reversed")) > len(SEEDS)
    assert set(tally.faults) == set(FAULTS + MESH_FAULTS) or IS_TRACED
    assert tally.crashes > len(SEEDS) / 2
    assert {Options.drawn(seed).partitions for seed in SEEDS} == set(PARTITIONS)
    assert {Options.drawn(seed).workers for seed in SEEDS} == set(WORKERS)
    assert {Options.drawn(seed).nodes for seed in SEEDS} == set(NODES)
    assert {Options.drawn(seed).crews for seed in SEEDS} >= ({(1, 1), (2, 1), (1, 2)} if not IS_TRACED else set())


def test_nothing_is_violated_without_a_journal():
    _, failures = run_some(Wish(journal=False), SEEDS[:100])
    assert not [(failure.options.command(), *map(str, failure.violations)) for failure in failures]


def test_a_seed_decides_everything():
    for seed in SEEDS_OF_ALL_KINDS:
        first, second = (execute(Options.drawn(seed), traced=True) for _ in range(2))
        assert first.trace
        assert first.trace == second.trace
        assert first.tally == second.tally


@pytest.mark.parametrize("partitions", [1, 2, 3, 4])
def test_some_partitions_begin_just_before_the_end_of_their_stans(partitions):
    for instance in range(partitions):
        numbering = numbering_from(BEFORE_THE_LAST_STAN, instance, partitions)
        assert numbering.next_stan == numbering.stan_first + numbering.stan_count - LAST_STANS
        first, by_the_clock = numbering.next, Numbering(instance, partitions)
        for one in (numbering, by_the_clock):
            one.begin_by_clock(START_WALL_S * 1_000_000)
        assert numbering.next == first > by_the_clock.next


def test_what_is_left_out_changes_nothing_else():
    options = Options.drawn(4)
    assert options.stream("terminal/0").random() == Options(4, (0,), 1, ()).stream("terminal/0").random()


def test_the_replay_command_names_what_differs_from_the_drawn_run():
    drawn = Options.drawn(5)
    assert drawn.command() == "make simulate START=5 SEEDS=1"
    smaller = Options(5, (1, 2), 3, ("reset",), partitions=2, workers=2, nodes=2)
    assert smaller.command() == (
        "make simulate START=5 SEEDS=1 "
        "ARGS='--terminals 1,2 --requests 3 --faults reset --partitions 2 --workers 2 --nodes 2'"
    )
