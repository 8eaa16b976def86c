from collections.abc import Iterable, Sequence
from typing import Protocol, final

from _typeshed import ReadableBuffer

from switch.tables.count_log import CountLog
from switch.tables.registry import Registry
from switch.tables.time_windows import WindowTable

SECRET_SIZE: int
SCOPES: tuple[str, ...]
BLOCK_REASONS: dict[str, int]

class LimitRule(Protocol):
    """One limit. ``kinds`` has bit n for kind n; ``currency`` is numeric, 0 for any; ``window_ms`` 0: no window."""

    @property
    def name(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def kinds(self) -> int: ...
    @property
    def currency(self) -> int: ...
    @property
    def window_ms(self) -> int: ...
    @property
    def sliding(self) -> bool: ...
    @property
    def amount_max(self) -> int | None: ...
    @property
    def count_max(self) -> int | None: ...
    @property
    def single_max(self) -> int | None: ...

class BinBlock(Protocol):
    """What holds for cards of one range. ``high`` may be empty; ``block`` is a key of ``BLOCK_REASONS`` or empty."""

    @property
    def low(self) -> str: ...
    @property
    def high(self) -> str: ...
    @property
    def block(self) -> str: ...
    @property
    def kinds(self) -> int: ...

def keyed_hash(secret: ReadableBuffer, data: bytes) -> int:
    """SipHash-2-4 of the data, with a key of 16 bytes."""

def card_hash(secret: ReadableBuffer, pan: str) -> str:
    """How a list of blocked cards writes a PAN: 16 hex digits."""

@final
class Risk:
    """Rules laid out for the hot path, on a table of windows that outlives them."""

    limit_count: int
    windows: WindowTable

    @staticmethod
    def build(
        secret: ReadableBuffer | None,
        windows: WindowTable,
        *,
        limits: Sequence[LimitRule] = (),
        blocked_cards: Iterable[tuple[int, str]] = (),
        bins: Iterable[BinBlock] = (),
        countries: ReadableBuffer = b"",
        blocked_countries: Iterable[int] = (),
        registry: Registry | None = None,
        previous: Risk | None = None,
        countries_file: str = "countries.csv",
    ) -> Risk:
        """Lay rules out as C tables.

        Args:
            secret: Key of the hash by which cards, terminals and merchants are known; 16 bytes. None: that of the
                previous rules, or else a random one.
            windows: The counters; give those of the previous rules to go on counting.
            limits: At most 64.
            blocked_cards: Hash and reason (a key of ``BLOCK_REASONS``) of each.
            bins: The narrowest range that holds a card counts.
            countries: The table of issuers' countries: columns low, high, country.
            blocked_countries: Numeric ISO 3166-1 codes.
            registry: Where terminals and merchants are looked up.
            previous: Rules that these replace.
            countries_file: Name of the table, for problems.

        Raises:
            ConfigError: Every problem of the table of countries.
            ValueError: A BIN, the secret or the number of limits is not possible.
        """

    def use_log(self, log: CountLog) -> None:
        """Note for other nodes what is counted from now on."""

    def use_registry(self, registry: Registry) -> None:
        """Look terminals and merchants up in another registry from now on."""

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
    ) -> int:
        """The reason (``switch.dialect.reasons``) of a refusal, or 0 and the request counted."""

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
    ) -> None:
        """Take a counted request back; all arguments as they were checked."""
