"""Whole files of merchants and terminals, taken into the store or written from it.

A file is taken as a whole or not at all: every wrong row is told first, by the reader that the switch itself has.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection

from switch.files.problems import ConfigError, Problem, ProblemList
from switch.merchants.finding import rows_with
from switch.merchants.registering import Registrar, text_fault
from switch.merchants.rows import MERCHANT_FILE, TERMINAL_FILE, as_judged, file_of, line_of
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.store.bulk import VALUES_AT_A_TIME
from switch.store.changing import key_column, text_lengths
from switch.store.problems import RefusedError
from switch.tables.party_states import AWAITING
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS

ROWS_AT_A_TIME = VALUES_AT_A_TIME
"""So many are compared with the store, or written, at a time."""

PROBLEMS_MAX = 1_000_000
Progress = Callable[[int], None]
Numbered = tuple[int, dict[str, str]]
"""A row with its line."""


@dataclass
class Outcome:
    """What became of a file's rows."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


class Import:
    """One file that is taken into the store.

    Args:
        registrar: Who does it.
        table: The merchants or the terminals.
        name: Of the file, for problems.
        data: Its bytes, without a byte order mark.
        replaces: Whether rows may be changed that are there already.
    """

    def __init__(self, registrar: Registrar, table: Table, name: str, data: bytes, *, replaces: bool) -> None:
        self._registrar = registrar
        self._table = table
        self._read_by_the_switch = MERCHANT_COLUMNS if table is MERCHANTS else TERMINAL_COLUMNS
        self._columns = self._read_by_the_switch
        _, heading = next(_lines(data, ProblemList(name)), (0, []))
        if table is TERMINALS and heading == list(TERMINAL_FILE):
            self._columns = TERMINAL_FILE
        self._lengths = text_lengths(table)
        self._data = data
        self._replaces = replaces
        self._problems = ProblemList(name, PROBLEMS_MAX)
        self.line_count = data.count(b"\n")

    def run(self, progress: Progress) -> Outcome:
        """Take all rows.

        Args:
            progress: Called with the number of rows that went through: each row does so twice, to be read and taken.

        Raises:
            ConfigError: Rows are wrong; each is told, and nothing was changed if the transaction is left by this.
        """
        self._judge(progress)
        self._tell()
        outcome = Outcome()
        new = self._new_rows(outcome, progress)
        outcome.added = self._registrar.change.insert_all(self._table, new)
        self._tell()
        return outcome

    # --- reading ------------------------------------------------------------------------------------------------------

    def _rows(self, problems: ProblemList) -> Iterator[Numbered]:
        """The rows that have as many cells as are needed."""
        has_heading = False
        for line, cells in _lines(self._data, problems):
            if not has_heading:
                has_heading = True
                if cells != list(self._columns):
                    problems.at(line, 1, f"the first row must be {','.join(self._columns)}")
                    return
            elif len(cells) != len(self._columns):
                problems.at(line, 1, f"{len(cells)} cells; needed are {len(self._columns)}")
            else:
                yield line, dict(zip(self._columns, cells, strict=True))
        if not has_heading:
            problems.at(1, 1, f"the file is empty; its first row must be {','.join(self._columns)}")

    def _judge(self, progress: Progress) -> None:
        """Find all that is wrong with the rows for themselves."""
        lines = [",".join(self._read_by_the_switch)]
        serials: dict[str, int] = {}
        merchants: set[str] = set()
        serving: list[tuple[int, str]] = []
        for count, (line, row) in enumerate(self._rows(self._problems), 1):
            lines += [""] * (line - 1 - len(lines))
            lines.append(line_of(as_judged(row) if self._table is TERMINALS else row, self._read_by_the_switch))
            self._check_texts(line, row)
            if self._table is TERMINALS:
                merchants.add(row["merchant"])
                if row["state"] != "closed":
                    serving.append((line, row["merchant"]))
                self._note_serial(serials, line, row.get("serial_number"))
            if count % ROWS_AT_A_TIME == 0:
                progress(ROWS_AT_A_TIME)
        data = "\n".join([*lines, ""]).encode()
        try:
            if self._table is MERCHANTS:
                self._compile(data, file_of([], TERMINAL_COLUMNS))
            else:
                owners = list(rows_with(self._registrar.change.connection, MERCHANTS.c.id, sorted(merchants)))
                closed = {owner["id"] for owner in owners if owner["state"] == "closed"}
                for line, merchant in serving:
                    if merchant in closed:
                        self._problems.at(line, 1, f"merchant {merchant} is closed")
                self._compile(file_of(owners, MERCHANT_COLUMNS), data)
        except ConfigError as error:
            for problem in error.problems:
                self._problems.add(problem.key, problem.reason)

    def _compile(self, merchants: bytes, terminals: bytes) -> None:
        compiler = self._registrar.compiler
        compiler.compiled(merchants, terminals, (self._problems.file, self._problems.file), PROBLEMS_MAX)

    def _check_texts(self, line: int, row: Mapping[str, str]) -> None:
        """See that texts which the switch itself does not read fit into the store."""
        for name in self._columns:
            if len(row[name]) > self._lengths[name]:
                length = self._lengths[name]
                self._problems.at(line, 1, f"{name}: {len(row[name])} characters; at most {length} are kept")
            elif fault := text_fault(name, row[name]):
                self._problems.at(line, 1, f"{name}: {fault}")

    def _note_serial(self, serials: dict[str, int], line: int, serial: str | None) -> None:
        if not serial:
            return
        earlier = serials.setdefault(serial, line)
        if earlier != line:
            self._problems.at(line, 1, f"serial_number: {serial} is on line {earlier} already")

    def _tell(self) -> None:
        if self._problems.problems:
            found = sorted(self._problems.all(), key=_line_of)
            raise ConfigError(found)

    # --- taking -------------------------------------------------------------------------------------------------------

    def _new_rows(self, outcome: Outcome, progress: Progress) -> Iterator[dict[str, Any]]:
        """Rows that are not there yet; those that are there are compared, and changed where that was asked for."""
        rows = self._rows(ProblemList(self._problems.file))
        connection = self._registrar.change.connection
        while part := list(islice(rows, ROWS_AT_A_TIME)):
            ids = [row["id"] for _, row in part]
            there = {row["id"]: row for row in rows_with(connection, key_column(self._table), ids)}
            self._refuse_taken_serials(part)
            for line, row in part:
                wanted = self._stored(row)
                if row["id"] in there:
                    self._compare(line, there[row["id"]], wanted, outcome)
                elif wanted["state"] == AWAITING:
                    self._problems.at(line, 1, f"state: only a terminal of an application is {AWAITING}")
                elif not self._problems.problems:
                    yield wanted
            progress(len(part))

    def _stored(self, row: Mapping[str, str]) -> dict[str, Any]:
        """A row as the store has it."""
        if self._table is MERCHANTS:
            return {**row, "since": self._registrar.change.at}
        return {**row, "serial_number": row.get("serial_number") or None}

    def _compare(self, line: int, before: Mapping[str, Any], wanted: dict[str, Any], outcome: Outcome) -> None:
        changed = {name: wanted[name] for name in self._columns if wanted[name] != before[name]}
        if not changed:
            outcome.unchanged += 1
        elif not self._replaces:
            self._problems.at(line, 1, f"{before['id']} is there already, with another {', '.join(changed)}")
        else:
            self._replace(line, before["id"], changed)
            outcome.changed += 1

    def _replace(self, line: int, key: str, changed: dict[str, Any]) -> None:
        state = changed.pop("state", None)
        try:
            if changed:
                self._registrar.alter(self._table, key, changed)
            if state is not None:
                self._registrar.set_state(self._table, key, state)
        except RefusedError as error:
            self._problems.at(line, 1, str(error))

    def _refuse_taken_serials(self, part: Sequence[Numbered]) -> None:
        if self._table is MERCHANTS:
            return
        lines = {row["serial_number"]: (line, row["id"]) for line, row in part if row.get("serial_number")}
        for found in rows_with(self._registrar.change.connection, TERMINALS.c.serial_number, list(lines)):
            line, terminal = lines[found["serial_number"]]
            if found["id"] != terminal:
                reason = f"serial_number: {found['serial_number']} is that of terminal {found['id']} already"
                self._problems.at(line, 1, reason)


def _lines(data: bytes, problems: ProblemList) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is neither blank nor a comment, with its number."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")
    reader = csv.reader(("\n" if line.startswith("#") else line for line in text), strict=True)
    line = 0
    while True:
        line += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError as error:
            problems.at(line, 1, f"{error.reason}: is not UTF-8")
            return
        except csv.Error as error:
            problems.at(line, 1, str(error))
            cells = []
        else:
            if reader.line_num != line:
                problems.at(line, 1, "a cell goes on over the end of the line")
                cells = []
        line = reader.line_num
        if cells:
            yield line, cells


def _line_of(problem: Problem) -> int:
    words = problem.key.split()
    return int(words[1].rstrip(",")) if len(words) > 1 else PROBLEMS_MAX


def export(connection: Connection, table: Table, stream: TextIO, progress: Progress) -> int:
    """Write all merchants or terminals as such a file; how many.

    Args:
        connection: A transaction that reads.
        table: The merchants or the terminals.
        stream: Where to.
        progress: Called with the number of rows that were written since.
    """
    columns = MERCHANT_FILE if table is MERCHANTS else TERMINAL_FILE
    stream.write(",".join(columns) + "\n")
    query = select(*(table.c[name] for name in columns)).order_by(key_column(table))
    count = 0
    with connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query) as result:
        for part in result.mappings().partitions():
            stream.writelines(line_of(dict(row), columns) + "\n" for row in part)
            count += len(part)
            progress(len(part))
    return count
