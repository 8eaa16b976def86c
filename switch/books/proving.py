"""What must always hold of the books, looked at: chains of entries, sums, and what payments say of themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from switch.books.payments import NO_CHAIN, AccountKey, Posting, chained
from switch.books.tables import ACCOUNTS, BALANCES, DAY_TOTALS, ENTRIES, PAYMENTS, POSTINGS, SOURCES
from switch.journal.payment_events import APPROVED

ROWS_AT_A_TIME = 5_000


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that does not hold.

    Attributes:
        where: The table, and the row.
        reason: What is wrong with it.
    """

    where: str
    reason: str


def flaws(connection: Connection) -> Iterator[Flaw]:
    """Everything that does not hold; nothing where the books are whole.

    Each source's chain is computed anew from its entries and postings, balances from postings, and each payment's state
    from its entries. A sum could be right by chance where a field is wrong, so fields are compared, too.
    """
    accounts = {
        row.number: AccountKey(row.kind, row.owner, row.currency) for row in connection.execute(select(ACCOUNTS))
    }
    totals: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    by_day: defaultdict[tuple[int, Any], list[int]] = defaultdict(lambda: [0, 0])
    for source in connection.execute(select(SOURCES).order_by(SOURCES.c.number)).mappings().all():
        chain, count = NO_CHAIN, 0
        for entry, legs in _entries(connection, source["number"]):
            count += 1
            where = f"entry {entry['source']}:{entry['position']}"
            if not source["begins"] <= entry["position"] < source["next_position"]:
                yield Flaw(where, "is not within what was posted of its journal")
            if [leg["leg"] for leg in legs] != list(range(len(legs))):
                yield Flaw(where, "a posting of it is missing")
            chain = chained(chain, entry, [_posting(accounts, leg) for leg in legs])
            for leg in legs:
                for side, account in enumerate((leg["debit"], leg["credit"])):
                    totals[account][side] += leg["amount_minor"]
                    by_day[account, entry["business_day"]][side] += leg["amount_minor"]
        if (chain, count) != (source["chain"], source["entries"]):
            yield Flaw(
                f"partition {source['number']}", "its entries are not those that were posted: their chain differs"
            )
    yield from _wrong_sums(connection, accounts, totals, by_day)
    yield from _wrong_payments(connection)


def _entries(connection: Connection, source: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each entry of a source with its postings, in order."""
    streaming = connection.execution_options(yield_per=ROWS_AT_A_TIME)
    entry = (POSTINGS.c.source == ENTRIES.c.source) & (POSTINGS.c.position == ENTRIES.c.position)
    wanted = (
        select(ENTRIES, *POSTINGS.c["leg", "debit", "credit", "currency", "amount_minor"])
        .join_from(ENTRIES, POSTINGS, entry, isouter=True)
        .where(ENTRIES.c.source == source)
        .order_by(ENTRIES.c.position, POSTINGS.c.leg)
    )
    current: dict[str, Any] | None = None
    legs: list[dict[str, Any]] = []
    for row in streaming.execute(wanted).mappings():
        if current is None or row["position"] != current["position"]:
            if current is not None:
                yield current, legs
            current, legs = dict(row), []
        if row["leg"] is not None:
            legs.append(dict(row))
    if current is not None:
        yield current, legs


def _posting(accounts: dict[int, AccountKey], leg: dict[str, Any]) -> Posting:
    return Posting(accounts[leg["debit"]], accounts[leg["credit"]], leg["amount_minor"])


def _wrong_sums(
    connection: Connection,
    accounts: dict[int, AccountKey],
    totals: dict[int, list[int]],
    by_day: dict[tuple[int, Any], list[int]],
) -> Iterator[Flaw]:
    kept = {row.account: [row.debits_minor, row.credits_minor] for row in connection.execute(select(BALANCES))}
    for account in sorted(kept.keys() | totals.keys()):
        if kept.get(account) != totals.get(account):
            yield Flaw(f"balance of {_named(accounts, account)}", "is not what its postings sum up to")
    days = {
        (row.account, row.business_day): [row.debits_minor, row.credits_minor]
        for row in connection.execute(select(DAY_TOTALS))
    }
    for account, day in sorted(days.keys() | by_day.keys()):
        if days.get((account, day)) != by_day.get((account, day)):
            yield Flaw(f"total of {_named(accounts, account)} on {day}", "is not what its postings sum up to")
    debits, credits_ = (sum(one[side] for one in totals.values()) for side in (0, 1))
    if debits != credits_:
        yield Flaw("all accounts", f"debits are {debits} and credits {credits_}")


def _named(accounts: dict[int, AccountKey], number: int) -> str:
    key = accounts.get(number)
    return f"account {number}" if key is None else f"{key.kind} {key.owner} {key.currency:03d}".replace("  ", " ")


def _wrong_payments(connection: Connection) -> Iterator[Flaw]:
    """Payments whose state is not that of their last entry, or which were approved not once."""
    streaming = connection.execution_options(yield_per=ROWS_AT_A_TIME)
    newest = (
        select(
            ENTRIES.c.source,
            ENTRIES.c.payment,
            func.max(ENTRIES.c.position).label("last"),
            func.count().filter(ENTRIES.c.event == APPROVED).label("approvals"),
        )
        .group_by(ENTRIES.c.source, ENTRIES.c.payment)
        .subquery()
    )
    same = (newest.c.source == PAYMENTS.c.source) & (newest.c.payment == PAYMENTS.c.position)
    last = (ENTRIES.c.source == newest.c.source) & (ENTRIES.c.position == newest.c.last)
    wanted = (
        select(*PAYMENTS.c["source", "position", "state"], ENTRIES.c.event, newest.c.approvals)
        .join_from(PAYMENTS, newest, same, isouter=True)
        .join(ENTRIES, last, isouter=True)
    )
    for row in streaming.execute(wanted):
        where = f"payment {row.source}:{row.position}"
        if row.approvals != 1:
            yield Flaw(where, f"was posted as approved {row.approvals or 0} times")
        elif row.state != ("stands" if row.event == APPROVED else row.event):
            yield Flaw(where, f"says of itself that it {row.state}, and its last entry {row.event}")
