from collections.abc import Iterable
from typing import final

from _typeshed import ReadableBuffer

from switch.tables.bin_rules import BinBlock
from switch.tables.count_log import CountLog
from switch.tables.registry import Registry
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable

BIN_DIGITS: int
RULES_MAX: int
PAST_MS: int
"""How far the clock of risk control on the path is ahead of the calendar's, in milliseconds."""
OWN_RULES: tuple[str, ...]
"""What refuses though no rule of the file limits it: lists, and what merchants and terminals may do."""

@final
class Risk:
    """Rules laid out for the hot path, on a table of windows that outlives them."""

    rule_count: int
    rule_ids: tuple[str, ...]
    refused_by: int
    windows: WindowTable
    raised: list[tuple[str, str, str, str, int, int]]
    """Cases that nobody has taken yet: identifier and text of the band, merchant, terminal, and in which partition and
    where its journal has the request."""
    clock_offset_ms: int
    """By whose midnight these rules count: windows have it as soon as it is given to them."""

    @staticmethod
    def build(
        secret: ReadableBuffer | None,
        windows: WindowTable,
        *,
        rules: Iterable[RuleTerms] = (),
        own_rules: Iterable[RuleTerms] = (),
        blocked_cards: dict[int, str] | None = None,
        blocked_merchants: dict[str, str] | None = None,
        bins: Iterable[BinBlock] = (),
        countries: ReadableBuffer = b"",
        blocked_countries: Iterable[int] = (),
        registry: Registry | None = None,
        previous: Risk | None = None,
        countries_file: str = "countries.csv",
        bin_digits: int = 6,
        clock_offset_ms: int | None = None,
        card_types: ReadableBuffer = b"",
        card_types_file: str = "card-types.csv",
        unlisted_card_type: str = "credit",
    ) -> Risk:
        """Lay rules out as C tables.

        Args:
            secret: Key of the hash by which cards, terminals and merchants are known; 16 bytes. None: that of the
                previous rules, or else a random one.
            windows: The counters; give those of the previous rules to go on counting.
            rules: At most 128; the first one that forbids a request refuses it.
            own_rules: How lists, and what merchants and terminals may do, explain themselves: of ``OWN_RULES``, their
                name, version, text and source.
            blocked_cards: By hash: the reason, a key of ``switch.tables.rules.REFUSALS``.
            blocked_merchants: By identifier: the reason, likewise.
            bins: The narrowest range that holds a card counts.
            countries: The table of issuers' countries: columns low, high, country.
            blocked_countries: Numeric ISO 3166-1 codes.
            registry: Where terminals and merchants are looked up.
            previous: Rules that these replace.
            countries_file: Name of the table, for problems.
            bin_digits: How many first digits of a card number are its BIN.
            clock_offset_ms: What turns the hot path's clock into the time by whose midnight windows end; None: what
                the windows have. They get it from whoever puts the rules in force.
            card_types: The table of types of cards: columns low, high, type.
            card_types_file: Name of that table, for problems.
            unlisted_card_type: What a card is that the table does not have.

        Raises:
            ConfigError: Every problem of the tables of countries and types of cards.
            ValueError: A BIN, a merchant's identifier, the secret, a rule's words or the number of rules is not
                possible.
        """

    def use_log(self, log: CountLog) -> None:
        """Note for other nodes what is counted from now on."""

    def use_registry(self, registry: Registry) -> None:
        """Look terminals and merchants up in another registry from now on."""

    @property
    def window_max_ms(self) -> int:
        """The longest window of any rule; 0: none has one."""

    @property
    def refused(self) -> list[int]:
        """Requests that each rule has refused in this process, in the order of ``rule_ids``."""

    @property
    def shadowed(self) -> list[int]:
        """Requests that each rule or band in shadow would have refused, likewise."""

    @property
    def grades(self) -> dict[str, str]:
        """What follows from each exit and band (one of ``THENS``), by its identifier."""

    @property
    def graded(self) -> list[int]:
        """Requests that each exit and band has decided about in this process, in the order of ``grades``."""

    @property
    def cases(self) -> list[str]:
        """Identifiers of the bands that raise a case about what was checked last."""

    def check_request(
        self,
        kind: int,
        pan: str = "",
        amount_minor: int = -1,
        currency: int = 0,
        country: int = 0,
        terminal: int = 0xFFFFFFFF,
        merchant: int = 0xFFFFFFFF,
        now_ms: int = 0,
        entry_mode: int = 0,
    ) -> int:
        """The reason (``switch.dialect.reasons``) of a refusal, or 0 and the request counted.

        ``refused_by`` then is the place in ``rule_ids`` of the rule that has refused it, or -1.
        """

    def uncount_request(
        self,
        kind: int,
        pan: str = "",
        amount_minor: int = -1,
        currency: int = 0,
        country: int = 0,
        terminal: int = 0xFFFFFFFF,
        merchant: int = 0xFFFFFFFF,
        now_ms: int = 0,
        entry_mode: int = 0,
        is_declined: bool = False,
    ) -> None:
        """Take a counted request back; all arguments as they were checked. ``is_declined``: count that, too."""
