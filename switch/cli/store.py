"""``authswitch store``: the back office's database, made, brought up to date, backed up and restored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from switch.cli.command_groups import command_group
from switch.cli.journal_reading import EXIT_ASKED_WRONGLY, AsJson, ConfigFile, fail, load
from switch.cli.listing import print_row
from switch.cli.report import status_of
from switch.cli.store_opening import opened_store
from switch.config.key_file import open_key_file
from switch.keys.problems import KeyFileError
from switch.keys.store_keys import renew_store_key
from switch.store.audit import head
from switch.store.copying import back_up, restore, row_counts
from switch.store.migrating import newest_version, upgrade, version_of

app = command_group()


@app.callback()
def root() -> None:
    """The database of the back office: merchants, terminals, and who changed what."""


@app.command("upgrade")
def upgrade_(config: ConfigFile) -> None:
    """Make the tables, or bring them up to this version of the program. What is up to date stays as it is.

    Example: authswitch store upgrade /etc/authswitch/switch.toml
    """
    with opened_store(config, is_any_version=True, makes_tables=True) as store:
        before, after = upgrade(store)
        place = store.place
    if before == after:
        typer.echo(f"{place}: is of version {after} already")
    elif before is None:
        typer.echo(f"{place}: tables of version {after} made")
    else:
        typer.echo(f"{place}: from version {before} to {after}")


@app.command()
def show(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """Show where the database is, of which version, how many rows it has, and the head of its audit.

    Example: authswitch store show /etc/authswitch/switch.toml
    """
    with opened_store(config, is_any_version=True) as store:
        place = store.place
        with store.reading() as connection:
            version = version_of(connection)
            rows = row_counts(connection) if version == newest_version() else {}
            newest = str(head(connection)) if rows else ""
    if as_json:
        answer = {"place": place, "version": version, "newest": newest_version(), "rows": rows, "audit_head": newest}
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    told = {"place": place, "version": f"{version or 'none: it has no tables yet'} (this program: {newest_version()})"}
    told |= {name: f"{count:,} rows" for name, count in rows.items()}
    if newest:
        told["audit head"] = newest
    print_row(told, as_json=False)


@app.command()
def backup(
    config: ConfigFile, file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, which it is kept in.")]
) -> None:
    """Copy the whole database, as it is at one moment, into a new SQLite file. Work goes on meanwhile.

    The file can be proved and read by itself, and restored into either sort of database.

    Example: authswitch store backup /etc/authswitch/switch.toml /backup/store-20261127.db
    """
    with opened_store(config) as store:
        rows = back_up(store, file)
    typer.echo(f"{file}: {rows:,} rows; keep it where this machine can't take it along")


@app.command("restore")
def restore_(config: ConfigFile, file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]) -> None:
    """Prove a backup, and copy it into the database of CONFIG, which must be empty.

    Example: authswitch store restore /etc/authswitch/switch.toml /backup/store-20261127.db
    """
    with opened_store(config, is_any_version=True, makes_tables=True) as store:
        rows = restore(file, store)
        place = store.place
    typer.echo(f"{place}: {rows:,} rows restored from {file}")


@app.command("renew-key")
def renew_key(config: ConfigFile) -> None:
    """Make a new key for what is sealed in the store from now on, such as identity numbers. The old ones stay, to read.

    The first time it makes what the store needs to take applications.

    Example: authswitch store renew-key /etc/authswitch/switch.toml
    """
    section = load(config).keys
    if section is None:
        fail(f"{config}: there is no [keys], so there is no key file", EXIT_ASKED_WRONGLY)
    try:
        with open_key_file(section) as file:
            key = renew_store_key(file)
            file.save()
    except KeyFileError as error:
        fail(str(error), status_of(error))
    typer.echo(f"{key.name}: kcv {key.check_value}; what is sealed from now on is under it")
