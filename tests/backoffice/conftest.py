"""Every test of the back office runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from switch.store.migrating import upgrade
from switch.store.opening import Store, parse_url

from .postgresql import Server


@pytest.fixture(scope="session")
def server():
    # A Unix socket's path must be short, and its folder somebody else's where root runs the tests.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        running = Server(Path(folder))
        yield running
        running.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/store.db"
    return request.getfixturevalue("server").database()


@pytest.fixture
def empty_store(store_url):
    opened = Store.open(parse_url(store_url), makes_file=True)
    yield opened
    opened.close()


@pytest.fixture
def store(empty_store):
    upgrade(empty_store)
    return empty_store
