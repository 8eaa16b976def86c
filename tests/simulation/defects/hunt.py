"""Looks for the first seed that finds each defect. Runs only where the defects are compiled in: see ``__main__``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import switch.answer
from tests.simulation.options import Options
from tests.simulation.run import execute

from .build import TREE, VARIABLE, number_of
from .catalogue import BY_NAME, DEFECTS, Defect


@dataclass(frozen=True)
class Catch:
    """How a defect was found.

    Attributes:
        name: The defect.
        seeds: How many seeds it took; 0: it was not found.
        invariant: What the failing seed broke first.
        is_expected: Whether it was found in time, and broke what it should.
    """

    name: str
    seeds: int
    invariant: str
    is_expected: bool


def hunt(name: str) -> Catch:
    """Run seeds from 0 on with one defect until it shows, or has had its chance."""
    defect = BY_NAME[name]
    os.environ[VARIABLE] = number_of(name)
    try:
        for seed in range(defect.seeds):
            result = execute(Options.drawn(seed, journal=defect.journal))
            if result.violations:
                first = result.violations[0].invariant
                return Catch(name, seed + 1, first, bool(result.invariants & set(defect.invariants)))
    finally:
        del os.environ[VARIABLE]
    return Catch(name, 0, "", is_expected=False)


def row(defect: Defect, catch: Catch) -> str:
    """One line of the table in the docs."""
    found = f"{catch.seeds}" if catch.seeds else "not found"
    return f"| {defect.name} | {defect.what} | {catch.invariant} | {found} | {defect.seeds:,} |"


def main() -> int:
    """Hunt all defects, or those that are named; 0 when each was found in time."""
    parser = argparse.ArgumentParser("defects", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="defects; all when none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args()
    if TREE not in Path(switch.answer.__file__).parents:
        parser.error("run it as `make defects`: here no defect is compiled in")
    if unknown := set(arguments.names) - set(BY_NAME):
        parser.error(f"there is no defect {', '.join(sorted(unknown))}")
    names = arguments.names or [defect.name for defect in DEFECTS]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        catches = list(pool.map(hunt, names))
    if arguments.json:
        print(json.dumps([asdict(catch) for catch in catches]))
    else:
        print("| defect | what is wrong | broken | seeds needed | at most |\n| --- | --- | --- | --- | --- |")
        for catch in catches:
            print(row(BY_NAME[catch.name], catch))
    return 0 if all(catch.is_expected for catch in catches) else 1


if __name__ == "__main__":
    sys.exit(main())
