"""The end of the switch's own numbers, brought about in a world."""

from __future__ import annotations

from tests.ext.world import World

NO_CEILING = 1 << 63


def spend_numbers(world: World) -> None:
    """Give all numbers that are reserved, and reserve no more until the ceiling is lifted."""
    numbering = world.engine.state.numbering
    numbering.ceiling = numbering.limit
    while numbering.next < numbering.limit:
        numbering.rrn()
