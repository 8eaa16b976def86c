"""No compiled function has more parameters than a reader can keep apart: what is handed down together is one struct."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARAMETERS_MAX = 6

# As if it began a line: ``cdef``, what it gives back, its name.
HEADER = re.compile(r"^ *cp?def (?!class|enum|struct|extern)(?:inline )?[^\n=(#]*?\b(\w+)\(", re.MULTILINE)

ROOMS = ("path", "saf", "mesh")
"""Those that keep to it as yet."""


def parameters(text: str) -> list[str]:
    """The parameters between a function's parentheses; ``self`` is none."""
    found: list[str] = []
    depth = 0
    for part in re.split(r"([\[\](){},])", text):
        depth += (part in "[({") - (part in "])}") if part else 0
        if not found or (part == "," and depth == 0):
            found.append("")
        if part != "," or depth:
            found[-1] += part
    names = [parameter.strip() for parameter in found]
    return [name for name in names if name not in ("", "self", "*")]


def functions(source: str) -> list[tuple[str, list[str]]]:
    """Each ``cdef`` and ``cpdef`` function of a module: its name and its parameters."""
    found = []
    for match in HEADER.finditer(source):
        end, depth = match.end(), 1
        while depth and end < len(source):
            depth += {"(": 1, ")": -1}.get(source[end], 0)
            end += 1
        found.append((match[1], parameters(source[match.end() : end - 1])))
    return found


def test_functions_are_read_with_their_parameters():
    source = """
cdef enum:
    SIZE = 2 * (3 + 4)

cdef int first(State state, uint8_t[4] out,
               int64_t second=max(1, 2)) noexcept nogil:
    cdef int found = look(state, 1, 2, 3, 4, 5, 6, 7)

cdef class Table:
    cpdef inline const uint8_t *at(self, *, uint32_t number):
        return NULL

    cdef void end(self) noexcept
"""
    assert functions(source) == [
        ("first", ["State state", "uint8_t[4] out", "int64_t second=max(1, 2)"]),
        ("at", ["uint32_t number"]),
        ("end", []),
    ]


SOURCES = [path for name in ROOMS for path in sorted((ROOT / "ext" / name).glob("*.p[yx][xd]"))]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "ext")))
def test_functions_have_few_parameters(source):
    many = {name: len(given) for name, given in functions(source.read_text()) if len(given) > PARAMETERS_MAX}
    assert not many, f"more than {PARAMETERS_MAX} parameters: let a struct hold what is handed down together"
