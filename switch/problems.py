"""Problems of the data files that an operator writes, collected while a file is read and raised all at once."""

from __future__ import annotations

from switch.config.problems import ConfigError, Problem

PROBLEMS_MAX = 100
"""How many problems of one file are listed; of the rest only the number is told."""


class ProblemList:
    """Collects what is wrong with one file.

    Attributes:
        file: its name, as problems tell it.
        problems: at most ``PROBLEMS_MAX``, in the order in which they were found.
        more: how many others there were.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.more = 0

    def add(self, key: str, reason: str) -> None:
        """Keep one problem, or count it when the list is full."""
        if len(self.problems) < PROBLEMS_MAX:
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
