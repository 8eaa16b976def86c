"""How long the daemon takes to start behind a long journal: ``python -m bench.recovery --records 10000000``.

The journal is written here from its description in ``docs/journal.md``, without the program's own writer: purchases at
ten thousand a second until now, of which the last are open. What is measured is the replay, with the default duplicate
window. ``--partitions 4`` is a worker that owns one of four: the journal is that partition's, and so are its terminals.
"""

from __future__ import annotations

import argparse
import itertools
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.workload import BUSY_WINDOW_SECONDS, MERCHANT, Ports, luhn_digit, prepare, purchase, terminal_id
from switch.base.checksum import checksum
from switch.base.stats import Stats
from switch.check.parts import load_parts
from switch.config import load_config
from switch.dialect.kinds import Kind
from switch.journal import Replayed, replay_into
from switch.journal.boot import since_boot_ns
from switch.journal.commit import JournalFiles
from switch.journal.compression import packed
from switch.journal.disk import FileDisk
from switch.journal.party_names import write_names
from switch.machine.partitioning import partition_of
from switch.server.assembly import Part, build_engine

KEY = bytes(32)
TERMINALS = 1_000
"""Of each partition, or nearly."""

RATE = 10_000
"""Purchases a second."""
PAIRS_A_BATCH = 500
BATCHES_A_SEGMENT = 250
WINDOW_SECONDS = 600
WINDOW_COUNT = 1_000_000
"""Places of the duplicate window in each partition: the default of a switch that has one."""

SEGMENT = struct.Struct("<8sIIqqq16s12s")
BATCH = struct.Struct("<IIqIIIBBHq")
HEAD = struct.Struct("<IB3xq")
REQUEST = struct.Struct("<QIHHHBBq10s8s15sx")
INTENT = struct.Struct("<IH12s10sI")
OUTCOME = struct.Struct("<qHBB12s6s2xI")

NUMBERS = {"reserved_to": 1, "day_max": 0, "day_floor": 0, "stan": 0, "instance": 0}


def main() -> None:
    """Write a journal, replay it, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="in the journal")
    parser.add_argument("--open", type=int, default=10_000, help="requests without an outcome, at its end")
    parser.add_argument("--partitions", type=int, default=1, help="of the switch, of which the worker owns the first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        directory = folder / "journal"
        directory.mkdir()
        size = write_journal(directory, options.records, options.open, options.partitions)
        print(f"{options.records:,} records, {options.open:,} of them open, {size / 1e6:,.0f} MB")
        replayed, seconds = recover(folder, directory, options.open, options.partitions)
    print(f"replayed in {seconds:.1f} s: {replayed}")


def recover(folder: Path, directory: Path, open_requests: int, partitions: int = 1) -> tuple[Replayed, float]:
    """Start behind the journal; what was done and the seconds that it took."""
    workload = prepare(folder, Ports(1, 2, 3), TERMINALS * partitions, None, tls=False)
    reversals = (open_requests + 100_000) * partitions
    limits = f"[limits]\nreversals_max = {reversals}\nduplicate_window_count_max = {WINDOW_COUNT * partitions}"
    text = workload.config.read_text().replace("[limits]", limits)
    text = text.replace(f"duplicate_window_seconds = {BUSY_WINDOW_SECONDS}", "duplicate_window_seconds = 600")
    workload.config.write_text(text)
    config = load_config(workload.config)
    stats = Stats(config.limits.statistics_bytes)
    journal = JournalFiles(config.journal.buffer_bytes, stats)
    part = Part(partitions, [0])
    engine = build_engine(
        config, load_parts(config), stats, lambda _event, _details: None, journals=[journal], part=part
    )
    engine.state.calendar.set(since_boot_ns(), int(time.time()))
    before = time.perf_counter()
    replayed = replay_into(
        engine.state,
        journal,
        FileDisk(str(directory), exclusive=True),
        KEY,
        segment_bytes=config.journal.segment_bytes,
        window_seconds=WINDOW_SECONDS + 75,
    )
    seconds = time.perf_counter() - before
    journal.stop()
    return replayed, seconds


def write_journal(directory: Path, records: int, open_requests: int, partitions: int = 1) -> int:
    """Fill a directory with segments of the first of so many partitions; their bytes."""
    pairs = (records - open_requests) // 2
    ends_us = int(time.time() * 1e6)
    begins_us = ends_us - (pairs + open_requests) * 1_000_000 // RATE
    journal_id = os.urandom(16)
    batches = made_batches(pairs, open_requests, begins_us, terminals_of(partitions))
    total = 0
    while group := list(itertools.islice(batches, BATCHES_A_SEGMENT)):
        total += write_segment(directory, journal_id, group)
    return total


def terminals_of(partitions: int) -> list[int]:
    """The terminals of the first partition."""
    return [number for number in range(TERMINALS * partitions) if partition_of(terminal_id(number), partitions) == 0]


def made_batches(
    pairs: int, open_requests: int, begins_us: int, terminals: list[int]
) -> Iterator[tuple[int, int, int, bytes]]:
    """First position, number of records, time and content of each batch: pairs, then open requests."""
    sent = [purchase(terminal, with_mac=False) for terminal in terminals]
    pans = [bytes.fromhex(pan(terminal)) + bytes(2) for terminal in terminals]
    ids = [terminal_id(terminal).encode() for terminal in terminals]
    position = 1
    for start in range(0, pairs + open_requests, PAIRS_A_BATCH):
        content = bytearray()
        first = position
        time_us = begins_us + start * 1_000_000 // RATE
        for number in range(start, min(start + PAIRS_A_BATCH, pairs + open_requests)):
            terminal = number % len(terminals)
            message = sent[terminal]
            stan = number % 999_999 + 1
            rrn = b"632805%06d" % stan
            content += HEAD.pack(HEAD.size + REQUEST.size + INTENT.size + len(message), 1, time_us)
            content += REQUEST.pack(
                number, stan, 2, 0, 156, Kind.PURCHASE, 16, 1999, pans[terminal], ids[terminal],
                MERCHANT.encode(),
            )  # fmt: skip
            content += INTENT.pack(stan, 0, rrn, b"1123031500", len(message)) + message
            position += 1
            if number < pairs:
                content += HEAD.pack(HEAD.size + OUTCOME.size + len(message), 2, time_us)
                content += OUTCOME.pack(position - 1, 0, 0, 1, rrn, b"A%05d" % (stan % 100_000), len(message))
                content += b"0210" + message[4:]
                position += 1
        yield first, position - first, time_us, bytes(content)


def pan(terminal: int) -> str:
    """The card that a terminal's purchases name."""
    digits = f"622588{terminal:09d}"
    return digits + luhn_digit(digits)


def write_segment(directory: Path, journal_id: bytes, batches: list[tuple[int, int, int, bytes]]) -> int:
    """Write one segment file; its size."""
    first, _, time_us, _ = batches[0]
    nonce = os.urandom(12)
    data_key = AESGCM.generate_key(256)
    head = SEGMENT.pack(b"ASWJRNL1", 1, 128, first, first, time_us, journal_id, nonce)
    head += AESGCM(KEY).encrypt(nonce, data_key, head[:56]) + bytes(8)
    content = bytearray(head + checksum(head).to_bytes(4, "little"))
    sealer = AESGCM(data_key)
    names = write_names(["issuer"], ["pos"], NUMBERS)
    for position, count, wall_us, clear in [(first, 0, time_us, names), *batches]:
        block = packed(clear)
        size = len(clear if block is None else block)
        whole = (64 + size + 7) & ~7
        kind = 1 if count else 2
        batch_head = BATCH.pack(
            0x48435442, whole, position, count, size, len(clear), kind, block is not None, 0, wall_us
        )
        sealed = sealer.encrypt(struct.pack("<QI", len(content), 0), clear if block is None else block, batch_head)
        begin = batch_head + sealed[-16:] + bytes(4)
        rest = sealed[:-16] + bytes(whole - 64 - size)
        content += begin + checksum(begin + bytes(4) + rest).to_bytes(4, "little") + rest
    (directory / f"{first:020d}.journal").write_bytes(content)
    return len(content)


if __name__ == "__main__":
    main()
