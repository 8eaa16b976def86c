"""Rulebooks kept: put as new versions, found, and put in force by two people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.files.problems import ConfigError
from switch.proposals.deciding import Desk, Kind
from switch.rulebooks.rulebooks import (
    BODY_BYTES_MAX,
    NAME_CHARACTERS_MAX,
    TABLES_MAX,
    TITLES,
    InForce,
    Rulebook,
    hash_of,
)
from switch.rulebooks.tables import RULEBOOK_BODIES, RULEBOOKS, RULEBOOKS_IN_FORCE
from switch.store.changing import Change, find_row, row_of
from switch.store.columns import told_row
from switch.store.opening import Store
from switch.store.problems import NoSuchError, RefusedError

KIND = "rulebook"
"""Of the proposals to put one in force; their subject is the kind of the rulebook."""

PROBLEMS_TOLD = 20

Check = Callable[[Rulebook], object]
"""Reads a rulebook as the switch does; ConfigError where it cannot be used."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A rulebook that the switch would take, as it is kept.

    Attributes:
        body: What it says.
        bytes: Of that.
        hash: Of that.
    """

    body: str
    bytes: int
    hash: str


def checked(rulebook: Rulebook, check: Check) -> Checked:
    """A rulebook, once the switch would take it; this takes long, and is done before it is put.

    Raises:
        ConfigError: All that is wrong with it.
        RefusedError: It is too large.
    """
    body = rulebook.body
    size = len(body.encode())
    if size > BODY_BYTES_MAX:
        raise RefusedError(f"{rulebook.place}: has {size:,} bytes with its tables; at most {BODY_BYTES_MAX:,} are kept")
    if len(rulebook.tables) > TABLES_MAX or any(len(name) > NAME_CHARACTERS_MAX for name in rulebook.tables):
        raise RefusedError(
            f"{rulebook.place}: at most {TABLES_MAX} tables are kept, with names of {NAME_CHARACTERS_MAX} characters"
        )
    check(rulebook)
    return Checked(body, size, hash_of(body))


def put(change: Change, kind: str, rulebook: Checked) -> tuple[dict[str, Any], bool]:
    """Keep a rulebook as the next version of its kind; one that is the newest already stays.

    Args:
        change: The transaction, with the reason.
        kind: Of ``TITLES``.
        rulebook: It.

    Returns:
        Its row, and whether it is new.
    """
    newest = versions(change.connection, kind, 1)
    if newest and newest[0]["hash"] == rulebook.hash:
        return newest[0], False
    version = newest[0]["version"] + 1 if newest else 1
    row = {
        "id": f"{kind}@{version}",
        "kind": kind,
        "version": version,
        "hash": rulebook.hash,
        "bytes": rulebook.bytes,
        "put_by": change.who,
        "put_at": change.at,
        "why": change.why,
    }
    change.insert(RULEBOOKS, row)
    change.connection.execute(RULEBOOK_BODIES.insert().values(id=row["id"], body=rulebook.body))
    return _told(row, None), True


class Verdicts:
    """What the switch says of versions: each is read before the transaction in which it is put in force.

    Args:
        checks: By kind, see that the switch would take one.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._faults: dict[str, tuple[str, str]] = {}

    def read(self, store: Store, kind: str, version: int) -> None:
        """See whether the switch would take a version.

        Raises:
            NoSuchError: It is not there.
            RefusedError: What it says is not what was put there.
        """
        with store.reading() as connection:
            row, rulebook = version_of(connection, kind, version)
        try:
            self._checks[kind](rulebook)
        except ConfigError as error:
            self._faults[row["id"]] = row["hash"], "; ".join(map(str, error.problems[:PROBLEMS_TOLD]))
        else:
            self._faults[row["id"]] = row["hash"], ""

    def prepare(self, store: Store, kind: str, wanted: Mapping[str, Any]) -> None:
        """See whether the switch would take what is proposed; what cannot be read is a fault of it, too."""
        try:
            self.read(store, kind, int(wanted["version"]))
        except RefusedError as error:
            self._faults[f"{kind}@{wanted['version']}"] = wanted["hash"], str(error)

    def require(self, row: Mapping[str, Any]) -> None:
        """See that the switch was seen to take a version.

        Raises:
            RefusedError: It would not, or the version is another than was read.
        """
        hashed, fault = self._faults.get(row["id"], ("", ""))
        if hashed != row["hash"]:
            raise RefusedError(f"{row['id']} is not the one that was read")
        if fault:
            raise RefusedError(fault)


def versions(connection: Connection, kind: str, most: int) -> list[dict[str, Any]]:
    """Versions as programs read them, the newest first: without what they say, and whether they are in force."""
    query = select(RULEBOOKS).where(RULEBOOKS.c.kind == kind).order_by(RULEBOOKS.c.version.desc()).limit(most)
    current = _in_force(connection, kind)
    return [_told(dict(row), current) for row in connection.execute(query).mappings()]


def version_of(connection: Connection, kind: str, version: int | None) -> tuple[dict[str, Any], Rulebook]:
    """One version as programs read it, and what it says; None: the one in force.

    Raises:
        NoSuchError: There is none.
        RefusedError: What it says is not what was put there.
    """
    current = _in_force(connection, kind)
    if version is None:
        if current is None:
            raise NoSuchError(f"no version of the {TITLES[kind]} is in force")
        row = row_of(connection, RULEBOOKS, current)
    else:
        row = _row_of(connection, kind, version)
    return _told(row, current), Rulebook.of_body(row["id"], _body_of(connection, row))


def in_force(connection: Connection, kind: str, known: tuple[int, str]) -> InForce | None:
    """What is in force, where that is another than is known by its turn and hash; None where it is not.

    Raises:
        RefusedError: It is of an earlier turn, or not what was put there.
    """
    joined = RULEBOOKS_IN_FORCE.join(RULEBOOKS, RULEBOOKS.c.id == RULEBOOKS_IN_FORCE.c.rulebook)
    columns = (RULEBOOKS.c.id, RULEBOOKS.c.version, RULEBOOKS.c.hash, RULEBOOKS_IN_FORCE.c.turn)
    query = select(*columns).select_from(joined).where(RULEBOOKS_IN_FORCE.c.id == kind)
    row = connection.execute(query).one_or_none()
    turn, hashed = (0, "") if row is None else (row.turn, row.hash)
    if turn < known[0] or (turn == known[0] and turn and hashed != known[1]):
        raise RefusedError(
            f"the store says less than was in force (turn {turn}, known is {known[0]}): it is another database, or was "
            "put back"
        )
    if row is None or turn == known[0]:
        return None
    return InForce(kind, row.version, turn, hashed, _body_of(connection, row._asdict()))


def enforcing_kind(verdicts: Verdicts) -> Kind:
    """The proposals to put a rulebook in force: another person approves."""

    def apply(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        row = _row_of(change.connection, subject, int(wanted["version"]))
        if row["hash"] != wanted["hash"]:
            raise RefusedError(f"version {row['version']} of the {TITLES[subject]} is not the one that was proposed")
        enforce(change, subject, row["version"], verdicts)

    return Kind(KIND, "registry.change", "registry.approve", apply, prepare=verdicts.prepare)


def propose(desk: Desk, connection: Connection, kind: str, version: int, lasts: timedelta) -> int:
    """Propose that a version is put in force, which was read; the number of the proposal.

    Raises:
        RefusedError: It could not be, or another one waits.
    """
    row = _row_of(connection, kind, version)
    return desk.propose(KIND, kind, {"version": version, "hash": row["hash"]}, lasts)


def enforce(change: Change, kind: str, version: int, verdicts: Verdicts) -> None:
    """Put a version in force: alone where nobody is registered who could approve it, else what was approved.

    Raises:
        RefusedError: It is not there, is in force already, or the switch would not take it.
    """
    row = _row_of(change.connection, kind, version)
    verdicts.require(row)
    key = row["id"]
    current = find_row(change.connection, RULEBOOKS_IN_FORCE, kind)
    if current is None:
        change.insert(RULEBOOKS_IN_FORCE, {"id": kind, "rulebook": key, "turn": 1, "since": change.at})
        return
    if current["rulebook"] == key:
        raise RefusedError(f"{key} is in force already")
    change.update(RULEBOOKS_IN_FORCE, kind, {"rulebook": key, "turn": current["turn"] + 1, "since": change.at})


def _row_of(connection: Connection, kind: str, version: int) -> dict[str, Any]:
    row = find_row(connection, RULEBOOKS, f"{kind}@{version}")
    if row is None:
        raise NoSuchError(f"there is no version {version} of the {TITLES[kind]}")
    return row


def _body_of(connection: Connection, row: Mapping[str, Any]) -> str:
    query = select(RULEBOOK_BODIES.c.body).where(RULEBOOK_BODIES.c.id == row["id"])
    body = connection.execute(query).scalar_one_or_none()
    if body is None or hash_of(body) != row["hash"]:
        raise RefusedError(f"{row['id']}: what it says is not what was put there")
    return str(body)


def _in_force(connection: Connection, kind: str) -> str | None:
    """The key of the version that is in force; None where none is."""
    current = find_row(connection, RULEBOOKS_IN_FORCE, kind)
    return None if current is None else str(current["rulebook"])


def _told(row: Mapping[str, Any], current: str | None) -> dict[str, Any]:
    return {**told_row(row), "in_force": row["id"] == current}
