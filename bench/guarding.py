"""What the guards of a purchase add to it: binding, MACs, fifty rules, and a PIN; each alone, and all together.

``python -m bench.guarding`` carries purchases through the state machine without any of them, with each, and with all,
in turns: what else the machine does meets all alike. It prints the shortest time of each, from a terminal's bytes to
the issuer's and back to the terminal's, and what that is more than without guards. The MACs are AES-CMAC on both legs;
PIN blocks are of ISO format 4, opened under the terminal's key and closed under the link's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.engine_load import EngineLoad
from bench.guards import Guards

MAC = "aes-cmac"
RULES = 50
CASES: dict[str, tuple[str | None, Guards]] = {
    "no guards": (None, Guards()),
    "binding, serial number, position": (None, Guards(binding=True)),
    "MACs": (MAC, Guards()),
    f"{RULES} rules": (None, Guards(rules=RULES)),
    "PIN": (None, Guards(pin=True)),
    "all": (MAC, Guards(binding=True, rules=RULES, pin=True)),
}


def main() -> None:
    """Measure, and print a line for each case."""
    parser = argparse.ArgumentParser(prog="bench.guarding", description="What the guards of a purchase add to it.")
    parser.add_argument("--connections", type=int, default=200, help="terminals, each on its own connection")
    parser.add_argument("--purchases", type=int, default=4_000, help="of each case, a round")
    parser.add_argument("--rounds", type=int, default=20, help="of which the shortest counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="authswitch-guarding-") as name:
        shortest_ns = measure(Path(name), options.connections, options.purchases, options.rounds)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("a purchase with", "µs", "more"):
        table.add_column(heading, justify="left" if heading.startswith("a") else "right")
    bare_ns = shortest_ns["no guards"]
    for case, spent_ns in shortest_ns.items():
        table.add_row(case, f"{spent_ns / 1000:.2f}", f"{(spent_ns - bare_ns) / 1000:+.2f}")
    Console(width=100).print(table)


def measure(folder: Path, connections: int, purchases: int, rounds: int) -> dict[str, float]:
    """The shortest time of a purchase in each case, in nanoseconds."""
    loads = {}
    for number, (case, (mac, guards)) in enumerate(CASES.items()):
        (folder / str(number)).mkdir()
        loads[case] = EngineLoad(folder / str(number), connections, mac=mac, guards=guards)
        loads[case].run(max(connections, purchases))
    shortest_ns = dict.fromkeys(CASES, float("inf"))
    for _ in range(rounds):
        for case, load in loads.items():
            shortest_ns[case] = min(shortest_ns[case], load.run(purchases))
    return shortest_ns


if __name__ == "__main__":
    main()
