"""What a risk file may say."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from switch.dialect.kinds import Kind, Money, kind_traits
from switch.dialect.model import ENTRY_MODES
from switch.files.sections import AMOUNT_MAX, Section
from switch.tables.grades import AMOUNT_VALUES, GRADES_MAX
from switch.tables.risk import OWN_RULES, RULES_MAX
from switch.tables.rule_terms import FILE_VERSION
from switch.tables.rules import MEMBERS_MAX, REFUSALS, WORDS_BYTES_MAX

WINDOW_SECONDS_MAX = 31 * 24 * 3600
COUNTED_KINDS = ("purchase", "cash_advance", "preauthorization", "advice", "preauthorization_advice")
"""What a rule counts unless it says otherwise: what takes a cardholder's money, once. Advices are never refused."""
GIVING_BACK = ("refund",)
"""What `refund_excess_max` limits unless it says otherwise."""
SALES = tuple(kind.label for kind in Kind if kind_traits(kind).money is Money.DEBIT)
REFUNDS = tuple(kind.label for kind in Kind if kind_traits(kind).money is Money.CREDIT)
"""By what `refund_excess_max` counts: a sale taken back is a refund, and a refund taken back a sale; holds are none."""
HOURS = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"
WITH_PIN = "_pin"
VERSION_MAX = 999_999

GradeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
MerchantId = Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,13}[!-~])?$")]
Digits3 = Annotated[str, Field(pattern=r"^[0-9]{3}$")]
Digits4 = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
Amount = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
CardDigits = Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
MerchantClass = Literal["company", "small"]
CardType = Literal["credit", "debit", "prepaid"]
Block = Literal["restricted-card", "suspected-fraud"]


def _known_kind(name: str) -> str:
    known = [kind.label for kind in Kind]
    if name not in known:
        raise ValueError(f"unknown kind {name!r}; known are {', '.join(known)}")
    return name


def _known_entry_mode(name: str) -> str:
    if name not in ENTRY_MODES or name.endswith(WITH_PIN):
        known = ", ".join(mode for mode in ENTRY_MODES if not mode.endswith(WITH_PIN))
        raise ValueError(f"unknown entry mode {name!r}; known are {known}")
    return name


def _known_refusal(name: str) -> str:
    if name not in REFUSALS:
        raise ValueError(f"unknown reason {name!r}; known are {', '.join(REFUSALS)}")
    return name


def _within(text: str, most: int) -> str:
    if len(text.encode()) > most:
        raise ValueError(f"is {len(text.encode())} bytes long in UTF-8; it may be {most}")
    return text


def _short(text: str) -> str:
    return _within(text, WORDS_BYTES_MAX)


def _short_name(text: str) -> str:
    return _within(text, WORDS_BYTES_MAX - len(f"@{VERSION_MAX}"))


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


LISTED = BeforeValidator(_as_tuple)
"""A list of the file, as the tuple that a strict model asks for."""

KindName = Annotated[str, AfterValidator(_known_kind)]
KindNames = Annotated[tuple[KindName, ...], LISTED]
EntryMode = Annotated[str, AfterValidator(_known_entry_mode)]
Refusal = Annotated[str, AfterValidator(_known_refusal)]
Name = Annotated[str, AfterValidator(_short_name)]
Text = Annotated[str, AfterValidator(_short)]


def kinds_mask(names: tuple[str, ...]) -> int:
    """Bit n for kind n, as the hot path holds sets of kinds."""
    return sum(1 << Kind[name.upper()] for name in set(names))


def entries_mask(names: tuple[str, ...]) -> int:
    """Bit n for entry mode n, with a PIN or without; of no names: all of them."""
    chosen = [place for place, mode in enumerate(ENTRY_MODES) if not names or mode.removesuffix(WITH_PIN) in names]
    return sum(1 << place for place in chosen)


class Words(Section):
    """How what may refuse a request explains itself: in the journal, in `trace` and in the log."""

    version: int | None = Field(None, ge=1, le=VERSION_MAX, description="Of this rule; by default that of the file.")
    text: Text = Field("", description="Why it is there, for people.")
    source: Text = Field("", description="Of a legal limit: where it is laid down.")


class ExitSection(Section):
    """When a rule is left before it decides: its request is counted, and passes this rule. All that is given holds."""

    name: GradeName = Field(description="Unique within the rule. Behind the rule's identifier and a slash its own.")
    text: Text = Field("", description="Why, for people.")
    amount_below: Amount | None = Field(None, ge=1, description="Only amounts below this one, in minor units.")
    requests_below: int | None = Field(
        None, ge=1, le=1_000_000_000, description="Only while fewer requests were counted in the window."
    )
    entry_modes: Annotated[tuple[EntryMode, ...], LISTED] = Field((), description="Only cards that were read so.")
    categories: Annotated[tuple[Digits4, ...], LISTED] = Field((), max_length=64, description="Only these merchants'.")
    merchants: Annotated[tuple[MerchantId, ...], LISTED] = Field(
        (), max_length=64, description="Only these (field 42)."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.model_fields_set - {"name", "text"}:
            raise ValueError(
                "one of amount_below, requests_below, entry_modes, categories and merchants is needed: else the rule"
                " would never decide"
            )
        return self


class BandSection(Section):
    """What follows when what the rule measures lies in this band. The first band that holds it counts."""

    name: GradeName = Field(description="Unique within the rule. Behind the rule's identifier and a slash its own.")
    begin: int | None = Field(
        None, alias="from", ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="The smallest value in it; absent: any."
    )
    below: int | None = Field(
        None, ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="Values in it are below this one; absent: any."
    )
    then: Literal["pass", "shadow", "refuse", "case"] = Field(
        description="shadow: pass, and count what refuse would; case: pass, and have a person look at it."
    )
    refuse_as: Refusal | None = Field(None, description="The reason of its refusals; by default that of the rule.")
    text: Text = Field("", description="Why, for people.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.begin is not None and self.below is not None and self.below <= self.begin:
            raise ValueError("below must be above from: nothing lies between them")
        if self.refuse_as is not None and self.then not in ("refuse", "shadow"):
            raise ValueError(f"refuse_as does nothing where then is {self.then}")
        return self


class RuleSection(Words):
    """One rule. What it looks at, one measure, and at least one maximum of that, or bands; amounts need a currency."""

    name: Name = Field(min_length=1, max_length=64, description="Unique. With the version its identifier.")
    per: Literal["card", "terminal", "merchant", "bin", "category", "identity"] = Field(
        description="Whose requests are counted together; category: the merchant's; identity: all merchants of one."
    )
    kinds: KindNames | None = Field(None, description="Which kinds are counted and limited.")
    currency: Digits3 | None = Field(None, description="Numeric ISO 4217 code; without it the limit holds in any.")
    mode: Literal["sliding", "fixed", "month"] = Field(
        "sliding",
        description="sliding: the time before each request; fixed: from midnight in whole windows; month: the"
        " calendar's, without window_seconds.",
    )
    window_seconds: int | None = Field(None, ge=1, le=WINDOW_SECONDS_MAX, description="Length of the window.")
    amount_max: Amount | None = Field(None, description="Sum within the window, in minor units.")
    count_max: int | None = Field(None, ge=0, le=1_000_000_000, description="Requests within the window; 0: none ever.")
    single_amount_max: Amount | None = Field(None, description="Amount of one request, in minor units.")
    declines_max: int | None = Field(None, ge=1, le=1_000_000_000, description="Requests that issuers declined.")
    merchants_max: int | None = Field(None, ge=1, le=MEMBERS_MAX, description="Different merchants within the window.")
    refund_excess_max: Amount | None = Field(
        None, description="What refunds within the window may be above sales, in minor units."
    )
    entry_modes: Annotated[tuple[EntryMode, ...], LISTED] = Field(
        (), description="How the card was read; none: anyhow."
    )
    amount_from: Amount = Field(0, description="Only amounts from here are looked at, in minor units.")
    amount_to: Amount | None = Field(None, description="Only amounts up to here are looked at, in minor units.")
    hours: str | None = Field(None, pattern=HOURS, description="Only this time of day is looked at: 22:00-06:00.")
    countries: Annotated[tuple[Digits3, ...], LISTED] = Field((), description="Only cards issued there are looked at.")
    card_types: Annotated[tuple[CardType, ...], LISTED] = Field((), description="Only such cards are looked at.")
    merchant_classes: Annotated[tuple[MerchantClass, ...], LISTED] = Field(
        (), description="Only merchants of these classes are looked at."
    )
    measure: Literal["amount", "sum", "count", "declines", "decline_share", "merchants", "refund_excess"] | None = (
        Field(None, description="What bands are of; with the request that is looked at. Shares are percent.")
    )
    bands: Annotated[tuple[BandSection, ...], LISTED] = Field((), description="Instead of maxima.")
    exits: Annotated[tuple[ExitSection, ...], LISTED] = ()
    refuse_as: Refusal | None = Field(None, description="The reason of its refusals; by default as its maximum says.")
    shadow: bool = Field(False, description="Count what it would refuse, and refuse nothing.")

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if self.kinds is not None and not self.kinds:
            raise ValueError("kinds must name at least one, or be left out")
        measures = [
            self.amount_max is not None or self.count_max is not None or self.single_amount_max is not None,
            self.declines_max is not None,
            self.merchants_max is not None,
            self.refund_excess_max is not None,
            self.measure is not None,
        ]
        if sum(measures) == 0:
            raise ValueError(
                "one of amount_max, count_max, single_amount_max, declines_max, merchants_max, refund_excess_max, and"
                " measure with bands is needed"
            )
        if sum(measures) > 1:
            raise ValueError(
                "declines_max, merchants_max, refund_excess_max and measure stand alone: make a rule of each"
            )
        if (self.measure is None) != (not self.bands):
            raise ValueError("measure and bands belong together: bands say what follows from what is measured")
        return self

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.is_of_refunds and not set(self.kinds or GIVING_BACK) <= set(REFUNDS):
            raise ValueError(f"refund_excess_max limits what gives money back: {', '.join(REFUNDS)}")
        if self.is_of_merchants and self.mode != "sliding":
            raise ValueError("merchants have no fixed windows: the rule looks at the time before each request")
        if self.currency is None and self.needs_currency:
            raise ValueError("amounts need a currency: sums of several currencies mean nothing")
        if self.amount_to is not None and self.amount_to < self.amount_from:
            raise ValueError("amount_to must not be below amount_from")
        return self

    @model_validator(mode="after")
    def _over_some_time(self) -> Self:
        windowed = self.measure != "amount" and (
            self.single_amount_max is None or self.amount_max is not None or self.count_max is not None
        )
        if self.mode == "month":
            if self.window_seconds is not None or not windowed or self.is_ban:
                raise ValueError(
                    "mode month has the calendar's windows: it needs a maximum or bands, no window_seconds"
                )
        elif windowed and self.window_seconds is None and not self.is_ban:
            raise ValueError("every measure but single_amount_max, amount, and a count_max of 0, needs window_seconds")
        elif not windowed and self.window_seconds is not None:
            raise ValueError("window_seconds does nothing without a maximum within the window")
        return self

    @model_validator(mode="after")
    def _grades_together(self) -> Self:
        names = [one.name for one in self.exits] + [band.name for band in self.bands]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names of exits and bands stand twice: {', '.join(twice)}")
        for name in names:
            _within(f"{self.name}@{VERSION_MAX}/{name}", WORDS_BYTES_MAX)
        if never := unreached(self.bands):
            raise ValueError(f"bands that nothing reaches, for those before hold all of it: {', '.join(never)}")
        if self.is_of_merchants and (most := [band.name for band in self.bands if _top(band) > MEMBERS_MAX + 1]):
            raise ValueError(f"merchants are told apart up to {MEMBERS_MAX + 1}; more is asked by {', '.join(most)}")
        counts = self.window_ms > 0 and self.declines_max is None and not self.is_of_merchants
        if any(one.requests_below for one in self.exits) and (not counts or self.measure == "declines"):
            raise ValueError("requests_below needs a window in which requests are counted")
        return self

    @property
    def is_of_merchants(self) -> bool:
        """Whether it measures at how many merchants a card was."""
        return self.merchants_max is not None or self.measure == "merchants"

    @property
    def is_of_refunds(self) -> bool:
        """Whether it compares refunds with sales."""
        return self.refund_excess_max is not None or self.measure == "refund_excess"

    @property
    def needs_currency(self) -> bool:
        """Whether amounts are in it."""
        amounts = (self.amount_max, self.single_amount_max, self.refund_excess_max)
        return (
            any(amount is not None for amount in amounts)
            or self.looks_at_amounts
            or self.measure in AMOUNT_VALUES
            or any(one.amount_below for one in self.exits)
        )

    @property
    def window_ms(self) -> int:
        """Length of its window, or of the longest month; 0: it has none."""
        return (WINDOW_SECONDS_MAX if self.mode == "month" else self.window_seconds or 0) * 1000

    @property
    def looks_at_amounts(self) -> bool:
        """Whether it looks at some amounts only."""
        return self.amount_from > 0 or self.amount_to is not None

    @property
    def is_ban(self) -> bool:
        """Whether it forbids all that it looks at."""
        return self.count_max == 0 and self.amount_max is None

    @property
    def minutes(self) -> tuple[int, int]:
        """Minutes of the day between which it looks at requests; equal ones: always."""
        if self.hours is None:
            return (0, 0)
        begin, end = (int(time[:2]) * 60 + int(time[3:]) for time in self.hours.split("-"))
        return begin, end


def _top(band: BandSection) -> int:
    """The largest bound that a band names."""
    return max(band.begin or 0, (band.below or 0) - 1)


def unreached(bands: tuple[BandSection, ...]) -> list[str]:
    """Names of bands all of whose values lie in bands before them."""
    found = []
    begins = sorted(
        {-AMOUNT_MAX - 1, *(edge for band in bands for edge in (band.begin, band.below) if edge is not None)}
    )
    for place, band in enumerate(bands):
        before = bands[:place]
        if not any(_holds(band, value) and not any(_holds(one, value) for one in before) for value in begins):
            found.append(band.name)
    return found


def _holds(band: BandSection, value: int) -> bool:
    return (band.begin is None or band.begin <= value) and (band.below is None or value < band.below)


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


class CountriesSection(Words):
    """Where cards are issued, and which countries' cards are refused."""

    table: str = Field(min_length=1, description="CSV file with the columns low, high, country.")
    blocked: Annotated[tuple[Digits3, ...], LISTED] = Field(description="Numeric ISO 3166-1 codes.")


class CardTypesSection(Section):
    """What sort of card it is."""

    table: str = Field(min_length=1, description="CSV file with the columns low, high, type.")
    unlisted: CardType = Field("credit", description="What a card is that the table does not have.")


class MerchantsSection(Words):
    """Single merchants that are refused."""

    table: str = Field(min_length=1, description="CSV file with the columns merchant (field 42) and reason.")


class CardsSection(Words):
    """Single cards that are refused, known by their hash."""

    table: str = Field(min_length=1, description="CSV file with the columns card (the hash) and reason.")
    key: str = Field("risk/cards", min_length=1, description="Name of the 16-byte hash key in the key file.")


class RiskRules(Section):
    """A whole risk file."""

    version: int = Field(FILE_VERSION, ge=1, le=VERSION_MAX, description="Of all rules that say none of their own.")
    windows_max: int = Field(
        200_000, ge=1, le=100_000_000, description="Windows that are counted at the same time; about 140 bytes each."
    )
    utc_offset: str = Field(
        "+00:00", pattern=r"^[+-](0[0-9]|1[0-4]):[0-5][0-9]$", description="Where midnight is, for fixed windows."
    )
    bin_digits: int = Field(6, ge=4, le=11, description="How many first digits of a card number are its BIN.")
    limits: Annotated[tuple[RuleSection, ...], LISTED] = ()
    rules: Annotated[tuple[RuleSection, ...], LISTED] = ()
    bins: Annotated[tuple[BinSection, ...], LISTED] = ()
    countries: CountriesSection | None = None
    card_types: CardTypesSection | None = None
    merchants: MerchantsSection | None = None
    cards: CardsSection | None = None

    @field_validator("limits", "rules")
    @classmethod
    def _unique(cls, rules: tuple[RuleSection, ...]) -> tuple[RuleSection, ...]:
        names = [rule.name for rule in rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names stand twice: {', '.join(twice)}")
        if taken := sorted(set(names) & set(OWN_RULES)):
            raise ValueError(f"names that are taken: {', '.join(taken)}")
        return rules

    @model_validator(mode="after")
    def _together(self) -> Self:
        if twice := sorted({rule.name for rule in self.limits} & {rule.name for rule in self.rules}):
            raise ValueError(f"limits and rules have the same names: {', '.join(twice)}")
        if len(self.all_rules) > RULES_MAX:
            raise ValueError(f"there may be {RULES_MAX} limits and rules together")
        if sum(len(rule.exits) + len(rule.bands) for rule in self.all_rules) > GRADES_MAX:
            raise ValueError(f"there may be {GRADES_MAX} exits and bands of all rules together")
        if self.countries is None and (names := [rule.name for rule in self.all_rules if rule.countries]):
            raise ValueError(f"rules that look at countries need [countries]: {', '.join(names)}")
        if self.card_types is None and (names := [rule.name for rule in self.all_rules if rule.card_types]):
            raise ValueError(f"rules that look at card_types need [card_types]: {', '.join(names)}")
        return self

    @property
    def all_rules(self) -> tuple[RuleSection, ...]:
        """Limits and rules, in the order in which they are looked at."""
        return self.limits + self.rules

    @property
    def utc_offset_ms(self) -> int:
        """Milliseconds that local time is ahead of UTC."""
        hours, minutes = int(self.utc_offset[1:3]), int(self.utc_offset[4:6])
        return (hours * 60 + minutes) * 60_000 * (-1 if self.utc_offset.startswith("-") else 1)
