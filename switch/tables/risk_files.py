"""Risk files: from TOML and its tables to the rules that the hot path checks."""

from __future__ import annotations

import re
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from switch.files.datafile import read_data_file, read_toml
from switch.files.model_errors import problems_of
from switch.files.problems import ConfigError, Problem, ProblemList, raise_if_any
from switch.keys import KeySource
from switch.tables.registry import Registry
from switch.tables.risk import OWN_RULES, PAST_MS, SECRET_SIZE, Risk
from switch.tables.risk_rules import (
    COUNTED_KINDS,
    GIVING_BACK,
    REFUNDS,
    SALES,
    BinSection,
    RiskRules,
    RuleSection,
    Words,
    entries_mask,
    kinds_mask,
)
from switch.tables.rule_terms import ALL_KINDS, ANY_AMOUNT, RuleTerms
from switch.tables.time_windows import WindowTable

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
    path: str | Path,
    keys: KeySource,
    registry: Registry,
    previous: Risk | None = None,
    clock_offset_ms: int | None = None,
    *,
    is_shared: bool = False,
) -> Risk:
    """Read a risk file and the tables that it names, relative to it.

    Args:
        path: The TOML file.
        keys: Gives the key of the card hash, where the file lists blocked cards.
        registry: Where terminals and merchants are looked up.
        previous: Rules that these replace; their counts go on as far as rules keep name and what they count,
            unless the size of the table of windows or the key of the card hash has changed.
        clock_offset_ms: What turns the hot path's clock, which counts from the machine's start, into Unix time, for
            windows that begin at midnight; by default it is found from this machine's clocks.
        is_shared: Processes that are forked later count together.

    Raises:
        ConfigError: A file cannot be used; tells every problem, with its key, or line and column.
    """
    path = Path(path)
    rules = read_rules(path)
    problems = ProblemList(str(path))
    secret = secret_of(rules, keys, problems)
    raise_if_any(problems)
    cards = _read_cards(path.parent / rules.cards.table) if rules.cards else []
    merchants = _read_merchants(path.parent / rules.merchants.table) if rules.merchants else []
    if clock_offset_ms is None:
        clock_offset_ms = int((time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)) * 1000) - PAST_MS
    clock_offset_ms += rules.utc_offset_ms
    if previous is not None and previous.windows.room == rules.windows_max:
        windows = previous.windows
        windows.clock_offset_ms = clock_offset_ms
    else:
        windows = WindowTable(rules.windows_max, clock_offset_ms, is_shared)
    countries_file = path.parent / rules.countries.table if rules.countries else None
    try:
        return Risk.build(
            secret,
            windows,
            rules=[_terms(rule, rules.version) for rule in rules.all_rules],
            own_rules=_own_terms(rules),
            blocked_cards=cards,
            blocked_merchants=merchants,
            bins=[_bin(section) for section in rules.bins],
            countries=read_data_file(countries_file) if countries_file else b"",
            blocked_countries=[int(code) for code in rules.countries.blocked] if rules.countries else [],
            registry=registry,
            previous=previous,
            countries_file=str(countries_file),
            bin_digits=rules.bin_digits,
        )
    except ValueError as error:
        raise ConfigError([Problem(str(path), "bins", str(error))]) from error


def read_rules(path: Path) -> RiskRules:
    """The file of rules, without the tables that it names.

    Raises:
        ConfigError: It cannot be used; tells every problem with its key.
    """
    try:
        table = read_toml(path)
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), "", f"is not TOML: {error}")]) from error
    try:
        return RiskRules.model_validate(table)
    except ValidationError as error:
        raise ConfigError(problems_of(error, RiskRules, path, "")) from error


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


def _read_cards(path: Path) -> list[tuple[int, str]]:
    """Blocked cards: hash and reason."""
    # What stands in the wrong column may be a card number, so it is not repeated.
    rows = _read_blocked(path, "card", r"[0-9a-fA-F]{16}", "the hash of a card has 16 hex digits", CARD_REASONS)
    return [(int(hashed, 16), reason) for hashed, reason in rows]


def _read_merchants(path: Path) -> list[tuple[str, str]]:
    """Blocked merchants: identifier and reason."""
    needed = "a merchant has 1 to 15 characters of ASCII"
    return _read_blocked(path, "merchant", r"[!-~]([ -~]{0,13}[!-~])?", needed, MERCHANT_REASONS)


def _read_blocked(path: Path, what: str, pattern: str, needed: str, reasons: tuple[str, ...]) -> list[tuple[str, str]]:
    """The rows of a table of what is blocked, with the reason of each."""
    problems = ProblemList(str(path))
    found = []
    columns = f"{what},reason"
    lines = read_data_file(path).decode("utf-8", "backslashreplace").splitlines()
    rows = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not rows or rows[0][1] != columns:
        problems.at(rows[0][0] if rows else 1, 1, f"the first row must be {columns}")
    is_right = re.compile(pattern).fullmatch
    for number, line in rows[1:]:
        name, _, reason = (part.strip() for part in line.partition(","))
        if not is_right(name):
            problems.at(number, 1, f"{what}: {needed}")
        elif reason not in reasons:
            problems.at(number, len(name) + 2, f"reason: known are {', '.join(reasons)}")
        else:
            found.append((name, reason))
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
    elif section.refund_excess_max is not None:
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
        window_ms=(section.window_seconds or 0) * 1000,
        sliding=section.mode == "sliding",
        amount_max=amount_max,
        count_max=count_max,
        single_max=section.single_amount_max,
        amount_from=section.amount_from,
        amount_to=ANY_AMOUNT if section.amount_to is None else section.amount_to,
        entries=entries_mask(section.entry_modes),
        minutes=section.minutes,
        countries=tuple(int(code) for code in section.countries),
        refuse_as=section.refuse_as or "",
        is_shadow=section.shadow,
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
