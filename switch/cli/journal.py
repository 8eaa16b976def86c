"""``authswitch journal``: reads the journal's files, beside a running daemon or without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from switch.base.masking import mask_pan, mask_text
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile, DirectoryOption, load, reading
from switch.dialect.kinds import KINDS
from switch.dialect.reasons import REASONS
from switch.journal.findings import Findings
from switch.journal.record_text import RECORD_NAMES
from switch.journal.replay import Listing

app = command_group()


@app.callback()
def root() -> None:
    """Read the journal. Card numbers are masked."""


@app.command()
def verify(config: ConfigFile, directory: DirectoryOption = None, *, as_json: AsJson = False) -> None:
    """Check every byte of the journal: checksums, seals, positions. Says what is open and where it is damaged.

    Exit status 1 when it is damaged. A torn tail is none: the daemon cuts it off when it starts.

    Example: authswitch journal verify configs/production.toml
    """
    findings = Findings()
    with reading(load(config), directory, as_json=as_json) as reader:
        findings.read(reader)
        segments = len(reader.segments)
    tail = findings.tail
    if tail is None:
        raise AssertionError("the reader came to no end")
    counts = {
        "segments": segments,
        "bytes": tail.bytes_read,
        "batches": tail.batches,
        "records": tail.records,
        "next_position": tail.next_position,
        **{f"{name.lower()}_records": findings.records[name] for name in RECORD_NAMES.values()},
        "open_requests": findings.open_requests,
        "open_reversals": findings.open_reversals,
        "open_advices": findings.open_advices,
        "torn_bytes": tail.torn_bytes,
    }
    if as_json:
        typer.echo(json.dumps({"whole": True, **counts}))
        return
    typer.echo("the journal is whole" + (" but for its torn tail" if tail.torn_bytes else ""))
    for name, value in counts.items():
        typer.echo(f"  {name.replace('_', ' ')}: {value:,}")


@app.command()
def dump(
    config: ConfigFile,
    directory: DirectoryOption = None,
    *,
    first: Annotated[int, typer.Option("--from", min=1, help="First position.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="Last position.")] = None,
    terminal: Annotated[str | None, typer.Option("--terminal", help="Only of this terminal (field 41).")] = None,
    rrn: Annotated[str | None, typer.Option("--rrn", help="Only with this retrieval reference number.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the records, one a line, oldest first. Messages are not shown, only their size.

    Example: authswitch journal dump configs/production.toml --from 1000000 --rrn 632804000123
    """

    def show(record: dict[str, Any]) -> None:
        wanted = record["position"] >= first and (last is None or record["position"] <= last)
        wanted = wanted and (terminal is None or record.get("terminal") == terminal)
        if wanted and (rrn is None or record.get("rrn") == rrn):
            shown = presentable(record)
            typer.echo(json.dumps(shown) if as_json else _line(shown))

    with reading(load(config), directory, as_json=as_json) as reader:
        reader.replay(Listing(show), reader.index_of(first))


def presentable(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as people may see it: the PAN masked, codes by name, of the message only its size."""
    shown = {name: value for name, value in record.items() if name not in ("wall_us", "message", "occasion")}
    shown["time"] = datetime.fromtimestamp(record["wall_us"] / 1_000_000, UTC).isoformat(timespec="microseconds")
    if "pan" in record:
        shown["pan"] = mask_pan(record["pan"])
    if "kind" in record:
        shown["kind"] = KINDS[record["kind"]] if record["kind"] < len(KINDS) else record["kind"]
    if "reason" in record:
        shown["reason"] = REASONS[record["reason"]] if record["reason"] < len(REASONS) else record["reason"]
    if "positions" in record:
        shown["positions"] = " ".join(map(str, record["positions"]))
    if "message" in record:
        shown["message_bytes"] = len(record["message"])
    return shown


def _line(shown: Mapping[str, Any]) -> str:
    rest = " ".join(
        f"{name}={mask_text(str(value)) if name != 'rrn' else value}"
        for name, value in shown.items()
        if name not in ("position", "type", "time") and value not in (None, "")
    )
    return f"{shown['position']:>12} {shown['time']} {shown['type']:<9} {rest}"
