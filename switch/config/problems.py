"""Pydantic's errors about a configuration in the operator's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from switch.problems import Problem


def problems_of(error: ValidationError, model: type[BaseModel], file: Path, prefix: str) -> list[Problem]:
    """Translate pydantic's errors about one table of the file.

    Args:
        error: what validation raised.
        model: the table's model, in which suggestions for unknown keys are looked up.
        file: the file that was read.
        prefix: path of the table, such as ``link[bank-a]``; empty for the root.

    Returns:
        One problem for each error, in the order of the keys.
    """
    problems = []
    errors = error.errors(include_url=False)
    for details in errors:
        if details["type"] == "too_short" and any(_lies_within(other["loc"], details["loc"]) for other in errors):
            continue  # what is in it is wrong, and was not counted
        path = [step for step in details["loc"] if not str(step).startswith(("function-", "tuple["))]
        problems.append(Problem(str(file), _dotted(prefix, path), _reason(details, model, path)))
    return problems


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


def unknown_key(name: str, known: Iterable[str]) -> str:
    """The reason for an unknown key, with the nearest known one."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known are {', '.join(sorted(known))}"


def _reason(details: ErrorDetails, model: type[BaseModel], path: Sequence[int | str]) -> str:
    kind = details["type"]
    context: Mapping[str, Any] = details.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), _keys_beside(model, path))
    if kind == "value_error":
        return str(context["error"])
    template = NEEDED.get(kind)
    needed = details["msg"] if template is None else f"needed {template.format_map(context)}"
    return f"{needed}, got {_shown(details['input'])}"


NEEDED = {
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "true or false",
    "tuple_type": "an array",
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


def _keys_beside(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The keys of the table in which ``path`` ends, found by walking down the models."""
    current: type[BaseModel] | None = model
    for step in path[:-1]:
        if isinstance(step, str) and current is not None:
            field = next((f for n, f in current.model_fields.items() if (f.alias or n) == step), None)
            current = model_within(field.annotation) if field is not None else None
    return [] if current is None else [field.alias or name for name, field in current.model_fields.items()]


def model_within(annotation: object) -> type[BaseModel] | None:
    """The model that an annotation such as ``KeysSection | None`` holds; None when it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_within(part)) is not None), None)
