"""Every test of the back office runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from switch.base.system_users import system_user
from switch.store.migrating import upgrade
from switch.store.opening import Store, parse_url

from .postgresql import Server
from .registry import Office


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


@pytest.fixture
def office(tmp_path, store_url):
    """A switch whose registry is in the store, with what the sample's files say."""
    made = Office(tmp_path / "switch", store_url)
    made.takes_over()
    return made


@pytest.fixture
def as_user(tmp_path, monkeypatch):
    """Calls go on as another user of the system; its name."""

    def become(user_id):
        login = tmp_path / "loginuid"
        login.write_text(str(user_id))
        monkeypatch.setattr("switch.base.system_users.LOGIN_USER", login)
        return system_user()

    return become
