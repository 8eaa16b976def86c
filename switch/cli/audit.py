"""``authswitch audit``: who changed what, when and why; and the proof that nobody has changed that."""

from __future__ import annotations

import json
import re
from contextlib import closing
from itertools import islice
from typing import Annotated, Any

import typer

from switch.cli.command_groups import command_group
from switch.cli.journal_reading import EXIT_FAILED, AsJson, ConfigFile
from switch.cli.listing import WIDTH_OF_WIDE, listing, plain_console, print_lines
from switch.cli.store_opening import opened_store
from switch.store.audit import BEGINNING, Head, head, newest_entries, told_of
from switch.store.proving import flaws

HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")
FLAWS_MAX = 100

app = command_group()


@app.callback()
def root() -> None:
    """The audit of the back office: who changed which row when, why, and what stood there before."""


@app.command()
def verify(
    config: ConfigFile,
    noted: Annotated[str | None, typer.Option("--head", help="A head that was noted before: NUMBER:HASH.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Prove that the audit is whole, and that every row is as whoever changed it last left it.

    It prints the head: noted elsewhere, and given the next time, it proves that nothing behind it was cut off or
    written anew. Exit status 1 when anything is wrong.

    Example: authswitch audit verify /etc/authswitch/switch.toml
    """
    known = _known(noted)
    with opened_store(config) as store, store.reading() as connection:
        newest = head(connection)
        with closing(flaws(connection, known)) as found:
            wrong = list(islice(found, FLAWS_MAX))
    if as_json:
        told = [{"where": flaw.where, "reason": flaw.reason} for flaw in wrong]
        typer.echo(json.dumps({"whole": not wrong, "head": str(newest), "flaws": told}, ensure_ascii=False))
    else:
        for flaw in wrong:
            typer.echo(f"{flaw.where}: {flaw.reason}", err=True)
        if len(wrong) == FLAWS_MAX:
            typer.echo(f"there may be more: only {FLAWS_MAX} are told", err=True)
        if not wrong:
            typer.echo(f"whole: {newest.number:,} changes, and every row is as the last of them left it")
            typer.echo(f"head: {newest}")
    if wrong:
        raise typer.Exit(EXIT_FAILED)


def _known(noted: str | None) -> Head:
    if noted is None:
        return BEGINNING
    written = HEAD.fullmatch(noted.strip())
    if written is None:
        raise typer.BadParameter("needed NUMBER:HASH, as `audit verify` prints it", param_hint="--head")
    return Head(int(written[1]), bytes.fromhex(written[2]))


@app.command("list")
def list_(
    config: ConfigFile,
    subject: Annotated[str | None, typer.Option("--table", help="Only changes of this table.")] = None,
    row: Annotated[str | None, typer.Option("--row", help="Only changes of the row with this key.")] = None,
    who: Annotated[str | None, typer.Option("--who", help="Only this person's.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=100_000, help="So many of the newest.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List changes, the newest first: who, when, why, and the values before and after.

    Example: authswitch audit list /etc/authswitch/switch.toml --table terminals --row 10000001
    """
    with opened_store(config) as store, store.reading() as connection:
        wanted = {"subject": subject, "row": row, "who": who}
        entries = [told_of(entry) for entry in newest_entries(connection, wanted, most)]
    if as_json:
        print_lines(entries)
        return
    headings = ("number", "at", "who", "why", "table", "row", "changed")
    plain_console(WIDTH_OF_WIDE).print(listing(headings, map(_cells, entries)))


def _cells(told: dict[str, Any]) -> list[str]:
    return [*(str(told[name]) for name in ("number", "at", "who", "why", "subject", "row")), _change(told)]


def _change(told: dict[str, Any]) -> str:
    """What was changed, in words."""
    before, after = told["before"], told["after"]
    if after is None:
        return "deleted"
    if before is None:
        return "added"
    return "; ".join(f"{name}: {value!r} -> {after[name]!r}" for name, value in before.items())
