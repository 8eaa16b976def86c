"""Pydantic's errors about a configuration in the operator's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from switch.files.problems import Problem


def problems_of(error: ValidationError, model: type[BaseModel], file: str | Path, prefix: str) -> list[Problem]:
    """Translate pydantic's errors about one table of the file.

    Args:
        error: what validation raised.
        model: the table's model, in which suggestions for unknown keys are looked up.
        file: the file that was read.
        prefix: path of the table, such as ``link[bank-a]``; empty for the root.

    Returns:
        One problem for each wrong key, in the order of the keys.
    """
    errors = [(_walk(model, details["loc"]), details) for details in error.errors(include_url=False)]
    found: dict[tuple[int | str, ...], _Reasons] = {}
    for (path, beside), details in errors:
        if details["type"] in OF_THE_WHOLE and any(_lies_within(other, path) for (other, _), _ in errors):
            continue  # what is in it is wrong, and was not counted; or it is of another sort than was tried
        found.setdefault(path, _Reasons()).add(details, beside)
    return [Problem(str(file), _dotted(prefix, path), reasons.words()) for path, reasons in found.items()]


OF_THE_WHOLE = frozenset({"too_short", "string_type", "list_type", "dict_type", "tuple_type"})
"""Errors that say nothing more when there are others about what is within."""


def _lies_within(inner: Sequence[int | str], outer: Sequence[int | str]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _dotted(prefix: str, path: Sequence[int | str]) -> str:
    key = prefix
    for step in path:
        if isinstance(step, int):
            key += f"[{step}]"
        else:
            key += f".{step}" if key else step
    return key


def value_words(error: ValidationError) -> str:
    """What is wrong with one value that stands in no file, and what was given."""
    reasons = _Reasons()
    for details in error.errors(include_url=False):
        reasons.add(details, ())
    return reasons.words()


class _Reasons:
    """What is wrong with one key: more than one thing where several sorts of value would do."""

    def __init__(self) -> None:
        self._whole: list[str] = []
        self._needed: list[str] = []
        self._got = ""
        self._unit = ""

    def add(self, details: ErrorDetails, beside: Sequence[str]) -> None:
        kind = details["type"]
        context: Mapping[str, Any] = details.get("ctx", {})
        if kind == "missing":
            self._whole.append("is required")
        elif kind == "extra_forbidden":
            self._whole.append(unknown_key(str(details["loc"][-1]), beside))
        elif kind == "value_error":
            self._whole.append(str(context["error"]))
        else:
            template = NEEDED.get(kind)
            needed = details["msg"] if template is None else f"needed {template.format_map(context)}"
            self._needed.append(needed)
            self._got = _shown(details["input"])
            if kind == "int_type" and WITH_UNIT.fullmatch(str(details["input"])):
                unit = UNITS.get(str(details["loc"][-1]).rpartition("_")[2])
                self._unit = f" of {unit}, without a unit behind it" if unit else ""

    def words(self) -> str:
        """All of it in one line."""
        needed = (
            " or ".join((self._needed[0], *(one.removeprefix("needed ") for one in self._needed[1:])))
            if self._needed
            else ""
        )
        return "; ".join(dict.fromkeys((*self._whole, *([f"{needed}{self._unit}, got {self._got}"] if needed else []))))


RENAMED: Mapping[str, str] = {"takeback": "unknown_reversal"}
"""Keys that had another name in earlier versions, by that name; CHANGELOG.md says of each what to do."""


def unknown_key(name: str, known: Iterable[str]) -> str:
    """The reason for an unknown key, with its new name or the nearest known one."""
    known = sorted(known)
    if RENAMED.get(name) in known:
        return f"unknown key; it is called {RENAMED[name]} now"
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; known are {', '.join(known)}" if known else "unknown key; this table has none"


WITH_UNIT = re.compile(r"\s*[0-9][0-9_.,]*\s*[A-Za-z]+\s*")
UNITS = {"bytes": "bytes", "ms": "milliseconds", "seconds": "seconds", "days": "days", "percent": "percent"}
"""By the last word of a key."""

NEEDED = {
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "list_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
}
"""What was needed, by pydantic's sort of error and with its context."""


def _shown(value: object) -> str:
    """What the operator wrote, shortened; of tables and arrays only the sort."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return f"an array of {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value[:40]}…"' if len(value) > 40 else f'"{value}"'
    return str(value)


def _walk(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[tuple[int | str, ...], list[str]]:
    """The path of keys that pydantic's place of an error means, and the keys of the table in which it ends.

    Pydantic's place also has steps that are no keys: which sort of a union was tried, or that a key itself is wrong.
    """
    path: list[int | str] = []
    beside: list[str] = []
    current: object = model
    for number, step in enumerate(loc):
        options = list(_options(current))
        known = [name for option in options if _is_model(option) for name in _fields(option)]
        within = next((inner for option in options if (inner := _inner(option, step)) is not None), None)
        tagged = next((option for option in options if _is_model(option) and _tag(option) == step), None)
        if within is not None:
            current, beside = within, known
            path.append(step)
        elif tagged is not None:
            current = tagged
        elif number == len(loc) - 1 and known:
            beside = known
            path.append(step)
        elif not _is_no_key(step):
            current = None
            path.append(step)
    return tuple(path), beside


def _is_no_key(step: int | str) -> bool:
    return step in ("[key]", "str", "int", "bool") or str(step).startswith(
        ("function-", "tuple[", "list[", "dict[", "literal[", "union[", "constrained-")
    )


def _is_model(option: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(option, type) and issubclass(option, BaseModel)


def _options(annotation: object) -> Iterator[object]:
    """What a value may be by its annotation, unions taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _options(part)
    else:
        yield annotation


def _inner(option: object, step: int | str) -> object | None:
    """The annotation of what is at a step within; None when there is no such place."""
    if _is_model(option):
        return _fields(option).get(str(step))
    origin = get_origin(option)
    arguments: tuple[object, ...] = get_args(option)
    if origin is dict and isinstance(step, str):
        return arguments[1]
    if origin is list and isinstance(step, int):
        return arguments[0]
    if origin is tuple and isinstance(step, int):
        return arguments[0 if arguments[-1] is Ellipsis else step]
    return None


def _fields(model: type[BaseModel]) -> dict[str, object]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _tag(model: type[BaseModel]) -> str | None:
    """What the key ``type`` of one of several sorts of table says."""
    field = model.model_fields.get("type")
    values = () if field is None or get_origin(field.annotation) is not Literal else get_args(field.annotation)
    return values[0] if len(values) == 1 else None


def model_within(annotation: object) -> type[BaseModel] | None:
    """The model that an annotation such as ``KeysSection | None`` holds; None when it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_within(part)) is not None), None)
