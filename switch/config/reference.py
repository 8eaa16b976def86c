"""The reference of the configuration file, written from the models: ``python -m switch.config.reference``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen
from pydantic.fields import FieldInfo

from switch.config.addresses import Address
from switch.config.models import Config
from switch.config.value_types import (
    WORKERS_MAX,
    BindAddress,
    BinRange,
    Currency,
    DialectName,
    EndpointAddress,
    FilePath,
    InstitutionId,
    KeyName,
    Name,
    Network,
    WorkerCount,
)
from switch.files.model_errors import model_within
from switch.files.sections import Section

INTRODUCTION = """# Configuration

One [TOML](https://toml.io) file configures the daemon. `authswitch check FILE` validates it with everything that it
names, lists all problems at once, and exits 2 when one of them is an error. `configs/production.toml` is a sample in
which every key is explained; `configs/minimal.toml` has only what cannot be left out; `configs/loopback.toml` is for
trying things out on one machine, without TLS.

- Unknown keys and wrong types are errors; no value is guessed.
- Paths are relative to the folder of the configuration file.
- The unit is the last word of a key: `_ms` are milliseconds, `_seconds` seconds, `_bytes` bytes; `_max` is a limit that
  is still allowed.
- A *name* is 1 to 32 lower-case letters, digits, `_`, `.` and `-`. An *address* is `"host:port"` or `"[IPv6]:port"`. A
  *dialect* is the name of a built-in one, or the path (with a `/` or ending in `.toml`) of a dialect file.
- No key, PIN or card number stands in this file: keys are in the sealed key file.

This page is written from the program's own models (`python -m switch.config.reference > docs/configuration.md`); a test
keeps the two alike.
"""

SORTS: dict[str, object] = {
    "name": Name,
    "name of a key": KeyName,
    "1 to 11 digits": InstitutionId,
    "3 digits": Currency,
    "path": FilePath,
    "dialect": DialectName,
    "address": BindAddress,
}
ITEM_SORTS: dict[str, object] = {
    "BIN ranges": BinRange,
    "addresses": EndpointAddress,
    "IP addresses or networks": Network,
}


def reference() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *_lines()])


def _lines() -> Iterator[str]:
    for name, field in Config.model_fields.items():
        key = field.alias or name
        model = model_within(field.annotation)
        if model is None or not issubclass(model, Section):
            raise TypeError(f"{key} is no section")
        heading = f"[[{key}]]" if field.alias else f"[{key}]"
        yield f"## `{heading}`\n"
        presence = "Required." if field.is_required() else "May be left out."
        repeat = f" {_repeated(field)}" if field.alias else f" {presence}"
        yield f"{_text(model)}{repeat}\n"
        yield from _table(model, key)


def _repeated(field: FieldInfo) -> str:
    most = f"{_limit(field, MaxLen, 'max_length'):,} of them."
    return f"1 to {most}" if field.is_required() else f"None, or up to {most}"


def _table(model: type[Section], path: str) -> Iterator[str]:
    yield "| key | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    nested: list[tuple[str, type[Section]]] = []
    for name, field in model.model_fields.items():
        inner = model_within(field.annotation)
        if inner is not None and issubclass(inner, Section):
            nested.append((name, inner))
        yield f"| `{name}` | {_sort(field)} | {_default(field)} | {field.description} |"
    yield ""
    for name, inner in nested:
        yield f"### `{path}.{name}`\n"
        yield f"{_text(inner)}\n"
        yield from _table(inner, f"{path}.{name}")


def _text(model: type[Section]) -> str:
    return " ".join((model.__doc__ or "").split())


def _sort(field: FieldInfo) -> str:
    """What kind of value a key takes, with its limits."""
    arguments = [argument for argument in get_args(field.annotation) if argument is not NoneType]
    annotation = field.annotation
    if get_origin(annotation) in (Union, UnionType) and len(arguments) == 1:
        (annotation,) = arguments  # or absent
    if get_origin(annotation) is Literal:
        return _choice(annotation)
    if model_within(annotation) is not None:
        return "table"
    if get_origin(annotation) is tuple:
        return f"up to {_limit(field, MaxLen, 'max_length'):,} {_items(get_args(annotation)[0])}"
    if set(arguments) == set(get_args(WorkerCount)):
        return f'1 to {WORKERS_MAX}, or `"cores"`'
    if annotation is int:
        return f"{_limit(field, Ge, 'ge'):,} to {_limit(field, Le, 'le'):,}"
    named = (sort for sort, known in SORTS.items() if _same(field, known) or known in arguments)
    return next(named, "`true` or `false`" if field.annotation is bool else "string")


def _choice(annotation: object) -> str:
    return " or ".join(f"`{_toml(value)}`" for value in get_args(annotation))


def _items(annotation: object) -> str:
    """What an array holds."""
    if get_origin(annotation) is Literal:
        return f"of {_choice(annotation)}"
    limits = {type(entry): entry for entry in getattr(annotation, "__metadata__", ()) for entry in _entries(entry)}
    if Ge in limits and Le in limits:
        return f"integers, {limits[Ge].ge} to {limits[Le].le}"
    return next(sort for sort, known in ITEM_SORTS.items() if known == annotation)


def _entries(entry: object) -> list[Any]:
    """The limits within what an ``Annotated`` type was annotated with."""
    return list(entry.metadata) if isinstance(entry, FieldInfo) else [entry]


def _same(field: FieldInfo, known: object) -> bool:
    """Whether a field was annotated with this ``Annotated`` type: pydantic has taken it apart."""
    base, *metadata = get_args(known)
    first = metadata[0]
    patterns = list(first.metadata) if isinstance(first, FieldInfo) else [first]
    if isinstance(first, FieldInfo):
        return field.annotation is base and patterns == [m for m in field.metadata if m in patterns]
    return first in field.metadata


def _limit(field: FieldInfo, sort: type, attribute: str) -> int:
    return next(int(getattr(entry, attribute)) for entry in field.metadata if isinstance(entry, sort))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None or value == ():
        return "absent"
    if isinstance(value, Section):
        return "its own defaults"
    return f"`{_toml(value)}`"


def _toml(value: object) -> str:
    """A value as it is written in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path | Address):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return str(value)


if __name__ == "__main__":
    print(reference(), end="")
