"""Where in a TOML file a key stands: the line of each, which the standard library's parser does not tell.

Only what begins a line outside of strings and arrays is looked at, so this reads every file that the parser accepts; a
key within an inline table stands on the line of the key whose value the table is.
"""

from __future__ import annotations

import re

Path_ = tuple[str, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*(?P<key>.+?)\s*\]\]?\s*(#.*)?$")
_PART = re.compile(
    r"""\s*(?:"(?P<basic>(?:[^"\\]|\\.)*)"|'(?P<literal>[^']*)'|(?P<bare>[A-Za-z0-9_-]+))\s*(?P<dot>\.?)"""
)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'")
_TRIPLE = re.compile(r'"""|' + r"'''")


def key_lines(text: str) -> dict[Path_, int]:
    """The line, counted from 1, of each key and table of a TOML file; of an array of tables, with numbers as steps."""
    lines: dict[Path_, int] = {}
    counts: dict[Path_, int] = {}
    table: Path_ = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        rest, within = line, depth > 0 or bool(quote)
        if not within and (header := _HEADER.match(line)) and line.lstrip().startswith("["):
            table = _numbered(_path(header["key"]), counts, is_array=header[1] == "[[")
            for size in range(1, len(table) + 1):
                lines.setdefault(table[:size], number)
            continue
        if not within and (path := _path(line)):
            for size in range(1, len(path) + 1):
                lines.setdefault((*table, *path[:size]), number)
            rest = line.partition("=")[2]
        depth, quote = _open_behind(rest, depth, quote)
    return lines


def _numbered(path: Path_, counts: dict[Path_, int], *, is_array: bool) -> Path_:
    """A table's path with the numbers of the arrays in which it stands."""
    found: Path_ = ()
    for place, step in enumerate(path):
        found = (*found, step)
        if is_array and place == len(path) - 1:
            counts[found] = counts.get(found, -1) + 1
        if found in counts:
            found = (*found, str(counts[found]))
    return found


def _path(text: str) -> Path_:
    """The key with which a text begins, taken apart; nothing where it begins with none."""
    path: list[str] = []
    at = 0
    while part := _PART.match(text, at):
        path.append(part["bare"] or part["basic"] or part["literal"] or "")
        at = part.end()
        if not part["dot"]:
            break
    return tuple(path)


def _open_behind(text: str, depth: int, quote: str) -> tuple[int, str]:
    """How deep in arrays, and in which string of several lines, the next line begins."""
    while text:
        if quote:
            _, found, text = text.partition(quote)
            quote = "" if found else quote
            continue
        if triple := _TRIPLE.match(text):
            quote, text = triple[0], text[3:]
        elif string := _STRING.match(text):
            text = text[string.end() :]
        elif text[0] == "#":
            break
        else:
            depth += (text[0] in "[{") - (text[0] in "]}")
            text = text[1:]
    return depth, quote
