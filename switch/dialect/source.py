"""Dialect files as tables: found by name or path, joined with what they extend, each key's file remembered."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from switch.dialect.model import CATALOGUES
from switch.files.datafile import read_toml, read_toml_text
from switch.files.lines import key_lines
from switch.files.problems import ConfigError, Problem

BUILT_IN = Path(__file__).parent

Path_ = tuple[str, ...]


class DialectError(ConfigError):
    """A dialect that cannot be used; ``problems`` holds all that is wrong with its files."""


@dataclass
class Source:
    """A dialect's tables, joined, and for each key the file that has the last word about it."""

    name: str
    file: Path
    tables: dict[str, Any]
    origins: dict[Path_, Path] = field(default_factory=dict)
    parent: Source | None = None
    """What it extends, as it is without this file."""
    own: list[Path_] = field(default_factory=list)
    """Keys of the values that this file itself sets."""

    def origin(self, key: Path_) -> str:
        """The file in which a key stands, or the table where it is missing."""
        while key and key not in self.origins:
            key = key[:-1]
        return str(self.origins.get(key, self.file))

    def problem(self, key: Path_, reason: str) -> Problem:
        """One thing that is wrong with the value of a key."""
        file = self.origin(key)
        return Problem(file, ".".join(key), reason, line=line_of(file, key))

    def sets(self, key: Path_) -> bool:
        """Whether this file itself says something at this key, or of what it stands in."""
        return any(own == key[: len(own)] for own in self.own)

    def without(self, own: Path_) -> Source:
        """The same source as if neither this file nor, where it does not, one that it extends set one of its values."""
        parent = self.parent if own in self.own or self.parent is None else self.parent.without(own)
        left = [other for other in self.own if other != own]
        changed = Source(self.name, self.file, deepcopy(self.tables), self.origins, parent, left)
        before: Any = {} if parent is None else parent.tables
        _put_back(changed.tables, before, own)
        return changed

    def values(self) -> Iterator[Path_]:
        """Keys of the values that this file and all that it extends set."""
        yield from self.own
        if self.parent is not None:
            yield from self.parent.values()


def dialect_names() -> list[str]:
    """Names of the dialects that come with the switch."""
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def read_source(name_or_path: str | Path) -> Source:
    """Read a dialect's file and those that it extends.

    Args:
        name_or_path: The name of a built-in dialect, or the path of a file (with a slash, or ending in ``.toml``).

    Raises:
        DialectError: There is no such dialect, or a file cannot be read.
    """
    return _read(_locate(str(name_or_path), Path.cwd(), str(name_or_path), ""), ())


@lru_cache(maxsize=8)
def read_catalogue(name: str) -> dict[str, tuple[str, str, str]]:
    """The data elements of a standard: format, key and description by number."""
    fields = _load(CATALOGUES / f"{name}.toml", name, "catalogue")["fields"]
    return {number: (entry[0], entry[1], entry[2]) for number, entry in fields.items()}


def _locate(name: str, folder: Path, file: str, key: str) -> Path:
    """The file of a built-in dialect by its name, or of another by its path."""
    if "\0" in name:
        raise DialectError([Problem(file, key, "needed a dialect's name or path, got one with a NUL character")])
    if "/" in name or name.endswith(".toml"):
        return folder / name
    names = dialect_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"built in are {', '.join(names)}"
        raise DialectError([Problem(file, key, f"unknown dialect {name!r}; {hint}")])
    return BUILT_IN / f"{name}.toml"


def _load(path: Path, file: str, key: str) -> dict[str, Any]:
    try:
        return read_toml(path)
    except OSError as error:
        what = "cannot be read" if file == str(path) else f"cannot read {path}"
        raise DialectError([Problem(file, key, f"{what}: {error.strerror}")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DialectError([Problem(str(path), "", f"is no TOML file: {error}")]) from error


def _read(path: Path, extending: tuple[Path, ...], file: str = "", key: str = "") -> Source:
    place = Path(os.path.realpath(path))
    if place in extending:
        raise DialectError([Problem(file, key, f"{path} extends itself")])
    tables = _load(path, file or str(path), key)
    parent = tables.pop("extends", None)
    if parent is None:
        source = Source(path.stem, path, {})
    elif not isinstance(parent, str):
        raise DialectError([Problem(str(path), "extends", "needed the name or the path of a dialect")])
    else:
        base = _locate(parent, path.parent, str(path), "extends")
        below = _read(base, (*extending, place), str(path), "extends")
        source = Source(path.stem, path, deepcopy(below.tables), dict(below.origins), below)
    source.own = list(_values(tables, ()))
    _join(source, source.tables, tables, path, ())
    return source


def _join(source: Source, into: dict[str, Any], tables: dict[str, Any], path: Path, key: Path_) -> None:
    """Lay tables over others: tables are joined, everything else is replaced."""
    for name, value in tables.items():
        here = (*key, name)
        source.origins[here] = path
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _join(source, into[name], value, path, here)
        else:
            into[name] = value
            _note(source, value, path, here)


def _put_back(into: Any, before: Any, key: Path_) -> None:
    """Give a value of tables what it was before; without one it goes, and so do the tables that it leaves empty."""
    was = before if isinstance(before, dict) else {}
    if len(key) > 1 and isinstance(into.get(key[0]), dict):
        _put_back(into[key[0]], was.get(key[0]), key[1:])
        if not into[key[0]] and key[0] not in was:
            del into[key[0]]
    elif key[0] in was:
        into[key[0]] = deepcopy(was[key[0]])
    else:
        into.pop(key[0], None)


def _values(tables: dict[str, Any], key: Path_) -> Iterator[Path_]:
    """Keys of all that is no table."""
    for name, value in tables.items():
        if isinstance(value, dict) and value:
            yield from _values(value, (*key, name))
        else:
            yield (*key, name)


def line_of(file: str, key: Path_) -> int:
    """The line of a key, or of the table where it is missing; 0 where neither stands in the file."""
    lines = _lines_of(file)
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key, 0)


@lru_cache(maxsize=32)
def _lines_of(file: str) -> dict[Path_, int]:
    try:
        return key_lines(read_toml_text(file))
    except (OSError, UnicodeDecodeError):
        return {}


def _note(source: Source, value: object, path: Path, key: Path_) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            source.origins[*key, name] = path
            _note(source, inner, path, (*key, name))
