"""Cases that bands of risk rules raise about merchants, until the store knows them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from switch.merchants.cases import open_case
from switch.merchants.kept import KeptFolder, daemon_here
from switch.merchants.tables import MERCHANTS
from switch.store.changing import changing
from switch.store.opening import Store

KIND_CHARACTERS_MAX = 64
WHY = "a rule of risk control"
NAME_BYTES = 16


@dataclass(frozen=True, slots=True)
class RaisedCase:
    """What a band wants somebody to look at.

    Attributes:
        rule: Identifier of the band.
        text: Why, for people.
        merchant: Whose payment it was.
        terminal: At which it was.
        partition: In whose journal it is.
        position: Where it begins there.
    """

    rule: str
    text: str
    merchant: str
    terminal: str
    partition: int
    position: int

    @property
    def row(self) -> str:
        """Under which it is kept: one of a band about a merchant."""
        return blake2b(f"{self.rule} {self.merchant}".encode(), digest_size=NAME_BYTES).hexdigest()


class RaisedCaseFolder(KeptFolder[RaisedCase]):
    """Files of cases."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, RaisedCase)


def tell_store(store: Store, raised: RaisedCase) -> None:
    """Open a case about the merchant, unless one of this band is open.

    Raises:
        StoreError: The database could not do it.
    """
    facts = {
        "rule": raised.rule,
        "reason": raised.text,
        "terminal": raised.terminal,
        "request": f"partition {raised.partition}, position {raised.position}",
    }
    with changing(store, daemon_here(), f"{WHY}: {raised.rule}") as change:
        open_case(change, f"rule {raised.rule}"[:KIND_CHARACTERS_MAX], MERCHANTS.name, raised.merchant, facts)
