"""The command line: seeds in, violations and counts out."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from .defects.build import is_compiled_in, run_where_compiled_in, switch_on
from .options import FAULTS, MESH_FAULTS, NODES, PARTITIONS, WORKERS, Options
from .run import Result, execute
from .shrink import shrink
from .speed import give_back
from .tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS_A_TASK = 50
PROGRESS_SECONDS = 10


@dataclass(frozen=True)
class Wish:
    """What the command line asks of each seed."""

    journal: bool = True
    defect: str = ""
    terminals: tuple[int, ...] | None = None
    requests: int | None = None
    faults: tuple[str, ...] | None = None
    partitions: int | None = None
    workers: int | None = None
    nodes: int | None = None

    def options(self, seed: int) -> Options:
        """The run of a seed."""
        options = Options.drawn(seed, journal=self.journal, defect=self.defect)
        if self.terminals is not None:
            options = replace(options, terminals=self.terminals)
        if self.requests is not None:
            options = replace(options, requests=self.requests)
        if self.faults is not None:
            options = replace(options, faults=self.faults)
        if self.partitions is not None:
            options = replace(options, partitions=self.partitions, workers=min(options.workers, self.partitions))
        if self.workers is not None:
            options = replace(options, workers=self.workers, partitions=max(options.partitions, self.workers))
        if self.nodes is not None:
            workers = max(options.workers, self.nodes)
            options = replace(options, workers=workers, partitions=max(options.partitions, workers))
        return replace(options, nodes=min(options.workers, self.nodes or options.nodes))


def run_some(wish: Wish, seeds: range) -> tuple[Tally, list[Result]]:
    """Run a few seeds: what happened, and those that failed."""
    tally = Tally()
    failures = []
    for seed in seeds:
        result = execute(wish.options(seed))
        tally.add(result.tally)
        if result.violations:
            failures.append(result)
    give_back()
    return tally, failures


def tell(failure: Result, *, shrunk: bool, traced: bool) -> None:
    """Print a failure, and how to see it again."""
    print(f"\nseed {failure.options.seed} FAILED")
    for violation in failure.violations:
        print(f"  {violation}")
    print(f"  options: {failure.options}")
    print(f"  replay:  {failure.options.command()}")
    if traced:
        print("\n".join(execute(failure.options, traced=True).trace))
    if shrunk:
        smaller = shrink(failure)
        print(f"  shrunk to {len(smaller.options.terminals)} terminals, {smaller.options.requests} requests each, "
              f"{smaller.options.partitions} partitions, {smaller.options.workers} workers, "
              f"{smaller.options.nodes} nodes, "
              f"faults: {', '.join(smaller.options.faults) or 'none'}")  # fmt: skip
        for violation in smaller.violations:
            print(f"  {violation}")
        print(f"  replay:  {smaller.options.command()}")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for; 0 when nothing was violated, 1 when something was."""
    arguments = _parser().parse_args()
    if arguments.defect and not is_compiled_in():
        return run_where_compiled_in("tests.simulation", sys.argv[1:])
    if arguments.defect:
        switch_on(arguments.defect)
    wish = Wish(
        arguments.journal,
        arguments.defect,
        None if arguments.terminals is None else tuple(map(int, arguments.terminals.split(","))),
        arguments.requests,
        None
        if arguments.faults is None
        else tuple(one for one in arguments.faults.split(",") if one in FAULTS + MESH_FAULTS),
        arguments.partitions,
        arguments.workers,
        arguments.nodes,
    )
    began = time.monotonic()
    whole = Tally()
    failed = 0
    told = began
    for tally, failures in _results(arguments, wish, began):
        whole.add(tally)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            print(_progress(arguments, whole, told - began, failed), file=sys.stderr, flush=True)
        for failure in failures:
            if failed < arguments.failures:
                tell(failure, shrunk=arguments.shrink, traced=arguments.trace)
            failed += 1
        if failed >= arguments.failures:
            break
    seconds = time.monotonic() - began
    for line in whole.lines():
        print(line)
    print(f"{seconds:.1f} s, {whole.runs / seconds:,.0f} seeds a second, {failed} seeds failed")
    return 1 if failed else 0


def _progress(arguments: argparse.Namespace, whole: Tally, seconds: float, failed: int) -> str:
    """How far a campaign is, in one line."""
    share = f" of {arguments.seeds:,}" if arguments.seeds else ""
    return (
        f"{seconds:,.0f} s: {whole.runs:,}{share} seeds from {arguments.start} on, "
        f"{whole.runs / seconds:,.0f} a second, "
        f"{whole.transactions:,} transactions, {whole.crashes:,} crashes, {failed} seeds failed"
    )


def _results(arguments: argparse.Namespace, wish: Wish, began: float) -> Iterator[tuple[Tally, list[Result]]]:
    end = sys.maxsize if arguments.seeds == 0 else arguments.start + arguments.seeds
    size = min(SEEDS_A_TASK, max(1, arguments.seeds)) if arguments.seeds else SEEDS_A_TASK
    tasks = (range(at, min(at + size, end)) for at in range(arguments.start, end, size))
    run = partial(run_some, wish)

    def has_time() -> bool:
        return not arguments.seconds or time.monotonic() - began < arguments.seconds

    if arguments.jobs == 1:
        for task in tasks:
            if not has_time():
                return
            yield run(task)
        return
    with ProcessPoolExecutor(arguments.jobs) as pool:
        while has_time() and (batch := list(islice(tasks, 4 * arguments.jobs))):
            yield from pool.map(run, batch)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("simulation", description=__doc__)
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds; 0 for as many as there is time for")
    parser.add_argument("--seconds", type=float, default=0, help="begin no new seed after this time; 0 for no limit")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--terminals", help="only these terminals, by number")
    parser.add_argument("--requests", type=int, help="transactions a terminal at most")
    parser.add_argument("--partitions", type=int, choices=sorted(set(PARTITIONS)), help="of the switch")
    parser.add_argument("--workers", type=int, choices=sorted(set(WORKERS)), help="of the switch, as many partitions")
    parser.add_argument("--nodes", type=int, choices=sorted(set(NODES)), help="of the switch, as many workers")
    parser.add_argument("--faults", help="only these kinds of trouble; none for none")
    parser.add_argument("--journal", action=argparse.BooleanOptionalAction, default=True, help="with a journal")
    parser.add_argument("--defect", default="", help="switch a deliberate defect on")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many failed seeds")
    parser.add_argument("--shrink", action=argparse.BooleanOptionalAction, default=True, help="shrink failures")
    parser.add_argument("--trace", action="store_true", help="print what everybody said in runs that fail")
    return parser
