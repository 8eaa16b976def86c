"""Masking: what may be shown of a card number, and how text is searched for card numbers that got into it."""

from __future__ import annotations

import re

PAN_DIGITS_MIN = 13
PAN_DIGITS_MAX = 19

# Track 1 as ISO/IEC 7813 has it: card number, name, then expiration, service code and discretionary data.
_TRACK_1 = re.compile(r"(?P<pan>\d(?:[ -]?\d){11,18})(?P<rest>\^[^^\n]{0,40}(?:\^[^\s?;]*\??)?)", re.ASCII)

# Digits, perhaps in groups; what follows the separator of track 2 belongs to it and is cut off whole.
_CANDIDATE = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,}(?P<rest>[=D]\d+)?", re.ASCII)
_TRACK_2 = re.compile(r"(?P<pan>\d{12,})(?P<rest>[=D]\d+)", re.ASCII)

# Not the first and last digits of what is masked already.
_DIGITS = re.compile(r"(?<![\d*])\d{3,}(?![\d*])", re.ASCII)
_JOINED = re.compile(r"\d(?:[ -]?\d)*(?:[=D]\d+)?", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]+")
BITMAP_DIGITS = 16
BITMAP_DIGITS_SET_MAX = 5


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
    run, since it may hold a card number anywhere; and track 1 and 2 whole, from their separator on, names included.
    """
    return _CANDIDATE.sub(_masked, _TRACK_1.sub(_masked_track_1, text))


def mask_track(text: str) -> str:
    """Mask track 1 and track 2 in a text, but for the card numbers in them: what nobody may see, however they ask."""
    return _TRACK_2.sub(_masked_rest, _TRACK_1.sub(_masked_rest, text))


def mask_private(text: str) -> str:
    """Mask what may be sensitive in a field of which nobody says what is in it.

    That is what ``mask_text`` masks, and every other run of three digits or more: a security code stands behind an
    expiration date, behind a tag and a length, or alone, and nothing tells it from another number. A nested bitmap, the
    first sixteen hex digits of some fields, is shown.
    """
    bitmap = nested_bitmap(text)
    behind = text[len(bitmap) :]
    # Digits that go on behind what looks like a bitmap may be the rest of a number that begins in it.
    joined = _JOINED.match(behind) if bitmap else None
    hidden = "*" * joined.end() if joined else ""
    return bitmap + hidden + _DIGITS.sub(_stars, mask_text(behind[len(hidden) :]))


def nested_bitmap(text: str) -> str:
    """The bitmap with which a text begins, or nothing: few of its digits are not zero, and something follows it.

    So few that it cannot hold more of a card number than may be shown of one.
    """
    first = text[:BITMAP_DIGITS]
    is_bitmap = len(text) > BITMAP_DIGITS and _HEX.fullmatch(first) is not None
    return first if is_bitmap and BITMAP_DIGITS - first.count("0") <= BITMAP_DIGITS_SET_MAX else ""


def _masked_track_1(match: re.Match[str]) -> str:
    return mask_pan(re.sub(r"[ -]", "", match["pan"])) + "*" * len(match["rest"])


def _masked_rest(match: re.Match[str]) -> str:
    return match["pan"] + "*" * len(match["rest"])


def _stars(match: re.Match[str]) -> str:
    return "*" * len(match[0])


def _masked(match: re.Match[str]) -> str:
    rest = match["rest"] or ""
    run = match[0].removesuffix(rest)
    digits = re.sub(r"[ -]", "", run)
    if len(digits) > PAN_DIGITS_MAX or rest or passes_luhn(digits):
        return mask_pan(digits) + "*" * len(rest)
    return match[0]
