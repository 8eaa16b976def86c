"""Looks for who finds each defect. Runs only where the defects are compiled in: see ``__main__``."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial

from tests.simulation.options import Options
from tests.simulation.run import execute

from .build import ROOT, VARIABLE, is_compiled_in, number_of, switch_on
from .catalogue import Defect, load

FORK = multiprocessing.get_context("fork")
WARM_SEEDS = 30
HAS_FAILED = 1
"""pytest's exit status when tests have failed; others mean that they were not run."""

TEST_SECONDS_MAX = 120
HUNT_SECONDS_MAX = 1_800
"""A defect may make the switch run in circles: that is noticed, too."""


@dataclass(frozen=True)
class Catch:
    """How a defect was found.

    Attributes:
        name: The defect.
        seeds: How many seeds the simulation took; 0: it did not find it, or was not asked.
        invariant: What the failing seed broke first.
        tests: Those named tests that failed.
        is_expected: Whether all who should find it did, in time and for what it breaks.
    """

    name: str
    seeds: int = 0
    invariant: str = ""
    tests: tuple[str, ...] = ()
    is_expected: bool = False


def hunt(name: str, *, with_tests: bool = True, seeds: int = 0) -> Catch:
    """Let everybody who should find a defect look for it.

    Args:
        name: The defect.
        with_tests: Whether the named tests are run as well.
        seeds: How many to try at most, whatever the catalogue says; 0: so many as it says.
    """
    defect = load()[name]
    catch = _simulate(defect, seeds or defect.seeds)
    if with_tests:
        failed = tuple(test for test in defect.tests if fails(defect, test))
        catch = replace(catch, tests=failed, is_expected=catch.is_expected and failed == defect.tests)
    return catch


def _hunt_apart(name: str, *, with_tests: bool, seeds: int) -> Catch:
    """The same in a process of its own, which a defect may end, or make go in circles."""
    is_expected = "error" in load()[name].invariants
    receiver, sender = FORK.Pipe(duplex=False)

    def look() -> None:
        sender.send(hunt(name, with_tests=with_tests, seeds=seeds))

    process = FORK.Process(target=look)
    process.start()
    sender.close()
    try:
        if receiver.poll(HUNT_SECONDS_MAX):
            return receiver.recv()  # type: ignore[no-any-return]
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGABRT:  # by an invariant of the switch's own
            return Catch(name, 1, "ensure", is_expected=True)
        return Catch(name, 1, f"its process ends ({process.exitcode})", is_expected=is_expected)
    finally:
        process.kill()
        process.join()
    return Catch(name, 1, "it never ends", is_expected=is_expected)


def _simulate(defect: Defect, seeds: int) -> Catch:
    """Run seeds from 0 on until the defect shows, or has had its chance."""
    switch_on(defect.name)
    try:
        for seed in range(seeds):
            try:
                result = execute(Options.drawn(seed, journal=defect.has_journal))
            except Exception as error:
                # The switch itself, or peers that got what nobody could understand.
                return Catch(defect.name, seed + 1, type(error).__name__, is_expected="error" in defect.invariants)
            if result.violations:
                is_expected = bool(result.invariants & set(defect.invariants))
                return Catch(defect.name, seed + 1, result.violations[0].invariant, is_expected=is_expected)
    finally:
        switch_on("")
    return Catch(defect.name, is_expected=not defect.seeds)


def fails(defect: Defect, test: str) -> bool:
    """Whether a test fails with the defect, in a process that knows nothing of the simulation's remembered tables."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {**os.environ, VARIABLE: number_of(defect.name)}
    try:
        run = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=TEST_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return True  # what never ends is noticed as well
    return run.returncode < 0 or run.returncode == HAS_FAILED


def row(defect: Defect, catch: Catch) -> str:
    """One line of the table in the docs."""
    seeds = f"{catch.seeds:,}" if catch.seeds else "not found" if defect.seeds else "-"
    tests = ", ".join(f"`{test.rpartition('::')[2]}`" for test in catch.tests) or ("not found" if defect.tests else "-")
    return f"| {defect.name} | {defect.what} | {catch.invariant or '-'} | {seeds} | {tests} |"


HEADER = "| defect | what is wrong | broken | seeds needed | test |\n| --- | --- | --- | ---: | --- |"


def main() -> int:
    """Hunt all defects, or those that are named; 0 when each was found by all who should find it."""
    parser = argparse.ArgumentParser("defects", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="defects or areas; all when none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--seeds", type=int, default=0, help="try so many, whatever the catalogue says")
    parser.add_argument("--tests", action=argparse.BooleanOptionalAction, default=True, help="run the named tests too")
    arguments = parser.parse_args()
    if not is_compiled_in():
        parser.error("run it as `make defects`: here no defect is compiled in")
    known = load()
    areas = {defect.area for defect in known.values()}
    if unknown := set(arguments.names) - set(known) - areas:
        parser.error(f"there is no defect {', '.join(sorted(unknown))}")
    wanted = set(arguments.names)
    defects = [one for one in known.values() if not wanted or one.name in wanted or one.area in wanted]
    for one in defects:
        switch_on(one.name)  # none is hunted in a copy that is older than the catalogue
    switch_on("")
    for options in map(Options.drawn, range(WARM_SEEDS)):
        execute(options)  # what all have in common is made once
    look = partial(_hunt_apart, with_tests=arguments.tests, seeds=arguments.seeds)
    catches = []
    if not arguments.json:
        print(HEADER, flush=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for defect, catch in zip(defects, pool.map(look, [one.name for one in defects]), strict=True):
            catches.append(catch)
            if not arguments.json:
                print(row(defect, catch), flush=True)
    if arguments.json:
        print(json.dumps([asdict(catch) for catch in catches]))
        return 0 if all(catch.is_expected for catch in catches) else 1
    by_simulation = sum(1 for catch in catches if catch.seeds)
    by_both = sum(1 for catch in catches if catch.seeds and catch.tests)
    by_test = sum(1 for catch in catches if catch.tests)
    print(f"\n{len(catches)} defects: {by_simulation} found by simulation, {by_test} by a test, {by_both} by both")
    missed = [catch.name for catch in catches if not catch.is_expected]
    if missed:
        print(f"not found as they should be: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
