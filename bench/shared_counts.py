"""Processor instructions of counting a card's payment: in a process alone, in a table that workers share, by 50 rules.

``python -m bench.shared_counts`` checks and counts requests under callgrind, against two limits, and prints what one of
them takes, without what calls it from Python. Each of 50 rules looks at the request, and counts it in a window of its
own. That of a shared table, with its lock, is what workers pay to count
together; a home worker for each card would cost two messages between workers (``python -m bench.mesh``), and a turn of
its loop before the payment may go on.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from pathlib import Path

from bench.instructions import build_library, read_costs, run_counted
from switch.dialect.kinds import Kind
from switch.tables.risk import Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable

CHECKS = 2_000
CARDS = 200
ROOM = 100_000
YUAN = 156
HOUR_MS = 3_600_000
TABLES = ("no limit", "own table", "shared table", "fifty rules")
RULES = 50


def limit(name: str, *, sliding: bool) -> RuleTerms:
    """A limit on a card, which nobody reaches."""
    return RuleTerms(
        name=name, sliding=sliding, kinds=1 << Kind.PURCHASE, currency=YUAN, window_ms=HOUR_MS, amount_max=10**12
    )


def carry(library: str, table: str) -> None:
    """As the child of callgrind: check and count, first uncounted until each card has its windows."""
    count = {TABLES[0]: 0, TABLES[3]: RULES}.get(table, 2)
    rules = [limit(f"rule-{number}", sliding=number % 2 == 0) for number in range(count)]
    risk = Risk.build(None, WindowTable(ROOM, is_shared=table == TABLES[2]), rules=rules)
    cards = [f"40000012345{number:05d}" for number in range(CARDS)]
    callgrind = ctypes.CDLL(library)
    for turn in range(1 + CHECKS // CARDS):
        if turn == 1:
            callgrind.callgrind_start()
        for pan in cards:
            risk.check_request(Kind.PURCHASE, pan=pan, amount_minor=10, currency=YUAN, now_ms=HOUR_MS)
    callgrind.callgrind_stop()


def instructions(folder: Path, library: Path, table: str) -> float:
    """Of one check, whatever calls it included."""
    functions = ["__pyx_pw_6switch_6tables_4risk_4Risk_*check_request"]
    return read_costs(run_counted(folder, functions, "bench.shared_counts", str(library), table)).total() / CHECKS


def main() -> int:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="authswitch-callgrind-") as name:
        library = build_library(Path(name))
        idle, own, shared, fifty = (instructions(Path(name), library, table) for table in TABLES)
    print(f"{own - idle:,.0f} instructions: look at two windows of a card and count in both, in a table of its own")
    print(
        f"{shared - idle:,.0f} instructions: the same in a table that workers share; {shared - own:,.0f} for its lock"
    )
    print(
        f"{fifty - idle:,.0f} instructions: look at {RULES} windows of a card and count in all, in a table of its own"
    )
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        carry(*sys.argv[1:3])
    else:
        sys.exit(main())
