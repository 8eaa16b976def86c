"""Links held out of service and released, in the store: by one person, with a reason, and each step kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from switch.links.holds import ALL, KIND, NOTHING, REQUESTS, Hold, body_of
from switch.links.tables import LINK_HOLDS
from switch.rulebooks.rulebooks import InForce, hash_of
from switch.store.changing import Change, next_number
from switch.store.columns import moment_text, told_row
from switch.store.problems import NoSuchError, RefusedError

RIGHT = "links.hold"


def hold(change: Change, links: Sequence[str], link: str, *, with_owed: bool) -> tuple[dict[str, Any], bool]:
    """Keep new requests from a link's issuer, and with ``with_owed`` also what it is owed.

    Args:
        change: The transaction, with the reason.
        links: Those of the configuration.
        link: The one.
        with_owed: Whether reversals and advices wait, too.

    Returns:
        Its row, and whether something was changed.

    Raises:
        NoSuchError: There is no such link.
    """
    return _say(change, links, link, ALL if with_owed else REQUESTS)


def release(change: Change, links: Sequence[str], link: str) -> tuple[dict[str, Any], bool]:
    """Put a link into service again; as ``hold``. One that the configuration has no more may be, too."""
    if link in _last_rows(change.connection):
        links = [*links, link]
    return _say(change, links, link, NOTHING)


def links_told(connection: Connection, links: Sequence[str]) -> list[dict[str, Any]]:
    """Each link of the configuration, then what else is held out: what is kept from it, and who said so when and why.

    Of one of which nothing was ever said these are None.
    """
    last = _last_rows(connection)
    others = [name for name, row in last.items() if name not in links and row["held"] != NOTHING]
    return [_told(name, last.get(name)) for name in [*links, *others]]


def link_told(connection: Connection, links: Sequence[str], link: str) -> dict[str, Any]:
    """One of them.

    Raises:
        NoSuchError: There is no such link.
    """
    for row in links_told(connection, links):
        if row["link"] == link:
            return row
    raise _unknown(links, link)


def history(connection: Connection, link: str | None, most: int) -> list[dict[str, Any]]:
    """What was said of a link, or of all, the newest first."""
    query = select(LINK_HOLDS).order_by(LINK_HOLDS.c.id.desc()).limit(most)
    if link is not None:
        query = query.where(LINK_HOLDS.c.link == link)
    return [told_row(dict(row)) for row in connection.execute(query).mappings()]


def in_force(connection: Connection, known: tuple[int, str]) -> InForce | None:
    """What is held out, where that is another than is known by its turn and hash; None where it is not.

    Raises:
        RefusedError: It is of an earlier turn than is known, or another one of the same.
    """
    rows = _last_rows(connection).values()
    turn = max((row["id"] for row in rows), default=0)
    held = [
        Hold(row["link"], row["held"], row["who"], moment_text(row["at"]), row["why"])
        for row in rows
        if row["held"] != NOTHING
    ]
    body = body_of(held)
    hashed = hash_of(body)
    if turn < known[0] or (turn == known[0] and turn and hashed != known[1]):
        raise RefusedError(
            f"the store says less of links than was in force (step {turn}, known is {known[0]}): it is another "
            "database, or was put back"
        )
    return None if turn == known[0] else InForce(KIND, turn, turn, hashed, body)


def nothing_held() -> InForce:
    """As long as nothing was said."""
    body = body_of([])
    return InForce(KIND, 0, 0, hash_of(body), body)


def _say(change: Change, links: Sequence[str], link: str, held: str) -> tuple[dict[str, Any], bool]:
    if link not in links:
        raise _unknown(links, link)
    last = _last_rows(change.connection).get(link)
    if (NOTHING if last is None else last["held"]) == held:
        return _told(link, last), False
    row = {
        "id": next_number(change.connection, LINK_HOLDS),
        "link": link,
        "held": held,
        "who": change.who,
        "at": change.at,
        "why": change.why,
    }
    change.insert(LINK_HOLDS, row)
    return _told(link, row), True


def _unknown(links: Sequence[str], link: str) -> NoSuchError:
    return NoSuchError(f"there is no link {link}; there are {', '.join(links)}")


def _last_rows(connection: Connection) -> dict[str, dict[str, Any]]:
    """What was said last of each link of which something was."""
    last = select(func.max(LINK_HOLDS.c.id)).group_by(LINK_HOLDS.c.link)
    query = select(LINK_HOLDS).where(LINK_HOLDS.c.id.in_(last)).order_by(LINK_HOLDS.c.link)
    return {row["link"]: dict(row) for row in connection.execute(query).mappings()}


def _told(link: str, row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"link": link, "held": NOTHING, "who": None, "at": None, "why": None}
    return {name: value for name, value in told_row(row).items() if name != "id"}
