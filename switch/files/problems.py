"""What is wrong with the files that an operator writes: one problem, and all of a file, raised at once.

Compiled modules that read data files import this, so it imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

PROBLEMS_MAX = 100
"""How many problems of one file are listed unless said otherwise; of the rest only the number is told."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it stands and why.

    Attributes:
        file: the file in which it stands.
        key: dotted path of the key (``link[bank-a].timeout_ms``), a place in a data file (``line 12``), or empty
            when the file as a whole is meant.
        reason: what was needed and what was there; safe to log.
        severity: a warning does not keep the daemon from starting.
        line: of the key in the file, counted from 1; 0 where it is not known.
    """

    file: str
    key: str
    reason: str
    severity: Severity = "error"
    line: int = 0

    @property
    def place(self) -> str:
        """The file, with the line where that is known."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.key, self.reason) if part)

    def as_dict(self) -> dict[str, str | int]:
        """The problem for JSON; without a line where that is not known."""
        told = asdict(self)
        return told if self.line else {name: value for name, value in told.items() if name != "line"}


class ConfigError(Exception):
    """A configuration that cannot be used. ``problems`` holds all that is wrong with it, warnings too."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        errors = [problem for problem in self.problems if problem.severity == "error"]
        super().__init__("\n".join(str(problem) for problem in errors))


def errors_among(problems: Iterable[Problem]) -> list[Problem]:
    """Those of the problems that keep the daemon from starting."""
    return [problem for problem in problems if problem.severity == "error"]


class ProblemList:
    """Collects what is wrong with one file.

    Attributes:
        file: its name, as problems tell it.
        problems: at most ``most``, in the order in which they were found.
        more: how many others there were.
    """

    def __init__(self, file: str, most: int = PROBLEMS_MAX) -> None:
        self.file = file
        self._most = most
        self.problems: list[Problem] = []
        self.more = 0

    def add(self, key: str, reason: str) -> None:
        """Keep one problem, or count it when the list is full."""
        if len(self.problems) < self._most:
            self.problems.append(Problem(self.file, key, reason))
        else:
            self.more += 1

    def at(self, line: int, column: int, reason: str) -> None:
        """Keep a problem of a table. Line and column count from 1, the column in bytes."""
        self.add(f"line {line}, column {column}", reason)

    def all(self) -> list[Problem]:
        """The problems, and how many more there are."""
        return self.problems + ([Problem(self.file, "", f"and {self.more} more problems")] if self.more else [])


def raise_if_any(*lists: ProblemList) -> None:
    """Raise what several files' lists hold, as one error.

    Raises:
        ConfigError: There is at least one problem.
    """
    problems = [problem for one in lists for problem in one.all()]
    if problems:
        raise ConfigError(problems)
