"""Whether a secret is an application's: wrong ones are counted beside that, so that waiting tells nobody anything."""

from __future__ import annotations

import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.applications.applying import applicant, secret_hash
from switch.applications.tables import APPLICATIONS
from switch.base.log import get_logger
from switch.store.changing import Change
from switch.store.opening import Store
from switch.store.problems import StoreError

AGAIN_SECONDS: Final = 5.0
"""So long after they could not be written it is tried again."""

NOBODYS: Final = secret_hash("")

log = get_logger(__name__)


class SecretTries:
    """Knows applicants by reference and secret; what is to be counted yet counts already.

    Args:
        store: Where the applications are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, list[bool]] = {}
        self._written = 0
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._pool = ThreadPoolExecutor(1, "secret-tries")

    def is_applicant(self, reference: str, secret: str, tries_max: int) -> bool:
        """Whether somebody is the applicant; after too many wrong secrets in a row none is right any more.

        Nothing is written for who names an application that there is not, nor for who is right at once.

        Raises:
            StoreError: The database cannot be asked.
        """
        while True:
            seen = self._written
            with self._store.reading() as connection:
                tries, is_right = _proof(connection, reference, secret)
            if tries is None:
                return False
            with self._lock:
                if self._written != seen:
                    continue  # what was read may lack what does not wait any more
                waiting = self._waiting.get(reference, [])
                for was_right in waiting:
                    tries = 0 if was_right else tries + 1
                if tries >= tries_max:
                    return False
                if not is_right or tries:
                    self._waiting[reference] = [*waiting, is_right]
                    self._pool.submit(self._write, reference)
                return is_right

    def close(self) -> None:
        """Count what waits yet, unless somebody else writes for long."""
        self._is_closed.set()
        self._pool.shutdown()

    def _write(self, reference: str) -> None:
        with self._lock:
            told = self._waiting.get(reference, [])
        while told:
            try:
                with self._store.writing() as connection:
                    for is_right in told:
                        _count(connection, reference, is_right=is_right)
            except StoreError as error:
                log.warning("wrong secrets cannot be counted yet", reason=str(error))
                if self._is_closed.wait(AGAIN_SECONDS):
                    return
                continue
            with self._lock:
                left = self._waiting.pop(reference)[len(told) :]
                if left:
                    self._waiting[reference] = left
                self._written += 1
            return


def _proof(connection: Connection, reference: str, secret: str) -> tuple[int | None, bool]:
    """How many wrong ones there were, None where there is no such application; and whether this one is right."""
    query = select(APPLICATIONS.c.secret_hash, APPLICATIONS.c.secret_tries).where(APPLICATIONS.c.id == reference)
    row = connection.execute(query).one_or_none() if reference.isascii() and reference.isalnum() else None
    is_right = hmac.compare_digest(NOBODYS if row is None else row.secret_hash, secret_hash(secret))
    return (None, False) if row is None else (row.secret_tries, is_right)


def _count(connection: Connection, reference: str, *, is_right: bool) -> None:
    query = select(APPLICATIONS.c.secret_tries).where(APPLICATIONS.c.id == reference)
    tries = int(connection.execute(query).scalar_one())
    who = applicant(reference).name if is_right else "somebody unknown"
    why = "the applicant's secret was right" if is_right else "a wrong secret"
    change = Change(connection, who, why, datetime.now(UTC))
    change.update(APPLICATIONS, reference, {"secret_tries": 0 if is_right else tries + 1})
