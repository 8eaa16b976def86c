"""Terminals that are to be suspended whatever the store says so far, and the proof of what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import and_, func, select
from sqlalchemy.engine import Connection

from switch.merchants.binding_tables import BINDINGS, ELEMENTS
from switch.merchants.cases import open_case
from switch.merchants.kept import KeptFolder, daemon_here
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.store.changing import Change, changing
from switch.store.opening import Store
from switch.tables.binding import TERMINAL_ELEMENTS, elements_of, is_bound_as
from switch.tables.party_states import AWAITING

ALTERED = "altered row"
OTHER_ELEMENTS = "other elements"
WHY = "not as it is registered"
SERVED = ("active", AWAITING)
"""States of terminals that are served, or will be without anybody's doing."""

ROWS_AT_A_TIME = 200
"""So many are proven with one question."""


_BOUND = TERMINALS.join(BINDINGS, BINDINGS.c.id == TERMINALS.c.id)
_IS_OPEN = and_(TERMINALS.c.state != "closed", BINDINGS.c.binding != "")


@dataclass(frozen=True, slots=True)
class Suspect:
    """Who is not as registered.

    Attributes:
        kind: What is wrong.
        row: The number of the terminal, or of the merchant.
        said: What a terminal said of itself; empty where a row says it all.
        subject: Which table the row is of.
    """

    kind: str
    row: str
    said: str = ""
    subject: str = TERMINALS.name


class SuspectFolder(KeptFolder[Suspect]):
    """Files of terminals that are suspended here."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Suspect)


def tell_store(store: Store, suspect: Suspect) -> None:
    """Open a case, and suspend a terminal that is active or awaits its first sign-in, in one transaction.

    Raises:
        StoreError: The database could not do it.
    """
    with changing(store, daemon_here(), f"{WHY}: {suspect.kind}") as change:
        tell(change, suspect)


def tell(change: Change, suspect: Suspect) -> None:
    """The same in a transaction of somebody else's."""
    open_case(change, suspect.kind, suspect.subject, suspect.row, {"said": suspect.said} if suspect.said else {})
    if suspect.subject != TERMINALS.name:
        return
    query = select(TERMINALS.c.state).where(TERMINALS.c.id == suspect.row)
    if change.connection.execute(query).scalar_one_or_none() in SERVED:
        change.update(TERMINALS, suspect.row, {"state": "suspended"})


def terminals_bound(connection: Connection) -> int:
    """How many terminals are bound, but for closed ones."""
    return int(connection.execute(select(func.count()).select_from(_BOUND).where(_IS_OPEN)).scalar_one())


def is_bound_under(connection: Connection, key: bytes) -> bool:
    """Whether a key is the one that terminals are bound under: that a row of a few was bound with it."""
    columns = [TERMINALS.c[name] for name in ("id", "serial_number", "place")]
    query = select(*columns, BINDINGS.c.position, BINDINGS.c.bound_to, BINDINGS.c.binding).select_from(_BOUND)
    rows = connection.execute(query.where(_IS_OPEN).order_by(TERMINALS.c.id).limit(ROWS_AT_A_TIME)).mappings()
    return any(is_bound_as(key, dict(row)) for row in rows)


class Proof:
    """Goes through all bindings again and again, some at a time: what was altered behind the audit's back is found.

    Args:
        key: The binding key.
        acquirer: Identification code of the acquiring institution.
    """

    def __init__(self, key: bytes, acquirer: str) -> None:
        self._key = key
        self._acquirer = acquirer
        self._last = ""
        self.is_through = False

    def next(self, connection: Connection) -> list[Suspect]:
        """Who, of the next terminals, is not as bound; ``is_through`` says whether they were the last ones."""
        elements = (ELEMENTS.c.identity, ELEMENTS.c.account)
        columns = [TERMINALS.c[name] for name in ("id", "merchant", "serial_number", "place")]
        query = select(*columns, BINDINGS.c.position, BINDINGS.c.bound_to, BINDINGS.c.binding, *elements)
        joined = _BOUND.join(MERCHANTS, MERCHANTS.c.id == TERMINALS.c.merchant)
        query = query.select_from(joined.outerjoin(ELEMENTS, ELEMENTS.c.id == MERCHANTS.c.id))
        served = (TERMINALS.c.state.in_(SERVED), TERMINALS.c.id > self._last)
        found = connection.execute(query.where(*served).order_by(TERMINALS.c.id).limit(ROWS_AT_A_TIME)).mappings().all()
        self.is_through = len(found) < ROWS_AT_A_TIME
        if found:
            self._last = found[-1]["id"]
        suspects: dict[str, Suspect] = {}
        for row in found:
            if not is_bound_as(
                self._key, {name: row[name] for name in ("id", "bound_to", "binding", *TERMINAL_ELEMENTS)}
            ):
                suspects[row["id"]] = Suspect(ALTERED, row["id"])
            elif not self._is_of_merchant(row["merchant"], row["identity"], row["account"], row["bound_to"]):
                suspects[row["merchant"]] = Suspect(OTHER_ELEMENTS, row["merchant"], subject=MERCHANTS.name)
        return list(suspects.values())

    def _is_of_merchant(self, merchant: str, identity: str | None, account: str | None, bound_to: str) -> bool:
        return elements_of(self._key, self._acquirer, merchant, identity or "", account or "").hex() == bound_to
