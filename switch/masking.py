"""Masking: what may be shown of a card number, and how text is searched for card numbers that got into it."""

from __future__ import annotations

import re

PAN_DIGITS_MIN = 13
PAN_DIGITS_MAX = 19

# Digits, perhaps in groups; what follows the separator of track 2 belongs to it and is cut off whole.
_CANDIDATE = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,}(?P<rest>[=D]\d+)?", re.ASCII)


def mask_pan(pan: str) -> str:
    """A card number with its first six and last four digits; shorter than 13 digits nothing is shown."""
    if len(pan) < PAN_DIGITS_MIN:
        return "*" * len(pan)
    return f"{pan[:6]}{'*' * (len(pan) - 10)}{pan[-4:]}"


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def mask_text(text: str) -> str:
    """Mask every run of digits in a text that looks like a card number.

    That is 13 to 19 digits that pass the Luhn test, alone or in groups separated by blanks or hyphens; every longer
    run, since it may hold a card number anywhere; and track 2 whole, from its separator on.
    """
    return _CANDIDATE.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    rest = match["rest"] or ""
    run = match[0].removesuffix(rest)
    digits = re.sub(r"[ -]", "", run)
    if len(digits) > PAN_DIGITS_MAX or rest or passes_luhn(digits):
        return mask_pan(digits) + "*" * len(rest)
    return match[0]
