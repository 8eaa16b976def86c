"""``authswitch people``: who works at the back office, and what each may do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select, text

from switch.access.people import add_first, changing_as, person_of, told_of
from switch.access.roles import ROLES
from switch.access.tables import PEOPLE
from switch.base.system_users import system_user
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile, load
from switch.cli.listing import print_row, print_rows
from switch.cli.registry_desk import given
from switch.cli.store_opening import WhyOption, changing_store, opened_store, whoever_asks
from switch.proposals.people import change_person
from switch.store.opening import Store
from switch.store.problems import RefusedError

COLUMNS = ("id", "name", "system_user", "roles", "state", "since")

Key = Annotated[str, typer.Argument(metavar="PERSON", help="As the audit names the person, such as mei.lin.")]
Roles = Annotated[
    list[str] | None, typer.Option("--role", help=f"What the person may do; repeat it: {', '.join(ROLES)}.")
]
SystemUser = Annotated[
    str | None, typer.Option("--system-user", help="The person's user on this machine, for the command line.")
]

app = command_group()


@app.callback()
def root() -> None:
    """People of the back office. As soon as there is one, only who has the right to something may do it."""


@app.command()
def first(
    config: ConfigFile,
    key: Key,
    *,
    name: Annotated[str, typer.Option("--name", help="The whole name.")],
    why: WhyOption,
    user: SystemUser = None,
) -> None:
    """Register the first administrator. Only the owner of the database can, and only while there is nobody.

    Example: authswitch people first switch.toml mei.lin --name "Mei Lin" --why "begins"
    """
    user = user or system_user()
    with opened_store(config) as store:
        _require_owner(store)
        with changing_as(store, whoever_asks(), why, None) as (change, _):
            add_first(change, key, name, user)
    typer.echo(f"{key}: administrator, as user {user} of this machine")


def _require_owner(store: Store) -> None:
    """See that whoever asks owns the database, and is not only let in by it."""
    if store.is_sqlite:
        if os.geteuid() not in (0, Path(store.place).stat().st_uid):
            raise RefusedError(f"{store.place}: only its owner can register the first administrator")
        return
    owned = text(
        "SELECT tableowner = current_user FROM pg_tables WHERE schemaname = current_schema() AND tablename = :it"
    )
    with store.reading() as connection:
        if connection.execute(owned, {"it": PEOPLE.name}).scalar_one_or_none() is not True:
            raise RefusedError(f"{store.place}: only the owner of its tables can register the first administrator")


@app.command()
def add(
    config: ConfigFile,
    key: Key,
    *,
    name: Annotated[str, typer.Option("--name", help="The whole name.")],
    roles: Roles,
    why: WhyOption,
    user: SystemUser = None,
) -> None:
    """Register a person. Where there are two administrators, one of them proposes it and another approves.

    Example: authswitch people add switch.toml jo.tan --name "Jo Tan" --role registrar --system-user jo --why "hired"
    """
    _change(config, key, why, is_new=True, name=name, roles=roles, system_user=user)


@app.command()
def change(
    config: ConfigFile,
    key: Key,
    *,
    why: WhyOption,
    name: Annotated[str | None, typer.Option("--name", help="The whole name.")] = None,
    roles: Roles = None,
    user: SystemUser = None,
) -> None:
    """Change what is known of a person; the roles are all that the person has afterwards.

    Example: authswitch people change switch.toml jo.tan --role registrar --role approver --why "stands in for Mei"
    """
    _change(config, key, why, is_new=False, name=name, roles=roles, system_user=user)


@app.command()
def leave(config: ConfigFile, key: Key, *, why: WhyOption) -> None:
    """End what a person may do, tokens included.

    Example: authswitch people leave switch.toml jo.tan --why "left the company"
    """
    _change(config, key, why, is_new=False, state="left")


@app.command("return")
def return_(config: ConfigFile, key: Key, *, why: WhyOption) -> None:
    """Let a person who has left work again, with the same roles.

    Example: authswitch people return switch.toml jo.tan --why "is back"
    """
    _change(config, key, why, is_new=False, state="active")


def _change(config_file: Path, key: str, why: str, *, is_new: bool, **values: Any) -> None:
    lasts = load(config_file).proposals_last
    with changing_store(config_file, why, "people.change") as (change, actor):
        number = change_person(change, actor, key, given(**values), lasts, is_new=is_new)
    typer.echo(f"{key}: done" if number is None else f"{key}: proposal {number} waits for another administrator")


@app.command("list")
def list_(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """List people, and what they may do.

    Example: authswitch people list switch.toml
    """
    with opened_store(config) as store, store.reading() as connection:
        rows = [told_of(dict(row)) for row in connection.execute(select(PEOPLE).order_by(PEOPLE.c.id)).mappings()]
    print_rows(rows, COLUMNS, as_json=as_json)


@app.command()
def show(config: ConfigFile, key: Key, *, as_json: AsJson = False) -> None:
    """Show one person, with all rights.

    Example: authswitch people show switch.toml jo.tan
    """
    with opened_store(config) as store, store.reading() as connection:
        row = told_of(person_of(connection, key))
    print_row(row, as_json=as_json)
