"""What the simulation keeps between runs is made before its tests, and gone after them: other tests see none of it."""

import pytest

from switch.server import assembly
from tests.simulation.options import Options
from tests.simulation.run import execute
from tests.simulation.speed import forget_composers, hurry
from tests.simulation.world import the_world

SEEDS = 500
"""Among which each kind of world stands."""


@pytest.fixture(scope="module")
def kept_between_runs():
    """Fill the simulation's caches, and empty them in the end."""
    numbering = assembly.Numbering
    first = {options.setting: options for options in map(Options.drawn, reversed(range(SEEDS)))}
    for options in first.values():
        execute(options)
    yield
    forget_composers()
    assembly.Numbering = numbering
    hurry.cache_clear()
    the_world.cache_clear()
