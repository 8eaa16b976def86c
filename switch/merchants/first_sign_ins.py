"""Terminals that have signed in for the first time and are served, until the store knows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from switch.merchants.kept import KeptFolder


@dataclass(frozen=True, slots=True)
class FirstSignIn:
    """Who has.

    Attributes:
        row: The number of the terminal.
        at_s: When, in seconds since 1970.
    """

    row: str
    at_s: int


class FirstSignInFolder(KeptFolder[FirstSignIn]):
    """Files of terminals that were put into service here."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FirstSignIn)
