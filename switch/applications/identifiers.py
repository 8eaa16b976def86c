"""Numbers that say of themselves whether they are whole: of entities, of persons, and of card-like accounts."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from switch.base.masking import passes_luhn

CODE_CHARACTERS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""Of a unified social credit code: no letter that could be taken for a digit or for another one."""

CODE: Final = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
CODE_MODULUS: Final = 31
CODE_WEIGHTS: Final = tuple(pow(3, place, CODE_MODULUS) for place in range(17))

IDENTITY: Final = re.compile(r"[0-9]{17}[0-9X]")
IDENTITY_MODULUS: Final = 11
IDENTITY_WEIGHTS: Final = tuple(pow(2, 17 - place, IDENTITY_MODULUS) for place in range(17))
IDENTITY_CHECKS: Final = "10X98765432"
AGE_YEARS_MAX: Final = 120

CARD_LIKE: Final = re.compile(r"62[0-9]{14,17}")
"""An account that is the number of a UnionPay card, and ends in a check digit."""


def code_fault(text: str) -> str:
    """Why a text is no unified social credit code (GB 32100-2015); empty where it is one."""
    if CODE.fullmatch(text) is None:
        return "needed 18 characters: digits and capital letters without I, O, S, V and Z, digits in places 3 to 8"
    total = sum(CODE_CHARACTERS.index(one) * weight for one, weight in zip(text, CODE_WEIGHTS, strict=False))
    if CODE_CHARACTERS[-total % CODE_MODULUS] != text[-1]:
        return "its check character does not fit: a character was mistaken, or two were swapped"
    return ""


def identity_fault(text: str, today: date, age_years_min: int) -> str:
    """Why a text is no identity number (GB 11643-1999), or not of a grown-up; empty where it is one."""
    if IDENTITY.fullmatch(text) is None:
        return "needed 17 digits and a check character, a digit or X"
    total = sum(int(one) * weight for one, weight in zip(text, IDENTITY_WEIGHTS, strict=False))
    if IDENTITY_CHECKS[total % IDENTITY_MODULUS] != text[-1]:
        return "its check character does not fit: a digit was mistaken, or two were swapped"
    try:
        born = date.fromisoformat(f"{text[6:10]}-{text[10:12]}-{text[12:14]}")
    except ValueError:
        return "its date of birth is no day of the calendar"
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if not 0 <= age <= AGE_YEARS_MAX:
        return "its date of birth cannot be that of a living person"
    return f"the person is younger than {age_years_min} years" if age < age_years_min else ""


def account_fault(text: str) -> str:
    """Why a text is no account; empty where it may be one. A card-like one must end in its check digit (Luhn)."""
    if re.fullmatch(r"[0-9]{6,32}", text) is None:
        return "needed 6 to 32 digits"
    return "its check digit does not fit" if CARD_LIKE.fullmatch(text) and not passes_luhn(text) else ""
