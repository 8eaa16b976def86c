"""What is wrong with a file that an operator wrote: every problem with its place and reason, all of them at once."""

from __future__ import annotations

from typing import NamedTuple

PROBLEMS_MAX = 100
"""How many problems of one file are listed; of the rest only the number is told."""


class Problem(NamedTuple):
    """One thing that is wrong."""

    file: str
    place: str
    """``LINE:COLUMN`` in a table, both from 1 and the column in bytes; the dotted key in a TOML file."""
    reason: str

    def __str__(self) -> str:
        """One line for people: ``routes.csv:12:5: reason``."""
        return f"{self.file}:{self.place}: {self.reason}"


class ProblemsError(ValueError):
    """A file cannot be used.

    Attributes:
        problems: At most ``PROBLEMS_MAX`` for each file, in the order of the file.
        more: How many others there are.
    """

    def __init__(self, problems: list[Problem], more: int = 0) -> None:
        self.problems = tuple(problems)
        self.more = more
        super().__init__("\n".join(map(str, problems)) + (f"\nand {more} more" if more else ""))


class ProblemList:
    """Collects the problems of one file while it is read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.more = 0

    def add(self, place: str, reason: str) -> None:
        """Keep one problem, or count it when the list is full."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(self.file, place, reason))
        else:
            self.more += 1

    def at(self, line: int, column: int, reason: str) -> None:
        """Keep a problem of a table; line and column count from 1."""
        self.add(f"{line}:{column}", reason)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.problems)


def raise_if_any(*lists: ProblemList) -> None:
    """Raise what several files' lists hold, as one error.

    Raises:
        ProblemsError: There is at least one problem.
    """
    if any(lists):
        raise ProblemsError([problem for one in lists for problem in one.problems], sum(one.more for one in lists))
