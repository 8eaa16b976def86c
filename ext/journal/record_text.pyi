from typing import Final

RECORD_NAMES: Final[dict[int, str]]
