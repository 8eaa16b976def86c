from typing import final

GRADES_MAX: int
"""Exits and bands of all rules together."""
THENS: tuple[str, ...]
"""What may follow."""
VALUES: tuple[str, ...]
"""What bands may be of."""
AMOUNT_VALUES: tuple[str, ...]
"""Those of them that are in minor units."""

@final
class Grades:
    """The exits and bands of all rules, laid out for the hot path."""

    count: int
