"""Rows of the registry as lines of the files that the switch reads: the same reader judges both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from switch.files.problems import PROBLEMS_MAX, ConfigError, Problem
from switch.keys import KeySource
from switch.store.problems import RefusedError
from switch.tables.binding import BindingRule
from switch.tables.party_states import AWAITING
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS, Registry
from switch.tables.registry_files import build_registry

MERCHANT_FILE = MERCHANT_COLUMNS
TERMINAL_FILE = (*TERMINAL_COLUMNS, "serial_number", "model", "place")
"""Columns of a file of terminals that is imported or exported; the last three are the back office's own."""


def line_of(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """A row as a line of CSV; what is not there is an empty cell."""
    return ",".join([_cell(row.get(name) or "") for name in columns])


def _cell(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if "," in text or '"' in text else text


def file_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """Rows as a whole file, its heading first."""
    return "\n".join([",".join(columns), *(line_of(row, columns) for row in rows), ""]).encode()


def as_judged(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of the store as the reader of files judges it: that a terminal awaits its sign-in, only the store says."""
    return {**row, "state": "suspended"} if row["state"] == AWAITING else row


@dataclass(frozen=True)
class Compiler:
    """What the switch makes of rows: it takes them, or says what is wrong with them.

    Attributes:
        keys: Clear keys by name: a terminal must have those that it needs.
        listener_names: Of the configuration, in its order.
        misfits: Tells of a file of terminals, by its name, which keys are of another algorithm than their use.
        rule: What is asked of terminals beside that.
    """

    keys: KeySource
    listener_names: Sequence[str]
    misfits: Callable[[str, bytes], list[Problem]]
    rule: BindingRule

    def compiled(
        self, merchants: bytes, terminals: bytes, names: tuple[str, str], problems_max: int = PROBLEMS_MAX
    ) -> Registry:
        """Files made into a registry; ``names`` are those of both, for problems.

        Raises:
            ConfigError: Something is wrong with them; ``problems`` tells all of it.
        """
        registry = build_registry(
            merchants, terminals, self.keys, self.listener_names, names=names, problems_max=problems_max, rule=self.rule
        )
        misfits = self.misfits(names[1], terminals)
        if misfits:
            raise ConfigError(misfits)
        return registry

    def check(self, merchant: Mapping[str, Any], terminal: Mapping[str, Any] | None = None) -> None:
        """See that the switch would take a merchant, and one of its terminals.

        Raises:
            RefusedError: It would not, and why.
        """
        merchants = file_of([merchant], MERCHANT_COLUMNS)
        terminals = file_of([] if terminal is None else [as_judged(terminal)], TERMINAL_COLUMNS)
        try:
            self.compiled(
                merchants, terminals, (f"merchant {merchant['id']}", f"terminal {(terminal or {}).get('id')}")
            )
        except ConfigError as error:
            raise RefusedError("; ".join(f"{one.file}: {one.reason}" for one in error.problems)) from None
