"""Keeps terminals suspended that are not as registered, until the store knows it, and proves what the store says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from switch.base.log import get_logger
from switch.machine.note_queue import STRANGERS
from switch.merchants.following import Follower
from switch.merchants.suspects import ALTERED, Proof, Suspect, SuspectFolder, tell_store
from switch.server.kept_terminals import KeptTerminals
from switch.store.opening import Store
from switch.tables.registry import Registry
from switch.tables.registry_changes import suspend

UNWRITTEN = "a suspended terminal cannot be kept: a restart without the store would serve it again"
KINDS = {
    "the terminal says another serial number than is registered": "another serial number",
    "the terminal does not say its serial number": "no serial number",
    "the terminal is elsewhere than it is registered": "elsewhere",
    "the terminal does not say where it is": "nowhere",
}
"""What a case is called, by why the state machine suspended the terminal (one of ``STRANGERS``)."""

log = get_logger(__name__)


class SuspectKeeper(KeptTerminals[Suspect]):
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
        super().__init__(folder, registry.suspects, _suspect_of, follower, unwritten=UNWRITTEN, on_kept=on_suspect)
        self._registry = registry
        self._proof_seconds = proof_seconds
        self._proof: Proof | None = None
        self._next_proof = 0.0

    def put_in_force(self) -> None:
        """Suspend them, whatever the store has said so far; between two messages."""
        for terminal in self.numbers:
            suspend(self._registry, terminal)

    async def take_altered(self, terminals: Iterable[str]) -> None:
        """Rows that are not as they were bound; they are suspended already."""
        altered = sorted(terminals)
        if altered and self._proof_seconds is not None:
            log.error("terminals are not as they were bound", terminals=altered[:20], count=len(altered))
            for terminal in altered:
                await self.keep(Suspect(ALTERED, terminal))

    def tell_store(self) -> None:
        """Tell the store of those that are kept, and prove some more of what it says; in the thread that asks it.

        Raises:
            StoreError: It cannot be told.
            KeyFileError: The key file cannot be read.
        """
        store = self._follower.store
        if store is None or self._proof_seconds is None:
            return
        self.tell(store, _tell)
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


def _tell(store: Store, suspect: Suspect) -> bool:
    """A file that were there any longer could suspend one anew whom people have released."""
    tell_store(store, suspect)
    return True


def _suspect_of(number: str, what: int, said: str) -> Suspect:
    return Suspect(KINDS[STRANGERS[what]], number, said)
