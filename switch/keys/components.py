"""A key in components that different people enter, each in a session of their own.

Until the last one is there each is sealed in the key file, as a key that is of no use: its name says what it is a part
of, which one, the check value that the whole must have, and who entered it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from switch.keys.file import KeyFile
from switch.keys.key import Key, cancel_out, check_value, combine_components, has_weak_part
from switch.keys.names import Usage
from switch.keys.problems import KeyFileError

COMPONENT_USAGE: Usage = "cmp"
PREFIX = "component/"
_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


class Whole(NamedTuple):
    """What components are to make.

    Attributes:
        name: Of the key.
        usage: Its usage.
        algorithm: Its algorithm.
        parts: How many components it has.
        check: The check value that it must have, in upper-case hex.
    """

    name: str
    usage: Usage
    algorithm: str
    parts: int
    check: str


class Component(NamedTuple):
    """One that was entered.

    Attributes:
        number: Which one, from 1.
        by: Who entered it, as ``written_person`` writes it.
        key: As it stands in the key file.
    """

    number: int
    by: str
    key: Key


class WrongWholeError(KeyFileError):
    """The components do not make the key that was expected: all of them were taken out again."""


def written_person(by: str) -> str:
    """A person's name as a part of a key's name: what cannot stand there is a point and its code."""
    return _PLAIN.sub(lambda one: f".{ord(one[0]):x}", by)


def entered(file: KeyFile, name: str) -> list[Component]:
    """The components of a key that are there, by number."""
    found = []
    for one in file.names():
        if one.startswith(PREFIX) and one.endswith(f"/{name}/{COMPONENT_USAGE}"):
            number, _, _, by, rest = one.removeprefix(PREFIX).split("/", 4)
            if rest == f"{name}/{COMPONENT_USAGE}":
                found.append(Component(int(number), by, file.get(one)))
    return sorted(found, key=lambda one: one.number)


def enter(file: KeyFile, whole: Whole, number: int, by: str, value: bytes) -> Sequence[int]:
    """Put a component into a key file, and the key in their place when it is the last one. The file is to be saved.

    Returns:
        The numbers of those that are wanting; empty: the key is there.

    Raises:
        KeyFileError: It is there already, was begun otherwise, this person has entered another one, or it cancels out
            with others; nothing changed.
        WrongWholeError: The last one is there, and they make another key, or a weak one; the file is to be saved.
    """
    name = f"{PREFIX}{number}/{whole.parts}/{whole.check}/{written_person(by)}/{whole.name}/{COMPONENT_USAGE}"
    before = entered(file, whole.name)
    for one in before:
        begun = one.key.name.split("/")[2:4], one.key.algorithm
        if begun != ([str(whole.parts), whole.check], whole.algorithm):
            reason = f"was begun with {begun[0][0]} components, of {begun[1]}, and the check value {begun[0][1]}"
            raise KeyFileError(str(file.path), whole.name, reason)
        if one.number == number:
            raise KeyFileError(str(file.path), whole.name, f"component {number} was entered already, by {one.by}")
        if one.by == written_person(by):
            reason = f"{by} has entered component {one.number}: another person enters the others"
            raise KeyFileError(str(file.path), whole.name, reason)
    if cancel_out(whole.algorithm, [*(one.key.value for one in before), value]):
        reason = f"component {number} is zeros, or what others make: it cancels out, and fewer people had the key"
        raise KeyFileError(str(file.path), whole.name, reason)
    file.put(Key(name, COMPONENT_USAGE, whole.algorithm, value, exportable=False))
    wanting = sorted({*range(1, whole.parts + 1)} - {number} - {one.number for one in before})
    if not wanting:
        _complete(file, whole)
    return wanting


def _complete(file: KeyFile, whole: Whole) -> None:
    """Put the key in the place of all its components."""
    parts = entered(file, whole.name)
    value = combine_components([one.key.value for one in parts])
    for one in parts:
        file.remove(one.key.name)
    found = check_value(whole.algorithm, value, len(whole.check) // 2)
    if found != whole.check:
        reason = f"the components make a key with the check value {found}, not {whole.check}: enter all of them again"
        raise WrongWholeError(str(file.path), whole.name, reason)
    if has_weak_part(whole.algorithm, value):
        reason = "the components make a weak key, such as two equal components do: ask for others"
        raise WrongWholeError(str(file.path), whole.name, reason)
    file.put(Key(whole.name, whole.usage, whole.algorithm, value), replace=True)
