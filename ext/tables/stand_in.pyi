from collections.abc import Sequence
from typing import Final, final

from switch.base.stats import Stats
from switch.tables.count_log import CountLog
from switch.tables.time_windows import WindowTable

VERDICTS: Final[tuple[str, ...]]
LIMITS_MAX: Final[int]

@final
class StandIn:
    """The rule by which payments of one link are approved while it cannot be asked.

    Args:
        stats: Where its series are registered.
        link: Name of the link.
        kinds: Bit n for kind n.
        bins: Low and high first digits of the cards that are covered, high empty for a prefix; none: every card.
        allows_pin: Whether a payment with a PIN is covered, though nobody verifies the PIN.
        window_seconds: Over which a card's payments are added up.
        cards_room: Cards that are counted at the same time, at most.
        limits: Currency (numeric ISO 4217), then in its minor units: the most for one payment, for one card in the
            window, how many for one card, and the most that is outstanding; the last three may be None.
        workers: How many processes, forked later, approve together; each writes the stretch of ``stats`` that has its
            number.
        far: How many workers other nodes have, which tell what is outstanding at them.

    Raises:
        ValueError: too many limits, or a BIN that is none.
    """

    kinds: int
    allows_pin: bool
    windows: WindowTable
    def __init__(
        self,
        stats: Stats,
        link: str,
        *,
        kinds: int,
        bins: Sequence[tuple[str, str]],
        allows_pin: bool,
        window_seconds: int,
        cards_room: int,
        limits: Sequence[tuple[int, int, int | None, int | None, int | None]],
        workers: int = 1,
        far: int = 0,
    ) -> None: ...
    def use_log(self, log: CountLog, link: int) -> None:
        """Note for other nodes what is counted from now on, as of this link."""

    def forked(self, stats: Stats) -> StandIn:
        """What a process that was forked from the one that made it has: the same memory, and all else as it was made.

        For whoever plays several processes in one.

        Args:
            stats: That process's, with the number of its stretch.

        Raises:
            ValueError: it was made for one process.
        """

    def replayed(self) -> None:
        """All journals of this worker were replayed: from here on what is outstanding is what they told."""

    def claim_payment(
        self, kind: int, pan: str, amount_minor: int, currency: int, has_pin: bool = False, now_ns: int = 0
    ) -> str:
        """One of ``VERDICTS``; what is allowed is counted."""

    def give_back(self, pan: str, amount_minor: int, currency: int, now_ns: int = 0) -> None:
        """Take a claimed payment back, as if it had never been asked for."""

    def recount_payment(self, pan: str, amount_minor: int, currency: int, now_ns: int = 0) -> None:
        """Count one that was approved before a restart."""

    def outstanding(self, currency: int) -> int:
        """What issuers were not told of yet, of all workers, in minor units."""
