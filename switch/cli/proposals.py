"""``authswitch proposals``: changes that need two people, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from switch.cli.command_groups import command_group
from switch.cli.journal_reading import EXIT_FAILED, AsJson, ConfigFile
from switch.cli.listing import listing, plain_console
from switch.cli.registry_desk import Most, require_state, work
from switch.cli.store_opening import WhyOption, opened_store
from switch.proposals.deciding import Decision, Desk, newest_proposals, proposal_of, told_of
from switch.proposals.tables import STATES

WIDTH_OF_FILES = 240
COLUMNS = ("id", "kind", "subject", "wanted", "why", "proposed_by", "proposed_at", "state", "decided_by")

Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Of the proposal.")]

app = command_group()


@app.callback()
def root() -> None:
    """Changes that need two people: one proposes, another approves or refuses. Both are in the audit."""


@app.command("list")
def list_(
    config: ConfigFile,
    state: Annotated[str | None, typer.Option("--state", help=f"Only those that are {', '.join(STATES)}.")] = None,
    most: Most = 100,
    *,
    as_json: AsJson = False,
) -> None:
    """List proposals, the newest first.

    Example: authswitch proposals list switch.toml --state proposed
    """
    require_state(state, STATES)
    with opened_store(config) as store, store.reading() as connection:
        rows = newest_proposals(connection, state, most)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    cells = ([_cell(row[name]) for name in COLUMNS] for row in rows)
    plain_console(WIDTH_OF_FILES).print(listing(COLUMNS, cells))


@app.command()
def show(config: ConfigFile, number: Number, *, as_json: AsJson = False) -> None:
    """Show all of one proposal.

    Example: authswitch proposals show switch.toml 17
    """
    with opened_store(config) as store, store.reading() as connection:
        row = told_of(proposal_of(connection, number))
    if as_json:
        typer.echo(json.dumps(row, ensure_ascii=False))
        return
    width = max(map(len, row))
    for name, value in row.items():
        typer.echo(f"{name:{width}}  {_cell(value)}".rstrip())


@app.command()
def approve(config: ConfigFile, number: Number, *, why: WhyOption) -> None:
    """Approve what somebody else has proposed: it is done at once, or refused where it cannot be done any more.

    Example: authswitch proposals approve switch.toml 17 --why "seen the contract"
    """
    _decide(config, number, why, Desk.approve, "approved")


@app.command()
def refuse(config: ConfigFile, number: Number, *, why: WhyOption) -> None:
    """Refuse what somebody else has proposed.

    Example: authswitch proposals refuse switch.toml 17 --why "the contract says otherwise"
    """
    _decide(config, number, why, Desk.refuse, "refused")


@app.command()
def withdraw(config: ConfigFile, number: Number, *, why: WhyOption) -> None:
    """Take back what you have proposed yourself.

    Example: authswitch proposals withdraw switch.toml 17 --why "the wrong merchant"
    """
    _decide(config, number, why, Desk.withdraw, "withdrawn")


def _decide(config: Path, number: int, why: str, how: Callable[[Desk, int], Decision], meant: str) -> None:
    with work(config, why, right=None) as one:
        decision = how(one.proposals, number)
    typer.echo(f"proposal {number}: {decision.state}: {decision.reason}")
    if decision.state != meant:
        raise typer.Exit(EXIT_FAILED)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {what}" for name, what in value.items())
    return "" if value is None else str(value)
