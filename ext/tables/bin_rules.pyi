from typing import Protocol, final

class BinBlock(Protocol):
    """What holds for cards of one range.

    ``high`` may be empty; ``block`` is a key of ``switch.tables.rules.REFUSALS`` or empty.
    """

    @property
    def low(self) -> str: ...
    @property
    def high(self) -> str: ...
    @property
    def block(self) -> str: ...
    @property
    def kinds(self) -> int: ...

@final
class BinRules:
    """BINs that are blocked or may do some kinds only.

    Raises:
        ValueError: A BIN is not possible, or too many hold the same card number.
    """

    def __init__(self, bins: list[BinBlock]) -> None: ...
