"""Terminals whose rows cannot be taken at a start, such as where a key is not there: these alone are not served."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from switch.files.problems import ConfigError, Problem
from switch.merchants.rows import Compiler
from switch.merchants.source import Changes, Files, Row
from switch.tables.registry import BOUND_MERCHANT_COLUMNS, BOUND_TERMINAL_COLUMNS, Registry

LEFT_OUT_MAX: Final = 100
"""Where more are wrong it is the key file that is, or the configuration."""
PROBLEMS_A_ROW_MAX: Final = 4
_NOTHING: Final = b"#"
_LINE = re.compile(r"line (\d+)\b")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was made of files without the rows of some terminals.

    Attributes:
        registry: The rest of them. What terminals did that are not in it a journal tells, and nothing is charged twice.
        rows: These terminals as the store has them, with their merchants.
        reasons: Why each cannot be taken, by its number.
    """

    registry: Registry
    rows: Changes
    reasons: dict[str, str]


def leave_out(files: Files, compiler: Compiler, names: tuple[str, str]) -> LeftOut | None:
    """Read files without the rows of terminals that cannot be taken; None where it is not these alone, or too many.

    Args:
        files: Of the store.
        compiler: Reads them.
        names: What both are called in problems.
    """
    lines = files.terminals.split(b"\n")
    rows: dict[str, Row] = {}
    reasons: dict[str, str] = {}
    while True:
        try:
            registry = compiler.compiled(files.merchants, b"\n".join(lines), names, PROBLEMS_A_ROW_MAX * LEFT_OUT_MAX)
        except ConfigError as error:
            wrong = _reasons_by_line(error.problems, names[1])
            if not wrong or len(rows) + len(wrong) > LEFT_OUT_MAX:
                return None
            for number, reason in wrong.items():
                row = _row_at(lines, number)
                if row is None:
                    return None
                rows[row["id"]], reasons[row["id"]] = row, reason
                lines[number - 1] = _NOTHING
            continue
        merchants = _merchants(files.merchants, {row["merchant"] for row in rows.values()})
        return LeftOut(registry, Changes(files.head, merchants, rows), reasons)


def _reasons_by_line(problems: Iterable[Problem], file: str) -> dict[int, str]:
    """What is wrong with lines of a file; empty where anything else is wrong, too."""
    found: dict[int, str] = {}
    for problem in problems:
        line = _LINE.match(problem.key)
        if problem.file != file or line is None:
            return {}
        number = int(line[1])
        found[number] = f"{found[number]}; {problem.reason}" if number in found else problem.reason
    return found


def _row_at(lines: Sequence[bytes], number: int) -> Row | None:
    """The row on a line; None where it is none of a terminal."""
    cells = next(csv.reader([lines[number - 1].decode().rstrip("\r")]), [])
    is_row = number > 1 and len(cells) == len(BOUND_TERMINAL_COLUMNS)
    return dict(zip(BOUND_TERMINAL_COLUMNS, cells, strict=True)) if is_row else None


def _merchants(data: bytes, wanted: set[str]) -> dict[str, Row]:
    found = (dict(zip(BOUND_MERCHANT_COLUMNS, cells, strict=False)) for cells in csv.reader(data.decode().split("\n")))
    return {row["id"]: row for row in found if row.get("id") in wanted}
