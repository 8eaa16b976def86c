"""``authswitch proposals``: changes that need two people, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from switch.access.actor import Actor
from switch.check.applications import Kinds, nothing_to_prepare
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import EXIT_FAILED, AsJson, ConfigFile
from switch.cli.listing import WIDTH_OF_WIDE, print_row, print_rows
from switch.cli.registry_desk import Most, require_state, work
from switch.cli.store_opening import WhyOption, opened_store
from switch.proposals.deciding import Decision, Desk, newest_proposals, prepare, proposal_of, told_of
from switch.proposals.tables import STATES
from switch.store.opening import Store

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
    print_rows(rows, COLUMNS, as_json=as_json, width_of_files=WIDTH_OF_WIDE)


@app.command()
def show(config: ConfigFile, number: Number, *, as_json: AsJson = False) -> None:
    """Show all of one proposal.

    Example: authswitch proposals show switch.toml 17
    """
    with opened_store(config) as store, store.reading() as connection:
        row = told_of(proposal_of(connection, number))
    print_row(row, as_json=as_json)


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
    def prepare_it(actor: Actor, store: Store, kinds: Kinds) -> None:
        prepare(store, kinds.all, number, actor)

    with work(config, why, right=None, prepare=prepare_it if how is Desk.approve else nothing_to_prepare) as one:
        decision = how(one.proposals, number)
    typer.echo(f"proposal {number}: {decision.state}: {decision.reason}")
    if decision.state != meant:
        raise typer.Exit(EXIT_FAILED)
