"""``authswitch reports``: what the authority must be told within days."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from switch.applications.reports import mark_reported, reports
from switch.cli.acquiring_desk import acquiring, looking
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile
from switch.cli.listing import WIDTH_OF_WIDE, listing, plain_console, print_lines
from switch.cli.store_opening import WhyOption
from switch.store.columns import told_row

HEADINGS = ("number", "what", "subject", "due_at", "late", "told by", "reference", "source")

app = command_group()


@app.callback()
def root() -> None:
    """What the authority must be told: merchants taken on, changed and closed, terminals changed and deregistered."""


@app.command()
def due(
    config: ConfigFile,
    *,
    is_all: Annotated[bool, typer.Option("--all", help="Also what it was told already.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what the authority must be told, with deadline and source; what is late first says so.

    Example: authswitch reports due switch.toml
    """
    with looking(config) as (store, policy), store.reading() as connection:
        found = [asdict(one) for one in reports(connection, policy.report_days, is_all=is_all)]
    rows = [told_row(_flat(one)) for one in found]
    if as_json:
        print_lines(rows)
    else:
        plain_console(WIDTH_OF_WIDE).print(listing(HEADINGS, map(_cells, rows)))


@app.command()
def mark(
    config: ConfigFile,
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="Of `reports due`.")],
    *,
    reference: Annotated[str, typer.Option("--reference", help="The authority's.")],
    why: WhyOption,
) -> None:
    """Note that the authority was told.

    Example: authswitch reports mark switch.toml 41 42 --reference PCAC-2026-118 --why "told by its portal"
    """
    with acquiring(config, why) as work:
        clerk = work.clerk
        mark_reported(clerk.change, clerk.actor, clerk.rules.policy.report_days, numbers, reference)
    typer.echo(f"{len(set(numbers))} marked as reported: {reference}")


def _flat(report: dict[str, Any]) -> dict[str, Any]:
    mark = report.pop("mark") or {"reported_by": None, "reported_at": None, "reference": None}
    is_late = mark["reported_by"] is None and report["due_at"] < datetime.now(UTC)
    return {**report, "is_late": is_late, **mark}


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        str(row["number"]),
        row["what"],
        row["subject"],
        row["due_at"][:16],
        "late" if row["is_late"] else "",
        row["reported_by"] or "",
        row["reference"] or "",
        row["source"],
    ]
