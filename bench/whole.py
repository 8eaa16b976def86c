"""The whole switch beside the floor: the same terminals and the same issuer, with a relay in C between them in turn.

``python -m bench.whole`` runs each scenario in rounds, floor and switch one after the other, so that what the machine
does meanwhile meets both. The switch's loop has one processor, everybody else shares another. The floor never makes or
verifies a MAC and never speaks TLS, whatever the scenario: it is what the sockets cost. ``bench.journal`` measures the
switch with its journal beside itself without.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.processes import Process, ProcessFailedError, free_port, is_listening
from bench.workload import Ports, Workload, prepare

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "build" / "bench"
REPORTS = ROOT / "reports"
SWITCH_CPU = 0
PEERS_CPU = 1
PREPARED_RATE = 150_000
"""Requests a second for which MACs are computed before a closed loop starts."""
PREPARED_MAX = 900_000
"""A terminal's STAN has six digits."""
TABLE_WIDTH = 120
"""Columns, where nobody looks at a terminal."""

JOURNAL_METRICS = {
    "batches": "authswitch_journal_batches_total",
    "bytes": "authswitch_journal_bytes_total",
    "records": "authswitch_journal_records_total",
    "seconds": "authswitch_journal_sync_seconds_sum",
}

Result = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One way to load the switch.

    Attributes:
        journal: Whether the switch keeps its journal.
        folder: Where its files are, the journal's too; where temporary files are when None.
        rate: Requests a second, planned in advance (open loop); 0 for a closed loop with one request a terminal.
        target: The least share of the floor's rate in a closed loop, the most multiple of its median latency in an
            open one.
    """

    name: str
    terminals: int
    mac: str | None = None
    tls: bool = False
    journal: bool = False
    folder: str | None = None
    rate: int = 0
    target: float = 0.0


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("plain", 200),
        Scenario("aes-cmac", 200, mac="aes-cmac", target=0.70),
        Scenario("x9.19", 200, mac="x9.19", target=0.45),
        Scenario("tls", 200, mac="aes-cmac", tls=True, target=0.40),
        Scenario("open", 2000, mac="aes-cmac", rate=20_000, target=1.5),
    )
}


def main() -> int:
    """Run the scenarios that were asked for, print a table, write a report."""
    options = parse_arguments()
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    measured: dict[str, Result] = {}
    for name in options.scenario or SCENARIOS:
        scenario = SCENARIOS[name]
        if options.rate and scenario.rate:
            scenario = replace(scenario, rate=options.rate)
        console.print(
            f"{name}: {options.rounds} rounds of {options.warmup + options.seconds:.0f} s each ...", style="dim"
        )
        try:
            measured[name] = run_scenario(scenario, options)
        except ProcessFailedError as error:
            console.print(f"{name}: {error}", style="red", markup=False)
            return 1
    console.print(table_of(measured))
    path = write_report("whole", options, measured)
    console.print(f"report: {path.relative_to(ROOT)}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.whole", description="Measure the whole switch beside the C relay.")
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--seconds", type=int, default=5, help="measured time of each run, warm-up not included")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before the measured time")
    parser.add_argument("--rounds", type=int, default=3, help="runs of floor and switch in turn")
    parser.add_argument("--rate", type=int, help="another rate for open loops, requests a second")
    parser.add_argument("--only", choices=["floor", "switch"], help="leave out the other one")
    options = parser.parse_args()
    unknown = set(options.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"unknown scenario {', '.join(sorted(unknown))}; known are {', '.join(SCENARIOS)}")
    return options


def run_scenario(scenario: Scenario, options: argparse.Namespace) -> Result:
    """Run floor and switch in turn; the runs of both."""
    runs: dict[str, list[Result]] = {side: [] for side in ("floor", "switch") if options.only in (None, side)}
    for _ in range(options.rounds):
        for side, results in runs.items():
            results.append(run_once(side, scenario, options))
    return {"scenario": asdict(scenario), "runs": runs, "summary": summary(scenario, runs)}


def run_once(side: str, scenario: Scenario, options: argparse.Namespace) -> Result:
    """Start issuer and switch (or relay), load them with terminals, stop all."""
    ports = Ports(free_port(), free_port(), free_port())
    with tempfile.TemporaryDirectory(prefix="authswitch-bench-", dir=scenario.folder) as name:
        folder = Path(name)
        workload = prepare(folder, ports, scenario.terminals, scenario.mac, tls=scenario.tls, journal=scenario.journal)
        with Process(issuer_command(side, scenario, workload, ports), PEERS_CPU, folder / "issuer.log") as issuer:
            issuer.wait_until(lambda: is_listening(ports.issuer))
            with Process(switch_command(side, workload, ports), SWITCH_CPU, folder / "switch.base.log", ROOT) as switch:
                switch.wait_until(lambda: is_ready(side, ports))
                switch.move_helpers(PEERS_CPU)
                before = switch.cpu_seconds(), switch.first_thread_cpu_seconds()
                journal = counted(ports, JOURNAL_METRICS) if scenario.journal else {}
                command = terminals_command(side, scenario, workload, ports, options)
                with Process(command, PEERS_CPU, folder / "terminals.log") as terminals:
                    result: Result = json.loads(terminals.output())
                result["switch_cpu_seconds"] = round(switch.cpu_seconds() - before[0], 2)
                result["loop_cpu_seconds"] = round(switch.first_thread_cpu_seconds() - before[1], 2)
                if scenario.journal:
                    after = counted(ports, JOURNAL_METRICS)
                    result["journal"] = {name: after[name] - journal[name] for name in after}
                result["switch_resident_bytes"] = switch.resident_bytes()
    check(side, result)
    return result


def issuer_command(side: str, scenario: Scenario, workload: Workload, ports: Ports) -> list[str]:
    """The issuer; beside the floor it makes no MACs, so that nothing but sockets is measured there."""
    command = [str(PROGRAMS / "issuer"), "--port", str(ports.issuer)]
    if scenario.mac and side == "switch":
        command += ["--mac", scenario.mac, "--key", workload.link_key]
    return command


def switch_command(side: str, workload: Workload, ports: Ports) -> list[str]:
    """What is measured."""
    if side == "switch":
        return [sys.executable, "-m", "switch", "serve", str(workload.config)]
    relay = [str(PROGRAMS / "relay"), "--port", str(ports.terminals), "--issuer", str(ports.issuer)]
    return [*relay, "--stan-offset", str(workload.stan_offset)]


def terminals_command(
    side: str, scenario: Scenario, workload: Workload, ports: Ports, options: argparse.Namespace
) -> list[str]:
    """The load generator; the floor's requests have zeros for a MAC."""
    command = [str(PROGRAMS / "terminals"), "--port", str(ports.terminals), "--requests", str(workload.requests)]
    command += ["--seconds", str(options.seconds), "--warmup", str(options.warmup)]
    if scenario.rate:
        command += ["--rate", str(scenario.rate)]
    if side == "floor":
        return command
    if scenario.mac and workload.keys:
        total = (scenario.rate or PREPARED_RATE) * (options.seconds + options.warmup)
        prepared = min(int(total / scenario.terminals) + 1, PREPARED_MAX)
        command += ["--mac", scenario.mac, "--keys", str(workload.keys), "--prepared", str(prepared), "--check-macs"]
    if scenario.tls:
        command.append("--tls")
    return command


def is_ready(side: str, ports: Ports) -> bool:
    """Whether the relay listens, or the daemon says that it is ready."""
    if side == "floor":
        return is_listening(ports.terminals)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports.admin}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def counted(ports: Ports, metrics: Mapping[str, str]) -> dict[str, float]:
    """What the daemon has counted so far, all labels together, by the names that these metrics have here."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.admin}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    values = [line.rsplit(" ", 1) for line in lines]
    return {
        name: sum(float(value) for series, value in values if series.startswith(f"{metric}{{"))
        for name, metric in metrics.items()
    }


def check(side: str, result: Result) -> None:
    """Refuse figures of a run in which something went wrong.

    Raises:
        ProcessFailedError: an answer was missing, wrong, or no approval.
    """
    faults = {name: result[name] for name in ("mismatched", "unreadable", "wrong_macs", "unanswered") if result[name]}
    declined = {code: count for code, count in result["response_codes"].items() if code != "00"}
    if faults or declined:
        raise ProcessFailedError(f"{side}: the run is worth nothing: {faults} {declined}")


def summary(scenario: Scenario, runs: dict[str, list[Result]]) -> Result:
    """Medians of the runs, and ratios of switch to floor, round by round."""
    result: Result = {}
    for side, results in runs.items():
        latency = {
            quantile: statistics.median(run["latency_ns"][quantile] for run in results)
            for quantile in ("p50", "p99", "p99.9")
        }
        result[side] = {"rate": statistics.median(run["rate"] for run in results), "latency_ns": latency}
        result[side]["cpu_us"] = statistics.median(1e6 * run["switch_cpu_seconds"] / run["answered"] for run in results)
        result[side]["resident_bytes"] = max(run["switch_resident_bytes"] for run in results)
    if len(runs) == 2:
        pairs = list(zip(runs["switch"], runs["floor"], strict=True))
        result["ratio"] = {
            "rate": statistics.median(ours["rate"] / theirs["rate"] for ours, theirs in pairs),
            "p50": statistics.median(ours["latency_ns"]["p50"] / theirs["latency_ns"]["p50"] for ours, theirs in pairs),
            "p99": statistics.median(ours["latency_ns"]["p99"] / theirs["latency_ns"]["p99"] for ours, theirs in pairs),
        }
    return result


def table_of(measured: dict[str, Result]) -> Table:
    """One row for each side of each scenario."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("scenario")
    table.add_column("")
    for column in ("requests/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU us each", "MB", "of the floor", "target"):
        table.add_column(column, justify="right")
    for name, result in measured.items():
        ratio = result["summary"].get("ratio")
        open_loop = result["scenario"]["rate"] > 0
        for side in result["runs"]:
            row = result["summary"][side]
            cells = [f"{row['rate']:,.0f}", *(f"{row['latency_ns'][q] / 1e6:.2f}" for q in ("p50", "p99", "p99.9"))]
            cells += [f"{row['cpu_us']:.1f}", f"{row['resident_bytes'] / 1e6:.0f}"]
            if ratio and side == "switch":
                target = result["scenario"]["target"]
                cells.append(
                    f"p50 x{ratio['p50']:.2f}, p99 x{ratio['p99']:.2f}" if open_loop else f"{ratio['rate']:.2f}"
                )
                cells.append(f"{'p50 x' if open_loop else ''}{target:.2f}" if target else "")
            table.add_row(name, side, *cells)
    return table


def write_report(name: str, options: argparse.Namespace, measured: dict[str, Result]) -> Path:
    """Write all runs, with what is needed to tell them from others."""
    REPORTS.mkdir(exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    document = {
        "time": now.isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or None,
        "machine": {"cpus": os.cpu_count(), "processor": processor(), "system": platform.platform()},
        "python": platform.python_version(),
        "options": vars(options),
        "scenarios": measured,
    }
    path = REPORTS / f"{name}-{now:%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def processor() -> str:
    """The model of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
