"""``authswitch journal``: reads the journal's files, beside a running daemon or without one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from switch.base.masking import mask_pan, mask_text
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile, DirectoryOption, load, not_here, reading
from switch.dialect.kinds import KINDS
from switch.dialect.reasons import REASONS
from switch.journal.findings import Findings
from switch.journal.merging import records_by_time
from switch.journal.opening import PartitionReader
from switch.journal.positions import Position, check_position, parse_position
from switch.journal.record_text import RECORD_NAMES

app = command_group()


@app.callback()
def root() -> None:
    """Read the journal of all partitions. Card numbers are masked; places are shown as PARTITION:POSITION."""


@app.command()
def verify(config: ConfigFile, directory: DirectoryOption = None, *, as_json: AsJson = False) -> None:
    """Check every byte of the journal: checksums, seals, positions. Says what is open and where it is damaged.

    Exit status 1 when it is damaged. A torn tail is none: the daemon cuts it off when it starts.

    Example: authswitch journal verify configs/production.toml
    """
    with reading(load(config), directory, as_json=as_json) as partitions:
        counted = [_counted(one) for one in partitions]
    sums = {name: sum(counts[name] for counts in counted) for name in counted[0] if name not in OF_ONE}
    if as_json:
        typer.echo(json.dumps({"whole": True, **sums, "partitions": counted}))
        return
    typer.echo("the journal is whole" + (" but for its torn tail" if sums["torn_bytes"] else ""))
    for name, value in sums.items():
        typer.echo(f"  {name.replace('_', ' ')}: {value:,}")
    ends = (str(Position(counts["partition"], counts["next_position"])) for counts in counted)
    typer.echo(f"  next position: {', '.join(ends)}")


OF_ONE = ("partition", "next_position")
"""What cannot be summed up."""


def _counted(one: PartitionReader) -> dict[str, int]:
    """What one partition's journal holds; the names are those of the answer."""
    findings = Findings()
    with one.telling():
        tail = findings.read(one.reader)
    return {
        "partition": one.partition,
        "segments": len(one.reader.segments),
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


def _position(text: str) -> str:
    try:
        return check_position(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def dump(
    config: ConfigFile,
    directory: DirectoryOption = None,
    *,
    begins: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="POSITION",
            parser=_position,
            help="First position, such as 0:1234; only of that partition.",
        ),
    ] = None,
    ends: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="POSITION", parser=_position, help="Last position, such as 0:1234; only of that partition."
        ),
    ] = None,
    terminal: Annotated[str | None, typer.Option("--terminal", help="Only of this terminal (field 41).")] = None,
    rrn: Annotated[str | None, typer.Option("--rrn", help="Only with this retrieval reference number.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the records, one a line, oldest first. Messages are not shown, only their size.

    Example: authswitch journal dump configs/production.toml --from 0:1000000 --rrn 632804000123
    """
    with reading(load(config), directory, as_json=as_json) as partitions:
        asked = _range(partitions, begins, ends)
        read = [
            one
            for one in partitions
            if asked.partition in (None, one.partition) and (terminal is None or one.holds(terminal))
        ]
        for partition, record in records_by_time(read, asked.first):
            wanted = record["position"] >= asked.first and (asked.last is None or record["position"] <= asked.last)
            wanted = wanted and (terminal is None or record.get("terminal") == terminal)
            if wanted and (rrn is None or record.get("rrn") == rrn):
                shown = {"partition": partition, **presentable(record)}
                typer.echo(json.dumps(shown) if as_json else _line(shown))


@dataclass(frozen=True, slots=True)
class _Range:
    """What is dumped: of which partition, None for all, and its positions."""

    partition: int | None
    first: int
    last: int | None


def _range(partitions: Sequence[PartitionReader], begins: str | None, ends: str | None) -> _Range:
    found = []
    for name, text in (("--from", begins), ("--to", ends)):
        try:
            found.append(None if text is None else parse_position(text, partitions[0].partitions))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=f"'{name}'") from error
    first, last = found
    if first is not None and last is not None and first.partition != last.partition:
        raise typer.BadParameter(f"--from {first} and --to {last} are of two partitions; needed positions of one")
    one = first or last
    if one is not None and all(one.partition != begun.partition for begun in partitions):
        raise typer.BadParameter(f"{one}: {not_here(partitions)}")
    return _Range(
        None if one is None else one.partition,
        1 if first is None else first.number,
        None if last is None else last.number,
    )


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
    partition = shown["partition"]
    written = dict(shown)
    for name in PLACES:
        if written.get(name):
            written[name] = Position(partition, written[name])
    if "positions" in shown:
        written["positions"] = " ".join(str(Position(partition, position)) for position in shown["positions"].split())
    if written.get("claim"):
        written["claim"] = Position(written.pop("keeper"), written["claim"])
    rest = " ".join(
        f"{name}={mask_text(str(value)) if name != 'rrn' else value}"
        for name, value in written.items()
        if name not in ("partition", "position", "type", "time") and value not in (None, "")
    )
    return f"{Position(partition, shown['position'])!s:>14} {shown['time']} {shown['type']:<9} {rest}"


PLACES = ("intent", "original", "replaces", "reversal", "advice", "refers_to", "claimed_at", "request")
"""Parts of records that name another one of the same partition."""
