"""What was done by a token, and all who stand behind it.

Behind a token stand its person, who gave it to him, and those behind the token by which that was done: who makes one
knows it, whoever's it is. So what is done with it counts as done by all who stand behind it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.access.tables import PEOPLE, TOKEN_DEEDS, TOKENS
from switch.store.changing import Change

ISSUED = "issued"


def note_deed(change: Change, actor: Actor, subject: str, row: object, deed: str) -> None:
    """Keep by which token somebody does something that another person decides on; nothing where none was shown.

    Args:
        change: The transaction.
        actor: Who does it.
        subject: The table.
        row: Which row of it.
        deed: What is done.
    """
    key = f"{subject} {row} {deed} {actor.token}"
    if actor.token and change.connection.execute(select(TOKEN_DEEDS).where(TOKEN_DEEDS.c.id == key)).first() is None:
        values = {"id": key, "subject": subject, "row": str(row), "deed": deed, "token": actor.token}
        change.insert(TOKEN_DEEDS, values)


def names_behind(connection: Connection, subject: str, row: object, deed: str) -> frozenset[str]:
    """Who stands behind the tokens by which something was done; empty where none was shown."""
    tokens = _tokens_of(connection, subject, row, deed)
    return frozenset(name for key in tokens for one in chain_of(connection, key) for name in people_in(one))


def chain_of(connection: Connection, key: str) -> list[dict[str, Any]]:
    """A token, the one that it was issued by, and so on to one that a person issued without any."""
    chain = []
    keys = [key]
    while keys:
        chain.append(dict(connection.execute(select(TOKENS).where(TOKENS.c.id == keys[0])).mappings().one()))
        keys = _tokens_of(connection, TOKENS.name, keys[0], ISSUED)
    return chain


def people_in(token: dict[str, Any]) -> tuple[str, str]:
    """Whose a token is, and who gave it to him."""
    return token["person"], token["issued_by"]


def issued_by_token(connection: Connection, key: str) -> list[str]:
    """The tokens that were issued by one, and by those, and so on."""
    column = TOKEN_DEEDS.c
    found: list[str] = []
    keys = [key]
    while keys:
        query = select(column.row).where(column.subject == TOKENS.name, column.deed == ISSUED, column.token.in_(keys))
        keys = [*connection.execute(query.order_by(column.row)).scalars()]
        found += keys
    return found


def system_users_of(connection: Connection, people: frozenset[str]) -> frozenset[str]:
    """What people are called by the system."""
    query = select(PEOPLE.c.system_user).where(PEOPLE.c.id.in_(people), PEOPLE.c.system_user.is_not(None))
    return frozenset(connection.execute(query).scalars())


def _tokens_of(connection: Connection, subject: str, row: object, deed: str) -> list[str]:
    column = TOKEN_DEEDS.c
    query = select(column.token).where(column.subject == subject, column.row == str(row), column.deed == deed)
    return [*connection.execute(query).scalars()]
