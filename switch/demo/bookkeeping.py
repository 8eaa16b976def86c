"""The books at the end of the demo: made of the journal, proved, and compared with the issuers' ledgers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from sqlalchemy import select

from switch.base.currencies import amount_words
from switch.books.balances import Balance, balances
from switch.books.keeping import post_all
from switch.books.opening import Books, opened_books
from switch.books.proving import flaws
from switch.books.rebuilding import rebuild
from switch.books.tables import PAYMENTS, SCHEMA, SOURCES
from switch.check.store import open_database
from switch.config import load_config
from switch.dialect.kinds import Money, kind_traits
from switch.simulators import ledger as slips
from switch.store.migrating import upgrade
from switch.store.opening import Store, parse_url

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import Console

    from switch.simulators.ledger import Ledger

BOOKED = (slips.APPROVED, slips.VOIDED, slips.COMPLETED)
"""States of a ledger's entries that the books have as standing: what is voided stands, and so does its void."""

DIFFERENCES_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Audit:
    """What the books say.

    Attributes:
        entries: How many were posted.
        owed: What each merchant is owed, by account.
        differences: What is otherwise than in the ledgers, or not as it must be, in words.
        chain: The hash of all entries.
    """

    entries: int
    owed: list[tuple[Balance, int]]
    differences: list[str]
    chain: str

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def audit(config_file: Path, ledgers: Iterable[Ledger]) -> Audit:
    """Make the books of the journal of a switch that has ended, prove them, make them anew, and compare."""
    config = load_config(config_file)
    store = open_database(config, "books", SCHEMA, is_any_version=True, makes_file=True)
    upgrade(store, SCHEMA)
    store.close()
    with opened_books(config) as books:
        post_all(books)
        differences = payment_differences(books.store, ledgers)
        with books.store.reading() as connection:
            differences += [f"{flaw.where}: {flaw.reason}" for flaw in flaws(connection)]
            sources = connection.execute(select(SOURCES)).mappings().all()
            found = balances(connection, kind="pending")
            owed = [(one, one.amount_minor(books.chart)) for one in found]
        differences += _made_anew(books, config_file.parent / "books-anew.db")
    return Audit(
        sum(one["entries"] for one in sources), owed, differences, sources[0]["chain"].hex() if sources else ""
    )


def payment_differences(store: Store, ledgers: Iterable[Ledger]) -> list[str]:
    """Payments that stand by the books and not by an issuer, or the other way round, whatever of them differs."""
    by_issuers = Counter(
        (
            ledger.issuer,
            entry.terminal,
            entry.merchant,
            entry.rrn,
            entry.kind,
            int(entry.currency),
            entry.amount_minor,
            entry.pan,
        )
        for ledger in ledgers
        for entry in ledger.entries
        if entry.state in BOOKED and kind_traits(entry.kind).money != Money.NONE
    )
    wanted = select(
        *PAYMENTS.c["link", "terminal", "merchant", "rrn", "kind", "currency", "amount_minor", "card"]
    ).where(PAYMENTS.c.state == "stands")
    with store.reading() as connection:
        by_books = Counter(tuple(row) for row in connection.execute(wanted))
    return [
        *(f"an issuer's ledger alone has {one}" for one in (by_issuers - by_books).elements()),
        *(f"the books alone have {one}" for one in (by_books - by_issuers).elements()),
    ]


def _made_anew(books: Books, file: Path) -> list[str]:
    into = Store.open(parse_url(f"sqlite:{file}"), makes_file=True)
    upgrade(into, SCHEMA)
    made = list(rebuild(books, into))
    into.close()
    return [f"partition {one.partition}: made anew, the books have another hash" for one in made if not one.agrees]


def print_audit(console: Console, found: Audit) -> None:
    """What the merchants are owed, and whether the books agree with the ledgers."""
    table = Table(box=None, padding=(0, 2, 0, 0), title="books", title_justify="left")
    table.add_column("")
    table.add_column("owed", justify="right")
    for balance, amount_minor in found.owed:
        table.add_row(f"merchant {balance.owner}", amount_words(amount_minor, balance.currency))
    console.print(table)
    if found.agrees:
        console.print(
            f"{found.entries:,} entries were posted from the journal; made anew from nothing they have the same hash, "
            f"{found.chain[:16]}, and every payment in them is in an issuer's ledger",
            soft_wrap=not console.is_terminal,
        )
        return
    console.print(f"the books: {len(found.differences):,} DIFFERENCES")
    for words in found.differences[:DIFFERENCES_SHOWN_MAX]:
        console.print(f"  {words}", markup=False, soft_wrap=not console.is_terminal)
