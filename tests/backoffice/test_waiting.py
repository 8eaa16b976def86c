"""Nobody who only reads waits for somebody who writes; and nothing long is done while one writes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from switch.access.tokens import tokens_of

from .api import Api

MANY = 70
"""More than a process has threads for requests, and than it has connections."""

AT_ONCE_SECONDS = 5.0
NEW = {"name": "Harbour", "category": "5942", "why": "contract 17"}


@pytest.fixture
def api(tmp_path, store_url):
    running = Api(tmp_path / "switch", store_url, "requests_per_second = 100000\nconnections_max = 200")
    yield running
    assert running.ends() == 0, running.log.read_text()


@contextmanager
def at_once():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE_SECONDS


def used(api):
    with api.store.reading() as connection:
        return {row["person"] for row in tokens_of(connection, None) if row["used_at"] is not None}


def test_who_reads_waits_for_nobody_who_writes(api):
    def add(number):
        return api.asks("jo", "POST", "/v1/merchants", {**NEW, "id": f"8980000001{number:05}"})[0]

    with ThreadPoolExecutor(MANY) as pool:
        with api.store.writing():
            answers = [pool.submit(add, number) for number in range(MANY)]
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                with at_once():
                    assert api.does("vi", "GET", "/v1/merchants?limit=1")["items"]
                    assert api.does("al", "GET", "/v1/proposals") == {"items": []}
                    assert api.asks(None, "GET", "/livez")[0] == 200
                    assert api.asks(None, "GET", "/readyz")[0] == 200
                    assert api.asks(None, "GET", "/metrics")[0] == 200
        assert {one.result() for one in answers} == {201}
    deadline = time.monotonic() + 30
    while used(api) != {"jo", "al", "vi"}:
        assert time.monotonic() < deadline, used(api)
        time.sleep(0.05)


def test_changes_leave_room_for_who_reads(tmp_path):
    running = Api(tmp_path / "s", f"sqlite:{tmp_path}/store.db", "requests_per_second = 100000\nconnections_max = 10")

    def add(number):
        return running.asks("jo", "POST", "/v1/merchants", {**NEW, "id": f"8980000001{number:05}"})[0]

    try:
        with ThreadPoolExecutor(8) as pool:
            with running.store.writing():
                answers = [pool.submit(add, number) for number in range(8)]
                while sum(one.done() for one in answers) < 3:
                    time.sleep(0.02)
                assert running.does("vi", "GET", "/v1/merchants?limit=1")["items"]
            assert sorted(one.result() for one in answers) == [201] * 5 + [503] * 3
    finally:
        assert running.ends() == 0
