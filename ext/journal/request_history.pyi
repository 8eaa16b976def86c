from collections.abc import Callable
from typing import final

from switch.journal.replay import Visitor
from switch.tables.registry import Registry
from switch.tables.risk import Risk

FATES: tuple[str, ...]
"""What may become of a request: it stands, is open, is gone, was declined, or refused by a rule of risk control."""

@final
class Fates(Visitor):
    """What became of a journal's requests; to be read before what visits these."""

    records: int
    def __init__(self) -> None: ...

class RequestVisitor(Visitor):
    """Is given each request that risk control has looked at, with what became of it."""

    records: int
    def __init__(self, fates: Fates) -> None: ...

@final
class CountRestorer(RequestVisitor):
    """Counts for risk control what a journal says was approved, or declined, within its windows.

    Args:
        fates: Of the same journal.
        risk: Where it is counted.
        registry: Where terminals and merchants are looked up.
        now_ns: The calendar's present moment.
        wall_us: The same by the clock that records go by.
        journal: Number of its partition.
        counted_to: The position up to which it was counted before, by somebody who was cut off.
    """

    counted: int
    def __init__(
        self,
        fates: Fates,
        risk: Risk,
        registry: Registry,
        now_ns: int,
        wall_us: int,
        *,
        journal: int = 0,
        counted_to: int = 0,
    ) -> None: ...

@final
class JournalRequest:
    """One request, and what became of it."""

    wall_us: int
    what_became: str
    kind: str
    card: bytes
    terminal: str
    merchant: str
    currency: int
    amount_minor: int

@final
class RequestListing(RequestVisitor):
    """Calls back with each request from a moment on (microseconds since 1970)."""

    def __init__(self, fates: Fates, callback: Callable[[JournalRequest], object], from_us: int = 0) -> None: ...

def rehearse(risk: Risk, registry: Registry, one: JournalRequest) -> tuple[list[int], bool]:
    """Let rules decide about a request of the past, and count it as it then ended.

    Returns:
        The numbers of the rules that refuse it, or in shadow would: places in ``Risk.rule_ids``, the refusal last; and
        whether the last one is a refusal.
    """
