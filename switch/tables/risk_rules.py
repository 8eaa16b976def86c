"""What a risk file may say."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from switch.dialect.kinds import Kind
from switch.files.sections import AMOUNT_MAX, Section

WINDOW_SECONDS_MAX = 31 * 24 * 3600
COUNTED_KINDS = ("purchase", "cash_advance", "preauthorization")
"""What a limit counts unless it says otherwise: what takes a cardholder's money, once."""

Digits3 = Annotated[str, Field(pattern=r"^[0-9]{3}$")]
Amount = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
CardDigits = Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
Block = Literal["restricted-card", "suspected-fraud"]


def _known_kind(name: str) -> str:
    known = [kind.label for kind in Kind]
    if name not in known:
        raise ValueError(f"unknown kind {name!r}; known are {', '.join(known)}")
    return name


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


LISTED = BeforeValidator(_as_tuple)
"""A list of the file, as the tuple that a strict model asks for."""

KindName = Annotated[str, AfterValidator(_known_kind)]
KindNames = Annotated[tuple[KindName, ...], LISTED]


def kinds_mask(names: tuple[str, ...]) -> int:
    """Bit n for kind n, as the hot path holds sets of kinds."""
    return sum(1 << Kind[name.upper()] for name in set(names))


class LimitSection(Section):
    """One limit. At least one of the three maxima is needed; amounts need a currency."""

    name: str = Field(min_length=1, max_length=64, description="Unique.")
    per: Literal["card", "terminal", "merchant"] = Field(description="Whose requests are counted together.")
    kinds: KindNames = Field(COUNTED_KINDS, description="Which kinds are counted and limited.")
    currency: Digits3 | None = Field(None, description="Numeric ISO 4217 code; without it the limit holds in any.")
    mode: Literal["sliding", "fixed"] = Field(
        "sliding", description="sliding: the time before each request; fixed: from midnight in whole windows."
    )
    window_seconds: int | None = Field(None, ge=1, le=WINDOW_SECONDS_MAX, description="Length of the window.")
    amount_max: Amount | None = Field(None, description="Sum within the window, in minor units.")
    count_max: int | None = Field(None, ge=0, le=1_000_000_000, description="Requests within the window.")
    single_amount_max: Amount | None = Field(None, description="Amount of one request, in minor units.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.kinds:
            raise ValueError("kinds must name at least one, or be left out")
        if self.amount_max is None and self.count_max is None and self.single_amount_max is None:
            raise ValueError("one of amount_max, count_max and single_amount_max is needed")
        if self.currency is None and (self.amount_max is not None or self.single_amount_max is not None):
            raise ValueError(
                "amount_max and single_amount_max need a currency: sums of several currencies mean nothing"
            )
        windowed = self.amount_max is not None or self.count_max is not None
        if windowed and self.window_seconds is None:
            raise ValueError("amount_max and count_max need window_seconds")
        if not windowed and self.window_seconds is not None:
            raise ValueError("window_seconds does nothing without amount_max or count_max")
        return self


class BinSection(Section):
    """What holds for the cards of one range; the narrowest range that holds a card counts."""

    low: CardDigits = Field(description="First digits; a prefix when `high` is absent.")
    high: CardDigits | None = Field(None, description="Last digits of the range, equally many.")
    block: Block | None = Field(None, description="Refuse these cards with this reason.")
    kinds: KindNames | None = Field(None, description="Which kinds these cards may do; absent: all.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.block is None and self.kinds is None:
            raise ValueError("either block or kinds is needed")
        if self.high is not None and (len(self.high) != len(self.low) or self.high < self.low):
            raise ValueError("high must have as many digits as low, and not be below it")
        return self


class CountriesSection(Section):
    """Countries whose cards are refused, as far as the table knows where a BIN is issued."""

    table: str = Field(min_length=1, description="CSV file with the columns low, high, country.")
    blocked: Annotated[tuple[Digits3, ...], LISTED] = Field(description="Numeric ISO 3166-1 codes.")


class CardsSection(Section):
    """Single cards that are refused, known by their hash."""

    table: str = Field(min_length=1, description="CSV file with the columns card (the hash) and reason.")
    key: str = Field("risk/cards", min_length=1, description="Name of the 16-byte hash key in the key file.")


class RiskRules(Section):
    """A whole risk file."""

    windows_max: int = Field(
        200_000, ge=1, le=100_000_000, description="Windows that are counted at the same time; about 140 bytes each."
    )
    utc_offset: str = Field(
        "+00:00", pattern=r"^[+-](0[0-9]|1[0-4]):[0-5][0-9]$", description="Where midnight is, for fixed windows."
    )
    limits: Annotated[tuple[LimitSection, ...], LISTED] = Field((), max_length=64)
    bins: Annotated[tuple[BinSection, ...], LISTED] = ()
    countries: CountriesSection | None = None
    cards: CardsSection | None = None

    @field_validator("limits")
    @classmethod
    def _unique(cls, limits: tuple[LimitSection, ...]) -> tuple[LimitSection, ...]:
        names = [limit.name for limit in limits]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names stand twice: {', '.join(twice)}")
        return limits

    @property
    def utc_offset_ms(self) -> int:
        """Milliseconds that local time is ahead of UTC."""
        hours, minutes = int(self.utc_offset[1:3]), int(self.utc_offset[4:6])
        return (hours * 60 + minutes) * 60_000 * (-1 if self.utc_offset.startswith("-") else 1)
