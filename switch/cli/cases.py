"""``authswitch cases``: what was found not to be as registered, and what people made of it."""

from __future__ import annotations

from typing import Annotated

import typer

from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile
from switch.cli.registry_desk import Most, list_rows, require_state, show_row
from switch.cli.store_opening import WhyOption, changing_store
from switch.merchants.binding_tables import CASE_STATES, CASES
from switch.merchants.cases import close_case

COLUMNS = ("id", "kind", "subject", "row", "opened_at", "facts", "state", "decided_by", "reason")

Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Of the case.")]

app = command_group()


@app.callback()
def root() -> None:
    """Terminals and merchants that were found not to be as they are registered."""


@app.command("list")
def list_(
    config: ConfigFile,
    state: Annotated[str | None, typer.Option("--state", help=f"Only those that are {', '.join(CASE_STATES)}.")] = None,
    most: Most = 100,
    *,
    as_json: AsJson = False,
) -> None:
    """List cases, the oldest first.

    Example: authswitch cases list switch.toml --state open
    """
    require_state(state, CASE_STATES)
    list_rows(config, CASES, COLUMNS, {"state": state}, most, as_json=as_json)


@app.command()
def show(config: ConfigFile, number: Number, *, as_json: AsJson = False) -> None:
    """Show all of one case.

    Example: authswitch cases show switch.toml 17
    """
    show_row(config, CASES, number, as_json=as_json)


@app.command()
def close(config: ConfigFile, number: Number, *, why: WhyOption) -> None:
    """Say what was found: only then may two people release who was suspended.

    Example: authswitch cases close switch.toml 17 --why "seen on site: the shop had moved next door"
    """
    with changing_store(config, why, right=None) as (change, actor):
        close_case(change, actor, number)
    typer.echo(f"case {number}: closed")
