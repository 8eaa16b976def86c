from collections.abc import Callable
from typing import Any, final

from switch.base.stats import Stats

STRANGERS: tuple[str, ...]
EVENTS: tuple[tuple[str, str | None, tuple[tuple[str, Callable[[int], object]], ...]], ...]

@final
class NoteQueue:
    callback: Callable[[str, dict[str, Any]], None]
    def __init__(
        self,
        callback: Callable[[str, dict[str, Any]], None],
        stats: Stats,
        listeners: list[str],
        links: list[str],
        dialects: dict[str, list[str]],
    ) -> None: ...
