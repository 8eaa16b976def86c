"""Tables that commands print: as wide as the terminal, and in files and pipes so wide that a line is seldom broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_FILES = 200
"""Columns where the output is not a terminal."""


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
