from typing import Final

NAMED_LINK: Final[int]
NAMED_LISTENER: Final[int]
NAMED_NUMBER: Final[int]

def write_names(
    links: list[str], listeners: list[str], rrn: str, clock: tuple[str, int, int] | None = None
) -> bytes: ...
def read_names(content: bytes) -> tuple[dict[int, str], dict[int, str], str, tuple[str, int, int] | None]: ...
