"""The registry of a running worker: fixed where files have it, and kept as the store has it otherwise.

A switch without a store does not load what a database needs: it is much, and each start would wait for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from switch.base.stats import Stats
from switch.check.parts import Parts
from switch.config import Config
from switch.path.engine import Engine
from switch.server.place import Place
from switch.server.registry_gauges import RegistryGauges

if TYPE_CHECKING:
    from switch.server.store_registry import RegistryKeeper


class FixedRegistry:
    """A registry that was read from files: it stays as it is."""

    troubles = ()

    def __init__(self, stats: Stats) -> None:
        RegistryGauges(stats)

    async def begin(self, is_ending: asyncio.Event) -> None:
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

    return RegistryKeeper(config, engine, parts, place.keys, stats, keeps_copy=place.number == 0)
