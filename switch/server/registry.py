"""The registry of a running worker: fixed where files have it, and kept as the store has it otherwise.

A switch without a store does not load what a database needs: it is much, and each start would wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.base.stats import Stats
from switch.check.parts import Parts
from switch.config import Config
from switch.path.engine import Engine
from switch.server.place import Place

if TYPE_CHECKING:
    from switch.server.store_registry import RegistryKeeper


class Gauges:
    """What is told of the registry, wherever it is from: by a switch that reads files all of them are 0."""

    def __init__(self, stats: Stats) -> None:
        self.change = stats.gauge(
            "authswitch_registry_change", "Number of the store's change that is in force.", rule="min"
        )
        self.away = stats.gauge("authswitch_registry_store_away", "1 while the store cannot be asked.", rule="max")
        self.refused = stats.gauge("authswitch_registry_refused", "1 while changes are not taken.", rule="max")


class FixedRegistry:
    """A registry that was read from files: it stays as it is."""

    trouble = ""

    def __init__(self, stats: Stats) -> None:
        Gauges(stats)

    async def begin(self) -> None:
        """There is nothing more than what was loaded."""

    def start(self) -> None:
        """Nothing changes."""

    async def stop(self) -> None:
        """Nothing runs."""


def registry_keeper(
    config: Config, parts: Parts, engine: Engine, place: Place, stats: Stats
) -> RegistryKeeper | FixedRegistry:
    """What keeps the registry of a worker as it should be: as the store has it, or as it was read from files."""
    if parts.registry_head is None:
        return FixedRegistry(stats)
    from switch.server.store_registry import RegistryKeeper

    return RegistryKeeper(config, engine, parts.registry_head, stats, keeps_copy=place.number == 0)
