"""The books: double entries that are posted once, and what proves that they are right."""

from __future__ import annotations

import tempfile
from datetime import date, time
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from switch.books.balances import Balance, balances, statement
from switch.books.business_days import BusinessDays
from switch.books.chart import STANDARD, load_chart
from switch.books.posting import OvertakenError, Poster, find_source
from switch.books.proving import flaws
from switch.books.tables import BOOKS_METADATA, ENTRIES, POSTINGS, SCHEMA
from switch.files.problems import ConfigError
from switch.store.migrating import upgrade, version_of
from switch.store.opening import Store, parse_url
from switch.store.problems import StoreError

from .bookkeeping import (
    BEGINS_US,
    CHART,
    CREDITS,
    CURRENCIES,
    DEBITS,
    HOUR_US,
    LINKS,
    MERCHANTS,
    Naive,
    approved,
    day_totals,
    ended,
    poster,
    states,
)


@pytest.fixture
def ledger(empty_store):
    """A database with the books' tables."""
    upgrade(empty_store, SCHEMA)
    return empty_store


UNKNOWN = 10_001
TEMPLATE: list[bytes] = []


@st.composite
def histories(draw):
    """Events in the order of a journal, with what becomes of payments that are known, or are not."""
    events, payments, at_us = [], [], BEGINS_US
    for position in range(2, 2 + 2 * draw(st.integers(1, 25)), 2):
        at_us += draw(st.sampled_from((0, 1, HOUR_US, 9 * HOUR_US, -HOUR_US, 50 * HOUR_US)))
        what = draw(st.sampled_from(("approved", "approved", "taken back", "advice declined", "advice given up")))
        if what == "approved":
            payment = position - 1
            payments.append(payment)
            events.append(
                approved(
                    position,
                    payment,
                    at_us,
                    kind=draw(st.sampled_from(DEBITS + CREDITS)),
                    amount_minor=draw(st.sampled_from((0, 1, 999, 10**12))),
                    currency=draw(st.sampled_from(CURRENCIES)),
                    merchant=draw(st.sampled_from(MERCHANTS)),
                    link=draw(st.sampled_from(LINKS)),
                )
            )
        else:
            payment = (
                draw(st.sampled_from(payments))
                if payments and draw(st.booleans())
                else 1 + 2 * draw(st.integers(0, 30))
            )
            known_later = payment not in payments and payment >= position - 1
            events.append(ended(position, what, 10_001 if known_later else payment, at_us))
    return events


def batches(events, cuts):
    """The events in pieces, each with the position behind it."""
    at = 0
    for size in cuts:
        if at >= len(events):
            return
        piece = events[at : at + size]
        at += size
        yield piece, piece[-1][0] + 1
    if at < len(events):
        yield events[at:], events[-1][0] + 1


def empty_books(file):
    """A database with the books' tables, copied from one that was made once."""
    if not TEMPLATE:
        with tempfile.TemporaryDirectory() as folder:
            store = Store.open(parse_url(f"sqlite:{folder}/books.db"), makes_file=True)
            upgrade(store, SCHEMA)
            store.close()
            TEMPLATE.append(Path(folder, "books.db").read_bytes())
    file.write_bytes(TEMPLATE[0])
    return Store.open(parse_url(f"sqlite:{file}"))


class Crash(Exception):  # noqa: N818
    """The process ends in the middle of a transaction."""


def post_with_crashes(store, events, cuts, crashes, monkeypatch):
    """Post events in pieces. Some processes end before they have written all, and one that begins anew goes on where
    the database says; some pieces come twice."""
    posting = poster(store)
    for number, (piece, end) in enumerate(batches(events, cuts)):
        trouble = crashes[number % len(crashes)]
        if trouble == "crash":
            with monkeypatch.context() as patched:
                patched.setattr(Poster, "_write", _write_and_crash)
                with pytest.raises(Crash):
                    posting.post(piece, 1, end)
            posting = poster(store)
        if trouble == "restart":
            posting = poster(store)
        other = poster(store) if trouble == "twice" else None
        posting.post(piece, 1, end)
        if other is not None:
            with pytest.raises(OvertakenError):
                other.post(piece, 1, end)
            assert other.next_position == end


def _write_and_crash(self, connection, batch, write=Poster._write):
    write(self, connection, batch)
    raise Crash


EXAMPLES = settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@EXAMPLES
@given(
    events=histories(),
    cuts=st.lists(st.integers(1, 9), max_size=12),
    crashes=st.lists(st.sampled_from(("", "crash", "restart", "twice")), min_size=1, max_size=6),
)
def test_books_are_those_of_a_naive_model_whatever_happens_to_them(tmp_path_factory, events, cuts, crashes):
    folder = tmp_path_factory.mktemp("books")
    store = empty_books(folder / "books.db")
    naive = Naive()
    for event in events:
        naive.take(event)
    with pytest.MonkeyPatch.context() as monkeypatch:
        post_with_crashes(store, events, cuts, crashes, monkeypatch)
    _compare(store, naive, events)
    at_once = empty_books(folder / "at-once.db")
    poster(at_once).post(events, 1, events[-1][0] + 1)
    with store.reading() as one, at_once.reading() as other:
        assert find_source(one, 0) == find_source(other, 0)
    store.close()
    at_once.close()


def _compare(store, naive, events):
    with store.reading() as connection:
        assert day_totals(connection) == naive.totals()
        assert states(connection) == naive.states
        assert list(flaws(connection)) == []
        source = find_source(connection, 0)
        assert source["next_position"] == events[-1][0] + 1
        count = connection.execute(select(func.count()).select_from(ENTRIES)).scalar_one()
        assert count == source["entries"] <= len(events)


@pytest.mark.parametrize("trouble", ["", "crash", "restart", "twice"])
def test_a_history_on_either_database(ledger, trouble, monkeypatch):
    events = [
        approved(3, 1, BEGINS_US),
        approved(4, 2, BEGINS_US + 1, kind="refund", amount_minor=300, link="bank-b"),
        ended(5, "taken back", 1, BEGINS_US + HOUR_US),
        approved(8, 7, BEGINS_US + 20 * HOUR_US, is_advice=True, kind="advice"),
        ended(9, "advice declined", 7, BEGINS_US + 21 * HOUR_US, "insufficient_funds"),
        ended(10, "taken back", 7, BEGINS_US + 40 * HOUR_US),
        ended(11, "taken back", 7, BEGINS_US + 41 * HOUR_US),
        ended(12, "taken back", 500, BEGINS_US + 42 * HOUR_US),
    ]
    naive = Naive()
    for event in events:
        naive.take(event)
    post_with_crashes(ledger, events, [1, 1, 1, 1, 2, 1], ["", trouble], monkeypatch)
    _compare(ledger, naive, events)


def test_many_rows_are_copied_in(ledger):
    events = [approved(2 * number, 2 * number - 1, BEGINS_US) for number in range(1, 400)]
    poster(ledger).post(events, 1, 1_000)
    with ledger.reading() as connection:
        assert list(flaws(connection)) == []
        (owed,) = balances(connection, owner=MERCHANTS[0])
        assert owed.amount_minor(CHART) == 399 * 12_300


def test_partitions_are_posted_beside_each_other(ledger):
    for partition in (0, 1):
        posting = poster(ledger, partition)
        posting.post([approved(3, 1, BEGINS_US)], 1, 4)
        posting.post([ended(4, "taken back", 1, BEGINS_US)] if partition else [], 1, 5)
    with ledger.reading() as connection:
        assert [states(connection, partition) for partition in (0, 1)] == [{1: "stands"}, {1: "taken back"}]
        assert list(flaws(connection)) == []


def test_another_journal_is_refused(ledger):
    poster(ledger).post([approved(3, 1, BEGINS_US)], 1, 4)
    with pytest.raises(StoreError, match="another journal of partition 0"):
        poster(ledger, journal=bytes(16))


def test_what_happens_at_the_cut_over_is_the_next_days(ledger):
    ends_us = DAYS_END_US
    poster(ledger).post(
        [approved(3, 1, ends_us - 1), approved(5, 4, ends_us), ended(6, "taken back", 1, ends_us + 1)], 1, 7
    )
    with ledger.reading() as connection:
        days = [row.business_day for row in connection.execute(select(ENTRIES).order_by(ENTRIES.c.position))]
        (before,) = balances(connection, owner=MERCHANTS[0], through=date(2025, 11, 28))
        (after,) = balances(connection, owner=MERCHANTS[0])
    assert days == [date(2025, 11, 28), date(2025, 11, 29), date(2025, 11, 29)]
    assert (before.amount_minor(CHART), after.amount_minor(CHART)) == (12_300, 12_300)


DAYS_END_US = int(1_764_342_000e6)
"""28 November 2025, 23:00 in Shanghai."""


def test_a_statement_adds_up(ledger):
    poster(ledger).post(
        [
            approved(3, 1, BEGINS_US),
            approved(5, 4, BEGINS_US + 24 * HOUR_US, amount_minor=700),
            ended(6, "taken back", 1, BEGINS_US + 25 * HOUR_US),
            approved(8, 7, BEGINS_US + 26 * HOUR_US, merchant=MERCHANTS[1]),
        ],
        1,
        9,
    )
    first = date(2025, 11, 29)
    with ledger.reading() as connection:
        (before,) = balances(connection, owner=MERCHANTS[0], through=date(2025, 11, 28))
        lines = list(statement(connection, CHART, before, first, first))
    assert [(line.event, line.rrn, line.change_minor, line.balance_minor) for line in lines] == [
        ("approved", "000000000004", 700, 13_000),
        ("taken back", "000000000001", -12_300, 700),
    ]


def test_a_balance_may_be_below_nothing():
    assert Balance("pending", MERCHANTS[0], 156, 500, 200).amount_minor(CHART) == -300
    assert Balance("receivable", "bank-a", 156, 500, 200).amount_minor(CHART) == 300
    assert Balance("gone", "", 156, 500, 200).amount_minor(CHART) == -300


# --- what the database itself refuses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement_",
    [
        "UPDATE postings SET amount_minor = 1",
        "DELETE FROM postings",
        "UPDATE entries SET why = 'x'",
        "DELETE FROM entries",
        "UPDATE payments SET amount_minor = 1",
        "UPDATE payments SET merchant = 'x'",
        "DELETE FROM payments",
        "INSERT INTO postings VALUES (0, 3, 1, 1, 2, 156, 0)",
        "INSERT INTO postings VALUES (0, 3, 1, 1, 2, 156, -5)",
        "INSERT INTO postings VALUES (0, 3, 1, 1, 1, 156, 5)",
        "INSERT INTO postings VALUES (0, 3, 1, 1, 2, 392, 5)",
        "INSERT INTO postings VALUES (0, 3, 0, 1, 2, 156, 5)",
        "INSERT INTO postings VALUES (0, 4, 0, 1, 2, 156, 5)",
        "INSERT INTO postings VALUES (0, 3, 1, 1, 77, 156, 5)",
        "INSERT INTO entries VALUES (0, 9, 8, 'approved', '', '2025-11-28', 0)",
        "INSERT INTO accounts SELECT number + 100, kind, owner, currency FROM accounts",
        "UPDATE payments SET state = 'vanished'",
    ],
)
def test_the_database_refuses_what_breaks_the_books(ledger, statement_):
    poster(ledger).post([approved(3, 1, BEGINS_US)], 1, 4)
    with pytest.raises(StoreError), ledger.writing() as connection:
        connection.execute(text(statement_))
    with ledger.reading() as connection:
        assert list(flaws(connection)) == []


TAMPERING = [
    ("UPDATE postings SET amount_minor = amount_minor + 1 WHERE position = 3", "partition 0"),
    ("UPDATE postings SET debit = credit, credit = debit WHERE position = 3", "partition 0"),
    (
        "UPDATE postings SET credit = (SELECT number FROM accounts WHERE owner = '898000000000002') WHERE position = 3",
        "partition 0",
    ),
    ("UPDATE entries SET business_day = '2025-11-27' WHERE position = 3", "partition 0"),
    ("UPDATE entries SET at_us = at_us + 1 WHERE position = 3", "partition 0"),
    ("UPDATE entries SET why = 'x' WHERE position = 6", "partition 0"),
    ("DELETE FROM postings WHERE position = 3", "partition 0"),
    ("UPDATE postings SET leg = 5 WHERE position = 3", "entry 0:3"),
    ("UPDATE sources SET chain = zeroblob(32)", "partition 0"),
    ("UPDATE sources SET entries = entries + 1", "partition 0"),
    ("UPDATE sources SET next_position = 5", "entry 0:5"),
    ("UPDATE balances SET credits_minor = credits_minor + 1 WHERE account = 1", "balance of"),
    ("DELETE FROM balances WHERE account = 1", "balance of"),
    ("UPDATE day_totals SET debits_minor = debits_minor + 1 WHERE account = 1", "total of"),
    ("UPDATE payments SET state = 'taken back' WHERE position = 4", "payment 0:4"),
    ("UPDATE payments SET state = 'stands' WHERE position = 1", "payment 0:1"),
]


@pytest.mark.parametrize(("change", "where"), TAMPERING)
def test_what_was_changed_behind_the_guards_is_found(tmp_path, change, where):
    store = empty_books(tmp_path / "books.db")
    poster(store).post(
        [
            approved(3, 1, BEGINS_US),
            approved(5, 4, BEGINS_US, merchant=MERCHANTS[1]),
            ended(6, "taken back", 1, BEGINS_US),
        ],
        1,
        7,
    )
    with store.changing_schema() as connection:
        for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        assert connection.execute(text(change)).rowcount
    with store.reading() as connection:
        assert any(flaw.where.startswith(where) for flaw in islice(flaws(connection), 100))
    store.close()


def test_an_amount_cannot_be_posted_twice(ledger):
    posting = poster(ledger)
    posting.post([approved(3, 1, BEGINS_US)], 1, 4)
    # Whoever thinks that nothing was posted yet is told otherwise before he writes.
    posting._row = None
    with pytest.raises(OvertakenError):
        posting.post([approved(3, 1, BEGINS_US)], 1, 4)
    with ledger.reading() as connection:
        assert connection.execute(select(func.count()).select_from(POSTINGS)).scalar_one() == 1


# --- the schema ---------------------------------------------------------------------------------------------------


def test_migrations_make_the_tables_that_the_program_has(ledger):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with ledger.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, BOOKS_METADATA) == []
        assert version_of(connection) == "0001"


# --- the chart ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'kinds = ["refund", "void", "completion_void"]',
            'kinds = ["refund", "void"]',
            "has no rule for completion_void",
        ),
        ('kinds = ["refund", "void"', 'kinds = ["purchase", "refund", "void"', "purchase has a rule already, number 1"),
        ('"refund_void"]', '"refund_void", "balance_inquiry"]', "balance_inquiry moves no money"),
        ('credit = "pending"', 'credit = "receivable"', "receivable is debited and credited"),
        ('credit = "pending"', 'credit = "elsewhere"', "there is no account elsewhere"),
        ('amount = "amount"', 'amount = "half"', "amount"),
        ('normal = "debit"', 'normal = "left"', "normal"),
        ('owner = "link"', 'owner = "nobody"', "owner"),
    ],
)
def test_a_chart_that_is_wrong_is_refused(tmp_path, old, new, said):
    file = tmp_path / "chart.toml"
    content = STANDARD.read_text()
    assert old in content
    file.write_text(content.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_chart(file)
    assert any(said in str(problem) for problem in caught.value.problems)
    assert all(problem.file == str(file) for problem in caught.value.problems)


# --- business days ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "UTC"])
@pytest.mark.parametrize("cut_over", [time(0), time(2, 30), time(12), time(23), time(23, 59)])
@EXAMPLES
@given(at_s=st.integers(1_700_000_000, 1_800_000_000))
def test_each_moment_is_in_one_business_day(zone, cut_over, at_s):
    days = BusinessDays(cut_over, ZoneInfo(zone))
    at_us = at_s * 1_000_000
    day = days.day_of(at_us)
    before = date.fromordinal(day.toordinal() - 1)
    assert days.ends_us(before) <= at_us < days.ends_us(day)


def test_business_days_over_a_change_of_the_clocks():
    days = BusinessDays(time(2, 30), ZoneInfo("Europe/Berlin"))
    # On 29 March 2026 clocks leap from 2:00 to 3:00, on 25 October they go back from 3:00 to 2:00.
    assert days.ends_us(date(2026, 3, 29)) - days.ends_us(date(2026, 3, 28)) == 24 * HOUR_US
    assert days.ends_us(date(2026, 3, 30)) - days.ends_us(date(2026, 3, 29)) == 23 * HOUR_US
    assert days.ends_us(date(2026, 10, 26)) - days.ends_us(date(2026, 10, 25)) == 25 * HOUR_US
