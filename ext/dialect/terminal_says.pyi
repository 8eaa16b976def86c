from collections.abc import Sequence

class TerminalSays:
    """Where a dialect's terminals say which machine they are, and where they are. Immutable.

    Args:
        kinds: Kinds of messages that must say it where the configuration demands it.
        serial_number: Where the machine's serial number stands: field (0: nowhere), start and size of its characters,
            tags in each other, characters of a tag, digits of a length.
        position: The same of latitude and longitude.

    Raises:
        ValueError: A place has more tags, or longer ones, than there is room for.
    """

    kinds: int

    def __init__(
        self,
        kinds: Sequence[int],
        serial_number: tuple[int, int, int, Sequence[str], int, int],
        position: tuple[int, int, int, Sequence[str], int, int],
    ) -> None: ...

def position_of(text: str) -> tuple[int, int] | None:
    """Latitude and longitude in millionths of a degree; None where a text is no position."""
