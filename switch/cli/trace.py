"""``authswitch trace``: one transaction's life, and where the money is now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

from switch.base.masking import mask_pan
from switch.cli.journal_reading import EXIT_FAILED, AsJson, ConfigFile, DirectoryOption, load, not_here, reading
from switch.cli.listing import listing, plain_console
from switch.config import Config
from switch.dialect import Dialect, load_dialect
from switch.journal.positions import Position
from switch.tracing.finding import MOST, Found, find_in, present
from switch.tracing.owed import Opener
from switch.tracing.query import (
    Query,
    QueryError,
    narrowed,
    parse_amount,
    parse_date,
    parse_key,
    parse_time,
    shown_time,
)
from switch.tracing.references import claimed, title
from switch.tracing.steps import shortened, steps
from switch.tracing.story import Story, moment
from switch.tracing.verdict import Verdict, verdict
from switch.wire.codec import DecodeError, decode

RESPONSE_CODE = "39"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(no_args_is_help=True)
def trace(
    config: ConfigFile,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="RRN (632804000123), TERMINAL/STAN (10000002/000123), or a card as printed (*0014, 622500******0014).",
        ),
    ],
    directory: DirectoryOption = None,
    *,
    date: Annotated[
        str | None, typer.Option("--date", metavar="DAY", help="Only of this day, 2026-11-23, in the switch's zone.")
    ] = None,
    begins: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Not before: 2026-11-23T14:05, in the switch's zone.")
    ] = None,
    ends: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before this time.")] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="As printed, 12.50, or in minor units, 1250.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print the life of each, when several are found.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell the life of one transaction: each step with time and place, what became of it, and where the money is now.

    Reads the journals, beside the running daemon or without one: of a terminal the one of its partition, else all. The
    place of each step is shown as PARTITION:POSITION. When several are found they are listed; more of what
    the slip says finds the one. Exit status 1 when none is found.

    Example: authswitch trace /etc/authswitch/switch.toml 632804000123

    Example: authswitch trace /etc/authswitch/switch.toml 10000002/000123 --date 2026-11-23

    Example: authswitch trace /etc/authswitch/switch.toml '*0014' --from 2026-11-23T14:00 --to 2026-11-23T15:00
    --amount 12.50
    """
    loaded = load(config)
    zone = ZoneInfo(loaded.switch.timezone)
    window = timedelta(seconds=loaded.limits.duplicate_window_seconds)
    with reading(loaded, directory, as_json=as_json) as partitions:
        try:
            query = _query(key, present(partitions), zone, date=date, begins=begins, ends=ends, amount=amount)
        except QueryError as error:
            raise typer.BadParameter(str(error)) from error
        found = find_in(partitions, query, window)
        elsewhere = not_here(partitions)
    teller = Teller(loaded, zone)
    for story in found.stories:
        story.dialects = teller.dialects
    if as_json:
        typer.echo(json.dumps(_document(found, query, teller), ensure_ascii=False))
    elif not found.stories:
        typer.echo(
            f"authswitch: no transaction with {query.words(zone)}; {_searched(found, zone, elsewhere)}", err=True
        )
    elif len(found.stories) == 1 or every:
        for story in found.stories:
            teller.tell(story)
    else:
        teller.tell_list(found)
    if not found.stories:
        raise typer.Exit(EXIT_FAILED)


def _query(
    key: str,
    now: datetime,
    zone: ZoneInfo,
    *,
    date: str | None,
    begins: str | None,
    ends: str | None,
    amount: str | None,
) -> Query:
    first, last = (None, None) if date is None else parse_date(date, zone)
    return narrowed(
        parse_key(key, now),
        begins=first if begins is None else parse_time(begins, zone),
        ends=last if ends is None else parse_time(ends, zone),
        amount_minor=None if amount is None else parse_amount(amount),
    )


def _searched(found: Found, zone: ZoneInfo, elsewhere: str) -> str:
    if found.begins is None:
        return elsewhere or "the journal is empty"
    ends = "now" if found.ends is None else shown_time(found.ends, zone)
    searched = (
        f"searched were {found.looked_at:,} requests, in what was written from {shown_time(found.begins, zone)} to "
        f"{ends}"
    )
    return f"{searched}; {elsewhere}" if elsewhere else searched


class Teller:
    """Puts transactions into words.

    Args:
        config: Of the switch: dialects of its listeners.
        zone: In which times are shown.

    Attributes:
        dialects: Of listeners and links by their place, as a ``Story`` takes them.
    """

    def __init__(self, config: Config, zone: ZoneInfo) -> None:
        self._opener = Opener(config)
        self._dialect_of = {section.name: section.dialect for section in config.listeners}
        self.dialects = {f"listener {section.name}": section.dialect for section in config.listeners} | {
            f"link {section.name}": section.dialect for section in config.links
        }
        self._loaded: dict[str, Dialect] = {}
        self._zone = zone
        self._console = plain_console()

    def shown(self, wall_us: int | None) -> str:
        """A time in the switch's zone, to the millisecond."""
        return "?" if wall_us is None else moment(wall_us).astimezone(self._zone).isoformat(" ", "milliseconds")

    def judge(self, story: Story) -> Verdict:
        """What became of it."""
        for entry in [*story.saf_entries, *(() if story.promise is None else story.promise.saf_entries)]:
            if entry.is_open and entry.written is not None:
                entry.fault = self._opener.fault(entry.written)
        return verdict(story, self.shown, self.response_code(story))

    def response_code(self, story: Story) -> str | None:
        """Field 39 of the answer, by the dialect of its listener; None where there is none."""
        answer = b"" if story.outcome is None else story.outcome.get("message", b"")
        name = self._dialect_of.get(str(story.first.get("listener")))
        if not answer or name is None:
            return None
        if name not in self._loaded:
            self._loaded[name] = load_dialect(name)
        try:
            decoded, _ = decode(answer, self._loaded[name].spec)
        except DecodeError:
            return None
        return decoded.get(RESPONSE_CODE)

    def tell(self, story: Story) -> None:
        """Print one transaction's life."""
        judged = self.judge(story)
        head = Table.grid(padding=(0, 2))
        for name, value in self.facts(story).items():
            head.add_row(Text(name.replace("_", " ")), Text("-" if value is None else str(value)))
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("time", "position", "record", "place", "what happened"):
            table.add_column(heading, overflow="fold", no_wrap=heading != "what happened")
        for step in shortened(steps(story, self.response_code(story))):
            position = str(Position(story.partition, step.position))
            cells = (self.shown(step.wall_us), position, step.record, step.place, step.words)
            table.add_row(*map(Text, cells))
        self._console.print(head, "", table, "")
        self._console.print(Text(f"verdict: {judged.words}", style="bold"), soft_wrap=True)
        self._console.print(Text(f"money: {judged.money}", style="bold"), soft_wrap=True)

    def _cells(self, story: Story) -> list[str]:
        facts = self.facts(story)
        names = ("time", "rrn", "terminal", "stan", "kind", "amount", "card")
        cells = (*(facts[name] for name in names), self.judge(story).code)
        return ["-" if cell is None else str(cell) for cell in cells]

    def tell_list(self, found: Found) -> None:
        """Print one line for each of several transactions."""
        headings = ("time", "RRN", "terminal", "STAN", "kind", "amount", "card", "what became of it")
        self._console.print(listing(headings, map(self._cells, found.stories)))
        more = f", the first {MOST} of more" if found.is_full else ""
        typer.echo(f"{len(found.stories)} transactions{more}: give the RRN of one, or more of what its slip says")

    def facts(self, story: Story) -> dict[str, Any]:
        """What is the same in all its steps; the card number masked."""
        first = story.first
        grant = story.claimed or first
        referring = [*map(title, story.references), *(claimed(one.record) for one in story.claims.values())]
        return {
            "time": self.shown(first["wall_us"]),
            "kind": story.kind.label,
            "amount": story.amount,
            "card": mask_pan(first["pan"]) if first.get("pan") else None,
            "terminal": first.get("terminal"),
            "merchant": first.get("merchant"),
            "stan": f"{first['stan']:06d}" if "stan" in first else None,
            "rrn": story.rrn,
            **({"rrn_owed": story.rrn_owed} if story.rrn_owed is not None else {}),
            "listener": first.get("listener"),
            "link": story.link,
            **({"original": title(story.original)} if story.original is not None else {}),
            **({"original": f"claimed at {grant['keeper']}:{grant['claim']}"} if grant.get("claim") else {}),
            **({"referred_to_by": "; ".join(referring)} if referring else {}),
        }


def _document(found: Found, query: Query, teller: Teller) -> Mapping[str, Any]:
    return {
        "searched": {
            "begins": None if found.begins is None else found.begins.isoformat(),
            "ends": None if found.ends is None else found.ends.isoformat(),
            "requests": found.looked_at,
            "is_full": found.is_full,
            "from": None if query.begins is None else query.begins.astimezone(UTC).isoformat(),
            "to": None if query.ends is None else query.ends.astimezone(UTC).isoformat(),
        },
        "transactions": [_transaction(story, teller) for story in found.stories],
    }


def _transaction(story: Story, teller: Teller) -> Mapping[str, Any]:
    judged, code = teller.judge(story), teller.response_code(story)
    first = story.first
    return {
        **teller.facts(story),
        "time": moment(first["wall_us"]).isoformat(timespec="microseconds"),
        "partition": story.partition,
        "amount_minor": first.get("amount_minor"),
        "currency": first.get("currency"),
        "response_code": code,
        "steps": [
            {
                "time": moment(step.wall_us).isoformat(timespec="microseconds"),
                "partition": story.partition,
                "position": step.position,
                "record": step.record,
                "place": step.place,
                "words": step.words,
            }
            for step in steps(story, code)
        ],
        "verdict": {"code": judged.code, "words": judged.words, "money": judged.money},
    }
