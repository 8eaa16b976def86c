"""Worlds for the tests of the state machine, which must be empty when a test ends."""

import pytest


@pytest.fixture
def make_world():
    """Build worlds; when the test ends everything is answered, and nothing may be left in them."""
    from tests.ext.world import World  # compiled modules that a partial build does not have

    worlds = []

    def make(**arguments):
        worlds.append(World(**arguments))
        return worlds[-1]

    yield make
    for one in worlds:
        one.settle()


@pytest.fixture
def world(make_world):
    """The usual world: listeners ``cup`` and ``iso``, links ``bank-a`` (cards 6) and ``bank-b`` (cards 4)."""
    return make_world()
