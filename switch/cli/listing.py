"""Tables that commands print: as wide as the terminal, and in files and pipes so wide that a line is seldom broken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from switch.base.error_words import words_of
from switch.cli.journal_reading import fail

WIDTH_OF_FILES = 200
"""Columns where the output is not a terminal."""

WIDTH_OF_WIDE = 240
"""The same for what has many columns, or long ones."""


def plain_console(width_of_files: int | None = WIDTH_OF_FILES) -> Console:
    """Standard output, without highlights; ``None`` is the width that rich takes for what is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=width_of_files)


def listing(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Rows of cells below their headings; what is too long for its column is folded."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def print_row(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one row, each value in a line of its own; or as JSON."""
    if as_json:
        print_lines([row])
        return
    width = max(map(len, row))
    for name, value in row.items():
        typer.echo(f"{name:{width}}  {_cell(value)}".rstrip())


def print_rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    width_of_files: int = WIDTH_OF_FILES,
) -> None:
    """Print some columns of rows; or all of each as JSON, one a line."""
    if as_json:
        print_lines(rows)
        return
    cells = ([_cell(row[name]) for name in columns] for row in rows)
    plain_console(width_of_files).print(listing(columns, cells))


def print_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as JSON, one a line."""
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False))


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name} {what}" for name, what in value.items())
    return str(value)


def write_document(document: Mapping[str, Any], output: Path | None) -> None:
    """Write a document of JSON into a file, or to standard output."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(words_of(error, output))
