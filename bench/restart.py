"""What others feel while a worker is killed and its journal replayed: ``python -m bench.restart``.

Two workers with a partition each. The journal of the first is filled with so many records by payments of its own
terminals; then terminals of the second, connected to the second worker, pay at a steady rate, once while nothing
happens and once while the first worker is killed and its successor replays that journal. What counts is how much longer
the slowest hundredth waits then. A window holds all that was paid, so that the whole journal is replayed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from bench.workers import processors
from bench.workload import BUSY_WINDOW_SECONDS, Ports, Workload, prepare, terminal_id
from switch.machine.partitioning import partition_of

WORKERS = 2
TERMINALS = 200
FILLED, OTHER = 0, 1
RECORDS_A_PAYMENT = 2
FILL_SECONDS = 5
MUCH = 200_000
"""Records that take longer to write than a round."""

STANS_A_ROUND = 10_000
STANS = 900_000
SPARE_SECONDS = 2.0
WINDOW_SECONDS = 3_600
POLL_SECONDS = 0.05
DEADLINE_SECONDS = 120.0
P99_MORE_MAX = 2.0
PAYMENTS = Scenario("restart", TERMINALS, mac="aes-cmac", journal=True)
RECORDS = {"records": "authswitch_journal_records_total"}


def main() -> int:
    """Fill the journal, measure twice, print a table, write a report; 1 when a run went wrong."""
    options = parse_arguments()
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    with tempfile.TemporaryDirectory(prefix="authswitch-bench-", dir=options.folder) as name:
        try:
            measured = measure(Path(name), options, console)
        except ProcessFailedError as error:
            console.print(str(error), style="red", markup=False)
            return 1
    console.print(table_of(measured))
    console.print(f"report: {write_report('restart', options, measured).relative_to(ROOT)}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.restart", description="Measure others while a worker starts again.")
    parser.add_argument("--records", type=int, default=1_000_000, help="in the journal that is replayed")
    parser.add_argument("--rate", type=int, default=2_000, help="payments a second of the other partition")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind, in turn")
    parser.add_argument("--folder", help="where the journals are (default: where temporary files are)")
    return parser.parse_args()


class Pair:
    """A switch of two workers whose first one can be killed and watched, and terminals of the second."""

    def __init__(self, switch: Process, workload: Workload, ports: Ports, rate: int) -> None:
        self.switch = switch
        self.log = workload.config.with_name("terminals.log")
        self._scenario = replace(PAYMENTS, rate=rate)
        self._workload = workload
        self._ports = ports
        self._restarts = 0

    def terminals_command(self, options: argparse.Namespace) -> list[str]:
        """What lets the terminals pay."""
        return terminals_command("switch", self._scenario, self._workload, self._ports, options)

    def _status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports.admin}/status", timeout=5) as answer:
            status: dict[str, Any] = json.load(answer)
            return status

    def kill(self) -> None:
        """Kill the first worker; when this returns its sockets are closed."""
        row = self._status()["workers"][FILLED]
        self._restarts = row["restarts"]
        pid = int(row["pid"])
        os.kill(pid, signal.SIGKILL)
        while not has_ended(pid):
            time.sleep(POLL_SECONDS / 10)

    def is_whole(self) -> bool:
        """Whether the worker that was killed has a successor, and both serve."""
        status = self._status()
        is_another = status["workers"][FILLED]["restarts"] > self._restarts
        return is_another and not status["unready_reasons"] + status["lacks"]

    def until_whole(self) -> float:
        """Wait until that is so; the seconds that took."""
        began = time.monotonic()
        while not self.is_whole():
            if time.monotonic() - began > DEADLINE_SECONDS:
                raise ProcessFailedError(f"the worker was not started again: {self.switch.said()}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def connections(self) -> int:
        """Of terminals, that are open."""
        return int(counted(self._ports, {"open": "authswitch_connections"})["open"])


def has_ended(pid: int) -> bool:
    """Whether nothing is left of a process, all its threads included, but what its parent has not asked for yet."""
    try:
        is_zombie = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return is_zombie and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    except OSError:
        return True


def measure(folder: Path, options: argparse.Namespace, console: Console) -> dict[str, Result]:
    """Fill the journal, then measure without and with a kill in turn."""
    ports = Ports(free_port(), free_port(), free_port())
    own, others = processors(WORKERS)
    whole = prepare(folder, ports, WORKERS * TERMINALS * 2, PAYMENTS.mac, tls=False, journal=True)
    configure(whole, options.records)
    filled, other = (speakers(whole, partition) for partition in (FILLED, OTHER))
    with (
        Process(issuer_command("switch", PAYMENTS, whole, ports), others, folder / "issuer.log") as issuer,
        Process(switch_command("switch", whole, ports), own, folder / "switch.base.log", ROOT) as switch,
    ):
        issuer.wait_until(lambda: is_listening(ports.issuer))
        switch.wait_until(lambda: is_ready("switch", ports))
        console.print(f"a journal of {options.records:,} records ...", style="dim")
        fill(filled, ports, options)
        pair = Pair(switch, other, ports, options.rate)
        pair.kill()
        replay_s = pair.until_whole()
        records = counted(ports, RECORDS)["records"]
        runs: dict[str, list[Result]] = {"quiet": [], "replay": []}
        for number in range(options.rounds):
            for at, (name, results) in enumerate(runs.items()):
                first_stan = 1 + (2 * number + at) * STANS // (2 * options.rounds)
                results.append(run(pair, replay_s, first_stan, is_killed=name == "replay"))
    return {name: {"runs": results, "records": records, "replay_s": replay_s} for name, results in runs.items()}


def speakers(workload: Workload, partition: int) -> Workload:
    """The workload of terminals of one partition."""
    places = [n for n in range(WORKERS * TERMINALS * 2) if partition_of(terminal_id(n), WORKERS) == partition]
    return workload.part(f"partition-{partition}", places[:TERMINALS])


def configure(workload: Workload, records: int) -> None:
    """Let two workers remember all that is paid."""
    text = workload.config.read_text()
    text = text.replace("[switch]\n", f"[switch]\nworkers = {WORKERS}\n")
    places = WORKERS * (records // RECORDS_A_PAYMENT + 400_000)
    text = text.replace("[limits]\n", f"[limits]\nduplicate_window_count_max = {places}\n")
    text = text.replace(
        f"duplicate_window_seconds = {BUSY_WINDOW_SECONDS}", f"duplicate_window_seconds = {WINDOW_SECONDS}"
    )
    connections = WORKERS * TERMINALS * 2 + 100
    workload.config.write_text(
        text.replace(f"connections_max = {connections}", f"connections_max = {WORKERS * connections}")
    )


def fill(workload: Workload, ports: Ports, options: argparse.Namespace) -> None:
    """Pay until the journal has its records."""
    for first_stan in range(1, STANS, STANS_A_ROUND):
        missing = options.records - counted(ports, RECORDS)["records"]
        if missing <= 0:
            return
        # What a closed loop does in a second is not known before; the last round is a short one.
        pay = argparse.Namespace(seconds=FILL_SECONDS if missing > MUCH else 1, warmup=0.0)
        command = [*terminals_command("switch", PAYMENTS, workload, ports, pay), "--first-stan", str(first_stan)]
        with Process(command, processors(WORKERS)[1], workload.config.with_name("fill.log")) as terminals:
            check("switch", json.loads(terminals.output()))
    raise ProcessFailedError(f"{options.records:,} records took too long to write")


def run(pair: Pair, replay_s: float, first_stan: int, *, is_killed: bool) -> Result:
    """Terminals of the other worker, for as long as a replay takes."""
    # They come while the first worker is away, and its port with it: so all of them are the second one's.
    os.kill(pair.switch.pid, signal.SIGSTOP)
    pair.kill()
    warmup_s = 2 * replay_s + SPARE_SECONDS
    pay = argparse.Namespace(seconds=max(1, math.ceil(replay_s)), warmup=warmup_s)
    command = [*pair.terminals_command(pay), "--first-stan", str(first_stan)]
    with Process(command, processors(WORKERS)[1], pair.log) as terminals:
        terminals.wait_until(lambda: pair.connections() == TERMINALS)
        begins_s = time.monotonic() + warmup_s
        os.kill(pair.switch.pid, signal.SIGCONT)
        pair.until_whole()
        time.sleep(max(0.0, begins_s - time.monotonic()))
        if is_killed:
            pair.kill()
            replay_s = pair.until_whole()
        result: Result = json.loads(terminals.output())
    check("switch", result)
    return {**result, "replay_s": replay_s}


def medians(runs: list[Result]) -> Result:
    """Of the rounds."""
    result: Result = {key: statistics.median(run[key] for run in runs) for key in ("rate", "replay_s")}
    quantiles = ("p50", "p99", "p99.9")
    return {**result, "latency_ns": {q: statistics.median(run["latency_ns"][q] for run in runs) for q in quantiles}}


def table_of(measured: dict[str, Result]) -> Table:
    """One row for each kind."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("the other partition")
    for column in ("payments/s", "p50 ms", "p99 ms", "p99.9 ms", "replay s", "p99 of quiet", "target"):
        table.add_column(column, justify="right")
    rows = {name: medians(result["runs"]) for name, result in measured.items()}
    for name, row in rows.items():
        cells = [f"{row['rate']:,.0f}", *(f"{row['latency_ns'][q] / 1e6:.2f}" for q in ("p50", "p99", "p99.9"))]
        if name == "replay":
            ratio = row["latency_ns"]["p99"] / rows["quiet"]["latency_ns"]["p99"]
            cells += [f"{row['replay_s']:.1f}", f"x{ratio:.2f}", f"< x{P99_MORE_MAX:.0f}"]
        table.add_row(name, *cells)
    table.add_row(f"{measured['replay']['records']:,.0f} records in the journal", style="dim")
    return table


if __name__ == "__main__":
    sys.exit(main())
