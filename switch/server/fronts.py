"""Through what a worker is asked: an admin server of its own, or the desk that asks all workers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from switch.admin.callers import Gate
from switch.admin.health import Health
from switch.admin.identity import Identity, remove_identity, write_identity
from switch.admin.keys import KeyDesk, key_routes
from switch.admin.saf import EntryDesk, saf_routes
from switch.admin.server import AdminServer
from switch.base.stats import Stats
from switch.base.system_users import group_id
from switch.config import Config
from switch.server.control import LocalWorker, answer_questions
from switch.server.handover import Handover, News, NewsReader


class Front(Protocol):
    """What is started before the journal is read, so that it can be asked meanwhile.

    Attributes:
        serving: What the log says when requests are taken.
    """

    serving: str

    async def start(self) -> None:
        """Let others ask.

        Raises:
            OSError: The address cannot be had.
        """

    async def stop(self) -> None:
        """Answer no more."""

    def details(self) -> Mapping[str, str]:
        """Where it can be asked, for the log."""


class Desks(NamedTuple):
    """Who is asked for more than how a worker is.

    Attributes:
        entries: What issuers are owed.
        keys: New keys of issuers.
    """

    entries: EntryDesk
    keys: KeyDesk


class AdminFront:
    """An admin server, with the file that says whose it is.

    Args:
        config: The configuration.
        stats: The counters.
        health: Who is asked.
        desks: Who is asked for the rest.
        identity: Whose it is.
    """

    serving = "serving"

    def __init__(self, config: Config, stats: Stats, health: Health, desks: Desks, identity: Identity) -> None:
        self._folder = config.journal.directory if config.journal.mode == "files" else None
        self._identity = identity
        self.server = AdminServer(
            stats,
            health,
            config.admin.bind,
            routes=[*saf_routes(desks.entries), *key_routes(desks.keys)],
            identity=identity,
            scrape_bind=config.admin.scrape_bind,
            gate=Gate(config.admin.tokens_file),
            group=None if config.admin.group is None else group_id(config.admin.group),
        )

    async def start(self) -> None:
        """Let others ask, and say in the journal's folder who answers.

        Raises:
            OSError: The address cannot be had, or the file cannot be written.
        """
        await self.server.start()
        if self._folder is not None:
            write_identity(self._folder, self._identity)

    async def stop(self) -> None:
        """Answer no more."""
        if self._folder is not None:
            remove_identity(self._folder, self._identity)
        await self.server.stop()

    def details(self) -> Mapping[str, str]:
        """Where it can be asked."""
        scraped = self.server.scrape_address
        return {
            "admin": str(self.server.address),
            **({} if scraped is None else {"scraped": str(scraped)}),
            "instance": self._identity.instance,
        }


class DeskFront:
    """Answers the desk, on whatever connection the supervisor brings.

    Args:
        number: Of the worker.
        health: Who is asked.
        desks: Who is asked for the rest.
        handover: Where connections come from.
    """

    serving = "worker serves"

    def __init__(self, number: int, health: Health, desks: Desks, handover: Handover) -> None:
        self._number = number
        self._worker = LocalWorker(health, desks.entries, desks.keys)
        self._listener = NewsReader(handover.inherited(), self._hear)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Let the desk ask."""
        self._listener.start()

    async def stop(self) -> None:
        """Answer no more."""
        self._listener.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def details(self) -> Mapping[str, str]:
        """Which worker it is."""
        return {"worker": str(self._number)}

    def _hear(self, news: News) -> None:
        if news.connection is not None:
            task = asyncio.create_task(answer_questions(news.connection, self._worker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def own_status(config: Config, identity: Identity, version: str) -> dict[str, Any]:
    """What of ``/status`` says who the daemon is."""
    return {
        "name": config.switch.name,
        "instance": identity.instance,
        "configuration": identity.configuration,
        "version": version,
        "journal": config.journal.mode,
    }
