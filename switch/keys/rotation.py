"""New working keys for terminals, with the former ones kept until the terminals have signed in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from itertools import islice

from switch.keys.file import KeyFile
from switch.keys.key import Key, generate_value
from switch.keys.names import former_name

ROTATED = ("tak", "tpk", "tdk")
"""Usages of a terminal's working keys, all of which a sign-in brings."""


def key_of(terminal: str, usage: str) -> str:
    """What a terminal's key is called."""
    return f"terminal/{terminal}/{usage}"


def rotate(file: KeyFile, terminals: Iterable[str]) -> int:
    """Give terminals new keys, each in the place of one that is there, which stays as the former one.

    Returns:
        How many terminals.

    Raises:
        ValueError: A terminal has no master key, so that no sign-in can bring it new ones, or no working keys; or
            it has former ones already, which may be all that it knows.
    """
    count = 0
    for terminal in terminals:
        found = _working_keys(file, terminal)
        if key_of(terminal, "tmk") not in file or not found:
            raise ValueError(f"terminal {terminal} has no tmk, or no keys that a sign-in could bring it anew")
        if _has_former(file, found):
            raise ValueError(
                f"terminal {terminal} has former keys, and may not have signed in since: rotate --end takes them out "
                "when all have"
            )
        for name in found:
            old = file.get(name)
            file.put(dataclasses.replace(old, name=former_name(name)), replace=True)
            file.put(Key(name, old.usage, old.algorithm, generate_value(old.algorithm)), replace=True)
        count += 1
    return count


def rotatable(file: KeyFile, most: int | None) -> list[str]:
    """Terminals with a master key and working keys, of which none is a former one; at most so many."""
    return list(islice(_rotatable(file), most))


def _rotatable(file: KeyFile) -> Iterator[str]:
    for name in file.names():
        kind, _, rest = name.partition("/")
        terminal, _, usage = rest.partition("/")
        if kind == "terminal" and usage == "tmk":
            present = _working_keys(file, terminal)
            if present and not _has_former(file, present):
                yield terminal


def _working_keys(file: KeyFile, terminal: str) -> list[str]:
    return [key_of(terminal, usage) for usage in ROTATED if key_of(terminal, usage) in file]


def _has_former(file: KeyFile, names: Iterable[str]) -> bool:
    return any(former_name(name) in file for name in names)


def end_rotation(file: KeyFile) -> int:
    """Take all terminals' former keys out; how many keys these were."""
    former = [name for name in file.names() if name.startswith("terminal/") and name.split("/")[2:3] == ["former"]]
    for name in former:
        file.remove(name)
    return len(former)
