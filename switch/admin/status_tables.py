"""A status as people read it: plain values as lines, lists as tables that fit a terminal of 80 columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

HEADINGS = {"reversals_waiting": "owed", "timeouts_in_a_row": "time-outs", "since": "since (UTC)"}
"""Of columns whose name is too long, or lacks something."""

FOLDED = ("state", "partitions", "reason", "name", "address", "terminal", "who", "why")
"""Columns whose values may be broken; the others are short."""


def print_status(status: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what ``/status`` says, as JSON or for people."""
    if as_json:
        print(json.dumps(status, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    plain = Table.grid(padding=(0, 2))
    for key, value in status.items():
        if not _is_rows(value):
            plain.add_row(Text(key.replace("_", " ")), Text(_shown(key, value)))
    console.print(plain)
    for key, value in status.items():
        if _is_rows(value):
            console.print(_table(key, _by_far_worker(value) if key == "nodes" else value))


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None, padding=(0, 1, 0, 0))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    for column in columns:
        heading = HEADINGS.get(column, column.replace("_", " "))
        table.add_column(Text(heading), overflow="fold", no_wrap=column not in FOLDED, min_width=len(heading))
    for row in rows:
        table.add_row(*(Text(_shown(column, row.get(column))) for column in columns))
    return table


def _by_far_worker(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each worker of another machine, of the rows that each worker of this one has about it."""
    by_worker: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_worker.setdefault((row["node"], row["worker"]), []).append(row)
    return [
        {
            "node": node,
            "worker": worker,
            "connected": _connected(same),
            "since": max((row["since"] for row in same if row["since"] is not None), default=None),
            "reason": "; ".join(dict.fromkeys(row["reason"] for row in same if row["reason"])) or None,
        }
        for (node, worker), same in by_worker.items()
    ]


def _connected(rows: Sequence[Mapping[str, Any]]) -> object:
    count = sum(row["connected"] for row in rows)
    return bool(count) if count in (0, len(rows)) else f"with {count} of {len(rows)}"


def _shown(key: str, value: object) -> str:
    if value is None or value == []:
        return "-"
    if key == "since" and isinstance(value, float | int):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(key, entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(name, entry)}" for name, entry in value.items())
    return str(value)
