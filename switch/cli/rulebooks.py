"""What ``authswitch risk``, ``routes`` and ``endpoints`` have in common: versions, and which is in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from switch.base.error_words import words_of
from switch.check.row_compiler import opened_compiler
from switch.check.rulebooks import checks, gathered
from switch.cli.journal_reading import AsJson, ConfigFile, fail, load
from switch.cli.listing import print_rows
from switch.cli.registry_desk import Most, in_words, waits, work
from switch.cli.store_opening import WhyOption, changing_store, opened_store
from switch.rulebooks.keeping import checked, enforce, propose, put, version_of, versions
from switch.rulebooks.rulebooks import TITLES, Rulebook

COLUMNS = ("version", "in_force", "hash", "bytes", "put_by", "put_at", "why")
FILES = {"risk": "risk.toml", "routes": "routes.csv", "endpoints": "endpoints.toml"}
"""What the text of a rulebook is called in a folder."""

Version = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="As `list` has it.")]
MaybeVersion = Annotated[
    int | None, typer.Argument(metavar="[VERSION]", min=1, help="As `list` has it; the one in force, when left out.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The file; tables that it names are beside it.")]
Folder = Annotated[
    Path | None, typer.Option("--output", help="A new folder, for the text and its tables; else the text is printed.")
]


def add_rulebook_commands(app: typer.Typer, kind: str) -> None:
    """Give a group the commands about rulebooks in the store."""
    title = TITLES[kind]
    example = f"\n\nExample: authswitch {kind}"

    @app.command(
        "put",
        help=f"Keep a file as the next version of the {title} in the store; it is not in force yet."
        f'{example} put switch.toml {FILES[kind]} --why "order 12"',
    )
    def put_(config: ConfigFile, file: File, why: WhyOption) -> None:
        loaded = load(config)
        with in_words(), opened_compiler(loaded) as compiler:
            rulebook = checked(gathered(kind, file), checks(loaded, compiler.keys)[kind])
            with changing_store(config, why, "registry.change") as (change, _):
                row, is_new = put(change, kind, rulebook)
        words = "kept; `propose` puts it in force" if is_new else "is the newest already; nothing changed"
        typer.echo(f"{title}, version {row['version']}: {words}")

    @app.command(
        "list", help=f"List the versions of the {title} in the store, the newest first.{example} list switch.toml"
    )
    def list_(config: ConfigFile, most: Most = 20, *, as_json: AsJson = False) -> None:
        with opened_store(config) as store, store.reading() as connection:
            rows = versions(connection, kind, most)
        print_rows(rows, COLUMNS, as_json=as_json)

    @app.command(
        help=f"Show what a version of the {title} says, or write it into a folder.{example} show switch.toml 3"
    )
    def show(
        config: ConfigFile, version: MaybeVersion = None, output: Folder = None, *, as_json: AsJson = False
    ) -> None:
        with opened_store(config) as store, store.reading() as connection:
            row, rulebook = version_of(connection, kind, version)
        if output is not None:
            _write(output, kind, rulebook)
        elif as_json:
            typer.echo(json.dumps({**row, "text": rulebook.text, "tables": dict(rulebook.tables)}))
        else:
            typer.echo(rulebook.text, nl=not rulebook.text.endswith("\n"))

    @app.command(
        "propose",
        help=f"Propose that a version of the {title} is put in force; another person approves it "
        f"(`proposals approve`). While nobody is registered it is put in force at once."
        f'{example} propose switch.toml 3 --why "rehearsed"',
    )
    def propose_(config: ConfigFile, version: Version, why: WhyOption) -> None:
        with work(config, why, prepare=lambda _, store, kinds: kinds.verdicts.read(store, kind, version)) as one:
            change = one.registrar.change
            if one.registrar.is_alone:
                words = waits(propose(one.proposals, change.connection, kind, version, one.lasts))
            else:
                enforce(change, kind, version, one.verdicts)
                words = "in force"
        typer.echo(f"{title}, version {version}: {words}")


def _write(folder: Path, kind: str, rulebook: Rulebook) -> None:
    """Write a rulebook into a new folder; names that lead out of it are none."""
    named = {FILES[kind]: rulebook.text, **rulebook.tables}
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in named):
        fail("a table's name leads out of the folder: see --json")
    try:
        folder.mkdir(parents=True)
        for name, text in named.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        fail(words_of(error, folder))
    typer.echo(f"{folder}: {len(named)} files")
