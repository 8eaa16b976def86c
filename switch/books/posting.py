"""Events of a partition's journal posted into the books: a batch at a time, each as a whole or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from switch.books.events import Event
from switch.books.payments import AccountKey, Batch, Bookkeeper, Known, Posting
from switch.books.tables import ACCOUNTS, BALANCES, DAY_TOTALS, ENTRIES, PAYMENTS, POSTINGS, SOURCES
from switch.journal.payment_events import APPROVED
from switch.store.bulk import add_up_rows, insert_rows, parts_of, update_rows
from switch.store.opening import Store
from switch.store.problems import StoreError


class OvertakenError(StoreError):
    """Somebody else has posted what was to be posted."""


class Poster:
    """Posts one partition's events. What it keeps is what the database has.

    Args:
        store: The books' database.
        keeper: Makes entries of events.
        number: The partition's.
        journal: The identity of its journal, 16 bytes.

    Raises:
        StoreError: The books are of another journal, or the database cannot be asked.
    """

    def __init__(self, store: Store, keeper: Bookkeeper, number: int, journal: bytes) -> None:
        self._store = store
        self._keeper = keeper
        self._number = number
        self._journal = journal
        self._accounts: dict[AccountKey, int] = {}
        with store.reading() as connection:
            row = find_source(connection, number)
        if row is not None and row["journal"] != journal:
            raise StoreError(
                f"{store.place}: has posted another journal of partition {number} than that which is there now: bring "
                "back the journal, or begin new books"
            )
        self._row = row

    @property
    def next_position(self) -> int | None:
        """Of the first record that was not posted yet; None: nothing was posted so far."""
        return None if self._row is None else int(self._row["next_position"])

    def post(self, events: Sequence[Event], begins: int, next_position: int) -> int:
        """Post events, and note how far the journal was read; how many entries that made.

        Args:
            events: What happened in the records from the place reached on.
            begins: The position of the first record of the journal, as long as nothing was posted.
            next_position: Of the record behind those that the events are of.

        Raises:
            OvertakenError: Another process has posted them meanwhile; nothing has happened.
            StoreError: The database could not do it; nothing has happened.
        """
        if self._row is None and not events:
            return 0
        before = self._row
        with self._store.writing() as connection:
            row = find_source(connection, self._number)
            if (row is None) != (before is None) or (
                row is not None and before is not None and row["next_position"] != before["next_position"]
            ):
                self._row = row
                raise OvertakenError(f"{self._store.place}: another process posts partition {self._number}, too")
            progress = self._keeper.progress(events[0][3]) if row is None else self._keeper.resumed(row)
            batch = self._keeper.enter(events, progress, _known(connection, self._number, events))
            written = {
                "number": self._number,
                "journal": self._journal,
                "begins": begins if row is None else row["begins"],
                "next_position": next_position,
                "entries": progress.entries,
                "chain": progress.chain,
                "business_day": progress.business_day,
                "at_us": progress.at_us,
            }
            if row is None:
                connection.execute(SOURCES.insert().values(**written))
            else:
                connection.execute(SOURCES.update().where(SOURCES.c.number == self._number).values(**written))
            self._write(connection, batch)
        self._row = written
        return len(batch.entries)

    def _write(self, connection: Connection, batch: Batch) -> None:
        if batch.payments:
            insert_rows(connection, PAYMENTS, batch.payments)
        if batch.states:
            became = [
                {"source": self._number, "position": at, "state": state} for at, state in sorted(batch.states.items())
            ]
            update_rows(connection, PAYMENTS, became, ["state"])
        if batch.entries:
            insert_rows(connection, ENTRIES, batch.entries)
        if batch.postings:
            self._write_postings(connection, batch)

    def _write_postings(self, connection: Connection, batch: Batch) -> None:
        used = {key for *_, posting in batch.postings for key in (posting.debit, posting.credit)}
        numbers = self._numbers_of(connection, used)
        insert_rows(
            connection,
            POSTINGS,
            [
                {
                    "source": self._number,
                    "position": position,
                    "leg": leg,
                    "debit": numbers[posting.debit],
                    "credit": numbers[posting.credit],
                    "currency": posting.debit.currency,
                    "amount_minor": posting.amount_minor,
                }
                for position, leg, _, posting in batch.postings
            ],
        )
        totals: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        by_day: defaultdict[tuple[int, Any], list[int]] = defaultdict(lambda: [0, 0])
        for _, _, day, posting in batch.postings:
            for side, key in enumerate((posting.debit, posting.credit)):
                totals[numbers[key]][side] += posting.amount_minor
                by_day[numbers[key], day][side] += posting.amount_minor
        sums = ("debits_minor", "credits_minor")
        balances = [
            dict(zip(("account", *sums), (account, *sides), strict=True)) for account, sides in sorted(totals.items())
        ]
        days = [
            dict(zip(("account", "business_day", *sums), (*account, *sides), strict=True))
            for account, sides in sorted(by_day.items())
        ]
        add_up_rows(connection, BALANCES, balances, sums)
        add_up_rows(connection, DAY_TOTALS, days, sums)

    def _numbers_of(self, connection: Connection, used: Iterable[AccountKey]) -> Mapping[AccountKey, int]:
        """The numbers of accounts; those that are not there yet are opened."""
        unknown = {key for key in used if key not in self._accounts}
        if not unknown:
            return self._accounts
        owners = sorted({key.owner for key in unknown})
        found: dict[AccountKey, int] = {}
        for is_one_of in parts_of(connection, ACCOUNTS.c.owner, owners):
            for row in connection.execute(select(ACCOUNTS).where(is_one_of)):
                found[AccountKey(row.kind, row.owner, row.currency)] = row.number
        opened = sorted(unknown - found.keys())
        if opened:
            last = connection.execute(select(func.coalesce(func.max(ACCOUNTS.c.number), 0))).scalar_one()
            fresh = {key: last + number for number, key in enumerate(opened, 1)}
            insert_rows(connection, ACCOUNTS, [{"number": number, **key._asdict()} for key, number in fresh.items()])
            # Only what is written is remembered: a batch that fails leaves no account behind.
            return {**self._accounts, **found, **fresh}
        self._accounts |= found
        return self._accounts


def find_source(connection: Connection, number: int) -> dict[str, Any] | None:
    """How far a partition was posted; None: nothing of it was."""
    row = connection.execute(select(SOURCES).where(SOURCES.c.number == number)).mappings().one_or_none()
    return None if row is None else dict(row)


def _known(connection: Connection, source: int, events: Sequence[Event]) -> dict[int, Known]:
    """Payments of before of which events say more, with what was posted for them."""
    fresh = {event[2] for event in events if event[1] == APPROVED}
    asked = sorted({event[2] for event in events if event[1] != APPROVED} - fresh)
    known: dict[int, Known] = {}
    for is_asked in parts_of(connection, PAYMENTS.c.position, asked):
        wanted = select(PAYMENTS).where(PAYMENTS.c.source == source, is_asked)
        for row in connection.execute(wanted).mappings():
            known[row["position"]] = Known(dict(row), row["state"], [])
    for is_known in parts_of(connection, ENTRIES.c.payment, sorted(known)):
        for payment, posting in _posted(connection, source, is_known):
            known[payment].postings.append(posting)
    return known


def _posted(connection: Connection, source: int, of_payments: ColumnElement[bool]) -> Iterator[tuple[int, Posting]]:
    """All postings of some payments, in their order."""
    debited, credited = ACCOUNTS.alias("debited"), ACCOUNTS.alias("credited")
    same = (POSTINGS.c.source == ENTRIES.c.source) & (POSTINGS.c.position == ENTRIES.c.position)
    wanted = (
        select(
            ENTRIES.c.payment,
            *(
                account.c[name].label(f"{account.name}_{name}")
                for account in (debited, credited)
                for name in ("kind", "owner", "currency")
            ),
            POSTINGS.c.amount_minor,
        )
        .join_from(ENTRIES, POSTINGS, same)
        .join(debited, debited.c.number == POSTINGS.c.debit)
        .join(credited, credited.c.number == POSTINGS.c.credit)
        .where(ENTRIES.c.source == source, of_payments)
        .order_by(POSTINGS.c.position, POSTINGS.c.leg)
    )
    for payment, *accounts, amount_minor in connection.execute(wanted):
        yield payment, Posting(AccountKey(*accounts[:3]), AccountKey(*accounts[3:]), amount_minor)
