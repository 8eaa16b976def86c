"""A rule of risk control in the form that ``Risk.build`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from switch.dialect.model import ENTRY_MODES

ALL_KINDS = (1 << 64) - 1
ALL_ENTRIES = (1 << len(ENTRY_MODES)) - 1
ANY_AMOUNT = (1 << 63) - 1
FILE_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ExitTerms:
    """When a rule is left without deciding anything: all of this holds.

    Attributes:
        name: Unique within its rule.
        text: Why, for people.
        amount_below: Amounts below this one, in minor units; 0: any.
        requests_below: While fewer requests were counted in the window; 0: however many were.
        entries: Bit n for entry mode n of ``ENTRY_MODES``.
        categories: Of merchants, ISO 18245; empty: any.
        merchants: Identifiers; empty: any.
    """

    name: str
    text: str = ""
    amount_below: int = 0
    requests_below: int = 0
    entries: int = ALL_ENTRIES
    categories: tuple[int, ...] = ()
    merchants: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class BandTerms:
    """What follows when what a rule measures lies here; of several bands that hold it, the first one counts.

    Attributes:
        name: Unique within its rule.
        text: Why, for people.
        begin: The smallest value; None: there is none.
        below: The value behind the largest one; None: there is none.
        then: One of ``THENS`` but ``exit``.
        refuse_as: One of ``REFUSALS``; empty: that of the rule.
    """

    name: str
    text: str = ""
    begin: int | None = None
    below: int | None = None
    then: str = "pass"
    refuse_as: str = ""


@dataclass(kw_only=True)
class RuleTerms:
    """What one rule counts, and what it allows.

    Attributes:
        name: Its identifier without the version.
        version: Which of its versions this is.
        text: Why it is there, for people; at most 255 bytes.
        source: Where a legal limit is laid down; empty: it is none.
        scope: Whose requests are counted together: one of ``SCOPES``.
        measure: One of ``MEASURES``.
        kinds: Bit n for kind n: these are counted and limited.
        along: Bit n for kind n: these are counted as well, and never refused.
        against: Bit n for kind n: these are counted, and their amounts subtracted; never refused either.
        currency: Numeric ISO 4217; 0: any.
        window_ms: Length of the window; 0: none.
        sliding: The time before each request, in slices; else whole windows from midnight.
        monthly: Calendar months, each a fixed window; ``window_ms`` is the longest of them.
        amount_max: Sum within the window, in minor units.
        count_max: How many of what is measured within the window; without one, how many at all.
        single_max: Amount of one request, in minor units.
        amount_from: Smallest amount that is looked at.
        amount_to: Largest amount that is looked at.
        entries: Bit n for entry mode n of ``ENTRY_MODES``: only these are looked at.
        card_types: Bit n for type n of ``CARD_TYPES``: only these are looked at; 0: all of them.
        merchant_classes: Bit n for class n of ``MERCHANT_CLASSES``, likewise.
        minutes: Minutes of the day from and to which requests are looked at; equal ones: always.
        countries: Issuers' countries that are looked at, numeric ISO 3166-1; empty: all.
        refuse_as: One of ``REFUSALS``; empty: the limit on amounts or on counts.
        is_shadow: What it would refuse is counted, and not refused.
        value: What its bands are of: one of ``VALUES``; empty: it has none.
        exits: When it is left, in this order, before it decides.
        bands: What it decides, in this order; a value that none of them holds passes.
    """

    name: str
    version: int = FILE_VERSION
    text: str = ""
    source: str = ""
    scope: str = "card"
    measure: str = "requests"
    kinds: int = ALL_KINDS
    along: int = 0
    against: int = 0
    currency: int = 0
    window_ms: int = 0
    sliding: bool = True
    monthly: bool = False
    amount_max: int | None = None
    count_max: int | None = None
    single_max: int | None = None
    amount_from: int = 0
    amount_to: int = ANY_AMOUNT
    entries: int = ALL_ENTRIES
    card_types: int = 0
    merchant_classes: int = 0
    minutes: tuple[int, int] = (0, 0)
    countries: tuple[int, ...] = ()
    refuse_as: str = ""
    is_shadow: bool = False
    value: str = ""
    exits: tuple[ExitTerms, ...] = ()
    bands: tuple[BandTerms, ...] = ()

    @property
    def id(self) -> str:
        """What it is called in the journal, in metrics and for people."""
        return f"{self.name}@{self.version}"
