"""The switch with its journal beside itself without: ``python -m bench.journal``.

Rounds with and without the journal take turns, so that what the machine does meanwhile meets both. The switch's loop
has one processor; the journal's thread shares the other one with terminals and issuer. The journal is on the file
system of the temporary files (or ``--folder``), whose own time to make bytes durable stands beside the figures; one
load runs on tmpfs, too, where durable costs nothing: what then is left of the difference is the program's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.processes import ProcessFailedError
from bench.recovery import recover, write_journal
from bench.whole import ROOT, TABLE_WIDTH, Result, Scenario, run_once, write_report

CLOSED = Scenario("closed loop", 200, mac="aes-cmac")
OPEN = Scenario("open, 10,000 a second", 200, mac="aes-cmac", rate=10_000)
MEMORY = Path("/dev/shm")
RATE_SHARE_LEAST = 0.75
P50_MORE_MS_MAX = 1.0
P99_MORE_MS_MAX = 5.0
BYTES_MAX = 500
RECOVERY_SECONDS_MAX = 15.0
PROBE_BYTES = 16_384
PROBE_WRITES = 400
PROBE_FILE_BYTES = PROBE_BYTES * PROBE_WRITES


def main() -> int:
    """Run the loads and the recovery, print tables, write a report; 1 when a run went wrong."""
    options = parse_arguments()
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    folder = options.folder or tempfile.gettempdir()
    measured: dict[str, Result] = {"disk": probe(Path(folder))}
    console.print(disk_line(measured["disk"]), style="dim", markup=False)
    loads = {"closed": replace(CLOSED, folder=folder), "open": replace(OPEN, folder=folder)}
    if MEMORY.is_dir() and Path(folder).stat().st_dev != MEMORY.stat().st_dev:
        loads["memory"] = replace(CLOSED, name=f"{CLOSED.name}, tmpfs", folder=str(MEMORY))
    try:
        for name, scenario in loads.items():
            console.print(f"{scenario.name}: {options.rounds} rounds, journal off and on ...", style="dim")
            measured[name] = run_pairs(scenario, options)
    except ProcessFailedError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    if options.records:
        console.print(f"recovery of {options.records:,} records, {options.open:,} open ...", style="dim")
        measured["recovery"] = run_recovery(folder, options)
    console.print(loads_table({name: measured[name] for name in loads}))
    console.print()
    console.print(targets_table(measured))
    console.print(f"report: {write_report('journal', options, measured).relative_to(ROOT)}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bench.journal", description="Measure the switch with and without its journal."
    )
    parser.add_argument("--seconds", type=int, default=5, help="measured time of each run, warm-up not included")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before the measured time")
    parser.add_argument("--rounds", type=int, default=3, help="runs without and with the journal in turn")
    parser.add_argument("--folder", help="where the journal is (default: where temporary files are)")
    parser.add_argument("--records", type=int, default=10_000_000, help="in the journal to recover; 0: none")
    parser.add_argument("--open", type=int, default=100_000, help="requests without an outcome at its end")
    return parser.parse_args()


def probe(folder: Path) -> Result:
    """The file system's own time to write 16 KB where something was written before, and to make it durable."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout.strip()
    block = os.urandom(PROBE_BYTES)
    spent = []
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(PROBE_FILE_BYTES))
        file.flush()
        os.fsync(file.fileno())
        for number in range(PROBE_WRITES):
            began = time.perf_counter_ns()
            os.pwrite(file.fileno(), block, number * PROBE_BYTES)
            os.fdatasync(file.fileno())
            spent.append((time.perf_counter_ns() - began) / 1e3)
    quantiles = statistics.quantiles(spent, n=100)
    return {"folder": str(folder), "kind": kind, "p50_us": quantiles[49], "p99_us": quantiles[98]}


def disk_line(disk: Result) -> str:
    """The file system in words."""
    return (
        f"{disk['folder']}: {disk['kind']}, 16 KB written and durable in {disk['p50_us']:,.0f} us "
        f"(median; p99 {disk['p99_us']:,.0f})"
    )


def run_pairs(scenario: Scenario, options: argparse.Namespace) -> Result:
    """Run without and with the journal in turn."""
    sides = {"off": scenario, "on": replace(scenario, journal=True)}
    runs: dict[str, list[Result]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, of_side in sides.items():
            runs[side].append(run_once("switch", of_side, options))
    return {"scenario": asdict(scenario), "runs": runs, "summary": summary(runs)}


def summary(runs: dict[str, list[Result]]) -> Result:
    """Medians of the runs, and what the journal costs, round by round."""
    result: Result = {side: side_summary(of_side) for side, of_side in runs.items()}
    result["rate_share"] = statistics.median(on["rate"] / off["rate"] for off, on in zip(*runs.values(), strict=True))
    result["more_ms"] = {
        quantile: statistics.median(
            (on["latency_ns"][quantile] - off["latency_ns"][quantile]) / 1e6
            for off, on in zip(*runs.values(), strict=True)
        )
        for quantile in ("p50", "p99")
    }
    return result


def side_summary(runs: list[Result]) -> Result:
    """Medians of one side's runs; of its journal, when it has one, all runs together."""
    result: Result = {
        "rate": statistics.median(run["rate"] for run in runs),
        "loop_us": statistics.median(1e6 * run["loop_cpu_seconds"] / run["answered"] for run in runs),
        "others_us": statistics.median(
            1e6 * (run["switch_cpu_seconds"] - run["loop_cpu_seconds"]) / run["answered"] for run in runs
        ),
    }
    for quantile in ("p50", "p99", "p99.9"):
        result[quantile] = statistics.median(run["latency_ns"][quantile] for run in runs) / 1e6
    if "journal" in runs[0]:
        total = {name: sum(run["journal"][name] for run in runs) for name in runs[0]["journal"]}
        result["bytes"] = total["bytes"] / sum(run["answered"] for run in runs)
        result["records_a_batch"] = total["records"] / total["batches"]
        result["batch_us"] = 1e6 * total["seconds"] / total["batches"]
    return result


def run_recovery(folder: str, options: argparse.Namespace) -> Result:
    """Write a long journal and start behind it."""
    with tempfile.TemporaryDirectory(prefix="authswitch-bench-", dir=folder) as name:
        directory = Path(name) / "journal"
        directory.mkdir()
        size = write_journal(directory, options.records, options.open)
        replayed, seconds = recover(Path(name), directory, options.open)
    return {"records": options.records, "bytes": size, "seconds": seconds, "replayed": asdict(replayed)}


def loads_table(measured: dict[str, Result]) -> Table:
    """One row for each side of each load."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("load")
    table.add_column("journal")
    columns = "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "loop us", "other us", "bytes", "a batch", "batch us"
    for column in columns:
        table.add_column(column, justify="right")
    for result in measured.values():
        for side in ("off", "on"):
            row = result["summary"][side]
            cells = [f"{row['rate']:,.0f}", *(f"{row[quantile]:.2f}" for quantile in ("p50", "p99", "p99.9"))]
            cells += [f"{row['loop_us']:.1f}", f"{row['others_us']:.1f}"]
            if side == "on":
                cells += [f"{row['bytes']:.0f}", f"{row['records_a_batch']:.0f}", f"{row['batch_us']:.0f}"]
            table.add_row(result["scenario"]["name"], side, *cells)
    return table


def targets_table(measured: dict[str, Result]) -> Table:
    """One row for each figure that has a target."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what the journal costs")
    for column in ("measured", "target"):
        table.add_column(column, justify="right")
    closed, more = measured["closed"]["summary"], measured["open"]["summary"]["more_ms"]
    size = max(measured[name]["summary"]["on"]["bytes"] for name in ("closed", "open"))
    table.add_row("rate, of that without it", f"{closed['rate_share']:.2f}", f">= {RATE_SHARE_LEAST}")
    if "memory" in measured:
        table.add_row("the same on tmpfs", f"{measured['memory']['summary']['rate_share']:.2f}", "")
    table.add_row("median latency at 10,000 a second", f"{more['p50']:+.2f} ms", f"<= {P50_MORE_MS_MAX:+} ms")
    table.add_row("99th percentile at 10,000 a second", f"{more['p99']:+.2f} ms", f"<= {P99_MORE_MS_MAX:+} ms")
    table.add_row("bytes a transaction", f"{size:.0f}", f"<= {BYTES_MAX}")
    if "recovery" in measured:
        found = measured["recovery"]
        what = f"recovery of {found['records']:,} records, {found['replayed']['ended']:,} open"
        table.add_row(what, f"{found['seconds']:.1f} s", f"<= {RECOVERY_SECONDS_MAX:.0f} s")
    table.add_section()
    table.add_row(disk_line(measured["disk"]), "", "")
    return table


if __name__ == "__main__":
    sys.exit(main())
