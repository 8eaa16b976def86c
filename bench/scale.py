"""A million terminals and blocked cards: compiling them, what workers hold, and a turn in which the tables grow.

``python -m bench.scale`` prints processor times, which other work on the machine does not lengthen, and memory as the
kernel shares it out (PSS, of all processes together): workers are forked with the tables, as a daemon's are, and each
looks every terminal up before it is measured. ``--count`` takes another number than a million.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.bench_registry import MERCHANTS, OneKey
from bench.guards import ACQUIRER, BINDING_KEY_VALUE, PLACE, POSITION
from switch.dialect.kinds import Kind
from switch.machine.terminal_counts import TerminalCounts
from switch.tables.binding import BINDING_KEY, BindingRule, binding_of, elements_of
from switch.tables.registry import (
    BOUND_MERCHANT_COLUMNS,
    BOUND_TERMINAL_COLUMNS,
    MERCHANT_COLUMNS,
    TERMINAL_COLUMNS,
    Registry,
)
from switch.tables.registry_changes import RegistryChange
from switch.tables.risk_files import load_risk

WORKERS = (1, 2, 4)
NEW_TERMINALS = 5_000
ROWS_A_TURN = 128
KINDS, LISTENERS = ("unknown", "purchase"), ("pos",)
RISK = '[cards]\ntable = "cards.csv"\nkey = "risk/cards"\n'


def measure_a_million(measure: Callable[[int, Path], None], description: str | None) -> None:
    """Measure with a million of something, or what ``--count`` says, in a folder that goes away."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        measure(count, Path(folder))


def measure(count: int, folder: Path) -> None:
    """All figures for so many terminals, and as many cards."""
    print(f"{count:,} terminals with two keys each, bound to their merchants, {count:,} blocked cards")
    before_mb = pss_mb([os.getpid()])
    merchants, terminals = bound_files(count)
    begun_s = time.process_time()
    registry = Registry.build(
        merchants, terminals, Keys(), KINDS, LISTENERS, rule=BindingRule(ACQUIRER, is_demanded=True)
    )
    if registry.altered or registry.unbound_count:
        raise RuntimeError("terminals are not as they were bound")
    print(f"terminals compiled: {time.process_time() - begun_s:.2f} s, {registry.size_bytes / 1e6:.0f} MB")
    del merchants, terminals
    write_cards(folder, count)
    begun_s = time.process_time()
    risk = load_risk(folder / "risk.toml", {"risk/cards": bytes(16)}, registry)
    print(f"cards compiled: {time.process_time() - begun_s:.2f} s")

    def look_up() -> None:
        for number in range(count):
            registry.terminal_index(f"{number:08d}")
            risk.check_request(int(Kind.PURCHASE), pan=f"4{number:015d}", amount_minor=1)

    for workers in WORKERS:
        held = of_workers(workers, look_up)
        print(f"memory with {workers} worker(s): {held - before_mb:.0f} MB more than without both")
    grow(registry, count)


class Keys(OneKey):
    """One key for all terminals, and that of bindings."""

    def get(self, name: str) -> bytes | None:
        """A key by its name."""
        return BINDING_KEY_VALUE if name == BINDING_KEY else super().get(name)


def bound_files(count: int) -> tuple[bytes, bytes]:
    """Files of merchants and terminals, each of which is bound to what its merchant is."""
    secrets = [(f"{n:064x}", f"{n + 1:064x}") for n in range(MERCHANTS)]
    merchants = "".join(f"{n:015d},Shop {n},active,5411,,{','.join(secrets[n])},,\n" for n in range(MERCHANTS))
    elements = [elements_of(BINDING_KEY_VALUE, ACQUIRER, f"{n:015d}", *parts).hex() for n, parts in enumerate(secrets)]
    rows = []
    for n in range(count):
        row = {"id": f"{n:08d}", "serial_number": f"SN{n:010d}", "place": PLACE, "position": POSITION}
        row["bound_to"] = elements[n % MERCHANTS]
        said = ",".join((*list(row.values())[1:], binding_of(BINDING_KEY_VALUE, row).hex()))
        rows.append(f"{row['id']},{n % MERCHANTS:015d},active,,,aes-cmac,iso-0,,{said}\n")
    heads = [",".join(columns) + "\n" for columns in (BOUND_MERCHANT_COLUMNS, BOUND_TERMINAL_COLUMNS)]
    return (heads[0] + merchants).encode(), (heads[1] + "".join(rows)).encode()


def write_cards(folder: Path, count: int) -> None:
    """A risk file, and its table of cards: any 64 bits are a hash."""
    (folder / "risk.toml").write_text(RISK)
    rows = (f"{number * 0x9E3779B97F4A7C15 & (1 << 64) - 1:016x},restricted-card\n" for number in range(count))
    (folder / "cards.csv").write_text("card,reason\n" + "".join(rows))


def of_workers(workers: int, look_up: Callable[[], None]) -> float:
    """Megabytes of this process and so many workers, each of which has looked everything up."""
    ready, told = os.pipe()
    wait, go = os.pipe()
    children = []
    for _ in range(workers):
        child = os.fork()
        if child == 0:
            os.close(go)
            look_up()
            os.write(told, b".")
            os.read(wait, 1)
            os._exit(0)
        children.append(child)
    for _ in children:
        os.read(ready, 1)
    held = pss_mb([os.getpid(), *children])
    for descriptor in (go, wait, ready, told):
        os.close(descriptor)
    for child in children:
        os.waitpid(child, 0)
    return held


def pss_mb(processes: list[int]) -> float:
    """What processes hold, shared pages shared out among them."""
    texts = (Path(f"/proc/{process}/smaps_rollup").read_text() for process in processes)
    lines = (line for text in texts for line in text.splitlines() if line.startswith("Pss:"))
    return sum(int(line.split()[1]) for line in lines) / 1000


def grow(registry: Registry, count: int) -> None:
    """Add terminals as a running worker does, and tell its longest turn."""
    counts = TerminalCounts(count)
    merchants = "".join(f"{n:015d},Shop {n},active,5411,\n" for n in range(MERCHANTS))
    numbers = range(count, count + NEW_TERMINALS)
    rows = "".join(f"{n:08d},{n % MERCHANTS:015d},active,,,aes-cmac,iso-0,\n" for n in numbers)
    heads = [",".join(columns) + "\n" for columns in (MERCHANT_COLUMNS, TERMINAL_COLUMNS)]
    more = Registry.build((heads[0] + merchants).encode(), (heads[1] + rows).encode(), OneKey(), KINDS, LISTENERS)
    change = RegistryChange(registry, more)
    longest_s, has_more = 0.0, True
    while has_more:
        begun_s = time.thread_time()
        counts.grow(count + NEW_TERMINALS)
        has_more = change.take(ROWS_A_TURN)
        longest_s = max(longest_s, time.thread_time() - begun_s)
    print(f"{NEW_TERMINALS:,} more terminals: the longest turn {longest_s * 1000:.2f} ms")


if __name__ == "__main__":
    measure_a_million(measure, __doc__)
