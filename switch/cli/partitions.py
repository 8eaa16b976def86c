"""``authswitch partitions``: how many partitions the journals are of, and the offline change of that."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from switch.base.error_words import words_of
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import EXIT_ASKED_WRONGLY, AsJson, ConfigFile, fail, load, reading, without_journal
from switch.cli.listing import listing, plain_console
from switch.cli.report import status_of
from switch.config import Config
from switch.config.key_file import read_journal_keys
from switch.journal.changing import Change, Changed, change_partitions
from switch.journal.lives import LivesDamagedError
from switch.journal.numbers import numbers_file, reserved_by_files, write_numbers
from switch.journal.opening import PartitionReader
from switch.journal.partitions import PartitionsError
from switch.journal.positions import Position
from switch.journal.replay import JournalDamaged, Listing
from switch.journal.resuming import longest_request_s
from switch.keys import KeyFileError
from switch.machine.partitioning import PARTITIONS_MAX
from switch.tracing.owed import Opener

DAY_SECONDS = 86_400
TERMINAL = "41"
CLAIMED = (
    "voids, refunds and completions are in another partition now than the payments of other terminals that they refer "
    "to: they count there as claims"
)

app = command_group()


@app.callback()
def root() -> None:
    """The partitions of the journals: a terminal's transactions are all in one of them."""


@app.command()
def show(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """Show how many partitions there are, and what each one's journal holds.

    Example: authswitch partitions show /etc/authswitch/switch.toml
    """
    loaded = load(config)
    with reading(loaded, None, as_json=as_json) as partitions:
        found: list[dict[str, Any]] = []
        for one in partitions:
            with one.telling():
                tail = one.reader.replay(Listing(_ignore), len(one.reader.segments) - 1)
            found.append(_shown(one, tail.next_position))
        count = partitions[0].partitions
    if as_json:
        answer = {"partitions": count, "configured": loaded.journal.partitions, "journals": found}
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    plain_console().print(listing(("partition", "folder", "segments", "bytes", "first", "next"), map(_cells, found)))
    typer.echo(_counted(count))


def _cells(row: dict[str, Any]) -> list[str]:
    places = (str(Position(row["partition"], row[name])) for name in ("first_position", "next_position"))
    return [str(row["partition"]), row["folder"], f"{row['segments']:,}", f"{row['bytes']:,}", *places]


def _shown(one: PartitionReader, next_position: int) -> dict[str, Any]:
    return {
        "partition": one.partition,
        "folder": str(one.folder),
        "segments": len(one.reader.segments),
        "bytes": sum(segment.size for segment in one.reader.segments),
        "first_position": one.reader.segments[0].first_position,
        "next_position": next_position,
    }


def _ignore(_record: dict[str, Any]) -> None:
    """Only where it ends is wanted."""


@app.command()
def change(
    config: ConfigFile,
    partitions: Annotated[int, typer.Argument(metavar="N", min=1, max=PARTITIONS_MAX, help="How many there shall be.")],
    *,
    days: Annotated[
        int | None,
        typer.Option("--days", min=0, max=3_660, help="Take so many days along; by default journal.originals_days."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change how many partitions there are, while no daemon runs and nothing is open or owed.

    New journals are written beside the old ones, and take their place in one step; a crash leaves the old or the new
    ones. What terminals may repeat or take back is taken along. The old ones are kept, for `trace` and the others with
    --directory.

    Example: authswitch partitions change /etc/authswitch/switch.toml 4
    """
    loaded = load(config)
    directory = loaded.journal.directory
    if loaded.journal.mode == "off" or directory is None or loaded.keys is None:
        fail(without_journal(loaded, has_folder=loaded.keys is None and directory is not None), EXIT_ASKED_WRONGLY)
    if loaded.books is not None:
        fail("there is [books]: what was posted names records by their places, and other journals have other ones")
    try:
        wanted = Change(
            directory=directory,
            partitions=partitions,
            wrapping_keys=read_journal_keys(loaded.keys),
            segment_bytes=loaded.journal.segment_bytes,
            window_s=loaded.limits.duplicate_window_seconds + longest_request_s(loaded),
            kept_s=(loaded.journal.originals_days if days is None else days) * DAY_SECONDS,
            instance=loaded.switch.instance,
            instances=loaded.switch.instances,
            reserved_to=reserved_by_files(loaded),
            terminal_of=_terminals(loaded),
            tell=lambda written: typer.echo(f"{written:,} records", err=True),
        )
        changed = change_partitions(wanted, partial(_write_numbers, loaded, partitions))
    except KeyFileError as error:
        fail(str(error), status_of(error))
    except (JournalDamaged, LivesDamagedError, PartitionsError) as error:
        fail(str(error))
    except OSError as error:
        fail(words_of(error, directory))
    _tell(loaded, partitions, changed, as_json=as_json)


def _write_numbers(config: Config, partitions: int, reserved_to: int) -> None:
    for number in range(partitions):
        if (file := numbers_file(config, number)) is not None:
            write_numbers(file, config.switch.instance, reserved_to)


def _terminals(config: Config) -> Callable[[str | None, str | None, bytes], str | None]:
    opener = Opener(config)

    def terminal_of(listener: str | None, link: str | None, message: bytes) -> str | None:
        fields = opener.fields({"listener": listener, "link": link, "message": message})
        return fields.get(TERMINAL, "").strip() or None

    return terminal_of


def _tell(config: Config, partitions: int, changed: Changed | None, *, as_json: bool) -> None:
    if as_json:
        done = (
            None
            if changed is None
            else {
                "before": changed.before,
                "kept": str(changed.kept),
                "records": changed.records,
                "left": changed.left,
                "claimed": changed.claimed,
                "unplaced": changed.unplaced,
                "reserved_to": changed.reserved_to,
            }
        )
        typer.echo(json.dumps({"partitions": partitions, "changed": done}, ensure_ascii=False))
        return
    if changed is None:
        typer.echo(f"nothing to do: {_counted(partitions)} already")
    else:
        typer.echo(f"{_counted(partitions)}, of {changed.before} before; {changed.records:,} records were taken along")
        for count, words in (
            (changed.left, "records were left behind: what they belong to is older"),
            (changed.unplaced, "reversals that have ended were left behind: their terminals are not known"),
            (changed.claimed, CLAIMED),
        ):
            if count:
                typer.echo(f"{count:,} {words}")
        typer.echo(
            f"the old journals are in {changed.kept}: read them with --directory, and remove them when they are old"
        )
    if config.journal.partitions not in (None, partitions):
        typer.echo(
            f"set journal.partitions to {partitions}, or leave it out: {config.file} says {config.journal.partitions}"
        )


def _counted(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"
