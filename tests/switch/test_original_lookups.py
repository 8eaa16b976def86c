"""The thread that looks originals up: whoever waits is answered, whatever happens to it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from switch.base.stats import Stats
from switch.server import original_lookups
from switch.server.original_lookups import Seeker


@dataclass(frozen=True)
class Question:
    name: str
    is_of_request: bool = False
    asked_at: int = 0
    partition: int = 0
    sought: object = None


class Asking:
    """Plays state machine and reactor: wants one look-up after the other, and hears what they bring."""

    def __init__(self, wanted: list[list[Question]]) -> None:
        self.wanted = wanted
        self.heard: list[tuple[str, Any, bool]] = []
        self.left = sum(map(len, wanted))
        self.all_heard = asyncio.Event()
        self.state = self.calendar = self
        self.local_offset_s = 0

    def take_wanted(self) -> list[Question]:
        return self.wanted.pop(0) if self.wanted else []

    def settle(self, wanted: Question, original: Any, is_certain: bool) -> None:
        self.heard.append((wanted.name, original, is_certain))
        if len(self.heard) == self.left:
            self.all_heard.set()

    def flush(self) -> None:
        """Nothing waits to leave."""


async def heard_of(seeker_of: Path, asking: Asking) -> list[tuple[str, Any, bool]]:
    """What was looked up, in that order."""
    seeker = Seeker(asking, {0: seeker_of}, bytes(32), 1, Stats(65_536))  # type: ignore[arg-type]
    seeker.start(asyncio.get_running_loop(), asking)  # type: ignore[arg-type]
    try:
        await asyncio.wait_for(asking.all_heard.wait(), 20)
    finally:
        seeker.stop()
    return asking.heard


def test_what_a_terminal_waits_for_is_looked_up_first(monkeypatch, tmp_path: Path):
    all_asked = threading.Event()
    asking = Asking([[Question("first"), *map(Question, ("one", "two")), Question("request", is_of_request=True)]])

    def fail(*_: Any, **__: Any) -> None:
        all_asked.wait(20)
        raise OSError("no disk")

    async def ask() -> list[tuple[str, Any, bool]]:
        asyncio.get_running_loop().call_soon(all_asked.set)
        return await heard_of(tmp_path, asking)

    monkeypatch.setattr(original_lookups, "Finder", fail)
    monkeypatch.setattr(original_lookups, "FileDisk", lambda *_, **__: None)
    names = [name for name, _, _ in asyncio.run(ask())]
    assert names.index("request") <= 1
    assert names.index("one") < names.index("two")


@pytest.mark.parametrize("error", [OSError("no disk"), ValueError("nobody foresaw this")])
def test_each_look_up_is_answered_though_none_can_be_made(monkeypatch, tmp_path: Path, error: Exception):
    def fail(*_: Any, **__: Any) -> None:
        raise error

    async def ask() -> list[tuple[str, Any, bool]]:
        return await heard_of(tmp_path, Asking([[Question("one")], [Question("two")]]))

    monkeypatch.setattr(original_lookups, "Finder", fail)
    monkeypatch.setattr(original_lookups, "FileDisk", lambda *_, **__: None)
    assert asyncio.run(ask()) == [("one", None, False), ("two", None, False)]


@pytest.mark.parametrize("is_certain", [True, False])
def test_whether_all_was_read_is_told_with_it(monkeypatch, tmp_path: Path, is_certain: bool):
    finder = SimpleNamespace(damaged=0, unindexed=0, is_cut_off=False)
    monkeypatch.setattr(original_lookups, "Finder", lambda *_, **__: finder)
    monkeypatch.setattr(original_lookups, "FileDisk", lambda *_, **__: None)
    monkeypatch.setattr(original_lookups, "look_up", lambda *_: (None, is_certain))

    async def ask() -> list[tuple[str, Any, bool]]:
        return await heard_of(tmp_path, Asking([[Question("one", asked_at=7)]]))

    assert asyncio.run(ask()) == [("one", None, is_certain)]
