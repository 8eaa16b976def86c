"""People in the store: who there is, what each may do, and who may change that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.access.roles import rights_of, roles_text
from switch.access.tables import PEOPLE, PERSON_CHARACTERS_MAX
from switch.store.changing import Change
from switch.store.columns import told_row
from switch.store.opening import Store
from switch.store.problems import NoSuchError, NotAllowedError, RefusedError

PERSON = re.compile(rf"[a-z][a-z0-9._-]{{0,{PERSON_CHARACTERS_MAX - 1}}}")
ADMINISTRATOR = "administrator"
CHANGEABLE = frozenset({"name", "system_user", "roles", "state"})

Identify = Callable[[Connection], Actor]
"""Says who asks, by what the store knows."""


def has_people(connection: Connection) -> bool:
    """Whether anybody was registered yet; before that the owner of the store may do everything."""
    return connection.execute(select(PEOPLE.c.id).limit(1)).first() is not None


def person_of(connection: Connection, key: str) -> dict[str, Any]:
    """One person.

    Raises:
        NoSuchError: There is none of this name.
    """
    found = connection.execute(select(PEOPLE).where(PEOPLE.c.id == key)).mappings().one_or_none()
    if found is None:
        raise NoSuchError(f"there is nobody called {key}")
    return dict(found)


def actor_of(person: Mapping[str, Any]) -> Actor:
    """A person of the store at work; one who has left may do nothing."""
    names = {person["system_user"]} if person["system_user"] else set()
    rights = rights_of(person["roles"].split("|")) if person["state"] == "active" else frozenset[str]()
    return Actor(person["id"], frozenset(names), rights)


def user_at_work(system_user: str) -> Identify:
    """Who a user of this machine is."""

    def identify(connection: Connection) -> Actor:
        if not has_people(connection):
            return Actor(system_user)
        query = select(PEOPLE).where(PEOPLE.c.system_user == system_user)
        found = connection.execute(query).mappings().one_or_none()
        return Actor(system_user, rights=frozenset()) if found is None else actor_of(dict(found))

    return identify


@contextmanager
def changing_as(
    store: Store, identify: Identify, why: str, right: str | None, at: datetime | None = None
) -> Iterator[tuple[Change, Actor]]:
    """A change by somebody who has the right to it, with who it is.

    Args:
        store: The database.
        identify: Says who asks.
        why: The reason.
        right: What is needed; None where what is changed decides about that.
        at: The moment; None: now.

    Raises:
        RefusedError: The person may not, or no reason was named.
        StoreError: The database could not do it.
    """
    with store.writing() as connection:
        actor = identify(connection)
        if right is not None:
            actor.require(right)
        yield Change(connection, actor.name, why, at or datetime.now(UTC)), actor


def add_first(change: Change, key: str, name: str, system_user: str) -> None:
    """Register the first administrator.

    Raises:
        RefusedError: There is somebody already.
    """
    if has_people(change.connection):
        raise RefusedError("there are people already; an administrator among them adds others")
    _insert(change, key, {"name": name, "system_user": system_user, "roles": ADMINISTRATOR})


def needs_two(connection: Connection) -> bool:
    """Whether changes of people need two: as soon as there are two administrators."""
    return len(_administrators(connection)) > 1


def add_or_change(change: Change, key: str, wanted: Mapping[str, Any]) -> None:
    """Register a person, or change what is known of one: whoever has rights, has them from here.

    Raises:
        RefusedError: It is wrong, nothing would change, or nobody would be left to administrate.
    """
    if unknown := wanted.keys() - CHANGEABLE:
        raise RefusedError(f"of a person nothing is known as {', '.join(sorted(unknown))}")
    values = {**wanted, "roles": roles_text(wanted["roles"].split("|"))} if "roles" in wanted else dict(wanted)
    if change.connection.execute(select(PEOPLE.c.id).where(PEOPLE.c.id == key)).first() is None:
        _insert(change, key, values)
        return
    _check(change.connection, key, values)
    if not change.update(PEOPLE, key, values):
        raise RefusedError(f"{key} is so already")
    if not _administrators(change.connection):
        raise RefusedError("an administrator must be left")


def refuse_own(actor: Actor, key: str) -> None:
    """See that nobody changes what he may do himself.

    Raises:
        NotAllowedError: It is his own.
    """
    if actor.may_be(key):
        raise NotAllowedError(f"{key} is you: another administrator changes what you may do")


def _insert(change: Change, key: str, values: Mapping[str, Any]) -> None:
    if PERSON.fullmatch(key) is None:
        raise RefusedError(
            f"{key!r} cannot be the name of a person: needed a small letter, then up to {PERSON_CHARACTERS_MAX - 1} "
            "small letters, digits, dots, hyphens or underscores"
        )
    if missing := {"name", "roles"} - values.keys():
        raise RefusedError(f"{key} is new: needed {', '.join(sorted(missing))}")
    _check(change.connection, key, values)
    change.insert(PEOPLE, {"id": key, "since": change.at, **values})


def _check(connection: Connection, key: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if value is not None and (not value or not value.isprintable() or value != value.strip()):
            raise RefusedError(f"{name}: needed a printable text")
    if values.get("state", "active") not in ("active", "left"):
        raise RefusedError(f"state is {values['state']}; needed active or left")
    user = values.get("system_user")
    if user is not None:
        query = select(PEOPLE.c.id).where(PEOPLE.c.system_user == user, PEOPLE.c.id != key)
        other = connection.execute(query).scalar_one_or_none()
        if other is not None:
            raise RefusedError(f"the system's user {user} is {other} already")


def _administrators(connection: Connection) -> list[str]:
    active = select(PEOPLE.c.id, PEOPLE.c.roles).where(PEOPLE.c.state == "active")
    return [row.id for row in connection.execute(active) if ADMINISTRATOR in row.roles.split("|")]


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A person as programs read it."""
    roles = row["roles"].split("|")
    rights = sorted(rights_of(roles)) if row["state"] == "active" else []
    return {**told_row(row), "roles": roles, "rights": rights}
