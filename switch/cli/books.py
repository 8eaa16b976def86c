"""``authswitch books``: what the journals say of money, posted; balances, statements, and their proof."""

from __future__ import annotations

import json
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import start_http_server

from switch.base.currencies import amount_words
from switch.base.error_words import words_of
from switch.base.log import configure_logging, get_logger
from switch.books.balances import Balance, balances, statement
from switch.books.keeping import Keeping, post_all
from switch.books.metrics import Meters
from switch.books.opening import Books, business_days, chart_of, opened_books
from switch.books.proving import flaws
from switch.books.rebuilding import rebuild
from switch.books.tables import SCHEMA, SOURCES
from switch.check.store import UPGRADE_ANSWER_SECONDS, open_database
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import EXIT_FAILED, AsJson, ConfigFile, fail, load
from switch.cli.listing import listing, plain_console, print_lines
from switch.cli.registry_desk import in_words
from switch.config.key_file import open_key_file
from switch.config.models import Config
from switch.journal.partitions import PartitionsError
from switch.journal.replay import JournalDamaged
from switch.keys.book_keys import make_card_index_key
from switch.store.columns import moment_text, told_row
from switch.store.migrating import upgrade
from switch.store.opening import Store, parse_url
from switch.store.problems import StoreError

FLAWS_MAX = 100

app = command_group()
log = get_logger(__name__)


@app.callback()
def root() -> None:
    """The books: what the journals say of money, in double entries; balances, statements, and their proof."""


@app.command("upgrade")
def upgrade_(config_file: ConfigFile) -> None:
    """Make the books' tables, or bring them up to this version, and make the key that finds cards, if there is none.

    Example: authswitch books upgrade /etc/authswitch/switch.toml
    """
    with _telling():
        config = load(config_file)
        business_days(config)
        _make_key(config)
        store = open_database(
            config, "books", SCHEMA, is_any_version=True, makes_file=True, answer_seconds=UPGRADE_ANSWER_SECONDS
        )
        before, after = upgrade(store, SCHEMA)
        store.close()
    said = f"is of version {after} already" if before == after else f"tables of version {after} made"
    typer.echo(f"{store.place}: {said}")


@app.command()
def serve(config_file: ConfigFile) -> None:
    """Keep the books until SIGTERM: follow the journals of this machine, and post what moves money.

    One process a machine. It can lag, stop and start again: nothing is posted twice, and nothing is left out. Each node
    has one, with the same database.

    Example: authswitch books serve /etc/authswitch/switch.toml
    """
    with _opened(config_file) as (config, books):
        configure_logging(config.log.format, config.log.level)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        meters = Meters()
        section = config.books
        if section is not None and section.metrics is not None:
            start_http_server(section.metrics.port, section.metrics.host, meters.registry)
        log.info("the books are kept", database=books.store.place)
        Keeping(books, meters).keep(stopping)
        log.info("the books are closed")


@app.command()
def post(config_file: ConfigFile) -> None:
    """Post what the journals have by now, and end.

    Example: authswitch books post /etc/authswitch/switch.toml
    """
    with _opened(config_file) as (_, books):
        posted = post_all(books)
        place = books.store.place
    typer.echo(f"{place}: {posted:,} entries posted")


@app.command()
def status(config_file: ConfigFile, *, as_json: AsJson = False) -> None:
    """Show how far each partition's journal was posted, and in which business day its books are.

    Example: authswitch books status /etc/authswitch/switch.toml
    """
    with _store(config_file) as (_, store), store.reading() as connection:
        rows = [dict(row) for row in connection.execute(SOURCES.select().order_by(SOURCES.c.number)).mappings()]
    told = [
        {
            "partition": row["number"],
            "next_position": row["next_position"],
            "entries": row["entries"],
            "business_day": row["business_day"].isoformat(),
            "newest": _moment(row["at_us"]),
            "hash": row["chain"].hex(),
        }
        for row in rows
    ]
    if as_json:
        print_lines(told)
        return
    cells = ([str(value) for value in row.values()] for row in told)
    plain_console().print(listing(["partition", "next", "entries", "business day", "newest event", "hash"], cells))


@app.command("balances")
def balances_(
    config_file: ConfigFile,
    merchant: Annotated[str | None, typer.Option("--merchant", help="Of this merchant alone.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Of this kind of account alone.")] = None,
    through: Annotated[
        str | None, typer.Option("--through", metavar="DAY", help="As they were when this business day ended.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show balances: what merchants are owed, what issuers are to pay, and the acquirer's own accounts.

    Example: authswitch books balances /etc/authswitch/switch.toml --merchant 898000000000001
    """
    day = None if through is None else _day("--through", through)
    with _store(config_file) as (config, store), store.reading() as connection:
        chart = chart_of(config)
        found = list(balances(connection, owner=merchant, kind=kind, through=day))
    told = [{**asdict(one), "amount_minor": one.amount_minor(chart)} for one in found]
    if as_json:
        print_lines(told)
        return
    cells = ([one.owner, one.kind, _amount(one.amount_minor(chart), one.currency)] for one in found)
    plain_console().print(listing(["owner", "account", "balance"], cells))


@app.command("statement")
def statement_(
    config_file: ConfigFile,
    merchant: Annotated[str, typer.Argument(metavar="MERCHANT", help="Whose account.")],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First business day.")],
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last one; the same where left out.")] = None,
    kind: Annotated[str, typer.Option("--kind", help="Kind of account.")] = "pending",
    *,
    as_json: AsJson = False,
) -> None:
    """Show what was posted to a merchant's account, line by line, with the balances before and behind it.

    Example: authswitch books statement /etc/authswitch/switch.toml 898000000000001 --from 2026-11-27
    """
    begins = _day("--from", first)
    ends = begins if last is None else _day("--to", last)
    with _store(config_file) as (config, store), store.reading() as connection:
        chart = chart_of(config)
        if kind not in chart.accounts:
            raise typer.BadParameter(f"there is no account {kind}; known are {', '.join(chart.accounts)}")
        now = list(balances(connection, owner=merchant, kind=kind))
        before = {
            one.currency: one
            for one in balances(connection, owner=merchant, kind=kind, through=begins - timedelta(days=1))
        }
        for one in now:
            account = before.get(one.currency, Balance(kind, merchant, one.currency, 0, 0))
            lines = statement(connection, chart, account, begins, ends)
            if as_json:
                print_lines({**told_row(asdict(line)), "currency": one.currency} for line in lines)
                continue
            opening = account.amount_minor(chart)
            rows = list(lines)
            typer.echo(f"{merchant}, {kind}: {_amount(opening, one.currency)} before {begins}")
            cells = (
                [
                    _moment(line.at_us),
                    line.event if line.event != "approved" else line.kind,
                    line.rrn,
                    line.terminal,
                    line.card,
                    _amount(line.change_minor, one.currency),
                    _amount(line.balance_minor, one.currency),
                ]
                for line in rows
            )
            plain_console().print(listing(["when", "what", "RRN", "terminal", "card", "amount", "balance"], cells))
            closing = rows[-1].balance_minor if rows else opening
            typer.echo(f"{merchant}, {kind}: {_amount(closing, one.currency)} when {ends} ended, {len(rows):,} lines")
        if not now:
            fail(f"{merchant} has no account {kind}")


@app.command()
def verify(config_file: ConfigFile, *, as_json: AsJson = False) -> None:
    """Prove that the books are whole: chains of entries, sums by account and day, and each payment's state.

    Exit status 1 when anything is wrong; every flaw is told, to the first hundred.

    Example: authswitch books verify /etc/authswitch/switch.toml
    """
    with _store(config_file) as (_, store), store.reading() as connection:
        wrong = list(islice(flaws(connection), FLAWS_MAX))
    if as_json:
        typer.echo(json.dumps({"whole": not wrong, "flaws": [asdict(flaw) for flaw in wrong]}, ensure_ascii=False))
    else:
        for flaw in wrong:
            typer.echo(f"{flaw.where}: {flaw.reason}", err=True)
        if not wrong:
            typer.echo("whole: every entry is as it was posted, and every balance is what its postings sum up to")
    if wrong:
        raise typer.Exit(EXIT_FAILED)


@app.command("rebuild")
def rebuild_(config_file: ConfigFile, *, as_json: AsJson = False) -> None:
    """Make the books anew from the journals, beside those that there are, and compare: they must have the same hash.

    Exit status 1 when they differ. The new ones are in a temporary file, and removed.

    Example: authswitch books rebuild /etc/authswitch/switch.toml
    """
    with _opened(config_file) as (_, books), tempfile.TemporaryDirectory(prefix="books-") as folder:
        into = Store.open(parse_url(f"sqlite:{folder}/books.db"), makes_file=True)
        upgrade(into, SCHEMA)
        made = list(rebuild(books, into))
        into.close()
    if as_json:
        print_lines(
            {
                "partition": one.partition,
                "entries": one.entries,
                "hash": one.chain.hex(),
                "agrees": one.agrees,
                "kept_entries": one.kept_entries,
                "kept_hash": one.kept_chain.hex(),
            }
            for one in made
        )
    else:
        for one in made:
            agrees = "the same" if one.agrees else f"the books have {one.kept_entries:,}, {one.kept_chain.hex()}"
            typer.echo(f"partition {one.partition}: {one.entries:,} entries, {one.chain.hex()}: {agrees}")
    if not all(one.agrees for one in made):
        raise typer.Exit(EXIT_FAILED)


def _make_key(config: Config) -> None:
    if config.keys is None:
        return
    with open_key_file(config.keys) as file:
        if make_card_index_key(file):
            file.save()


@contextmanager
def _opened(config_file: Path) -> Iterator[tuple[Config, Books]]:
    """The configuration and its books; ends the command in words when they cannot be opened or kept."""
    config = load(config_file)
    with _telling(), opened_books(config) as books:
        yield config, books


@contextmanager
def _store(config_file: Path) -> Iterator[tuple[Config, Store]]:
    """The configuration and the books' database alone."""
    config = load(config_file)
    with _telling():
        store = open_database(config, "books", SCHEMA)
        try:
            yield config, store
        finally:
            store.close()


@contextmanager
def _telling() -> Iterator[None]:
    """End the command in words."""
    with in_words():
        try:
            yield
        except (StoreError, PartitionsError, JournalDamaged) as error:
            fail(str(error))
        except OSError as error:
            fail(words_of(error))


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option}: needed a day such as 2026-11-27, got {text!r}") from None


def _moment(at_us: int) -> str:
    return moment_text(datetime.fromtimestamp(at_us / 1e6, UTC))


def _amount(minor: int, currency: int) -> str:
    return f"{'-' if minor < 0 else ''}{amount_words(abs(minor), currency)}"
