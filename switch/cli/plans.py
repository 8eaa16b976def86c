"""``authswitch plans``: what merchants are offered, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from switch.applications.plans import body_of, import_plans, load_plans, plans_on_offer, set_offered, side_by_side
from switch.applications.states import ENTERING
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile
from switch.cli.listing import listing, plain_console, print_lines
from switch.cli.report import refuse
from switch.cli.store_opening import WhyOption, changing_store, opened_store
from switch.files.problems import ConfigError

app = command_group()

PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="Name and version, such as shop@1.")]


@app.callback()
def root() -> None:
    """Plans on offer: fees, terminals, deposits and benefits, in versions that never change."""


@app.command("import")
def import_(
    config: ConfigFile, file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML with plans.")], why: WhyOption
) -> None:
    """Offer the plans of a file. A version that is there already must say the same.

    Example: authswitch plans import switch.toml plans.toml --why "prices of 2027"
    """
    try:
        plans = load_plans(file)
        with changing_store(config, why, ENTERING) as (change, _):
            added = import_plans(change, plans)
    except ConfigError as error:
        refuse(error)
    typer.echo(f"{file}: {added} plans added, {len(plans) - added} were there already")


@app.command()
def compare(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """Show all plans on offer side by side, each limit of the law with its source.

    Example: authswitch plans compare switch.toml
    """
    with opened_store(config) as store, store.reading() as connection:
        plans = plans_on_offer(connection)
    if as_json:
        print_lines(json.loads(body_of(plan)) for plan in plans)
        return
    rows = [(name, *cells) for name, cells in side_by_side(plans)]
    plain_console().print(listing(["", *(plan.id for plan in plans)], rows))


@app.command()
def withdraw(config: ConfigFile, plan: PlanId, why: WhyOption) -> None:
    """Offer a plan no longer. Contracts that have it stay.

    Example: authswitch plans withdraw switch.toml shop@1 --why "shop@2 is cheaper"
    """
    _set(config, plan, why, is_offered=False)


@app.command()
def offer(config: ConfigFile, plan: PlanId, why: WhyOption) -> None:
    """Offer a plan again that was withdrawn.

    Example: authswitch plans offer switch.toml shop@1 --why "asked for"
    """
    _set(config, plan, why, is_offered=True)


def _set(config: Path, plan: str, why: str, *, is_offered: bool) -> None:
    state = "offered" if is_offered else "withdrawn"
    with changing_store(config, why, ENTERING) as (change, _):
        is_changed = set_offered(change, plan, is_offered=is_offered)
    typer.echo(f"plan {plan}: {state}" if is_changed else f"plan {plan}: is so already; nothing changed")
