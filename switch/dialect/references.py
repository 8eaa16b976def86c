"""Parts of fields that dialect files name: ``12`` a whole field, ``60.2`` a subfield of it."""

from __future__ import annotations

from typing import NamedTuple

from switch.dialect.model import DialectFile, KindEntry


class Place(NamedTuple):
    """A stretch of a field's canonical characters; a size of 0 reaches to the end."""

    field: int
    start: int
    size: int


class Condition(NamedTuple):
    """Characters that a field must hold at a place."""

    field: int
    start: int
    text: str


def place(file: DialectFile, reference: str) -> Place:
    """Where a reference points to.

    Raises:
        ValueError: The dialect describes no such subfield.
    """
    number, _, subfield = reference.partition(".")
    if not subfield:
        return Place(int(number), 0, 0)
    start = 0
    for part in file.subfields.get(number, ()):
        if part.name == reference:
            return Place(int(number), start, part.size)
        start += part.size
    raise ValueError(f"field {number} has no subfield {reference}")


def conditions(file: DialectFile, entry: KindEntry) -> list[Condition]:
    """What a message must hold to be of a kind; the processing code first.

    Raises:
        ValueError: A condition names a subfield that the dialect does not describe.
    """
    found = [Condition(3, 0, entry.processing_code)] if entry.processing_code else []
    for reference, text in entry.where.items():
        at = place(file, reference)
        found.append(Condition(at.field, at.start, text))
    return found


def kind_code(file: DialectFile, kind: str) -> str:
    """What tells a kind beside MTI and processing code when we write it; empty where the dialect has no such thing."""
    if file.kind_code is None or kind not in file.kinds:
        return ""
    return file.kinds[kind][0].where.get(file.kind_code.field, file.kind_code.default)
