"""Tasks of simulators and demo: what fails in one of them is raised, and never lost."""

from __future__ import annotations

import asyncio

import pytest

from switch.simulators.tasks import BackgroundTasks


async def fails(after: int) -> None:
    for _ in range(after):
        await asyncio.sleep(0)
    raise ValueError(f"after {after}")


async def test_the_first_failure_is_told_at_once_and_raised_at_the_end() -> None:
    told: list[bool] = []
    tasks = BackgroundTasks(lambda: told.append(True))
    tasks.spawn(asyncio.Event().wait())
    tasks.spawn(fails(3))
    tasks.spawn(fails(1))
    for _ in range(9):
        await asyncio.sleep(0)
    assert told == [True]
    with pytest.raises(ValueError, match="after 1"):
        await tasks.put_away()
    await tasks.put_away()


async def test_what_was_cancelled_or_ended_well_raises_nothing() -> None:
    tasks = BackgroundTasks()
    tasks.spawn(asyncio.sleep(0))
    running = tasks.spawn(asyncio.Event().wait())
    await asyncio.sleep(0)
    await tasks.put_away()
    assert running.cancelled()
