"""Problems and reports as people and programs read them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from switch.check.configuration import Report
from switch.files.problems import ConfigError, Problem, errors_among
from switch.keys.problems import KeyFileError, UnreadableError

EXIT_FAILED = 1
EXIT_NOT_VALID = 2
WIDTH_OF_FILES = 240
"""Columns where the output is not a terminal, so that a line is seldom broken."""


def print_problems(problems: Sequence[Problem], stream: TextIO | None = None) -> None:
    """Print problems as a table, errors first; to standard error when no stream is given."""
    target = sys.stderr if stream is None else stream
    console = Console(file=target, highlight=False, width=None if target.isatty() else WIDTH_OF_FILES)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("", "file", "key", "reason"):
        table.add_column(heading, overflow="fold")
    for problem in sorted(problems, key=lambda problem: problem.severity):
        style = "red" if problem.severity == "error" else "yellow"
        cells = (problem.severity, problem.place, problem.key, problem.reason)
        table.add_row(*(Text(cell, style=style if place == 0 else "") for place, cell in enumerate(cells)))
    console.print(table)


def refuse(error: ConfigError) -> NoReturn:
    """End the command: the configuration cannot be used, for these reasons."""
    print_problems(error.problems)
    raise typer.Exit(EXIT_NOT_VALID) from error


def status_of(error: KeyFileError) -> int:
    """The exit status of a command whose key file or master key cannot be used."""
    return EXIT_NOT_VALID if isinstance(error, UnreadableError) else EXIT_FAILED


def print_report(report: Report, *, as_json: bool) -> None:
    """Print the outcome of a check to standard output."""
    if as_json:
        problems = [problem.as_dict() for problem in report.problems]
        print(json.dumps({"valid": report.valid, "summary": report.summary, "problems": problems}, ensure_ascii=False))
        return
    if report.problems:
        print_problems(report.problems, sys.stdout)
    errors = len(errors_among(report.problems))
    warnings = len(report.problems) - errors
    counts = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    if not report.valid:
        print(f"configuration is not valid: {counts}")
        return
    print(f"configuration is valid: {counts}")
    for name, value in report.summary.items():
        print(f"  {name}: {value:,}")
