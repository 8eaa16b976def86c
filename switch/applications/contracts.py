"""Contracts: a text and a plan, both of one version and named by their hashes, as somebody has accepted them.

None is ever changed. A price that is to rise needs a new version of the plan, notice of as many days as the plan says,
and consent that is kept: that will be another row beside this one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.applications.tables import CONTRACT_TEXTS, CONTRACTS, PLANS
from switch.store.changing import Change, find_row, row_of
from switch.store.columns import moment_text
from switch.store.problems import RefusedError, UnfitError

TEXT_CHARACTERS_MAX = 200_000
TITLE_CHARACTERS_MAX = 120
SAID_CHARACTERS_MAX = 120
HOW_CHARACTERS_MAX = 200
HASH_DIGITS_MIN = 4
"""So many digits of a text's hash, its first ones, name it at least."""


def import_text(change: Change, title: str, text: str) -> str:
    """Keep the text of a contract; its hash, by which it is named. One that is there already stays.

    Raises:
        RefusedError: It or its title is empty or too long, or the title has other than printable characters.
    """
    _require_said("a title", title, TITLE_CHARACTERS_MAX)
    if not text.strip() or len(text) > TEXT_CHARACTERS_MAX:
        raise RefusedError(f"needed a text of 1 to {TEXT_CHARACTERS_MAX:,} characters")
    key = sha256(text.encode()).hexdigest()
    if find_row(change.connection, CONTRACT_TEXTS, key) is None:
        change.insert(CONTRACT_TEXTS, {"id": key, "title": title, "text": text, "since": change.at})
    return key


def _require_said(name: str, said: str, most: int) -> None:
    if not said.strip() or not said.isprintable() or len(said) > most:
        raise UnfitError(f"needed {name}: 1 to {most} printable characters")


def text_named(connection: Connection, beginning: str) -> str:
    """The hash of a contract's text, by itself or by a beginning that no other one has.

    Raises:
        RefusedError: None begins so, or several do.
    """
    column = CONTRACT_TEXTS.c.id
    is_so = column.startswith(beginning, autoescape=True) if len(beginning) >= HASH_DIGITS_MIN else column == beginning
    found = connection.execute(select(column).where(is_so).limit(2)).scalars().all()
    if not found:
        needed = f"needed is all of it, or its first digits, {HASH_DIGITS_MIN} or more"
        raise RefusedError(f"there is no text of a contract with the hash {beginning}: {needed}")
    if len(found) > 1:
        raise RefusedError(f"several texts of contracts have a hash that begins with {beginning}: name more of it")
    return str(found[0])


def accept(change: Change, application: Mapping[str, Any], text_hash: str, accepted_by: str, how: str) -> str:
    """Note that somebody has accepted the text that was offered, with the plan of the application; the contract's hash.

    Raises:
        RefusedError: The hash is not that of the text that was offered, or nobody is named.
    """
    if text_hash != application["contract_text"]:
        raise RefusedError("the text that was accepted is not the one that was offered: their hashes differ")
    for name, said, most in (("who", accepted_by, SAID_CHARACTERS_MAX), ("how", how, HOW_CHARACTERS_MAX)):
        _require_said(name, said, most)
    plan = row_of(change.connection, PLANS, application["plan"])
    row = {
        "id": application["id"],
        "text": text_hash,
        "plan": plan["id"],
        "plan_hash": plan["hash"],
        "accepted_by": accepted_by,
        "accepted_at": change.at,
        "how": how,
    }
    row["hash"] = contract_hash(row)
    change.insert(CONTRACTS, row)
    return str(row["hash"])


def contract_hash(row: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the JSON of what a contract has, its moment as text and without blanks."""
    names = ("id", "text", "plan", "plan_hash", "accepted_by", "accepted_at", "how")
    said = [moment_text(row[name]) if name == "accepted_at" else row[name] for name in names]
    return sha256(json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
