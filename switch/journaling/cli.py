"""``authswitch journal``: reads the journal's files, beside a running daemon or without one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from switch.config import Config, ConfigError, load_config
from switch.config.report import print_problems
from switch.journaling.findings import Findings
from switch.journaling.opening import open_reader
from switch.keys import KeyFileError, load_master_key
from switch.kinds import KINDS
from switch.masking import mask_pan, mask_text
from switch.reasons import REASONS
from switch.record import RECORD_NAMES
from switch.replay import JournalDamaged, JournalReader, Listing

EXIT_FAILED = 1
EXIT_ASKED_WRONGLY = 2

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would show the values of variables
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The daemon's configuration file.")]
DirectoryOption = Annotated[
    Path | None, typer.Option("--directory", help="A copy of the journal's folder, instead of CONFIG's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


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
    with _reading(config, directory, as_json=as_json) as reader:
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

    with _reading(config, directory, as_json=as_json) as reader:
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


@contextmanager
def _reading(config_file: Path, directory: Path | None, *, as_json: bool) -> Iterator[JournalReader]:
    """A reader of the journal that a configuration names; ends the command in words when it cannot be read."""
    config = _load(config_file)
    where = config.journal.directory if directory is None else directory
    if where is None or config.keys is None:
        raise typer.BadParameter("this configuration keeps no journal: journal.mode is off")
    try:
        master_key = load_master_key(config.keys.master_key_file, config.keys.master_key_env)
        yield open_reader(where, master_key)
    except KeyFileError as error:
        _fail(str(error))
    except JournalDamaged as error:
        if as_json:
            place = {"file": error.file, "offset": error.offset, "position": error.position}
            typer.echo(json.dumps({"whole": False, **place, "reason": error.reason, "advice": error.advice}))
            raise typer.Exit(EXIT_FAILED) from error
        _fail(str(error))
    except OSError as error:
        _fail(f"{where}: {error.strerror}")


def _load(config_file: Path) -> Config:
    try:
        return load_config(config_file)
    except ConfigError as error:
        print_problems(error.problems)
        raise typer.Exit(EXIT_ASKED_WRONGLY) from error


def _fail(reason: str) -> NoReturn:
    typer.echo(f"authswitch: {reason}", err=True)
    raise typer.Exit(EXIT_FAILED)
