"""What ``authswitch merchants`` and ``authswitch terminals`` have in common: the same steps for either table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Table, func, select

from switch.access.people import changing_as
from switch.base.error_words import words_of
from switch.check.applications import Prepare, kinds_of, nothing_to_prepare
from switch.check.row_compiler import opened_compiler
from switch.cli.journal_reading import AsJson, ConfigFile, fail, load
from switch.cli.listing import WIDTH_OF_WIDE, print_row, print_rows
from switch.cli.report import refuse, status_of
from switch.cli.store_opening import WhyOption, opened_store, whoever_asks
from switch.files.datafile import read_data_file
from switch.files.problems import ConfigError
from switch.keys import KeyFileError
from switch.merchants.finding import page_of
from switch.merchants.identities import holder_of
from switch.merchants.importing import Import, Outcome, export
from switch.merchants.proposing import STATES_BY_STEP, change_state
from switch.merchants.registering import Registrar
from switch.merchants.tables import MERCHANTS
from switch.proposals.deciding import Desk
from switch.rulebooks.keeping import Verdicts
from switch.store.changing import row_of
from switch.store.columns import told_row

Key = Annotated[str, typer.Argument(metavar="ID", help="Its number, as terminals send it.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="What it may do, such as purchase; repeat it. All, when left out.")
]
Csv = Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file.")]
OutputFile = Annotated[Path | None, typer.Option("--output", help="A new file; standard output, when left out.")]
Replaces = Annotated[bool, typer.Option("--replace", help="Change rows that are there already, and differ.")]
Proposes = Annotated[bool, typer.Option("--propose", help="Leave it to another person, who approves or refuses.")]
Most = Annotated[int, typer.Option("--most", min=1, max=1_000_000, help="So many at most.")]
StateOption = Annotated[str | None, typer.Option("--state", help="Only those that are active, suspended or closed.")]


@dataclass(frozen=True)
class Work:
    """A change of the registry by whoever asks.

    Attributes:
        registrar: Makes it.
        proposals: Where it is proposed, or decided on.
        lasts: How long a proposal waits.
        verdicts: On the rulebooks that are to be put in force.
    """

    registrar: Registrar
    proposals: Desk
    lasts: timedelta
    verdicts: Verdicts


@contextmanager
def registrar(config_file: Path, why: str) -> Iterator[Registrar]:
    """Whoever asks changes the registry for a reason, alone; see ``work``."""
    with work(config_file, why) as one:
        yield one.registrar


@contextmanager
def work(
    config_file: Path,
    why: str,
    right: str | None = "registry.change",
    *,
    prepare: Prepare = nothing_to_prepare,
) -> Iterator[Work]:
    """Whoever asks changes or proposes something for a reason; it is done when the block ends.

    It ends the command in words where something is refused, and then nothing has changed.

    Args:
        config_file: The configuration.
        why: The reason.
        right: What is needed; None where what is changed decides about that.
        prepare: Does what takes long, before the transaction: that holds up all others who write.
    """
    config = load(config_file)
    with in_words(), opened_compiler(config) as compiler, opened_store(config_file) as store:
        kinds = kinds_of(config, compiler)
        identify = whoever_asks()
        with store.reading() as connection:
            identified = identify(connection)
        if right is not None:
            identified.require(right)
        prepare(identified, store, kinds)
        with changing_as(store, identify, why, right) as (change, actor):
            desk = Desk(change, actor, kinds.all)
            alone = Registrar(change, compiler, is_alone=actor.rights is not None)
            yield Work(alone, desk, config.proposals_last, kinds.verdicts)


@contextmanager
def in_words() -> Iterator[None]:
    """End the command in words where rules or keys that a configuration names cannot be used."""
    try:
        yield
    except ConfigError as error:
        refuse(error)
    except KeyFileError as error:
        fail(str(error), status_of(error))


def told(table: Table, key: str, done: str, *, is_changed: bool) -> None:
    """Say what a command did."""
    what = table.name.removesuffix("s")
    typer.echo(f"{what} {key}: {done}" if is_changed else f"{what} {key}: is so already; nothing changed")


def waits(number: int) -> str:
    """Say that something was proposed."""
    return f"proposal {number} waits for another person"


def set_state(config_file: Path, table: Table, key: str, state: str, why: str, *, proposes: bool) -> None:
    """Suspend, release or close one; or propose it, where that was asked for or two people are needed."""
    with work(config_file, why) as one:
        done = change_state(one.registrar, one.proposals, (table, key), state, one.lasts, proposes=proposes)
        reached: str = row_of(one.registrar.change.connection, table, key)["state"]
    words = reached if done.proposal is None else waits(done.proposal)
    told(table, key, words, is_changed=done.is_changed)


def require_state(state: str | None, states: Sequence[str]) -> None:
    """See that a list is asked for by a state that there is; else it is a wrong question."""
    if state not in (None, *states):
        raise typer.BadParameter(f"{state}; needed one of {', '.join(states)}", param_hint="--state")


def given(**values: Any) -> dict[str, Any]:
    """The columns that options name; those that were left out are not among them."""
    joined = {name: "|".join(value) if isinstance(value, list) else value for name, value in values.items()}
    return {name: value for name, value in joined.items() if value is not None}


def import_file(config_file: Path, table: Table, file: Path, why: str, *, replaces: bool) -> None:
    """Take a whole file, with a bar that shows how far it is."""
    try:
        data = read_data_file(file)
    except ConfigError as error:
        refuse(error)
    outcome = Outcome()
    with registrar(config_file, why) as desk, _bar() as bar:
        work = Import(desk, table, str(file), data, replaces=replaces)
        task = bar.add_task(f"importing {file.name}", total=2 * work.line_count)
        outcome = work.run(lambda count: bar.advance(task, count))
    typer.echo(f"{file}: {outcome.added:,} added, {outcome.changed:,} changed, {outcome.unchanged:,} were so already")


def export_file(config_file: Path, table: Table, file: Path | None) -> None:
    """Write all rows of a table as CSV."""
    with opened_store(config_file) as store, store.reading() as connection:
        if file is None:
            export(connection, table, sys.stdout, lambda _count: None)
            return
        total = connection.execute(select(func.count()).select_from(table)).scalar_one()
        try:
            with file.open("x", encoding="utf-8", newline="") as stream, _bar() as bar:
                task = bar.add_task(f"exporting {table.name}", total=total)
                count = export(connection, table, stream, lambda rows: bar.advance(task, rows))
        except OSError as error:
            fail(words_of(error, file))
    typer.echo(f"{file}: {count:,} rows")


def _bar() -> Progress:
    """A progress bar on standard error, where somebody watches."""
    return Progress(console=Console(file=sys.stderr), disable=not sys.stderr.isatty())


def show_row(config_file: Path, table: Table, key: str | int, *, as_json: bool) -> None:
    """Show all of one row; of a merchant who holds it, too."""
    with opened_store(config_file) as store, store.reading() as connection:
        row = told_row(row_of(connection, table, key))
        if table is MERCHANTS:
            row |= holder_of(connection, str(key))
    print_row(row, as_json=as_json)


def list_rows(
    config_file: Path,
    table: Table,
    columns: Sequence[str],
    wanted: Mapping[str, str | None],
    most: int,
    *,
    as_json: bool,
) -> None:
    """List rows in the order of their numbers, with some of their columns."""
    with opened_store(config_file) as store, store.reading() as connection:
        rows = [told_row(row) for row in page_of(connection, table, wanted, None, most + 1)]
    print_rows(rows[:most], columns, as_json=as_json, width_of_files=WIDTH_OF_WIDE)
    if len(rows) > most and not as_json:
        typer.echo(f"there are more than {most:,}: narrow it down, or ask for --most", err=True)


def add_common_commands(app: typer.Typer, table: Table, helps: Mapping[str, str]) -> None:
    """Give a group the commands that are the same for merchants and terminals, each with its help."""
    for name, state in STATES_BY_STEP.items():
        app.command(name, help=helps[name])(_state_command(table, state))

    @app.command(help=helps["show"])
    def show(config: ConfigFile, key: Key, *, as_json: AsJson = False) -> None:
        show_row(config, table, key, as_json=as_json)

    @app.command("import", help=helps["import"])
    def import_(config: ConfigFile, file: Csv, why: WhyOption, *, replaces: Replaces = False) -> None:
        import_file(config, table, file, why, replaces=replaces)

    @app.command("export", help=helps["export"])
    def export_(config: ConfigFile, file: OutputFile = None) -> None:
        export_file(config, table, file)


def _state_command(table: Table, state: str) -> Callable[..., None]:
    def suspend(config: ConfigFile, key: Key, why: WhyOption) -> None:
        set_state(config, table, key, state, why, proposes=False)

    def command(config: ConfigFile, key: Key, why: WhyOption, *, proposes: Proposes = False) -> None:
        set_state(config, table, key, state, why, proposes=proposes)

    return suspend if state == "suspended" else command
