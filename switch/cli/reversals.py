"""``authswitch reversals``: what issuers are owed, by the running daemon, or by the journal when none runs."""

from __future__ import annotations

import getpass
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from switch.admin.client import AdminClient, AdminError, RefusedError, client_for
from switch.base.currencies import amount_words
from switch.base.masking import mask_text
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, DirectoryOption, fail, load, reading, without_journal
from switch.cli.listing import listing, plain_console
from switch.cli.own_token import TokenFile, read_token
from switch.cli.report import refuse
from switch.config import ConfigError
from switch.journal.positions import Position
from switch.tracing.owed import owed_in
from switch.tracing.told_numbers import hint, rrn_owed, under
from switch.wire.faults import count_of

LISTED = 1000
ASKED_MAX = 10_000

HELD_UP = {
    "link down": "already waiting for the link to come up, and then sent without being asked for",
    "link held": "waiting until somebody releases the link (`authswitch links release`)",
    "in flight": "at the issuer just now, who may acknowledge it",
    "behind its advice": "behind its advice, of which the issuer has yet to hear: retry that one",
    "behind what refers to it": "behind a void, refund or completion that refers to it: retry that one",
    "original looked up": "already waiting for the look-up of its original",
    "not composable": "not composable in the link's dialect; `authswitch reversals list` names the field",
}
"""States of what no `retry` sends sooner, and what becomes of it."""

app = command_group()

MaybeConfigFile = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="The configuration file that the daemon was started with.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="CONFIG", help="The daemon's configuration file.")
]
AdminAddress = Annotated[
    str | None,
    typer.Option("--admin", metavar="ADDRESS", help="HOST:PORT or unix:PATH, instead of CONFIG's."),
]
LinkOption = Annotated[str | None, typer.Option("--link", help="Only of this link.")]
WhichLink = Annotated[
    str | None, typer.Option("--link", help="Of this link; needed when the RRN stands on several links.")
]
WhatOption = Annotated[str, typer.Option("--what", help="reversal or advice.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask back.")]


@app.callback()
def root() -> None:
    """Reversals and advices that issuers have not acknowledged yet. They are kept and sent until they are."""


@app.command("list")
def list_(
    config: MaybeConfigFile = None,
    admin: AdminAddress = None,
    *,
    link: LinkOption = None,
    what: Annotated[str | None, typer.Option("--what", help="Only reversal, or only advice.")] = None,
    rrn: Annotated[str | None, typer.Option("--rrn", help="Only with this retrieval reference number.")] = None,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Only what is owed for longer than the link allows.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=ASKED_MAX, help="So many, the oldest ones.")] = LISTED,
    directory: DirectoryOption = None,
    as_json: AsJson = False,
) -> None:
    """List what is owed, oldest first. Asks the running daemon; when none answers, reads the journal.

    Example: authswitch reversals list /etc/authswitch/switch.toml --link bank-a --overdue
    """
    _check_what(what)
    rrn = None if rrn is None else rrn.upper()
    filters = {"link": link, "what": what, "rrn": rrn, "overdue": "1" if overdue else None, "limit": str(limit)}
    said = {key: value for key, value in filters.items() if value is not None}
    answer, source = _listed(config, admin, directory, said, as_json)
    if rrn is not None and not answer["count"]:
        if (owed := rrn_owed(config, directory, rrn)) is not None:
            typer.echo(under(rrn, owed), err=True)
            answer, source = _listed(config, admin, directory, {**said, "rrn": owed}, as_json)
        else:
            typer.echo(f"nothing of RRN {rrn} is owed; {hint(config, rrn)}", err=True)
    if as_json:
        typer.echo(json.dumps({"source": source, **answer}, ensure_ascii=False))
        return
    if source == "journal" and directory is None:
        typer.echo("no daemon answers; this is what the journal says", err=True)
    entries = answer["owed"]
    if entries:
        _print(entries)
    more = f", of which {len(entries):,} are shown" if answer["count"] > len(entries) else ""
    typer.echo(f"{answer['count']:,} owed{more}")
    for silent in answer.get("silent", ()):
        typer.echo(f"{silent}: what it owes is not among them", err=True)
    if promised := sum(map(_is_promised_in_vain, entries)):
        typer.echo(
            f"{promised:,} of them: the terminal was told that its payment is taken back, and the issuer does not find "
            "it. Ask the issuer whether it has charged the card; `authswitch reversals close` ends one that it has not."
        )


@app.command()
def retry(
    rrn: Annotated[str | None, typer.Argument(metavar="RRN", help="Which one; without it, all of --link.")] = None,
    config: ConfigOption = None,
    admin: AdminAddress = None,
    *,
    link: Annotated[
        str | None,
        typer.Option("--link", help="All of this link; or, with an RRN that stands on several links, the one of it."),
    ] = None,
    what: WhatOption = "reversal",
    token_file: TokenFile = None,
) -> None:
    """Send one now, or all of a link, instead of at the end of its pause. The link's window still holds.

    What waits for something else, such as a link that is down, is not sent sooner: it is said for what it waits.

    Examples: authswitch reversals retry --config /etc/authswitch/switch.toml --link bank-a

    authswitch reversals retry 632804000123 --config /etc/authswitch/switch.toml
    """
    if rrn is None and link is None:
        raise typer.BadParameter("needed an RRN, or --link, or both")
    _check_what(what)
    client, which = _client(config, admin, token_file), _which(rrn, what, link)
    try:
        before = client.reversals(**which, limit=str(ASKED_MAX))
        client.retry(**which)
    except AdminError as error:
        fail(str(error) + (_meant(config, rrn) if rrn is not None else ""))
    held_up = Counter(entry["state"] for entry in before["owed"] if entry["state"] in HELD_UP)
    if ready := before["count"] - held_up.total():
        typer.echo(f"{ready:,} will be sent as soon as the link's window allows")
    for state, count in held_up.items():
        typer.echo(f"{count:,} {HELD_UP[state]}")
    if not before["count"]:
        typer.echo(f"nothing is owed to {link}")


@app.command()
def close(
    rrn: Annotated[str, typer.Argument(metavar="RRN", help="Which one.")],
    config: ConfigOption = None,
    admin: AdminAddress = None,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why it is given up; it is kept in the journal.")] = "",
    operator: Annotated[
        str,
        typer.Option(
            "--operator",
            help="Your name, which the journal keeps, too.",
            show_default="login name",
        ),
    ] = "",
    link: WhichLink = None,
    what: WhatOption = "reversal",
    token_file: TokenFile = None,
    yes: Yes = False,
) -> None:
    """Give one up: it is never sent again, though the issuer never acknowledged it. Money must then be cleared by hand.

    Who, when and why is written to the journal, and `authswitch trace` shows it. When more than one has the RRN nothing
    is closed, and they are listed: say with --link which is meant.

    Example: authswitch reversals close 632804000123 --config /etc/authswitch/switch.toml
    --reason "taken back by bank-a by phone, case 4711" --operator "Mei Lin"
    """
    _check_what(what)
    if not reason.strip():
        raise typer.BadParameter('a reason is required: --reason "..."')
    who = operator.strip() or getpass.getuser()
    for name, text in (("--reason", reason.strip()), ("--operator", who)):
        if len(text.encode()) > TEXT_BYTES_MAX:
            raise typer.BadParameter(f"{name} is longer than {TEXT_BYTES_MAX} bytes")
    client = _client(config, admin, token_file)
    try:
        owed = client.reversals(**_which(rrn, what, link))["owed"]
        if not owed:
            fail(f"no {what} with RRN {rrn} is owed{f' to {link}' if link else ''}{_meant(config, rrn)}")
        if len(owed) > 1 or not yes:
            _print(owed)
        links = sorted({entry["link"] for entry in owed})
        if len(links) > 1:
            fail(f"{len(owed)} {what}s with RRN {rrn} are owed, to {' and '.join(links)}: say which with --link")
        if not yes:
            question = f"Close it as {who}? The issuer never acknowledged it: money must then be cleared by hand."
            typer.confirm(question, abort=True)
        answer = client.close(**_which(rrn, what, links[0]), operator=who, reason=reason.strip())
    except AdminError as error:
        fail(str(error))
    if not answer["durable"]:
        fail("closed, but the journal is not durable yet: look with `authswitch status` whether it failed")
    place = Position(answer.get("partition", 0), answer["position"])
    typer.echo(f"closed by {answer.get('operator', who)}; journal position {place}")


TEXT_BYTES_MAX = 255


def _listed(
    config: Path | None, admin: str | None, directory: Path | None, filters: Mapping[str, str], as_json: bool
) -> tuple[Mapping[str, Any], str]:
    """What is owed, and who says so: the daemon, or the journal."""
    if directory is None:
        try:
            return _client(config, admin).reversals(**filters), "daemon"
        except RefusedError as error:
            fail(str(error))
        except AdminError as error:
            if config is None:
                fail(str(error))
            offline = load(config)
            if offline.journal.mode == "off":
                fail(f"{error}; and {without_journal(offline)}")
    if config is None:
        raise typer.BadParameter("needed CONFIG, for the journal's keys")
    loaded = load(config)
    with reading(loaded, directory, as_json=as_json) as partitions:
        entries = owed_in(partitions, loaded)
    links = dict.fromkeys([*(section.name for section in loaded.links), *(entry["link"] for entry in entries)])
    if "link" in filters and filters["link"] not in links:
        fail(f"there is no link {mask_text(filters['link'])}; there are {', '.join(links)}")
    wanted = [entry for entry in entries if _is_wanted(entry, filters)]
    return {"count": len(wanted), "owed": wanted[: int(filters["limit"])]}, "journal"


def _is_wanted(entry: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    if "overdue" in filters and not entry["overdue"]:
        return False
    return all(entry[key] == filters[key] for key in ("link", "what", "rrn") if key in filters)


def _client(config: Path | None, admin: str | None, token_file: Path | None = None) -> AdminClient:
    try:
        return client_for(config, admin, read_token(token_file))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except ConfigError as error:
        refuse(error)


def _which(rrn: str | None, what: str, link: str | None) -> dict[str, str]:
    """What the daemon is asked for, without what was not said."""
    said = {"rrn": None if rrn is None else rrn.upper(), "what": None if rrn is None else what, "link": link}
    return {key: value for key, value in said.items() if value is not None}


def _meant(config: Path | None, rrn: str) -> str:
    """Behind a refusal: which number may be meant."""
    owed = rrn_owed(config, None, rrn)
    return "" if owed is None else f"; {under(rrn, owed)}"


def _check_what(what: str | None) -> None:
    if what not in (None, "reversal", "advice"):
        raise typer.BadParameter(f"--what is {what!r}; needed reversal or advice")


def _print(entries: Sequence[Mapping[str, Any]]) -> None:
    headings = ("what", "RRN", "link", "state", "age", "attempts", "next", "amount", "card", "terminal", "cause")
    plain_console().print(listing(headings, map(_cells, entries)))


def _cells(entry: Mapping[str, Any]) -> list[str]:
    following = entry["next_attempt_seconds"]
    return [
        entry["what"],
        entry["rrn"],
        entry["link"],
        entry["state"],
        f"{_duration(entry['age_seconds'])}{' overdue' if entry['overdue'] else ''}",
        f"{entry['attempts']:,}",
        "-" if following is None else f"in {_duration(following)}",
        amount_words(entry["amount_minor"], entry["currency"]),
        entry["pan"] or "-",
        entry["terminal"] or "-",
        _cause(entry),
    ]


def _is_promised_in_vain(entry: Mapping[str, Any]) -> bool:
    return entry["cause"] == "terminal" and bool(entry["not_found"]) and not entry["unbooked"]


def _cause(entry: Mapping[str, Any]) -> str:
    """Why it is owed, and what the issuer says to it."""
    cause = entry["fault"] or entry["cause"] or ("stand_in" if entry["stand_in"] else "-")
    if not entry["not_found"]:
        return str(cause)
    told = ", and told yes" if _is_promised_in_vain(entry) else ""
    return f"{cause}{told}; not found by the issuer (25), {count_of(entry['not_found'], 'time')}"


def _duration(seconds: float) -> str:
    whole = int(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(shown) or "0 s"
