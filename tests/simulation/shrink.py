"""Finding the smallest run that still fails in the same way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .run import Result, execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .options import Options


def shrink(failure: Result) -> Result:
    """Leave out kinds of trouble, terminals and transactions while one of the same invariants is still broken."""
    smallest = failure
    while (smaller := _one_step(smallest, failure.invariants)) is not None:
        smallest = smaller
    return smallest


def _one_step(failure: Result, invariants: frozenset[str]) -> Result | None:
    for candidate in _candidates(failure.options):
        result = execute(candidate)
        if result.invariants & invariants:
            return result
    return None


def _candidates(options: Options) -> Iterator[Options]:
    """Simpler runs, the much simpler ones first."""
    if options.faults:
        yield replace(options, faults=())
    if len(options.terminals) > 1:
        for terminal in options.terminals:
            yield replace(options, terminals=(terminal,))
        for terminal in options.terminals:
            yield replace(options, terminals=tuple(one for one in options.terminals if one != terminal))
    yield from _simpler_switches(options)
    for requests in (options.requests // 2, options.requests - 1):
        if 0 < requests < options.requests:
            yield replace(options, requests=requests)
    for fault in options.faults:
        yield replace(options, faults=tuple(one for one in options.faults if one != fault))


def _simpler_switches(options: Options) -> Iterator[Options]:
    """With fewer nodes, workers or partitions."""
    if options.nodes > 1:
        yield replace(options, nodes=1)
    if options.workers > 1:
        fewer = options.workers - 1
        yield replace(options, workers=fewer, nodes=min(options.nodes, fewer))
    if options.partitions > 1:
        yield replace(options, partitions=1, workers=1, nodes=1)
        fewer = options.partitions - 1
        workers = min(options.workers, fewer)
        yield replace(options, partitions=fewer, workers=workers, nodes=min(options.nodes, workers))
