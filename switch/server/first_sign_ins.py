"""Keeps terminals in service that have signed in for the first time, until the store knows it."""

from __future__ import annotations

from datetime import UTC, datetime

from switch.applications.taking_on import note_first_sign_in
from switch.base.log import get_logger
from switch.merchants.first_sign_ins import FirstSignIn, FirstSignInFolder
from switch.merchants.following import Follower
from switch.merchants.kept import daemon_here
from switch.server.kept_terminals import KeptTerminals
from switch.store.changing import changing
from switch.store.opening import Store
from switch.tables.registry import Registry
from switch.tables.registry_changes import put_into_service

WHY = "first sign-in"
UNWRITTEN = "a first sign-in cannot be kept: after a restart without the store the terminal would have to sign in again"

log = get_logger(__name__)


class FirstSignInKeeper(KeptTerminals[FirstSignIn]):
    """What one worker knows of them.

    Args:
        registry: The worker's.
        folder: Where they are kept, for all workers of the node.
        follower: Has the store.
        tells: Whether this worker tells the store: one of a node does.
    """

    def __init__(self, registry: Registry, folder: FirstSignInFolder, follower: Follower, *, tells: bool) -> None:
        super().__init__(folder, registry.signed_in, FirstSignIn, follower, unwritten=UNWRITTEN)
        self._registry = registry
        self._tells = tells

    def put_in_force(self) -> None:
        """Serve them, though the store may have said nothing of it yet; between two messages.

        Whom people have suspended or closed meanwhile stays so.
        """
        for terminal in self.numbers:
            put_into_service(self._registry, terminal)

    def tell_store(self) -> None:
        """Tell the store of those that are kept; in the thread that asks it.

        Raises:
            StoreError: It cannot be told.
        """
        if self._tells and self._follower.store is not None:
            self.tell(self._follower.store, _note)


def _note(store: Store, one: FirstSignIn) -> bool:
    """Whether people have done something else with it, so that nothing is to be kept."""
    with changing(store, daemon_here(), WHY) as change:
        is_noted = note_first_sign_in(change, one.row, datetime.fromtimestamp(one.at_s, UTC))
    log.info("terminal is active" if is_noted else "terminal was changed before its first sign-in", terminal=one.row)
    return not is_noted
