"""Tokens: who shows one is the person that it was given to. Only their hashes are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.access.people import actor_of, person_of
from switch.access.roles import rights_of
from switch.access.tables import PEOPLE, TOKEN_USES, TOKENS
from switch.access.token_deeds import ISSUED, chain_of, issued_by_token, note_deed, people_in, system_users_of
from switch.access.token_file import FileToken
from switch.access.token_proof import UnknownTokenError, checked, expiry, id_of, new_token
from switch.store.changing import Change
from switch.store.columns import told_row
from switch.store.problems import NoSuchError, RefusedError

CHAIN_MAX = 8
"""So many tokens may stand behind one another."""


def issue(change: Change, actor: Actor, person: str, label: str, days: int) -> str:
    """Give a person a token; its text, which nobody sees again.

    One that is issued by a token ends with it, at the latest: it is worth no more than what it was issued by.

    Raises:
        RefusedError: Only an administrator gives tokens to others; the person is unknown or has left; or the token that
            was shown ends earlier.
    """
    if not actor.has_name(person):
        actor.require("people.change")
    owner = person_of(change.connection, person)
    if owner["state"] != "active":
        raise RefusedError(f"{person} has left")
    if not label.strip() or not label.isprintable():
        raise RefusedError("label: needed what the token is for, a printable text")
    expires_at = expiry(days, change.at)
    if actor.token:
        _refuse_longer(change.connection, actor.token, expires_at)
    key, text, token_hash = new_token()
    change.insert(
        TOKENS,
        {
            "id": key,
            "person": person,
            "label": label.strip(),
            "hash": token_hash,
            "issued_by": actor.name,
            "issued_at": change.at,
            "expires_at": expires_at,
        },
    )
    note_deed(change, actor, TOKENS.name, key, ISSUED)
    return text


def _refuse_longer(connection: Connection, shown: str, expires_at: datetime) -> None:
    chain = chain_of(connection, shown)
    if len(chain) >= CHAIN_MAX:
        raise RefusedError(f"{len(chain)} tokens were issued by one another already: issue it on the command line")
    if expires_at > chain[0]["expires_at"]:
        ends = f"{chain[0]['expires_at']:%Y-%m-%d %H:%M} UTC"
        raise RefusedError(f"a token that is issued by another ends no later than that: {ends}")


def revoke(change: Change, actor: Actor, key: str) -> bool:
    """Put a token out of force, and all that were issued by it; False where it was so before.

    Raises:
        RefusedError: There is none with this id, or it is another's and the person no administrator.
    """
    found = change.connection.execute(select(TOKENS).where(TOKENS.c.id == key)).mappings().one_or_none()
    if found is None:
        raise NoSuchError(f"there is no token {key}")
    if not actor.has_name(found["person"]):
        actor.require("people.change")
    keys = [key, *issued_by_token(change.connection, key)]
    in_force = select(TOKENS.c.id).where(TOKENS.c.id.in_(keys), TOKENS.c.revoked_at.is_(None))
    revoked = [
        change.update(TOKENS, one, {"revoked_at": change.at})
        for one in change.connection.execute(in_force.order_by(TOKENS.c.id)).scalars().all()
    ]
    return any(revoked)


def bearer(connection: Connection, text: str, at: datetime) -> Actor:
    """Who shows a token. It may also be who gave it to him, or who stands behind the token by which that was done.

    So nobody approves by a token that he made for another, nor by one that he made with that.

    Raises:
        UnknownTokenError: It proves nothing.
    """
    found = connection.execute(select(TOKENS).where(TOKENS.c.id == id_of(text))).mappings().one_or_none()
    row = checked(text, None if found is None else dict(found), at)
    person = person_of(connection, row["person"])
    if person["state"] != "active":
        raise UnknownTokenError(f"{row['id']} is {person['id']}'s, who has left")
    people = frozenset(name for one in chain_of(connection, row["id"]) for name in people_in(one))
    return replace(actor_of(person), token=row["id"], behind=people | system_users_of(connection, people))


def tokens_of(connection: Connection, person: str | None) -> list[dict[str, Any]]:
    """Tokens without their hashes, by person; with their last use."""
    columns = [column for column in TOKENS.columns if column is not TOKENS.c.hash]
    query = select(*columns, TOKEN_USES.c.used_at).outerjoin(TOKEN_USES).order_by(TOKENS.c.person, TOKENS.c.issued_at)
    if person is not None:
        query = query.where(TOKENS.c.person == person)
    return [dict(row) for row in connection.execute(query).mappings()]


def tokens_in_force(connection: Connection, right: str, at: datetime) -> list[FileToken]:
    """Tokens of people who have a right now, as a file keeps them for those that have no database."""
    query = select(TOKENS, PEOPLE.c.roles).join(PEOPLE).where(PEOPLE.c.state == "active", TOKENS.c.revoked_at.is_(None))
    rows = connection.execute(query.order_by(TOKENS.c.person, TOKENS.c.id)).mappings()
    tokens = (
        FileToken(row["id"], row["person"], tuple(row["roles"].split("|")), row["expires_at"], row["hash"])
        for row in rows
    )
    return [one for one in tokens if right in rights_of(one.roles) and at < one.expires_at]


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A token as programs read it."""
    state = "revoked" if row["revoked_at"] else "expired" if datetime.now(UTC) >= row["expires_at"] else "in force"
    return {**told_row(row), "state": state}
