"""A terminal that is changed in the store, under load: when the switch sees it, and what is lost meanwhile.

``python -m bench.changing`` runs the daemon with its registry in the store, has the C load generator send purchases at
a fixed rate, and changes one terminal again and again: it may pay, it may not. Another connection asks as that terminal
without a pause; what counts is the time from the change's commit to the first answer that knows it. Every purchase of
the load must be answered, and approved.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event, Thread

from bench.processes import Process, ProcessFailedError, free_port, is_listening
from bench.whole import (
    PEERS_CPU,
    ROOT,
    SWITCH_CPU,
    Scenario,
    check,
    is_ready,
    issuer_command,
    switch_command,
    terminals_command,
)
from bench.workload import MAC_DIGITS, Ports, Workload, prepare, terminal_id
from switch.crypto.mac import Mac
from switch.dialect import load_dialect
from switch.merchants.tables import TERMINALS
from switch.store.changing import changing
from switch.store.opening import Store, parse_url
from switch.wire.scan import scan

MAC = "aes-cmac"
TERMINALS_OF_THE_LOAD = 200
PROBE = TERMINALS_OF_THE_LOAD
APPROVED = "00"
ANSWER_SECONDS = 10
PAUSE_S = 0.3
"""Between changes: each is to be seen before the next."""


def main() -> int:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="bench.changing", description="Change a terminal while others pay.")
    parser.add_argument("--rate", type=int, default=10_000, help="purchases a second")
    parser.add_argument("--seconds", type=int, default=20, help="measured time, warm-up not included")
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds before the measured time")
    parser.add_argument("--store", help="the URL of an empty database; a SQLite file by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="authswitch-changing-") as name:
        try:
            result, seen_s = measure(Path(name), options)
            check("switch", result)
        except ProcessFailedError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{result['answered']:,} purchases at {result['rate']:,.0f} a second: all answered and approved")
    print(f"{len(seen_s)} changes: seen after {statistics.median(seen_s):.3f} s (median), {max(seen_s):.3f} s at most")
    return 0


def measure(folder: Path, options: argparse.Namespace) -> tuple[dict[str, object], list[float]]:
    """What became of the load, and after which time each change was seen."""
    ports = Ports(free_port(), free_port(), free_port())
    workload = prepare(folder, ports, TERMINALS_OF_THE_LOAD + 1, MAC, tls=False)
    scenario = Scenario("changing", TERMINALS_OF_THE_LOAD, mac=MAC, rate=options.rate)
    url = options.store or f"sqlite:{folder}/store.db"
    take_into_store(workload, url)
    with Process(issuer_command("switch", scenario, workload, ports), PEERS_CPU, folder / "issuer.log") as issuer:
        issuer.wait_until(partial(is_listening, ports.issuer))
        with Process(switch_command("switch", workload, ports), SWITCH_CPU, folder / "switch.log", ROOT) as switch:
            switch.wait_until(partial(is_ready, "switch", ports))
            loaded = workload.part("load", range(TERMINALS_OF_THE_LOAD))
            command = terminals_command("switch", scenario, loaded, ports, options)
            with Process(command, PEERS_CPU, folder / "terminals.log") as terminals:
                ended = Event()
                seen_s: list[float] = []
                changer = Thread(target=change_it, args=(workload, ports, url, ended, seen_s))
                changer.start()
                try:
                    result = json.loads(terminals.output())
                finally:
                    ended.set()
                    changer.join()
    return result, seen_s


def take_into_store(workload: Workload, url: str) -> None:
    """Have the registry in a store, instead of the files."""
    text = workload.config.read_text()
    files = 'merchants = "merchants.csv"\nterminals = "terminals.csv"\n'
    workload.config.write_text(text.replace(files, 'store_copy = "registry"\n') + f'\n[store]\nurl = "{url}"\n')
    _run("store", "upgrade", workload)
    for table in ("merchants", "terminals"):
        _run(table, "import", workload, str(workload.config.with_name(f"{table}.csv")), "--why", "measured")


def _run(group: str, command: str, workload: Workload, *words: str) -> None:
    line = [sys.executable, "-m", "switch", group, command, str(workload.config), *words]
    subprocess.run(line, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def change_it(workload: Workload, ports: Ports, url: str, ended: Event, seen_s: list[float]) -> None:
    """Change the probe's terminal until the load has ended, and note when each change was seen."""
    asked = requests(workload)
    with closing(Store.open(parse_url(url))) as store, socket.create_connection(("127.0.0.1", ports.terminals)) as line:
        line.settimeout(ANSWER_SECONDS)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not ended.wait(PAUSE_S):
            allowed = "" if len(seen_s) % 2 else "balance_inquiry"
            with changing(store, "bench", "measured") as change:
                change.update(TERMINALS, terminal_id(PROBE), {"kinds": allowed})
            begun_s = time.perf_counter()
            while (answered(line, next(asked)) == APPROVED) != (allowed == ""):
                pass
            seen_s.append(time.perf_counter() - begun_s)


def requests(workload: Workload) -> Iterator[bytes]:
    """Purchases of the probe's terminal, each a new one."""
    data = workload.requests.read_bytes()
    size = 2 + int.from_bytes(data[:2], "big")
    frame = bytearray(data[size * PROBE : size * (PROBE + 1)])
    mac = Mac(MAC, workload.terminal_keys()[PROBE])
    begin = 2 + workload.stan_offset
    stan = 0
    while True:
        stan = stan % 999_999 + 1
        frame[begin : begin + 6] = b"%06d" % stan
        frame[-MAC_DIGITS:] = mac.compute(bytes(frame[2:-MAC_DIGITS])).hex().upper().encode()[:MAC_DIGITS]
        yield bytes(frame)


def answered(line: socket.socket, frame: bytes) -> str:
    """The response code of the answer."""
    line.sendall(frame)
    size = int.from_bytes(_received(line, 2), "big")
    return scan(_received(line, size), load_dialect("iso87-ascii").spec).text(39)


def _received(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = line.recv(size - len(data))
        if not part:
            raise ConnectionError("the switch has closed the probe's connection")
        data += part
    return data


if __name__ == "__main__":
    sys.exit(main())
