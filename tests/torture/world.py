"""What a run needs: the demo's world, with a small journal on a disk of its own and lines that break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from switch.demo.world import ISSUERS, World, write_config

SEGMENT_BYTES = 2 << 20
BUFFER_BYTES = 512 << 10


def write_switch(
    world: World, journal: Path, ports: Mapping[str, int], link_timeout_ms: int, *, partitions: int, workers: int
) -> None:
    """Write the switch's configuration: small files, so that each run fills some; short waits, so that much happens."""
    write_config(world, ports, link_timeout_ms)
    changes = Counter[str]()
    text = world.config.read_text()
    for old, new in (
        (
            'directory = "journal"',
            "\n".join(
                (
                    f'directory = "{journal}"',
                    f"partitions = {partitions}",
                    f"segment_bytes = {SEGMENT_BYTES}",
                    f"buffer_bytes = {BUFFER_BYTES}",
                )
            ),
        ),
        ('acquirer_id = "10000001"', f'acquirer_id = "10000001"\nworkers = {workers}'),
        ("drain_seconds = 20", "drain_seconds = 3"),
        ("reconnect_min_ms = 100", "reconnect_min_ms = 100\nreconnect_max_ms = 1000\necho_interval_ms = 2000"),
        (
            "connections = 2",
            "connections = 2\necho_timeout_ms = 2000\nconnect_timeout_ms = 2000\nidle_timeout_ms = 5000",
        ),
    ):
        changes[new] = text.count(old)
        text = text.replace(old, new)
    if list(changes.values()) != [1, 1, 1, len(ISSUERS), len(ISSUERS)]:
        raise AssertionError(f"the demo's configuration has changed: {changes}")
    world.config.write_text(text)
