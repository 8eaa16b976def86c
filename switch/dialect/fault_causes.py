"""Why a dialect cannot be used: all of it at once, each thing at the key that made it so.

A file that extends another often breaks what stands in the other one: a field changed here no longer holds a constant
written there. Then the key to tell is the one that is set here. It is found by trying: without it, the fault is gone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from switch.dialect.building import Faults, build
from switch.dialect.checks import Key
from switch.dialect.model import DialectFile
from switch.dialect.source import Source
from switch.files.model_errors import problems_of
from switch.files.problems import Problem

TRIES_MAX = 200
"""Keys of one file that are tried as causes."""

REPAIRS_MAX = 20
SWEEPING = 4
"""So many faults of keys that a file sets itself have one other key as their cause rather than themselves."""

WORD = re.compile(r"\w+")

SHOWN_MAX = 3
"""Of many keys with one cause, those that are named."""


def explain(source: Source) -> list[Problem]:
    """All problems of a source that cannot be used."""
    problems = _malformed(source)
    repaired = _repaired(source)
    if repaired is not None:
        wrong = {problem.key for problem in problems}
        gone = source.tables.keys() - repaired.tables.keys()  # that they are absent is no mistake of the file
        faults = [
            (key, reason)
            for key, reason in _faults(repaired) or []
            if ".".join(key) not in wrong and not gone.intersection(WORD.findall(reason))
        ]
        problems += _blamed(repaired, faults)
    return problems


def _malformed(source: Source) -> list[Problem]:
    """What is wrong with single values."""
    try:
        DialectFile.model_validate(source.tables)
    except ValidationError as error:
        found = problems_of(error, DialectFile, source.file, "")
        return [replace(source.problem(_steps(one.key), one.reason), key=one.key) for one in found]
    return []


def _steps(key: str) -> Key:
    return tuple(key.replace("[", ".").replace("]", "").split("."))


def _repaired(source: Source) -> Source | None:
    """The source without its malformed values, so that the rest can be looked at; None where that is not enough."""
    for _ in range(REPAIRS_MAX):
        malformed = {_steps(problem.key) for problem in _malformed(source)}
        if not malformed:
            return source
        wrong = {own for key in malformed for own in _set_at(source, key)}
        if not wrong:
            return None
        for own in wrong:
            source = source.without(own)
    return None


def _set_at(source: Source, key: Key) -> list[Key]:
    """The values that are set at a key or around it; of one that is missing, those of the table that it belongs to."""
    found: list[Key] = []
    while key and not found:
        found = [own for own in source.values() if _is_within(own, key) or _is_within(key, own)]
        key = key[:-1]
    return found


def _is_within(inner: Key, outer: Key) -> bool:
    return inner[: len(outer)] == outer


def _faults(source: Source) -> Faults | None:
    """What does not fit together; None where single values are wrong."""
    try:
        return build(DialectFile.model_validate(source.tables))[1]
    except ValidationError:
        return None


def _blamed(source: Source, faults: Faults) -> list[Problem]:
    """Problems, each at the key that is its cause."""
    inherited = [] if source.parent is None else _faults(source.parent) or []
    problems = [] if source.parent is None else _blamed(source.parent, [one for one in faults if one in inherited])
    left = [one for one in faults if one not in inherited]
    alone = [one for one in left if source.parent is None or source.sets(one[0])]
    tried = source.own[:TRIES_MAX] if len(alone) >= SWEEPING or len(alone) < len(left) else []
    for own in tried:
        without = _faults(source.without(own))
        caused = [] if without is None else [one for one in left if one not in without and not _is_within(one[0], own)]
        if len(caused) < SWEEPING:
            caused = [one for one in caused if one not in alone]
        left = [one for one in left if one not in caused]
        if caused:
            problems.append(source.problem(own, _does_not_go_with(source, caused)))
    return problems + [source.problem(key, reason) for key, reason in left]


def _does_not_go_with(source: Source, caused: Faults) -> str:
    """The reason for a key that breaks others."""
    shown = "; ".join(
        f"{'.'.join(key)} ({Path(source.problem(key, '').place).name}): {reason}" for key, reason in caused[:SHOWN_MAX]
    )
    more = f"; and {len(caused) - SHOWN_MAX} more" if len(caused) > SHOWN_MAX else ""
    return f"does not go with {shown}{more}"
