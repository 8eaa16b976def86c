from typing import Any

from switch.machine.state import State

class NotOwed(Exception): ...  # noqa: N818

def list_entries(
    state: State,
    *,
    link: str | None = None,
    what: str | None = None,
    rrn: str | None = None,
    overdue: bool = False,
    most: int = 1000,
) -> tuple[int, list[dict[str, Any]]]: ...
def retry_entry(state: State, *, rrn: str | None = None, what: str = "reversal", link: str | None = None) -> int: ...
def close_entry(
    state: State, *, rrn: str, name: str, reason: str, what: str = "reversal", link: str | None = None
) -> tuple[int, dict[str, Any]]: ...
def note_overdue(state: State) -> list[tuple[float, int, int]]: ...
