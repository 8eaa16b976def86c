"""Amounts for people: how many decimals a currency has."""

from __future__ import annotations

from collections.abc import Mapping

EXPONENTS: Mapping[int, int] = {
    **dict.fromkeys((108, 152, 174, 262, 324, 352, 392, 410, 548, 600, 646, 704, 800, 940, 950, 952, 953), 0),
    **dict.fromkeys((48, 368, 400, 414, 434, 512, 788), 3),
}
"""Decimals of currencies (ISO 4217, numeric codes) that have not two."""


def amount_words(minor: int | None, currency: int | None) -> str:
    """An amount of minor units as it is printed, with its currency's number; a hyphen when there is none."""
    if minor is None or minor < 0:
        return "-"
    exponent = EXPONENTS.get(currency or 0, 2)
    value = f"{minor / 10**exponent:,.{exponent}f}"
    return f"{value} (currency {currency:03d})" if currency else value
