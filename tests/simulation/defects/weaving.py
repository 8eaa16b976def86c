"""Puts all defects into the sources at once, each behind the question whether it is on.

A hunk is looked for by its lines without their indentation, in all sources: so it survives that a function moves, and
is noticed as stale when its lines change. What it does there follows from its form:

- lines that are only added: they are run when the defect is on;
- lines that are taken away: they are not;
- an ``if``, ``elif`` or ``while`` for another one: its condition is another one;
- other lines for others: whole statements, of which one or the other is run;
- ``{on}`` in added lines: they stand there in any case, with the question in its place.

Several defects may change the same lines, or lines within another's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .catalogue import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .catalogue import Defect

CONDITION = "{on}"
CONDITIONAL = re.compile(r"(?s)(\s*)(if|elif|while) (.*):\s*\Z")
FUNCTION = re.compile(r"\s*(?:cp?def|def) [^=(]*?(\w+)\(")
INDENT = "    "


@dataclass
class Change:
    """What one defect does to a stretch of lines.

    Attributes:
        name, number: The defect's, for errors and for the question.
        start, end: The lines that it takes away, counted from 0; none when the two are equal.
        added: Those that it puts there, as deep as the source is there.
        inner: Changes of others within these lines.
    """

    name: str
    number: int
    start: int
    end: int
    added: list[str]
    inner: list[Change] = field(default_factory=list)

    @property
    def question(self) -> str:
        """Whether the defect is on."""
        return f"defect_is_on({self.number})"

    def render(self, lines: list[str]) -> list[str]:
        """What stands there afterwards.

        Raises:
            CatalogueError: Another defect sits in lines that this one writes anew.
        """
        removed = weave(lines, self.inner, self.start, self.end)
        if any(CONDITION in line for line in self.added):
            if self.inner:
                raise CatalogueError(f"{self.name}: its lines are {self.inner[0].name}'s as well")
            return [line.replace(CONDITION, self.question) for line in self.added]
        if removed and self.added and (header := self._header(removed)) is not None:
            return header
        if removed and _depth(next((line for line in lines[self.end :] if line.strip()), "")) > _depth(removed[0]):
            raise CatalogueError(f"{self.name}: its lines end in the middle of a block")
        if any(line.strip() and _depth(line) < _depth(removed[0]) for line in removed):
            raise CatalogueError(f"{self.name}: its lines leave the block that they begin in")
        if removed and self.added:
            return [*self._branch(f"if {self.question}:", self.added), *self._branch("else:", removed)]
        if self.added:
            return self._branch(f"if {self.question}:", self.added)
        return self._branch(f"if not {self.question}:", removed)

    def _header(self, removed: list[str]) -> list[str] | None:
        """One condition for another; None when it is none."""
        old, new = CONDITIONAL.match("\n".join(removed)), CONDITIONAL.match("\n".join(self.added))
        if old is None or new is None or old[2] != new[2]:
            return None
        # As truth values: the two may be of different types, as a constant and a comparison are.
        return f"{old[1]}{old[2]} (<bint>({new[3]}) if {self.question} else <bint>({old[3]})):".splitlines()

    @staticmethod
    def _branch(header: str, lines: list[str]) -> list[str]:
        depth = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
        return [depth + header, *(INDENT + line if line.strip() else line for line in lines)]


def weave(lines: list[str], changes: list[Change], start: int, end: int) -> list[str]:
    """The lines from ``start`` to ``end`` with all changes in their places."""
    woven: list[str] = []
    at = start
    for change in changes:
        woven += lines[at : change.start]
        woven += change.render(lines)
        at = change.end
    return woven + lines[at:end]


def woven(sources: Mapping[str, str], defects: Iterable[Defect]) -> dict[str, str]:
    """Those sources that a defect sits in, by module name, with all of them in their places.

    Raises:
        CatalogueError: The lines of hunks stand nowhere, or in several places; all of them are told.
    """
    split = {module: text.splitlines() for module, text in sources.items()}
    stripped = {module: [line.strip() for line in lines] for module, lines in split.items()}
    functions = {module: _functions(lines) for module, lines in split.items()}
    found: dict[str, list[Change]] = {}
    problems: list[str] = []
    for defect in defects:
        for hunk in defect.hunks:
            wanted = [line[1:].strip() for line in hunk.lines if line[0] != "+"]
            places = [
                (module, at)
                for module, lines in stripped.items()
                for at in _places(lines, wanted)
                if hunk.function in ("", functions[module][at])
            ]
            if len(places) != 1:
                problems.append(f"{defect.area}: {defect.name}: its lines stand {_times(places)} in the sources")
                continue
            (module, at), *_ = places
            found.setdefault(module, []).extend(_changes(defect.name, defect.number, hunk.lines, split[module], at))
    if problems:
        raise CatalogueError("\n".join(problems))
    return {
        module: "\n".join(weave(split[module], _nested(changes), 0, len(split[module]))) + "\n"
        for module, changes in found.items()
    }


def _times(places: list[tuple[str, int]]) -> str:
    if not places:
        return "nowhere"
    return " and ".join(f"at {module}:{at + 1}" for module, at in places)


def _places(lines: list[str], wanted: list[str]) -> list[int]:
    return [at for at, line in enumerate(lines) if line == wanted[0] and lines[at : at + len(wanted)] == wanted]


def _functions(lines: list[str]) -> list[str]:
    """In which function each line stands."""
    found: list[str] = []
    function = ""
    for line in lines:
        if (match := FUNCTION.match(line)) is not None:
            function = match[1]
        found.append(function)
    return found


def _changes(name: str, number: int, hunk: tuple[str, ...], lines: list[str], at: int) -> list[Change]:
    """Each stretch of a hunk that takes lines away or adds some."""
    kept = next(line[1:] for line in hunk if line[0] != "+")
    shift = _depth(lines[at]) - _depth(kept)
    changes: list[Change] = []
    was_change = False
    for line in hunk:
        if line[0] == " ":
            at += 1
            was_change = False
            continue
        if not was_change:
            changes.append(Change(name, number, at, at, []))
            was_change = True
        if line[0] == "-":
            at += 1
            changes[-1].end = at
        else:
            text = line[1:]
            changes[-1].added.append(" " * (_depth(text) + shift) + text.lstrip() if text.strip() else "")
    return changes


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _nested(changes: list[Change]) -> list[Change]:
    """Changes in the order of their places, those within another's lines put into it.

    Raises:
        CatalogueError: Two overlap in part.
    """
    outermost: list[Change] = []
    for change in sorted(changes, key=lambda one: (one.start, one.start != one.end, -one.end)):
        outer = outermost[-1] if outermost else None
        if outer is None or change.start >= outer.end:
            outermost.append(change)
        elif change.end <= outer.end:
            outer.inner.append(change)
        else:
            raise CatalogueError(f"{change.name} and {outer.name} overlap: let one have all lines of the other")
    for change in outermost:
        change.inner = _nested(change.inner)
    return outermost


def with_question(text: str) -> str:
    """Import the question behind the module's docstring."""
    end = text.index('"""', 3) + 3
    return f"{text[:end]}\n\nfrom switch.defect cimport defect_is_on\n{text[end:]}"
