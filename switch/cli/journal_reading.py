"""What commands that read the journal have in common: they end in words when it cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from switch.base.error_words import words_of
from switch.cli.report import refuse, status_of
from switch.config import Config, ConfigError, load_config
from switch.config.key_file import read_journal_keys
from switch.files.datafile import read_toml_text
from switch.files.lines import key_lines
from switch.journal.opening import PartitionReader, open_nodes
from switch.journal.partitions import PartitionsError
from switch.journal.replay import JournalDamaged
from switch.keys import KeyFileError

EXIT_FAILED = 1
EXIT_ASKED_WRONGLY = 2

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The daemon's configuration file.")]
DirectoryOption = Annotated[
    Path | None,
    typer.Option("--directory", help="A copy of the journal's folder, or of one partition's, instead of CONFIG's."),
]
DirectoriesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--directory",
        help="A copy of the journal's folder instead of CONFIG's; give one of each node, all of one switch.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextmanager
def reading(
    config: Config, directory: Path | Sequence[Path] | None, *, as_json: bool
) -> Iterator[list[PartitionReader]]:
    """The journals of all partitions of a configuration, or of other directories, where they have begun.

    It ends the command in words when they cannot be read.
    """
    given = [directory] if isinstance(directory, Path) else list(directory or ())
    folders = given or [folder for folder in (config.journal.directory,) if folder is not None]
    where = ", ".join(map(str, folders))
    if not folders or config.keys is None:
        fail(without_journal(config, has_folder=bool(folders)), EXIT_ASKED_WRONGLY)
    try:
        keys = read_journal_keys(config.keys)
        begun = [one for one in open_nodes(folders, keys) if one.reader.segments]
        if not begun:
            fail(f"{where}: no journal is in this folder: it has no file of a segment (NUMBER.journal)")
        yield begun
    except PartitionsError as error:
        fail(str(error))
    except KeyFileError as error:
        fail(str(error), status_of(error))
    except JournalDamaged as error:
        if as_json:
            place = {
                "partition": error.partition,
                "file": error.file,
                "offset": error.offset,
                "position": error.position,
            }
            typer.echo(json.dumps({"whole": False, **place, "reason": error.reason, "advice": error.advice}))
            raise typer.Exit(EXIT_FAILED) from error
        fail(str(error))
    except OSError as error:
        fail(words_of(error, folders[0]))


def not_here(partitions: Sequence[PartitionReader]) -> str:
    """Of which partitions a folder has no journal, in words; empty where it has all."""
    count = partitions[0].partitions
    absent = sorted(set(range(count)) - {one.partition for one in partitions})
    if not absent:
        return ""
    numbers = f"partition{'s' * (len(absent) > 1)} {', '.join(map(str, absent))} of {count}"
    return f"there is no journal of {numbers} here: look on the node that has it"


def without_journal(config: Config, *, has_folder: bool = False) -> str:
    """That a configuration keeps no journal, with the place where that is said and what to write there."""
    lines = {}
    with suppress(OSError, ValueError):
        lines = key_lines(read_toml_text(config.file))
    if has_folder:
        return f"{config.file}: there is no [keys], without whose keys no journal can be read"
    line = lines.get(("journal", "mode")) or lines.get(("journal",))
    said = f':{line}: journal.mode is "{config.journal.mode}"' if line else ": there is no [journal]"
    return (
        f'{config.file}{said}, so there is nothing to read; mode = "files" and directory = "..." in [journal] '
        "make the daemon keep a journal from its next start on"
    )


def load(config_file: Path) -> Config:
    """The configuration; ends the command in words when it cannot be used."""
    try:
        return load_config(config_file)
    except ConfigError as error:
        refuse(error)


def fail(reason: str, status: int = EXIT_FAILED) -> NoReturn:
    """End: what was asked for could not be done."""
    typer.echo(f"authswitch: {reason}", err=True)
    raise typer.Exit(status)
