"""``authswitch contracts``: the texts that merchants accept, and what each has accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from switch.applications.applying import contract_of
from switch.applications.contracts import import_text
from switch.applications.states import ENTERING
from switch.applications.tables import CONTRACT_TEXTS
from switch.base.error_words import words_of
from switch.cli.acquiring_desk import Reference
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile, fail
from switch.cli.listing import print_row, print_rows
from switch.cli.store_opening import WhyOption, changing_store, opened_store
from switch.files.datafile import read_regular
from switch.store.columns import told_row
from switch.store.problems import RefusedError

TEXT_BYTES_MAX = 1 << 20

app = command_group()


@app.callback()
def root() -> None:
    """Contracts: a text and a plan, both of one version, as a merchant has accepted them. None is ever changed."""


@app.command("import")
def import_(
    config: ConfigFile,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The text, UTF-8.")],
    *,
    title: Annotated[str, typer.Option("--title", help="What it is called.")],
    why: WhyOption,
) -> None:
    """Keep the text of a contract; it is named by its hash from then on.

    Example: authswitch contracts import switch.toml contract.txt --title "Card acceptance" --why "texts of 2027"
    """
    try:
        text = read_regular(file, TEXT_BYTES_MAX).decode()
    except OSError as error:
        fail(words_of(error, file))
    except UnicodeDecodeError:
        fail(f"{file}: is not UTF-8")
    with changing_store(config, why, ENTERING) as (change, _):
        try:
            key = import_text(change, title, text)
        except RefusedError as error:
            raise RefusedError(f"{file}: {error}") from None
    typer.echo(key)


@app.command("list")
def list_(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """List the texts that there are.

    Example: authswitch contracts list switch.toml
    """
    columns = ("id", "title", "since")
    with opened_store(config) as store, store.reading() as connection:
        query = select(*(CONTRACT_TEXTS.c[name] for name in columns)).order_by(CONTRACT_TEXTS.c.since)
        rows = [told_row(dict(row)) for row in connection.execute(query).mappings()]
    print_rows(rows, columns, as_json=as_json)


@app.command()
def show(config: ConfigFile, reference: Reference, *, as_json: AsJson = False) -> None:
    """Show the contract of an application: text and plan by their hashes, who accepted, when and how.

    Example: authswitch contracts show switch.toml K7Q2M9XW4T
    """
    with opened_store(config) as store, store.reading() as connection:
        row = contract_of(connection, reference)
    if row is None:
        fail(f"application {reference} has no contract")
    print_row(told_row(row), as_json=as_json)
