"""What the suites share."""

from types import ModuleType

import pytest

from bench.building import load_steps


@pytest.fixture(scope="session")
def steps() -> ModuleType:
    """Single steps of the hot path in loops without Python."""
    return load_steps()
