"""Real daemons over real sockets. The asynchronous tests of a module share an event loop with its daemon's issuers."""

import contextlib
from pathlib import Path

import pytest
import pytest_asyncio

from .daemon import Daemon
from .installation import CARD, Installation, Secrets


def pytest_collection_modifyitems(items):
    in_module = pytest.mark.asyncio(loop_scope="module")
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(in_module, append=False)


@pytest.fixture(scope="session")
def secrets(tmp_path_factory):
    """Keys and certificates of this test run."""
    return Secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def new_installation(tmp_path_factory, secrets):
    """Makes an empty configuration folder."""
    return lambda: Installation(tmp_path_factory.mktemp("installation"), secrets)


@pytest.fixture
def installation(new_installation):
    """An empty configuration folder."""
    return new_installation()


def never_said(secrets):
    """What must not stand in any log."""
    words = [CARD.pan, CARD.track2, CARD.track2.replace("=", "D")]
    return words + [key.hex() for key in secrets.keys.values()]


@contextlib.asynccontextmanager
async def running(installation, *, ready=True, first="serving", under=()):
    """A daemon that serves an installation; drained and judged at the end. ``under`` is a command that runs it."""
    daemon = Daemon(installation.write(), never_said(installation.secrets), under=under)
    try:
        yield await daemon.start(ready=ready, first=first)
    except BaseException:
        daemon.kill()
        raise
    await daemon.stop()
