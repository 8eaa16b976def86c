"""When tokens were used last: noted beside what they are used for, so that nobody waits for it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.engine import Connection

from switch.access.tables import TOKEN_USES
from switch.base.log import get_logger
from switch.store.opening import Store
from switch.store.problems import StoreError

USE_SECONDS: Final = 60
"""So often at most the last use is noted."""

AGAIN_SECONDS: Final = 5.0
"""So long after it could not be written it is tried again."""

log = get_logger(__name__)


class TokenUses:
    """Notes uses in a thread of its own, which alone waits where somebody else writes.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[str, datetime] = {}
        self._waiting: dict[str, datetime] = {}
        self._has_news = threading.Condition()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="token-uses", daemon=True)
        self._thread.start()

    def note(self, token: str, at: datetime) -> None:
        """Have kept that a token was used, by its id, once it was proved; it never waits, and never fails."""
        with self._has_news:
            last = self._noted.get(token)
            if last is None or at - last >= timedelta(seconds=USE_SECONDS):
                self._noted[token] = self._waiting[token] = at
                self._has_news.notify()

    def close(self) -> None:
        """Keep what waits yet, unless somebody else writes for long."""
        with self._has_news:
            self._is_closed.set()
            self._has_news.notify()
        self._thread.join()

    def _run(self) -> None:
        is_told = False
        while waiting := self._news():
            try:
                with self._store.writing() as connection:
                    _keep(connection, waiting)
            except StoreError as error:
                if not is_told:
                    log.warning("the last use of tokens cannot be noted: it is tried again", reason=str(error))
                is_told = True
                with self._has_news:
                    self._waiting = waiting | self._waiting
                if self._is_closed.wait(AGAIN_SECONDS):
                    return
            else:
                is_told = False

    def _news(self) -> dict[str, datetime]:
        """What waits, once something does; nothing at the end."""
        with self._has_news:
            self._has_news.wait_for(lambda: self._waiting or self._is_closed.is_set())
            waiting, self._waiting = self._waiting, {}
            return waiting


def _keep(connection: Connection, uses: dict[str, datetime]) -> None:
    for token, at in uses.items():
        changed = connection.execute(TOKEN_USES.update().where(TOKEN_USES.c.token == token).values(used_at=at))
        if not changed.rowcount:
            connection.execute(TOKEN_USES.insert().values(token=token, used_at=at))
