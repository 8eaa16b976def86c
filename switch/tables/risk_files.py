"""Risk files: from TOML and its tables to the rules that the hot path checks."""

from __future__ import annotations

import codecs
import io
import re
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from switch.files.model_errors import problems_of
from switch.files.problems import ConfigError, Problem, ProblemList, raise_if_any
from switch.files.texts import Texts, texts_of
from switch.keys import KeySource
from switch.tables.card_hashes import SECRET_SIZE
from switch.tables.card_table import CARD_TYPES
from switch.tables.party_states import MERCHANT_CLASSES
from switch.tables.registry import Registry
from switch.tables.risk import OWN_RULES, PAST_MS, Risk
from switch.tables.risk_rules import (
    COUNTED_KINDS,
    GIVING_BACK,
    REFUNDS,
    SALES,
    BandSection,
    BinSection,
    ExitSection,
    RiskRules,
    RuleSection,
    Words,
    entries_mask,
    kinds_mask,
)
from switch.tables.rule_terms import ALL_KINDS, ANY_AMOUNT, BandTerms, ExitTerms, RuleTerms
from switch.tables.time_windows import WindowTable

MEASURES_OF_BANDS = {"declines": "declines", "decline_share": "share", "merchants": "merchants"}
"""What is counted for bands of these; for others requests, and what they sum up to."""

CARD_REASONS = ("restricted-card", "suspected-fraud")
MERCHANT_REASONS = ("unknown-merchant", "suspected-fraud")


@dataclass(frozen=True, slots=True)
class _Bin:
    """A range of cards in the form that ``Risk.build`` takes."""

    low: str
    high: str
    block: str
    kinds: int


def load_risk(
    source: str | Path | Texts,
    keys: KeySource,
    registry: Registry | None,
    previous: Risk | None = None,
    clock_offset_ms: int | None = None,
    *,
    is_shared: bool = False,
) -> Risk:
    """Read risk rules and the tables that they name.

    Args:
        source: The TOML file, beside which its tables are, or where both are read from.
        keys: Gives the key of the card hash, where the file lists blocked cards.
        registry: Where terminals and merchants are looked up; None where nobody will be asked about.
        previous: Rules that these are to replace; the counts go on as far as rules keep name and what they count,
            unless the key of the card hash has changed. Their table of windows stays as large as it is.
        clock_offset_ms: What turns the hot path's clock, which counts from the machine's start, into Unix time, for
            windows that begin at midnight; by default it is found from this machine's clocks.
        is_shared: Processes that are forked later count together.

    Raises:
        ConfigError: A file cannot be used; tells every problem, with its key, or line and column.
    """
    texts = texts_of(source)
    rules = read_rules(texts)
    problems = ProblemList(texts.place)
    secret = secret_of(rules, keys, problems)
    raise_if_any(problems)
    cards = _read_cards(texts, rules.cards.table) if rules.cards else None
    merchants = _read_merchants(texts, rules.merchants.table) if rules.merchants else None
    if clock_offset_ms is None:
        clock_offset_ms = int((time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)) * 1000) - PAST_MS
    clock_offset_ms += rules.utc_offset_ms
    windows = WindowTable(rules.windows_max, clock_offset_ms, is_shared) if previous is None else previous.windows
    try:
        return Risk.build(
            secret,
            windows,
            rules=[_terms(rule, rules.version) for rule in rules.all_rules],
            own_rules=_own_terms(rules),
            blocked_cards=cards,
            blocked_merchants=merchants,
            bins=[_bin(section) for section in rules.bins],
            countries=texts.table(rules.countries.table) if rules.countries else b"",
            blocked_countries=[int(code) for code in rules.countries.blocked] if rules.countries else [],
            registry=registry,
            previous=previous,
            countries_file=texts.place_of(rules.countries.table) if rules.countries else "",
            bin_digits=rules.bin_digits,
            clock_offset_ms=clock_offset_ms,
            card_types=texts.table(rules.card_types.table) if rules.card_types else b"",
            card_types_file=texts.place_of(rules.card_types.table) if rules.card_types else "",
            unlisted_card_type=rules.card_types.unlisted if rules.card_types else CARD_TYPES[0],
        )
    except ValueError as error:
        raise ConfigError([Problem(texts.place, "bins", str(error))]) from error


def tables_of(rules: RiskRules) -> list[str]:
    """The tables that rules name."""
    sections = (rules.countries, rules.card_types, rules.merchants, rules.cards)
    return [section.table for section in sections if section is not None]


def read_rules(source: str | Path | Texts) -> RiskRules:
    """The rules themselves, without the tables that they name.

    Raises:
        ConfigError: It cannot be used; tells every problem with its key.
    """
    texts = texts_of(source)
    try:
        table = tomllib.loads(texts.main().removeprefix(codecs.BOM_UTF8).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(texts.place, "", f"is not TOML: {error}")]) from error
    try:
        return RiskRules.model_validate(table)
    except ValidationError as error:
        raise ConfigError(problems_of(error, RiskRules, texts.place, "")) from error


def secret_of(rules: RiskRules, keys: KeySource, problems: ProblemList) -> bytes | None:
    """The key of the card hash; None when the rules name none."""
    if rules.cards is None:
        return None
    secret = keys.get(rules.cards.key)
    if secret is None:
        problems.add("cards.key", f"no key {rules.cards.key} in the key file")
    elif len(secret) != SECRET_SIZE:
        problems.add("cards.key", f"key {rules.cards.key} has {len(secret)} bytes; the card hash needs {SECRET_SIZE}")
    return secret


def _read_cards(texts: Texts, name: str) -> dict[int, str]:
    """Blocked cards: the reason of each hash."""
    # What stands in the wrong column may be a card number, so it is not repeated.
    rows = _read_blocked(
        texts, name, "card", r"[0-9a-fA-F]{16}", "the hash of a card has 16 hex digits", reasons=CARD_REASONS
    )
    return {int(hashed, 16): reason for hashed, reason in rows.items()}


def _read_merchants(texts: Texts, name: str) -> dict[str, str]:
    """Blocked merchants: the reason of each identifier."""
    needed = "a merchant has 1 to 15 characters of ASCII"
    return _read_blocked(texts, name, "merchant", r"[!-~]([ -~]{0,13}[!-~])?", needed, reasons=MERCHANT_REASONS)


def _read_blocked(
    texts: Texts, table: str, what: str, pattern: str, needed: str, *, reasons: tuple[str, ...]
) -> dict[str, str]:
    """The rows of a table of what is blocked: the reason of each, and of one that stands twice the last."""
    problems = ProblemList(texts.place_of(table))
    # No list of rows: the collector would look through all of them again and again, and every thread waits for it.
    found: dict[str, str] = {}
    columns = f"{what},reason"
    has_columns = False
    is_right = re.compile(pattern).fullmatch
    lines = io.StringIO(texts.table(table).decode("utf-8", "backslashreplace"), newline=None)
    for number, written in enumerate(lines, 1):
        line = written.strip()
        if not line or written.startswith("#"):
            continue
        if not has_columns:
            has_columns = True
            if line != columns:
                problems.at(number, 1, f"the first row must be {columns}")
            continue
        name, _, reason = (part.strip() for part in line.partition(","))
        if not is_right(name):
            problems.at(number, 1, f"{what}: {needed}")
        elif reason not in reasons:
            problems.at(number, len(name) + 2, f"reason: known are {', '.join(reasons)}")
        else:
            found[name] = reason
    if not has_columns:
        problems.at(1, 1, f"the first row must be {columns}")
    raise_if_any(problems)
    return found


def _terms(section: RuleSection, version: int) -> RuleTerms:
    measure, count_max = "requests", section.count_max
    kinds, along, against = kinds_mask(section.kinds or COUNTED_KINDS), 0, 0
    amount_max = section.amount_max
    if section.declines_max is not None:
        measure, count_max = "declines", section.declines_max
    elif section.merchants_max is not None:
        measure, count_max = "merchants", section.merchants_max
    elif section.measure is not None:
        measure = MEASURES_OF_BANDS.get(section.measure, "requests")
    if section.is_of_refunds:
        kinds = kinds_mask(section.kinds or GIVING_BACK)
        along, against = kinds_mask(REFUNDS) & ~kinds, kinds_mask(SALES)
        amount_max = section.refund_excess_max
    return RuleTerms(
        name=section.name,
        version=section.version or version,
        text=section.text,
        source=section.source,
        scope=section.per,
        measure=measure,
        kinds=kinds,
        along=along,
        against=against,
        currency=int(section.currency or 0),
        window_ms=section.window_ms,
        sliding=section.mode == "sliding",
        monthly=section.mode == "month",
        amount_max=amount_max,
        count_max=count_max,
        single_max=section.single_amount_max,
        amount_from=section.amount_from,
        amount_to=ANY_AMOUNT if section.amount_to is None else section.amount_to,
        entries=entries_mask(section.entry_modes),
        card_types=sum(1 << CARD_TYPES.index(name) for name in set(section.card_types)),
        merchant_classes=sum(1 << MERCHANT_CLASSES.index(name) for name in set(section.merchant_classes)),
        minutes=section.minutes,
        countries=tuple(int(code) for code in section.countries),
        refuse_as=section.refuse_as or "",
        is_shadow=section.shadow,
        value=section.measure or "",
        exits=tuple(_exit(one) for one in section.exits),
        bands=tuple(_band(one) for one in section.bands),
    )


def _exit(section: ExitSection) -> ExitTerms:
    return ExitTerms(
        name=section.name,
        text=section.text,
        amount_below=section.amount_below or 0,
        requests_below=section.requests_below or 0,
        entries=entries_mask(section.entry_modes),
        categories=tuple(int(code) for code in section.categories),
        merchants=section.merchants,
    )


def _band(section: BandSection) -> BandTerms:
    return BandTerms(
        name=section.name,
        text=section.text,
        begin=section.begin,
        below=section.below,
        then=section.then,
        refuse_as=section.refuse_as or "",
    )


def _own_terms(rules: RiskRules) -> list[RuleTerms]:
    """How lists, and what merchants and terminals may do, explain themselves."""
    sections = {"cards": rules.cards, "merchants": rules.merchants, "countries": rules.countries}
    words = {name: sections.get(name) or Words() for name in OWN_RULES}
    return [
        RuleTerms(name=name, version=said.version or rules.version, text=said.text, source=said.source)
        for name, said in words.items()
    ]


def _bin(section: BinSection) -> _Bin:
    kinds = ALL_KINDS if section.kinds is None else kinds_mask(section.kinds)
    return _Bin(section.low, section.high or "", section.block or "", kinds)
