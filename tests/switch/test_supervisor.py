"""The supervisor, with real processes: who ends is forked again, and a signal drains all."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import structlog

from switch.base.log import configure_direct_logging
from switch.base.start_signals import DRAINING, PASSED_OVER
from switch.base.stats import Stats
from switch.server.heartbeat import beat_counter
from switch.server.signals import reload_counter
from switch.server.supervisor import SHORT_LIVES_TOLD, Child, Hooks, LifeState, Patience, Supervisor, pinned_cpu

DEADLINE_SECONDS = 10.0
QUICK = Patience(drain_s=20.0, last_s=20.0, backoff_s=0.001, backoff_max_s=0.002)


class Told:
    """Lines that processes write into one pipe."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        self._rest = b""

    def say(self, *words):
        os.write(self.writer, (json.dumps(words) + "\n").encode())

    def next(self):
        """The next line, or None when everybody who could write one has ended."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self._rest:
            assert select.select([self.reader], [], [], max(0.0, deadline - time.monotonic()))[0], "nobody said a word"
            more = os.read(self.reader, 65_536)
            if not more:
                return None
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def until(self, *words):
        """All lines up to one that begins with these words."""
        lines = []
        while not lines or lines[-1][: len(words)] != list(words):
            lines.append(self.next())
            assert lines[-1] is not None, lines
        return lines


class Kept:
    """A supervisor in a process of its own, over callables that get the pipe and the counters."""

    def __init__(self, *children, patience=QUICK, hooks=None, last=(), cpus=None):
        self.told, self.log = Told(), Told()
        self.stats = Stats(4096, workers=len(children) + 1)
        self.depth = self.stats.gauge("depth", "Depth.")
        self.requests = self.stats.counter("requests_total", "Requests.")
        kept = [
            Child(name, lambda run=run: run(self), number, (cpus or {}).get(name), ends_last=name in last)
            for number, (name, run) in enumerate(children)
        ]
        supervisor = Supervisor(kept, self.stats, patience, hooks)
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(self.log.writer, 2)
            sys.stderr = sys.__stderr__
            for pipe in (self.log.reader, self.log.writer, self.told.reader):
                os.close(pipe)
            configure_direct_logging()
            self.stats.use_worker(len(children))
            os._exit(0 if supervisor.run() else 1)
        os.close(self.told.writer)
        os.close(self.log.writer)

    def say(self, *words):
        self.told.say(*words)

    def signal(self, number=signal.SIGTERM):
        os.kill(self.pid, number)

    def restarts(self, name):
        return self.stats.value(self.stats.counter("authswitch_worker_restarts_total", "", {"worker": name}))

    def silences(self, name):
        return self.stats.value(self.stats.counter("authswitch_worker_silences_total", "", {"worker": name}))

    def event(self, name, **values):
        """The next line of the log about this."""
        while True:
            line = self.log.next()
            assert line is not None, f"nothing was logged of: {name}"
            if line["event"] == name and values.items() <= line.items():
                return line

    def status(self):
        """Of the supervisor, once everybody has ended: nobody holds the pipe any more then."""
        while self.told.next() is not None:
            pass
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def kill(self):
        """End what a test that failed has left."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@pytest.fixture
def keep():
    made = []

    def start(*children, **options):
        made.append(Kept(*children, **options))
        return made[-1]

    yield start
    for one in made:
        one.kill()
        os.close(one.told.reader)
        os.close(one.log.reader)


def serves(kept, status=0):
    """A child that says who it is, and ends at the first SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    kept.say("serves", os.getpid())
    signal.sigwait({signal.SIGTERM})
    kept.say("ends", os.getpid())
    return status


def ignores(kept):
    """A child that does not end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    kept.say("serves", os.getpid())
    while True:
        signal.pause()


def test_a_signal_drains_all_and_whoever_ends_last_is_told_last(keep):
    kept = keep(("0", serves), ("desk", serves), ("1", serves), last=("desk",))
    pids = {kept.event("forked", worker=name)["pid"]: name for name in ("0", "desk", "1")}
    assert {kept.told.next()[1] for _ in range(3)} == set(pids)
    kept.signal()
    ended = [pids[kept.told.next()[1]] for _ in range(3)]
    assert (set(ended), ended[2]) == ({"0", "1", "desk"}, "desk")
    assert kept.status() == 0
    assert [kept.restarts(name) for name in ("0", "desk", "1")] == [0, 0, 0]


@pytest.mark.parametrize("number", DRAINING, ids=lambda number: number.name)
def test_each_draining_signal_drains(keep, number):
    kept = keep(("0", serves))
    kept.told.until("serves")
    kept.signal(number)
    assert kept.status() == 0


@pytest.mark.parametrize("number", [one for one in PASSED_OVER if one != signal.SIGHUP], ids=lambda one: one.name)
def test_other_signals_end_nothing(keep, number):
    kept = keep(("0", serves))
    kept.told.until("serves")
    kept.signal(number)
    kept.event("signal ignored", signal=number.name)
    kept.signal()
    assert kept.status() == 0


def test_hanging_up_is_counted_and_passed_on(keep):
    def child(kept):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGTERM})
        kept.say("serves", os.getpid())
        assert signal.sigwait({signal.SIGHUP, signal.SIGTERM}) == signal.SIGHUP
        kept.say("heard", kept.stats.value(reload_counter(kept.stats)))
        signal.sigwait({signal.SIGTERM})
        return 0

    kept = keep(("0", child), ("1", child))
    kept.told.until("serves")
    kept.told.until("serves")
    kept.signal(signal.SIGHUP)
    assert kept.told.until("heard")[-1] == ["heard", 1], "counted before: who comes later sees it"
    assert kept.told.until("heard")[-1] == ["heard", 1]
    kept.signal()
    assert kept.status() == 0


def test_who_dies_is_forked_again_with_the_counters_of_before_and_fresh_gauges(keep):
    def child(kept):
        kept.say("found", kept.stats.value(kept.depth), kept.stats.value(kept.requests))
        kept.stats.set(kept.depth, 7)
        kept.stats.add(kept.requests, 3)
        return serves(kept)

    kept = keep(("0", child))
    found, (_, first) = kept.told.until("serves")
    assert found == ["found", 0, 0]
    os.kill(first, signal.SIGKILL)
    ended = kept.event("ended unasked: it is forked again")
    assert (ended["worker"], ended["pid"], ended["signal"]) == ("0", first, "SIGKILL")
    found, (_, second) = kept.told.until("serves")
    assert found == ["found", 0, 3]
    assert second != first
    assert kept.restarts("0") == 1
    kept.signal()
    assert kept.status() == 0
    assert (kept.stats.value(kept.depth), kept.stats.value(kept.requests)) == (0, 6)


def test_who_ends_by_itself_is_forked_again_whatever_its_status(keep):
    def child(kept):
        if kept.restarts("0") == 0:
            return 0
        if kept.restarts("0") == 1:
            raise MemoryError("no room")
        return serves(kept)

    kept = keep(("0", child))
    assert kept.event("ended unasked: it is forked again")["exit_status"] == 0
    assert kept.event("broken off")["error"] == "MemoryError: no room"
    assert kept.event("ended unasked: it is forked again")["exit_status"] == 1
    kept.told.until("serves")
    kept.signal()
    assert kept.status() == 0


def test_who_dies_again_and_again_is_told_of_and_tried_on(keep):
    def child(kept):
        return serves(kept) if kept.restarts("0") >= SHORT_LIVES_TOLD + 3 else 3

    kept = keep(("0", child), ("1", serves))
    told = kept.event("ends again and again as soon as it is forked: what it says before tells why")
    assert (told["worker"], told["in_a_row"]) == ("0", SHORT_LIVES_TOLD)
    kept.told.until("serves")
    kept.told.until("serves")
    assert kept.restarts("1") == 0
    kept.signal()
    assert kept.status() == 0


def planned(patience, lives):
    """How long each life's successor was waited for, where the lives were so long."""
    supervisor = Supervisor([Child("0", lambda: 0, 0)], Stats(4096), patience)
    (kept,) = supervisor._kept
    waited = []
    for lived_s in lives:
        now_s = time.monotonic()
        kept.forked_s = now_s - lived_s
        kept.life.state = LifeState.RUNS
        supervisor._end_of(kept, 1)
        waited.append(max(0.0, kept.due_s - time.monotonic()))
    return waited


def test_the_first_death_after_a_long_life_costs_no_time_and_others_more_each_time():
    patience = Patience(drain_s=1.0, backoff_s=100.0, backoff_max_s=350.0)
    waited = planned(patience, [60.0, 0.0, 0.0, 0.0, 0.0, 60.0, 5.0])
    assert waited[0] == waited[5] == 0.0
    for longest_s, seconds in zip((100.0, 200.0, 350.0, 350.0), waited[1:5], strict=True):
        assert longest_s / 2 - 1 <= seconds <= longest_s
    assert 49.0 <= waited[6] <= 100.0


def test_short_lives_are_told_of_when_they_follow_each_other():
    """A life of some seconds between them is no sign that nothing works."""
    with structlog.testing.capture_logs() as told:
        planned(QUICK, [0.0, 0.0, 5.0, 0.0, 0.0])
        assert not [line for line in told if line["log_level"] == "critical"]
        planned(QUICK, [5.0, *[0.0] * SHORT_LIVES_TOLD])
    assert [line["in_a_row"] for line in told if line["log_level"] == "critical"] == [SHORT_LIVES_TOLD]


def test_who_does_not_end_in_time_is_killed_and_that_is_no_good_end(keep):
    kept = keep(("0", serves), ("1", ignores), patience=Patience(drain_s=0.05))
    kept.told.until("serves")
    kept.told.until("serves")
    kept.signal()
    kept.event("has not ended in time: killed", worker="1")  # so may be the other one, where it was not run in time
    assert kept.status() == 1


def beats_of(kept, name):
    return beat_counter(kept.stats, name)


def test_who_beats_no_more_is_killed_and_forked_again(keep):
    def child(kept):
        kept.stats.add(beats_of(kept, "0"))
        if kept.restarts("0") == 0:
            return ignores(kept)
        return serves(kept)

    def never_beats(kept):
        return serves(kept)

    kept = keep(("0", child), ("1", never_beats), patience=replace(QUICK, silence_s=0.1))
    killed = kept.event("hangs: killed, to be forked again")
    ended = kept.event("ended unasked: it is forked again")
    assert (killed["worker"], ended["worker"], ended["signal"]) == ("0", "0", "SIGKILL")
    assert ended["pid"] == killed["pid"]
    kept.event("forked", worker="0")
    assert kept.silences("0") >= 1
    assert (kept.silences("1"), kept.restarts("1")) == (0, 0)
    kept.signal()
    kept.status()


@pytest.fixture
def watched(monkeypatch):
    """A supervisor that looks when it is told to, and the pids that it kills."""

    class Watched:
        def __init__(self):
            self.now_s, self.killed = 1000.0, []
            monkeypatch.setattr(
                "switch.server.supervisor.time", SimpleNamespace(monotonic=lambda: self.now_s, time=time.time)
            )
            self.stats = Stats(4096)
            self.supervisor = Supervisor([Child("0", lambda: 0, 0)], self.stats, Patience(1.0, silence_s=10.0))
            (self.kept,) = self.supervisor._kept
            monkeypatch.setattr("switch.server.supervisor.os.kill", lambda *what: self.killed.append(what))
            self.fork()

        def fork(self):
            self.supervisor._set(self.kept, LifeState.RUNS, 42)

        def beat(self):
            self.stats.add(beat_counter(self.stats, "0"))

        def look(self, *seconds):
            for one in seconds:
                self.now_s += one
                self.supervisor._end_who_is_silent()
            return len(self.killed)

    return Watched()


def test_a_silence_is_as_long_as_the_supervisor_saw_it(watched):
    watched.beat()
    assert watched.look(1, 3600, *[1] * 8) == 0, "of the hour in which it was stopped itself a second counts"
    watched.beat()
    assert watched.look(*[1] * 10) == 0
    assert watched.look(1) == 1
    assert watched.killed == [(42, signal.SIGKILL)]
    assert watched.look(*[1] * 20) == 1, "once"


def test_a_second_signal_gives_nobody_more_time(watched):
    for seconds, until_s in ((3.0, 1003.0), (5.0, 1003.0), (2.0, 1002.0)):
        watched.supervisor._pass_on([watched.kept], seconds)
        assert watched.kept.kill_s == until_s
    assert watched.killed == [(42, signal.SIGTERM)] * 3


def test_a_supervisor_that_was_stopped_goes_on(keep, monkeypatch):
    """As with a machine that is suspended: the time at which it wanted to look again is over when it runs again."""
    monkeypatch.setattr("switch.server.supervisor.LOOK_SECONDS", 0.01)
    kept = keep(("0", serves))
    _, pid = kept.told.until("serves")[-1]
    for _ in range(20):
        kept.signal(signal.SIGSTOP)
        os.waitpid(kept.pid, os.WUNTRACED)
        time.sleep(0.02)
        kept.signal(signal.SIGCONT)
    kept.signal(signal.SIGUSR1)
    kept.event("signal ignored", signal="SIGUSR1")
    kept.signal()
    assert kept.told.next() == ["ends", pid]
    assert kept.status() == 0
    assert kept.restarts("0") == 0


def test_who_has_not_begun_to_beat_is_not_missed(watched):
    assert watched.look(*[1] * 100) == 0
    watched.beat()
    watched.look(1)
    watched.beat()
    watched.supervisor._end_of(watched.kept, 1)  # the last beat was its own, and not its successor's
    watched.fork()
    assert watched.look(*[1] * 100) == 0


def test_who_drains_is_waited_for(watched):
    watched.beat()
    watched.look(1)
    watched.supervisor._drained_s = watched.now_s
    assert watched.look(*[1] * 100) == 0


def test_a_later_signal_ends_at_once_and_one_right_behind_the_first_does_not(keep):
    patience = Patience(drain_s=3600.0, last_s=3600.0, again_s=0.0)
    kept = keep(("0", ignores), ("desk", ignores), last=("desk",), patience=Patience(3600.0))
    kept.told.until("serves")
    kept.told.until("serves")
    kept.signal()
    kept.event("draining")
    kept.signal()
    kept.event("signal taken for the same as before")
    os.kill(kept.pid, signal.SIGKILL)
    assert kept.status() == -signal.SIGKILL

    def child(kept):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        kept.say("serves")
        signal.sigwait({signal.SIGTERM})
        kept.say("drains")
        signal.sigwait({signal.SIGTERM})
        return 0

    kept = keep(("0", child), ("desk", child), last=("desk",), patience=patience)
    kept.told.until("serves")
    kept.told.until("serves")
    kept.signal()
    kept.told.until("drains")
    kept.signal()
    kept.event("ending at once")
    kept.told.until("drains")
    kept.signal()
    assert kept.status() == 0


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 1)])
def test_the_status_says_whether_all_ended_well(keep, status, expected):
    kept = keep(("0", serves), ("1", lambda kept: serves(kept, status)))
    kept.told.until("serves")
    kept.told.until("serves")
    kept.signal()
    assert kept.status() == expected


def test_who_waits_to_be_forked_again_has_left_something(keep):
    kept = keep(("0", lambda _: 1), ("1", serves), patience=Patience(drain_s=20.0, backoff_s=3600.0, backoff_max_s=1e6))
    kept.told.until("serves")
    while kept.restarts("0") < 2:  # the first time it is not waited
        kept.event("ended unasked: it is forked again")
    kept.signal()
    assert kept.status() == 1


def test_children_end_with_the_supervisor(keep):
    kept = keep(("0", ignores), ("1", ignores))
    kept.told.until("serves")
    kept.told.until("serves")
    kept.signal(signal.SIGKILL)
    assert kept.status() == -signal.SIGKILL, "the pipe has ended, so they have"


def test_a_child_has_no_mask_and_hears_what_a_starting_daemon_hears(keep):
    def child(kept):
        kept.say("masked", [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())])
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        return 5

    kept = keep(("0", child))
    assert kept.told.next() == ["masked", []]
    assert kept.event("ended unasked: it is forked again")["exit_status"] == 0
    kept.signal()
    kept.status()


def test_a_child_may_be_pinned(keep):
    allowed = sorted(os.sched_getaffinity(0))
    cpus = {str(number): pinned_cpu(number) for number in range(len(allowed) + 1)}
    assert [cpus[str(number)] for number in range(len(allowed))] == allowed
    assert cpus[str(len(allowed))] == allowed[0]

    def child(kept):
        kept.say("runs on", sorted(os.sched_getaffinity(0)))
        return serves(kept)

    kept = keep(("0", child), cpus={"0": allowed[-1]})
    assert kept.told.next() == ["runs on", [allowed[-1]]]
    kept.signal()
    assert kept.status() == 0


def test_hooks_hear_of_forks_and_ends(keep):
    reader, writer = os.pipe()

    def note(what):
        return lambda child, *life: os.write(
            writer, (json.dumps([what, child.name, *[str(each.state) for each in life]]) + "\n").encode()
        )

    kept = keep(("0", serves), hooks=Hooks(note("before"), note("in"), note("changed")))
    os.close(writer)
    kept.told.until("serves")
    kept.signal()
    assert kept.status() == 0
    with os.fdopen(reader) as lines:
        said = [json.loads(line) for line in lines]
    assert said[0] == ["before", "0"]
    assert ["in", "0"] in said
    assert [line for line in said if line[0] == "changed"] == [["changed", "0", "runs"], ["changed", "0", "ended"]]
