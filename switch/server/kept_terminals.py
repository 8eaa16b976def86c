"""Terminals whose state a worker has changed: kept for all workers of the node until the store has it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Generic

from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.merchants.following import Follower
from switch.merchants.kept import Kept, KeptFolder
from switch.store.audit import head
from switch.store.opening import Store

LOOK_SECONDS = 0.05
"""What was changed in memory is in a file at the latest after that."""

log = get_logger(__name__)


class KeptTerminals(Generic[Kept]):
    """What one worker knows of them.

    Args:
        folder: Where they are kept.
        changed: Where the state machine leaves word; what is kept is taken out.
        kept_of: Makes of such a word what is kept.
        follower: Has the store.
        unwritten: What to say where one cannot be kept.
        on_kept: Called with each one that is kept.
    """

    def __init__(
        self,
        folder: KeptFolder[Kept],
        changed: list[Any],
        kept_of: Callable[..., Kept],
        follower: Follower,
        *,
        unwritten: str,
        on_kept: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._kept_of = kept_of
        self._follower = follower
        self._unwritten = unwritten
        self._on_kept = on_kept
        self._kept: set[str] = set()
        self._added: set[str] = set()
        self._told: dict[str, int] = {}
        self._lock = threading.Lock()
        self._is_unwritten = False

    def look(self) -> None:
        """Read what is kept; to be done before the store is asked: what lies there it may not know."""
        with self._lock:
            self._added = set()
        found = {one.row for one in self._folder.all()}
        with self._lock:
            self._kept = found | self._added

    @property
    def numbers(self) -> set[str]:
        """Of all terminals that are kept, or will be at once."""
        return self._kept | {said[0] for said in self._changed}

    async def watch(self) -> None:
        """Keep what the state machine changes."""
        while True:
            for said in list(self._changed):
                if await self.keep(self._kept_of(*said)):
                    self._changed.remove(said)
            await asyncio.sleep(LOOK_SECONDS)

    async def keep(self, one: Kept) -> bool:
        """Keep one; whether that was possible."""
        try:
            await asyncio.to_thread(self._folder.put, one)
        except OSError as error:
            if not self._is_unwritten:
                log.error(self._unwritten, terminal=one.row, reason=words_of(error))  # noqa: TRY400 - no trace
            self._is_unwritten = True
            return False
        self._on_kept()
        with self._lock:
            self._kept.add(one.row)
            self._added.add(one.row)
        self._is_unwritten = False
        return True

    def tell(self, store: Store, do: Callable[[Store, Kept], bool]) -> None:
        """Tell the store of each; in the thread that asks it.

        A file goes at once where ``do`` says so, else when the registry is as the store was then.

        Raises:
            StoreError: It cannot be told.
        """
        for one in self._folder.all():
            if one.row not in self._told:
                if do(store, one):
                    self._folder.remove(one)
                    continue
                with store.reading() as connection:
                    self._told[one.row] = head(connection).number
            elif self._told[one.row] <= self._follower.head.number:
                self._folder.remove(one)
                del self._told[one.row]
