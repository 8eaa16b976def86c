"""``authswitch reports``: what the authority must be told within days."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from switch.applications.reports import mark_reported, reports
from switch.cli.acquiring_desk import acquiring, looking, print_rows
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile
from switch.cli.listing import listing, plain_console
from switch.cli.store_opening import WhyOption

WIDTH_OF_FILES = 240

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
    with looking(config) as (store, rules), store.reading() as connection:
        found = [asdict(one) for one in reports(connection, rules.policy.report_days, is_all=is_all)]
    print_rows((_flat(one) for one in found), _print, as_json=as_json)


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


def _print(rows: list[dict[str, Any]]) -> None:
    headings = ("number", "what", "subject", "due_at", "late", "told by", "reference", "source")
    cells = (
        (
            str(row["number"]),
            row["what"],
            row["subject"],
            row["due_at"][:16],
            "late" if row["is_late"] else "",
            row["reported_by"] or "",
            row["reference"] or "",
            row["source"],
        )
        for row in rows
    )
    plain_console(WIDTH_OF_FILES).print(listing(headings, cells))
