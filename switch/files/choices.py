"""Choices among numbers in files that an operator writes."""

from __future__ import annotations

from pydantic import BeforeValidator


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"needed a number, got {str(value).lower()}")  # noqa: TRY004 - pydantic takes no other
    return value


NO_TRUTH_VALUE = BeforeValidator(_no_truth_value)
"""For a ``Literal`` of numbers: ``true`` equals 1, and would pass for it."""
