from typing import Final

RECORD_NAMES: Final[dict[int, str]]
NAMED_LINK: Final[int]
NAMED_LISTENER: Final[int]

def write_names(links: list[tuple[str, int]], listeners: list[str]) -> bytes: ...
def read_names(content: bytes) -> tuple[dict[int, tuple[str, int]], dict[int, str]]: ...
