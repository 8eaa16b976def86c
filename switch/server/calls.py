"""Calls between workers: who calls is heard, and who is to be called is called until he answers."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.server.introduction import StrangerError

FAILURES_MAX = 10
"""Pauses grow no more behind so many failures."""

log = get_logger(__name__)


@dataclass
class Calls:
    """The calls of one worker to others of one sort, and theirs.

    Attributes:
        again_seconds, again_seconds_max: The pause behind the first call in vain, and the longest.
        is_usual: It is nothing to speak of that one cannot be called for a while.
    """

    again_seconds: float
    again_seconds_max: float
    is_usual: bool
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something run until it ends, or ``stop``."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Call nobody any more, and hear nobody."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def hear(self, listening: socket.socket, receive: Callable[[socket.socket, Any], object]) -> None:
        """Give each connection, with the caller's address, to ``receive``."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:  # descriptors are short: who called waits, and nobody else may stay unheard
                log.warning("workers cannot be heard", reason=words_of(error))
                await asyncio.sleep(self.again_seconds_max)
                continue
            receive(connection, address)

    async def keep_calling(self, name: object, call: Callable[[], Awaitable[asyncio.Future[Any]]]) -> None:
        """Call somebody; when the connection that ``call`` gives the end of has ended, or could not be had, once more.

        Args:
            name: Of who is called, for the log.
            call: Calls; may raise OSError, StrangerError or TimeoutError.
        """
        failures, told = 0, ""
        while True:
            try:
                lost = await call()
            except (OSError, StrangerError, TimeoutError) as error:
                reason = words_of(error)
                tell = log.debug if self.is_usual or reason == told else log.warning
                tell("worker cannot be called", worker=name, reason=reason)
                failures, told = failures + 1, reason
            else:
                failures, told = 0, ""
                await lost
            longest = min(self.again_seconds * 2 ** min(failures, FAILURES_MAX), self.again_seconds_max)
            await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311
