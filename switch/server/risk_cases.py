"""Keeps cases that bands of risk rules raise, until the store knows them."""

from __future__ import annotations

import time
from typing import Any

from switch.merchants.following import Follower
from switch.merchants.risk_cases import RaisedCase, RaisedCaseFolder, tell_store
from switch.server.kept_terminals import KeptTerminals
from switch.store.opening import Store

AGAIN_SECONDS = 3_600.0
"""A band raises no other case about the same merchant before: whether one is open is looked up then."""

REMEMBERED_MAX = 10_000
UNWRITTEN = "a case of risk control cannot be kept: nobody is asked to look at it while the store is away"


class RaisedCaseKeeper(KeptTerminals[RaisedCase]):
    """What one worker has to tell of cases.

    Args:
        folder: Where they are kept, for all workers of the node.
        raised: Where risk control leaves word.
        follower: Has the store.
        tells: Whether this worker tells the store.
    """

    def __init__(self, folder: RaisedCaseFolder, raised: list[Any], follower: Follower, *, tells: bool) -> None:
        super().__init__(folder, raised, RaisedCase, follower, unwritten=UNWRITTEN)
        self._tells = tells
        self._until: dict[str, float] = {}

    async def keep(self, one: RaisedCase) -> bool:
        """Keep one, unless its like was kept within the last hour; whether that was possible."""
        now = time.monotonic()
        if now < self._until.get(one.row, 0.0):
            return True
        if not await super().keep(one):
            return False
        if len(self._until) >= REMEMBERED_MAX:
            self._until.clear()
        self._until[one.row] = now + AGAIN_SECONDS
        return True

    def tell_store(self) -> None:
        """Tell the store of those that are kept; in the thread that asks it.

        Raises:
            StoreError: It cannot be told.
        """
        if self._tells and self._follower.store is not None:
            self.tell(self._follower.store, _tell)


def _tell(store: Store, raised: RaisedCase) -> bool:
    tell_store(store, raised)
    return True
