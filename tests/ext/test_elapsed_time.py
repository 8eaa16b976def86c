"""The duplicate window goes by elapsed time: a wall clock that is set neither empties nor freezes it."""

from __future__ import annotations

import pytest

from switch.journal.boot import boot_identity, since_boot_ns
from switch.journal.carry_forward import keep_up
from switch.saf.owed_entries import list_entries
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.world import START_S, purchase

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
YEAR_S = 365 * DAY_S


def paid(world):
    """A purchase that was approved and told; the request, and the answer's bytes."""
    line, issuer = world.terminal(), world.issuer()
    request = purchase(world)
    line.send(request)
    (question,) = [one for one in issuer.read() if one["t"] == "0200"]
    issuer.answer(question)
    line.read_one()
    told = line.raw[-1]
    world.sync()
    issuer.close()
    return request, told


def is_remembered(world, request, told):
    """Whether the repeat gets the stored answer; else an issuer is asked."""
    line, issuer = world.terminal(), world.issuer()
    line.send(request)
    if [one for one in issuer.read() if one["t"] == "0200"]:
        return False
    line.read_one()
    assert line.raw[-1] == told
    return True


@pytest.mark.parametrize("jump_s", [700, -700, YEAR_S, -YEAR_S])
@pytest.mark.parametrize(("later_s", "remembered"), [(1, True), (590, True), (603, False)])
def test_wall_clock_that_was_set_between_two_runs(jump_s, later_s, remembered):
    world = JournalWorld()
    request, told = paid(world)
    world = world.killed(later_s=later_s, wall_ahead_s=jump_s)
    assert is_remembered(world, request, told) is remembered


@pytest.mark.parametrize("jump_s", [700, -700, YEAR_S, -YEAR_S])
@pytest.mark.parametrize("jumps_first", [True, False])
def test_wall_clock_that_was_set_during_a_run(jump_s, jumps_first):
    world = JournalWorld()
    world.wall_ahead_s = jump_s if jumps_first else 0
    world.tick()
    request, told = paid(world)
    world.wall_ahead_s = jump_s - world.wall_ahead_s
    world.advance(300, step=10)
    later = paid(world)
    assert is_remembered(world.killed(later_s=290), request, told)
    assert not is_remembered(world.killed(later_s=310), request, told)
    assert is_remembered(world.killed(later_s=310), *later)
    assert not is_remembered(world.killed(later_s=610), *later)


def test_nothing_is_forgotten_for_time_that_nobody_has_measured():
    """After another start of the machine, or on another machine, its clocks do not tell how long it was down."""
    world = JournalWorld()
    request, told = paid(world)
    world.advance(100, step=10)
    paid(world)
    again = world.killed(boot="second start", now_s=5 * DAY_S, wall_ahead_s=YEAR_S)
    assert is_remembered(again, request, told)
    again = world.killed(boot="second start", now_s=1.0)
    again.advance(495, step=5)
    assert is_remembered(again, request, told)
    again.advance(12, step=1)
    assert again.engine.state.duplicates.in_use == 1
    # And its time goes on from there over further starts.
    paid(again)
    third = again.killed(boot="third start", now_s=10.0)
    third.advance(80, step=10)
    assert third.engine.state.duplicates.in_use == 2
    third.advance(20, step=1)
    assert third.engine.state.duplicates.in_use == 1


@pytest.mark.parametrize("boot", ["first start", "second start"])
def test_refusals_are_remembered_as_long_as_what_an_issuer_was_asked(boot):
    world = JournalWorld()
    refused = purchase(world, f2="5" * 16)
    told = world.terminal().ask(refused)
    world.advance(100, step=10)
    paid(world)
    again = world.killed(boot=boot, **({} if boot == world.boot else {"now_s": 1.0}))
    again.advance(490, step=10)
    assert again.terminal().ask(refused)["37"] == told["37"]
    assert again.engine.state.duplicates.brief == 1
    again.advance(20, step=1)
    assert again.engine.state.duplicates.brief == 0


def test_a_clock_that_went_back_within_one_start_is_not_believed():
    world = JournalWorld(now_s=10_000.0)
    request, told = paid(world)
    assert is_remembered(world.killed(now_s=50.0), request, told)


def test_an_entry_of_months_that_is_written_once_more_ages_nothing_else():
    world = JournalWorld()
    line, issuer = world.terminal(), world.issuer()
    line.send(purchase(world))
    issuer.read()
    world.advance(16, step=1)
    issuer.close()
    line.close()
    world.sync()
    world.advance(200 * DAY_S, step=50 * DAY_S)
    keep_up(world.engine.state, world.journal, carry_records=0)
    request, told = paid(world)
    again = world.killed()
    assert again.engine.owed == 1
    assert list_entries(again.engine.state)[1][0]["age_seconds"] > 80 * DAY_S
    assert is_remembered(again, request, told)


def test_age_of_what_is_owed_goes_by_elapsed_time():
    world = JournalWorld()
    line, issuer = world.terminal(), world.issuer()
    line.send(purchase(world))
    issuer.read()
    world.advance(16, step=1)
    assert world.engine.owed == 1
    issuer.close()
    world.sync()
    for jump_s in (YEAR_S, -YEAR_S):
        again = world.killed(later_s=100, wall_ahead_s=jump_s)
        (entry,) = list_entries(again.engine.state)[1]
        assert 99 < entry["age_seconds"] < 103
    again = world.killed(boot="second start", now_s=1.0, wall_ahead_s=YEAR_S)
    again.sync()
    (entry,) = list_entries(again.killed(later_s=50).engine.state)[1]
    assert 49 < entry["age_seconds"] < 54


def test_records_are_read_from_where_the_window_begins():
    """However wall clocks went: enough segments are read, and no more than needed."""
    world = JournalWorld(begins=False, limits={"duplicate_window_count_max": 20_000, "refusals_kept_max": 20_000})
    world.begin(1_300_000)
    first = paid(world)
    line = world.terminal()
    for number in range(10):
        world.wall_ahead_s = (-1) ** number * number * DAY_S
        world.advance(295, step=59)
        line = world.terminal()
        for _ in range(1_500):
            line.send(purchase(world, f2="5" * 16))
            world.sync()
        line.read()
        keep_up(world.engine.state, world.journal)
        if number == 9:
            last = paid(world)
    assert len([name for name in world.memory.files if name.endswith(".journal")]) > 3
    everything = len(records_of(world.memory)[0])
    again = JournalWorld(world.memory.copy(), now_s=world.now_s + 1, begins=False, wall_ahead_s=YEAR_S)
    again.engine.state.calendar.set(round(again.now_s * 1e9), START_S + YEAR_S)
    replayed = again.begin()
    assert is_remembered(again, *last)
    assert not is_remembered(again, *first)
    assert replayed.records == everything  # WINDOW_SECONDS is an hour: all of it is needed
    later = JournalWorld(world.memory.copy(), now_s=world.now_s + 2 * HOUR_S, begins=False)
    assert later.begin().records < everything // 2


def test_this_machine_knows_its_start():
    assert boot_identity() == boot_identity() != ""
    assert 0 < since_boot_ns() <= since_boot_ns()
