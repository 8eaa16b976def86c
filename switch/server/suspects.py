"""Keeps terminals suspended that are not as registered, until the store knows it, and proves what the store says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable

from switch.base.error_words import words_of
from switch.base.log import get_logger
from switch.merchants.following import Follower
from switch.merchants.suspects import ALTERED, KINDS, Proof, Suspect, SuspectFolder, tell_store
from switch.merchants.tables import TERMINALS
from switch.store.opening import Store
from switch.tables.registry import Registry
from switch.tables.registry_changes import suspend

LOOK_SECONDS = 0.05
"""A terminal that was suspended is in a file at the latest after that; in memory it is at once."""

UNWRITTEN = "a suspended terminal cannot be kept: a restart without the store would serve it again"

log = get_logger(__name__)


class SuspectKeeper:
    """What one worker knows of terminals that are not as registered.

    Args:
        registry: The worker's.
        folder: Where they are kept, for all workers of the node.
        follower: Has the store.
        on_suspect: Called with each one that was not kept before.
        proof_seconds: So often all bindings are proven; None: another worker of the node does that, and tells the
            store.
    """

    def __init__(
        self,
        registry: Registry,
        folder: SuspectFolder,
        follower: Follower,
        on_suspect: Callable[[], None],
        proof_seconds: int | None,
    ) -> None:
        self._on_suspect = on_suspect
        self._registry = registry
        self._folder = folder
        self._follower = follower
        self._proof_seconds = proof_seconds
        self._proof: Proof | None = None
        self._next_proof = 0.0
        self._kept: set[str] = set()
        self._added: set[str] = set()
        self._lock = threading.Lock()
        self._is_unwritten = False

    def look(self) -> None:
        """Read what is kept; to be done before the store is asked: what lies there it may not know."""
        with self._lock:
            self._added = set()
        found = {suspect.row for suspect in self._folder.all() if suspect.subject == TERMINALS.name}
        with self._lock:
            self._kept = found | self._added

    def suspend_all(self) -> None:
        """Suspend them, whatever the store has said so far; between two messages."""
        for terminal in self._kept | {number for number, _, _ in self._registry.suspects}:
            suspend(self._registry, terminal)

    async def take_altered(self, terminals: Iterable[str]) -> None:
        """Rows that are not as they were bound; they are suspended already."""
        altered = sorted(terminals)
        if altered and self._proof_seconds is not None:
            log.error("terminals are not as they were bound", terminals=altered[:20], count=len(altered))
            for terminal in altered:
                await self._put(Suspect(ALTERED, terminal))

    async def watch(self) -> None:
        """Keep what the state machine suspends."""
        while True:
            for suspect in list(self._registry.suspects):
                number, what, said = suspect
                if await self._put(Suspect(KINDS[what], number, said)):
                    self._registry.suspects.remove(suspect)
            await asyncio.sleep(LOOK_SECONDS)

    def tell_store(self) -> None:
        """Tell the store of those that are kept, and prove some more of what it says; in the thread that asks it.

        Raises:
            StoreError: It cannot be told.
            KeyFileError: The key file cannot be read.
        """
        store = self._follower.store
        if store is None or self._proof_seconds is None:
            return
        for suspect in self._folder.all():
            tell_store(store, suspect)
            self._folder.remove(suspect)
        self._prove(store, self._proof_seconds)

    def _prove(self, store: Store, proof_seconds: int) -> None:
        if self._proof is None:
            if time.monotonic() < self._next_proof:
                return
            self._next_proof = time.monotonic() + proof_seconds
            key = self._follower.binding_key()
            if key is None:
                return
            self._proof = Proof(key, self._registry.rule.acquirer)
        with store.reading() as connection:
            suspects = self._proof.next(connection)
        if self._proof.is_through:
            self._proof = None
        for suspect in suspects:
            tell_store(store, suspect)

    async def _put(self, suspect: Suspect) -> bool:
        """Keep one; whether that was possible."""
        try:
            await asyncio.to_thread(self._folder.put, suspect)
        except OSError as error:
            if not self._is_unwritten:
                log.error(UNWRITTEN, terminal=suspect.row, reason=words_of(error))  # noqa: TRY400 - no trace
            self._is_unwritten = True
            return False
        self._on_suspect()
        with self._lock:
            self._kept.add(suspect.row)
            self._added.add(suspect.row)
        self._is_unwritten = False
        return True
