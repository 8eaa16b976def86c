from typing import Any, Final, final

from switch.journal.replay import Visitor

APPROVED: Final = "approved"
TAKEN_BACK: Final = "taken back"
ADVICE_DECLINED: Final = "advice declined"
ADVICE_GIVEN_UP: Final = "advice given up"

@final
class PaymentEvents(Visitor):
    """Collects what moves money.

    Args:
        card_key: Of the keyed hash of card numbers.
        first: Position of the first record that may be an event; those before it are read for what refers to them.
    """

    def __init__(self, card_key: bytes, first: int = 1) -> None: ...
    def take_events(self) -> list[Any]:
        """The events since the last call, as ``switch.books.events`` names what stands in them."""
