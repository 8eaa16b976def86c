"""Tasks that belong together: none of them fails without a word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class BackgroundTasks:
    """Tasks that run beside their owner until it puts them away.

    Args:
        on_failure: Called once, when the first of them has failed; its exception is raised by ``put_away``.
    """

    def __init__(self, on_failure: Callable[[], None] | None = None) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: BaseException | None = None

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something beside the owner."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    @property
    def failure(self) -> BaseException | None:
        """What the first task that failed raised."""
        return self._failure

    async def put_away(self) -> None:
        """Cancel what still runs, and wait for it.

        Raises:
            BaseException: What the first task that failed raised.
        """
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (failure := task.exception()) is None or self._failure is not None:
            return
        self._failure = failure
        if self._on_failure is not None:
            self._on_failure()
