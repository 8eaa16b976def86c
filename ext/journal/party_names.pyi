from typing import Any, Final

NAMED_LINK: Final[int]
NAMED_LISTENER: Final[int]
NAMED_NUMBER: Final[int]
NAMED_RESERVED: Final[int]
RESERVED_KEYS: Final[tuple[str, ...]]

def write_names(
    links: list[str], listeners: list[str], numbers: dict[str, int], clock: tuple[str, int, int] | None = None
) -> bytes: ...
def read_names(
    content: bytes,
) -> tuple[dict[int, str], dict[int, str], dict[str, Any], tuple[str, int, int] | None]: ...
