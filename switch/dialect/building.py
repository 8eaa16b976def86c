"""From a dialect's tables to what the hot path reads: layout, specification, framing, and all that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from switch.dialect.checks import Key, check
from switch.dialect.layout import Entry, Format, fixed_parts, lay_out, parse_format
from switch.dialect.model import DialectFile, FieldOverride
from switch.dialect.source import read_catalogue
from switch.dialect.unkept_fields import unkept_fields
from switch.wire.framing import Framing
from switch.wire.spec import Spec, SpecError, compile_spec

Faults = list[tuple[Key, str]]
"""Keys, and what is wrong with their values."""


@dataclass(frozen=True)
class FieldMeaning:
    """What a field is called in this dialect."""

    key: str
    description: str


@dataclass(frozen=True)
class Built:
    """A dialect's tables, compiled."""

    layout: Mapping[str, Entry]
    meanings: Mapping[int, FieldMeaning]
    spec: Spec
    framing: Framing
    unkept: frozenset[int]
    """Fields that no copy has which is kept."""


def build(file: DialectFile) -> tuple[Built | None, Faults]:
    """Lay out and compile; nothing, and all that is wrong, where something does not fit together."""
    faults: Faults = []
    layout, meanings = _lay_out_fields(file, faults)
    spec = _compile_spec(layout, faults)
    framing = _compile_framing(file, faults)
    unkept = unkept_fields(file, meanings, read_catalogue(file.catalogue))
    faults += check(file, layout, {number: meaning.key for number, meaning in meanings.items()}, unkept)
    if faults or spec is None or framing is None:
        return None, list(dict.fromkeys(faults))
    return Built(layout, meanings, spec, framing, unkept), []


def _lay_out_fields(file: DialectFile, faults: Faults) -> tuple[dict[str, Entry], dict[int, FieldMeaning]]:
    """The dialect's specification and the meaning of its fields."""
    catalogue = read_catalogue(file.catalogue)
    layout = fixed_parts(file.encoding)
    meanings: dict[int, FieldMeaning] = {}
    numbers = sorted({int(number) for number in (*catalogue, *file.fields)} if file.only is None else set(file.only))
    for number in numbers:
        data_format, key, description = catalogue.get(str(number), (None, f"field_{number}", f"Field {number}"))
        override = file.fields.get(str(number), FieldOverride())
        entry: Entry = {}
        try:
            chosen = override.format or data_format
            if chosen is not None:
                entry = lay_out(parse_format(chosen), file.encoding)
        except ValueError as error:
            faults.append((("fields", str(number), "format"), str(error)))
            entry = lay_out(Format("ans", 3, 999), file.encoding)
        entry |= override.model_dump(exclude_none=True, exclude={"format", "key"})
        entry.setdefault("desc", description)
        layout[str(number)] = {name: value for name, value in entry.items() if value != ""}
        meanings[number] = FieldMeaning(override.key or key, entry["desc"])
    if max(numbers, default=0) <= 64:
        del layout["1"]
    return layout, meanings


def _compile_spec(layout: Mapping[str, Entry], faults: Faults) -> Spec | None:
    try:
        return compile_spec(layout)
    except SpecError as error:
        for problem in error.problems:
            key = ("fields", problem.field, problem.key) if problem.key else ("fields", problem.field)
            faults.append((key, problem.reason))
        return None


def _compile_framing(file: DialectFile, faults: Faults) -> Framing | None:
    try:
        return Framing(file.framing.model_dump(exclude_none=True))
    except ValueError as error:
        key, _, reason = str(error).partition(": ")
        faults.append((tuple(key.split(".")), reason))
        return None
