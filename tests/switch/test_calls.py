"""Whom one worker calls is called until he answers, and again when the connection ends."""

from __future__ import annotations

import asyncio

from switch.server import calls
from switch.server.calls import Calls

AGAIN, AGAIN_MAX = 1.0, 60.0


async def test_pauses_grow_behind_failures_and_are_short_behind_a_connection(monkeypatch):
    outcomes = [False, False, False, True, False]
    pauses = []
    over = asyncio.get_running_loop().create_future()
    one = Calls(AGAIN, AGAIN_MAX, is_usual=True)

    async def call():
        if not outcomes.pop(0):
            raise OSError("nobody is there")
        ended = asyncio.get_running_loop().create_future()
        ended.set_result("it has ended")
        return ended

    async def sleep(seconds):
        pauses.append(seconds)
        if not outcomes:
            over.set_result(None)
            await asyncio.Event().wait()

    monkeypatch.setattr(calls.asyncio, "sleep", sleep)
    one.spawn(one.keep_calling("1", call))
    await over
    await one.stop()
    longest = [2 * AGAIN, 4 * AGAIN, 8 * AGAIN, AGAIN, 2 * AGAIN]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True)), pauses
