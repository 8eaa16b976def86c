"""Lists that applications are held against: categories, banks, whom nobody takes on, and whom nobody may."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import fuzz
from rapidfuzz.utils import default_process

from switch.applications.policy import ListsSection
from switch.base.error_words import words_of
from switch.files.datafile import read_regular
from switch.files.problems import ConfigError, Problem
from switch.store.sealing import plain

LIST_BYTES_MAX = 64 << 20
BLOCKED_KINDS = ("identity", "account", "name", "place")
RISK_CLASSES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Category:
    """A merchant category of ISO 18245, with the class of risk that is expected of it."""

    name: str
    risk: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """A name of the sanctions list that a name is like.

    Attributes:
        name: That stands in the list.
        program: Why it stands there.
        score: 0 to 100.
    """

    name: str
    program: str
    score: float


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists of an acquirer, read."""

    categories: Mapping[str, Category]
    banks: Mapping[str, str]
    blocked: Mapping[tuple[str, str], str]
    sanctions: Sequence[tuple[str, str]]
    sanctions_score_min: int

    def bank_of(self, account: str) -> str | None:
        """Whose card-like account it is, by the longest beginning that fits; None where nobody says."""
        beginnings = (account[:size] for size in range(len(account), 0, -1))
        return next((self.banks[one] for one in beginnings if one in self.banks), None)

    def blocked_for(self, kind: str, text: str) -> str | None:
        """Why a value is on the list of those that nobody takes on; None where it is not."""
        return self.blocked.get((kind, plain(text)))

    def like(self, name: str) -> Likeness | None:
        """The name on the sanctions list that is most like another, where it is like enough.

        The order of the words does not count, nor do blanks, which some scripts do not have.
        """
        found = [Likeness(other, program, _likeness(name, other)) for other, program in self.sanctions]
        best = max(found, key=lambda one: one.score, default=None)
        return best if best is not None and best.score >= self.sanctions_score_min else None


def _likeness(one: str, other: str) -> float:
    return max(fuzz.token_sort_ratio(one, other, processor=default_process), fuzz.ratio(plain(one), plain(other)))


def load_lists(section: ListsSection, folder: Path) -> Lists:
    """Read all lists.

    Args:
        section: Their names.
        folder: To which these are relative.

    Raises:
        ConfigError: A list cannot be read, or has a wrong line.
    """
    categories = {}
    for code, name, risk in _rows(folder / section.categories, ("code", "name", "risk")):
        if len(code) != 4 or not code.isdigit() or risk not in RISK_CLASSES:
            raise ConfigError([Problem(str(folder / section.categories), code, "needed 4 digits, and a class of risk")])
        categories[code] = Category(name, risk)
    blocked = {}
    for kind, value, reason in _rows(folder / section.blocked, ("kind", "value", "reason")):
        if kind not in BLOCKED_KINDS:
            needed = f"needed {', '.join(BLOCKED_KINDS)}"
            raise ConfigError([Problem(str(folder / section.blocked), "kind", needed)])
        blocked[kind, plain(value)] = reason
    sanctions = [(name, program) for name, program in _rows(folder / section.sanctions, ("name", "program"))]
    banks = {} if section.banks is None else dict(_rows(folder / section.banks, ("prefix", "bank")))
    return Lists(categories, banks, blocked, sanctions, section.sanctions_score_min)


def _rows(file: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """The rows of a file of CSV, whose values no problem shows."""
    try:
        text = read_regular(file, LIST_BYTES_MAX).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([Problem(str(file), "", words_of(error))]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "", "is not UTF-8")]) from None
    lines = csv.reader(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    try:
        if next(lines, None) != list(columns):
            raise ConfigError([Problem(str(file), "line 1", f"needed are the columns {','.join(columns)}")])
        for row in lines:
            if len(row) != len(columns):
                reason = f"needed are {len(columns)} cells, not {len(row)}"
                raise ConfigError([Problem(str(file), f"line {lines.line_num}", reason)])
            yield [cell.strip() for cell in row]
    except csv.Error as error:
        raise ConfigError([Problem(str(file), f"line {lines.line_num}", str(error))]) from None
