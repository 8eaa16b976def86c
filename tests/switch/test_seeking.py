"""The thread that looks originals up: whoever waits is answered, whatever happens to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from switch.server import seeking
from switch.server.seeking import Seeker
from switch.stats import Stats


class Asking:
    """Plays state machine and reactor: wants one look-up after the other, and hears what they bring."""

    def __init__(self, wanted: list[str]) -> None:
        self.wanted = wanted
        self.heard: list[tuple[str, Any, bool]] = []
        self.all_heard = asyncio.Event()
        self.state = self.calendar = self
        self.local_offset_s = 0

    def take_wanted(self) -> list[str]:
        return [self.wanted.pop(0)] if self.wanted else []

    def settle(self, wanted: str, original: Any, is_certain: bool) -> None:
        self.heard.append((wanted, original, is_certain))
        if not self.wanted:
            self.all_heard.set()

    def flush(self) -> None:
        """Nothing waits to leave."""


@pytest.mark.parametrize("error", [OSError("no disk"), ValueError("nobody foresaw this")])
def test_each_look_up_is_answered_though_none_can_be_made(monkeypatch, tmp_path: Path, error: Exception):
    def fail(*_: Any, **__: Any) -> None:
        raise error

    async def ask() -> list[tuple[str, Any, bool]]:
        asking = Asking(["one", "two"])
        seeker = Seeker(asking, tmp_path, bytes(32), 1, Stats(65_536))  # type: ignore[arg-type]
        seeker.start(asyncio.get_running_loop(), asking)  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(asking.all_heard.wait(), 20)
        finally:
            seeker.stop()
        return asking.heard

    monkeypatch.setattr(seeking, "Finder", fail)
    monkeypatch.setattr(seeking, "FileDisk", lambda *_, **__: None)
    assert asyncio.run(ask()) == [("one", None, False), ("two", None, False)]
