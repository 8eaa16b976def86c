from collections.abc import Callable, Mapping
from typing import final

from switch.journal.replay import Visitor
from switch.journal.segment import SegmentWriter

BATCH_BYTES: int

@final
class RawListing(Visitor):
    def __init__(
        self,
        callback: Callable[[tuple[int, int, bytes, dict[int, str], dict[int, str], tuple[int, int] | None]], object],
    ) -> None: ...

@final
class NewJournal:
    next_position: int
    def __init__(
        self,
        writer: SegmentWriter,
        *,
        links: list[str],
        listeners: list[str],
        numbers: Mapping[str, int],
        boot: str,
        offset_ns: int,
    ) -> None: ...
    def finish(self, wall_us: int) -> None: ...

@final
class OldJournal:
    number: int
    first_position: int
    def __init__(self, number: int, first_position: int, next_position: int) -> None: ...

@final
class Rewriter:
    left: int
    claimed: int
    unplaced: int
    def __init__(
        self,
        journals: list[NewJournal],
        *,
        links: list[str],
        listeners: list[str],
        terminal_of: Callable[[str | None, str | None, bytes], str | None],
        olds: dict[int, OldJournal],
        became_of: Callable[[int, int, int], tuple[int, int]],
    ) -> None: ...
    def take(
        self,
        old: OldJournal,
        raw: tuple[int, int, bytes, dict[int, str], dict[int, str], tuple[int, int] | None],
        elapsed_ns: int,
    ) -> None: ...
