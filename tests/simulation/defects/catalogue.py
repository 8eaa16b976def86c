"""The deliberate defects as they stand in ``catalogue/*.patch``, by area.

A file holds any number of defects, each like this (``#`` begins a remark)::

    === forget-timed-out-charge
    a request that timed out is not reversed
    seeds: 100 in memory
    breaks: books
    test: tests/ext/test_engine_timeouts.py::test_a_timeout_is_reversed
    @@
    -    if charged and not approved:
    +    if charged and not approved and reason != REASON_TIMEOUT:

``seeds`` says within how many the simulation finds it, and ``breaks`` one of which invariants it breaks then; ``in
memory``: without a journal. ``test`` names a test that fails with it. ``unreachable`` says why neither can be. What
follows ``@@`` is a hunk as ``diff -u`` has it, of whichever source has its lines: see ``weaving``. Where several have
them, ``@@ NAME`` says in which function.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "catalogue"
HEADING = "=== "
HUNK = "@@"
REMARK = "#"
SEEDS = re.compile(r"([0-9,]+)( in memory)?\Z")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")


class CatalogueError(Exception):
    """A file of the catalogue cannot be read, or does not fit the sources."""


@dataclass(frozen=True)
class Hunk:
    """Lines that stand together in a source, and what becomes of them.

    Attributes:
        function: In which they stand; empty where no others are like them.
        lines: They begin with a blank, ``-`` or ``+``.
    """

    function: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Defect:
    """One deliberate defect.

    Attributes:
        name: For the command line.
        area: The file that it stands in.
        what: In words.
        hunks: Where it sits, and what is wrong there.
        seeds: Within which the simulation finds it; 0: it cannot.
        invariants: One of which it breaks then.
        has_journal: Whether those runs have a journal.
        tests: Tests that fail with it.
        unreachable: Why nothing can find it; empty when something does.
    """

    name: str
    area: str
    what: str
    hunks: tuple[Hunk, ...]
    seeds: int = 0
    invariants: tuple[str, ...] = ()
    has_journal: bool = True
    tests: tuple[str, ...] = ()
    unreachable: str = ""

    @property
    def number(self) -> int:
        """By which a copy of the sources knows it: of its name and its hunks, so that whatever else changes in the
        catalogue it stays, and a copy that has another form of it, or none, does not know it."""
        return int.from_bytes(sha256(repr((self.name, self.hunks)).encode()).digest()[:4]) >> 1 or 1

    @property
    def row(self) -> str:
        """Its line of the table in the docs: who finds it."""
        seeds = f"{self.seeds:,}" if self.seeds else "-"
        tests = ", ".join(f"`{test.rpartition('::')[2]}`" for test in self.tests)
        return f"| {self.name} | {self.what} | {seeds} | {tests or self.unreachable or '-'} |"


def parse(text: str, area: str) -> list[Defect]:
    """Read one file of the catalogue.

    Raises:
        CatalogueError: It has another form.
    """
    lines = [line for line in text.splitlines() if not line.startswith(REMARK)]
    starts = [number for number, line in enumerate(lines) if line.startswith(HEADING)]
    if any(line.strip() for line in lines[: starts[0] if starts else len(lines)]):
        raise CatalogueError(f"{area}: a defect begins with '{HEADING}NAME'")
    return [_read(lines[start:end], area) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def _read(lines: list[str], area: str) -> Defect:
    name = lines[0].removeprefix(HEADING).strip()
    first = next((number for number, line in enumerate(lines) if line.startswith(HUNK)), len(lines))
    words: list[str] = []
    values: dict[str, list[str]] = {"seeds": [], "breaks": [], "test": [], "unreachable": []}
    for line in lines[1:first]:
        key, colon, value = line.partition(": ")
        if colon and key in values:
            values[key].append(value.strip())
        elif line.strip():
            words.append(line.strip())
    hunks: list[list[str]] = []
    functions: list[str] = []
    for line in lines[first:]:
        if line.startswith(HUNK):
            hunks.append([])
            functions.append(line.removeprefix(HUNK).strip())
        elif line and line[0] in " -+":
            hunks[-1].append(line)
        elif line:
            raise CatalogueError(f"{area}: {name}: a hunk's line begins with a blank, - or +: {line!r}")
    seeds = SEEDS.match(values["seeds"][0]) if values["seeds"] else None
    problem = (
        (not NAME.match(name) and "its name has other characters than a to z, 0 to 9 and -")
        or (not words and "it does not say what is wrong")
        or (not all(any(line[0] in "-+" for line in hunk) for hunk in hunks or [[]]) and "it changes nothing")
        or (values["seeds"] and seeds is None and "seeds are 'N' or 'N in memory'")
        or (bool(seeds) != bool(values["breaks"]) and "seeds and what they break belong together")
        or (not (seeds or values["test"] or values["unreachable"]) and "it does not say who finds it")
    )
    if problem:
        raise CatalogueError(f"{area}: {name}: {problem}")
    return Defect(
        name,
        area,
        " ".join(words),
        tuple(Hunk(function, tuple(hunk)) for function, hunk in zip(functions, hunks, strict=True)),
        int(seeds[1].replace(",", "")) if seeds else 0,
        tuple(word for value in values["breaks"] for word in value.split()),
        seeds is None or seeds[2] is None,
        tuple(values["test"]),
        " ".join(values["unreachable"]),
    )


@cache
def load() -> dict[str, Defect]:
    """All of them by name, in the order of the files.

    Raises:
        CatalogueError: A file has another form, or two defects have one name or number.
    """
    found: dict[str, Defect] = {}
    names: dict[int, str] = {}
    for path in sorted(FOLDER.glob("*.patch")):
        for defect in parse(path.read_text(), path.stem):
            if defect.name in found:
                raise CatalogueError(f"{path.stem}: there is a {defect.name} already")
            if (other := names.setdefault(defect.number, defect.name)) != defect.name:
                raise CatalogueError(f"{path.stem}: {defect.name} and {other} have one number: call one otherwise")
            found[defect.name] = defect
    return found
