"""One switch of several workers beside one of a single worker: ``python -m bench.workers --workers 4``.

In rounds of one and of many: the same terminals as fast as they are answered, and so many requests a second for each
worker. The kernel spreads connections over the workers whatever their terminals' partitions are, so that of W workers'
frames all but one in W are handed over to another one: of two workers' half. (In the closed loop fewer: those are
answered later.) What counts is processor time a transaction, of all processes of the switch together; how much faster
many are is told by machines with more processors than workers. There workers have a processor each, and terminals and
issuers, of which there is a pair for every two workers, the others. On two processors all share both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.processes import Process, ProcessFailedError, free_port, is_listening
from bench.whole import (
    ROOT,
    TABLE_WIDTH,
    Result,
    Scenario,
    check,
    counted,
    is_ready,
    issuer_command,
    switch_command,
    terminals_command,
    write_report,
)
from bench.workload import Ports, Workload, prepare

MAC = "aes-cmac"
TERMINALS_A_PAIR = 200
CPU_MORE_MAX = 1.3
METRICS = {"requests": "authswitch_requests_total", "handed_over": "authswitch_mesh_frames_total"}


def main() -> int:
    """Run the rounds, print a table, write a report; 1 when a run went wrong."""
    options = parse_arguments()
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    measured: dict[str, Result] = {}
    try:
        for name, rate in {"closed loop": 0, f"{options.rate:,} a second each": options.rate}.items():
            console.print(
                f"{name}: {options.rounds} rounds of {options.warmup + options.seconds:.0f} s each ...", style="dim"
            )
            measured[name] = run_rounds(rate, options)
    except ProcessFailedError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    console.print(table_of(measured))
    console.print(f"report: {write_report('workers', options, measured).relative_to(ROOT)}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.workers", description="Measure several workers beside one.")
    parser.add_argument("--workers", type=int, default=2, help="how many, beside one alone")
    parser.add_argument("--seconds", type=int, default=5, help="measured time of each run, warm-up not included")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before the measured time")
    parser.add_argument("--rounds", type=int, default=3, help="runs of one and of many in turn")
    parser.add_argument("--rate", type=int, default=5_000, help="of the open loop, requests a second for each worker")
    options = parser.parse_args()
    if options.workers < 2:
        parser.error("--workers: one is measured anyway; needed 2 or more")
    options.pairs = (options.workers + 1) // 2
    return options


def processors(workers: int) -> tuple[Sequence[int], Sequence[int]]:
    """Those of the switch, and of everybody else."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[:workers], allowed[workers:]) if len(allowed) > workers else (allowed, allowed)


def run_rounds(rate: int, options: argparse.Namespace) -> Result:
    """One worker and many in turn; what each did, by their number."""
    runs: dict[int, list[Result]] = {1: [], options.workers: []}
    for _ in range(options.rounds):
        for workers, results in runs.items():
            results.append(run_once(workers, rate * workers, options))
    return {str(workers): {"runs": results, "summary": summary(results)} for workers, results in runs.items()}


def run_once(workers: int, rate: int, options: argparse.Namespace) -> Result:
    """Start issuers and switch, load it with terminals, stop all."""
    ports = [Ports(free_port(), free_port(), free_port()) for _ in range(options.pairs)]
    own, others = processors(workers)
    terminals = TERMINALS_A_PAIR * options.pairs
    scenario = Scenario("workers", TERMINALS_A_PAIR, mac=MAC, rate=rate // options.pairs)
    with tempfile.TemporaryDirectory(prefix="authswitch-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        workload = prepare(folder, ports[0], terminals, MAC, tls=False)
        configure(workload, workers, [each.issuer for each in ports], terminals)
        for number, each in enumerate(ports):
            command = issuer_command("switch", scenario, workload, each)
            issuer = stack.enter_context(Process(command, others, folder / f"issuer-{number}.log"))
            issuer.wait_until(partial(is_listening, each.issuer))
        command = switch_command("switch", workload, ports[0])
        switch = stack.enter_context(Process(command, own, folder / "switch.base.log", ROOT))
        switch.wait_until(lambda: is_ready("switch", ports[0]))
        before, cpu_s = counted(ports[0], METRICS), switch.family_cpu_seconds()
        loads = []
        for number in range(options.pairs):
            part = workload.part(f"part-{number}", range(number * TERMINALS_A_PAIR, (number + 1) * TERMINALS_A_PAIR))
            command = terminals_command("switch", scenario, part, ports[0], options)
            loads.append(stack.enter_context(Process(command, others, folder / f"terminals-{number}.log")))
        results = [json.loads(load.output()) for load in loads]
        cpu_s = switch.family_cpu_seconds() - cpu_s
        after = counted(ports[0], METRICS)
    for result in results:
        check("switch", result)
    requests = after["requests"] - before["requests"]
    return {
        "rate": sum(result["rate"] for result in results),
        "latency_ns": {key: max(result["latency_ns"][key] for result in results) for key in ("p50", "p99")},
        "cpu_us": 1e6 * cpu_s / requests,
        "handed_over": (after["handed_over"] - before["handed_over"]) / requests,
        "terminals": results,
    }


def configure(workload: Workload, workers: int, issuers: Sequence[int], terminals: int) -> None:
    """Let there be so many workers and issuers; what workers share out is no bound."""
    text = workload.config.read_text()
    pinned = str(workers > 1).lower()
    text = text.replace("[switch]\n", f"[switch]\nworkers = {workers}\npin = {pinned}\n")
    text = text.replace(f"connections_max = {terminals + 100}", f"connections_max = {terminals * workers + 100}")
    endpoints = ", ".join(f'"127.0.0.1:{port}"' for port in issuers)
    workload.config.write_text(text.replace(f'"127.0.0.1:{issuers[0]}"', endpoints))


def summary(runs: Sequence[Result]) -> Result:
    """Medians of the runs."""
    result: Result = {key: statistics.median(run[key] for run in runs) for key in ("rate", "cpu_us", "handed_over")}
    result["latency_ns"] = {key: statistics.median(run["latency_ns"][key] for run in runs) for key in ("p50", "p99")}
    return result


def table_of(measured: dict[str, Result]) -> Table:
    """Two rows for each load: one worker, and many."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("load")
    for column in ("workers", "requests/s", "p50 ms", "p99 ms", "handed over", "CPU us each", "of one's", "target"):
        table.add_column(column, justify="right")
    for load, name, row, alone in (
        (load, name, one["summary"], result["1"]["summary"])
        for load, result in measured.items()
        for name, one in result.items()
    ):
        cells = [load, name, f"{row['rate']:,.0f}", *(f"{row['latency_ns'][key] / 1e6:.2f}" for key in ("p50", "p99"))]
        cells += [f"{row['handed_over']:.0%}", f"{row['cpu_us']:.1f}"]
        if row is not alone:
            cells += [f"{row['cpu_us'] / alone['cpu_us']:.2f}", f"<= {CPU_MORE_MAX}"]
        table.add_row(*cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
