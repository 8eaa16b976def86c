"""Risk rules, BIN tables and links of a running worker: as files have them, else kept as the store has them.

A switch without a store does not load what a database needs: it is much, and each start would wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from switch.base.stats import Stats
from switch.check.parts import Parts
from switch.check.rulebooks import copies_of
from switch.config import Config
from switch.server.place import Place
from switch.server.rulebook_gauges import RulebookGauges
from switch.server.rules_in_force import RulesInForce

if TYPE_CHECKING:
    from switch.server.store_rulebooks import RulebookKeeper


class FixedRulebooks:
    """What was read from files: it stays as it is."""

    troubles: Sequence[str] = ()

    def __init__(self, stats: Stats) -> None:
        RulebookGauges(stats)

    def status(self) -> Mapping[str, Any]:
        """There are no versions."""
        return {}

    async def begin(self) -> None:
        """There is nothing more than what was loaded."""

    def start(self) -> None:
        """Nothing changes."""

    async def stop(self) -> None:
        """Nothing runs."""


def rulebook_keeper(
    config: Config, parts: Parts, rules: RulesInForce, place: Place, stats: Stats
) -> RulebookKeeper | FixedRulebooks:
    """What keeps risk rules, BIN table and links of a worker as they should be."""
    if not copies_of(config):
        return FixedRulebooks(stats)
    from switch.server.store_rulebooks import RulebookKeeper

    return RulebookKeeper(config, parts.rulebooks, rules, place, stats)
