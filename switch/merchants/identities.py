"""Who holds a merchant: its class, and a keyed hash by which all merchants of one identity are known as one's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.keys.file import KeySource
from switch.keys.store_keys import FINDING_KEY
from switch.merchants.tables import IDENTITIES
from switch.store.changing import Change, find_row
from switch.store.problems import RefusedError
from switch.store.sealing import finding_hash

OTHERS_MAX: Final = 100
HELD: Final = ("class", "same_identity")
MEANING: Final = "identity"
"""With which identity numbers are hashed; applications have the same."""


def same_identity_of(keys: KeySource, number: str) -> dict[str, str]:
    """What stands for an identity number, as a column; none where there is no key for it.

    Args:
        keys: The key file: with the store's key of hashes.
        number: The credit code or identity number in clear.
    """
    key = keys.get(FINDING_KEY)
    return {} if key is None else {"same_identity": finding_hash(key, MEANING, number).hex()}


def holder_of(connection: Connection, merchant: str) -> dict[str, Any]:
    """Of which class a merchant is, and which others have the same identity; nothing where nobody has said it."""
    found = find_row(connection, IDENTITIES, merchant)
    if found is None:
        return {}
    column = IDENTITIES.c
    others = select(column.id).where(column.same_identity == found["same_identity"], column.id != merchant)
    rows = connection.execute(others.order_by(column.id).limit(OTHERS_MAX)).scalars().all()
    return {"class": found["class"], "same_identity": [*rows]}


def is_held_otherwise(connection: Connection, merchant: str, wanted: Mapping[str, str]) -> bool:
    """Whether this says of a merchant that it is held otherwise than was said before."""
    before = find_row(connection, IDENTITIES, merchant)
    return before is not None and any(before[name] != value for name, value in _said(wanted).items())


def note_identity(change: Change, merchant: str, wanted: Mapping[str, str]) -> bool:
    """Keep who holds a merchant; False where it was so, or nobody has ever said of which class it is.

    Args:
        change: Who does it.
        merchant: Its number.
        wanted: ``class`` and ``same_identity``, as far as they are said; and ``identity``, where another is meant.

    Raises:
        RefusedError: One of them is missing.
    """
    said = _said(wanted)
    before = find_row(change.connection, IDENTITIES, merchant)
    if before is None and "class" not in said:
        return False
    if "identity" in wanted and "same_identity" not in said:
        raise RefusedError(f"the key file has no {FINDING_KEY}: authswitch store renew-key makes it")
    if before is not None:
        return change.update(IDENTITIES, merchant, said)
    if "same_identity" not in said:
        raise RefusedError(f"{merchant}: its class is said with its identity")
    change.insert(IDENTITIES, {"id": merchant, **said})
    return True


def _said(wanted: Mapping[str, str]) -> dict[str, str]:
    return {name: wanted[name] for name in HELD if name in wanted}
