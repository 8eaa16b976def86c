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
from switch.tables.risk import BLOCK_REASONS, SECRET_SIZE, Risk
from switch.tables.risk_rules import BinSection, LimitSection, RiskRules, kinds_mask
from switch.tables.time_windows import WindowTable

CARD_COLUMNS = "card,reason"
ALL_KINDS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit in the form that ``Risk.build`` takes."""

    name: str
    scope: str
    kinds: int
    currency: int
    window_ms: int
    sliding: bool
    amount_max: int | None
    count_max: int | None
    single_max: int | None


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
        previous: Rules that these replace; their counts go on as far as limits keep name, scope, currency and window,
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
    if clock_offset_ms is None:
        clock_offset_ms = int((time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)) * 1000)
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
            limits=[_limit(limit) for limit in rules.limits],
            blocked_cards=cards,
            bins=[_bin(section) for section in rules.bins],
            countries=read_data_file(countries_file) if countries_file else b"",
            blocked_countries=[int(code) for code in rules.countries.blocked] if rules.countries else [],
            registry=registry,
            previous=previous,
            countries_file=str(countries_file),
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
    problems = ProblemList(str(path))
    cards = []
    lines = read_data_file(path).decode("utf-8", "backslashreplace").splitlines()
    rows = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not rows or rows[0][1] != CARD_COLUMNS:
        problems.at(rows[0][0] if rows else 1, 1, f"the first row must be {CARD_COLUMNS}")
    for number, line in rows[1:]:
        hashed, _, reason = (part.strip() for part in line.partition(","))
        if not re.fullmatch(r"[0-9a-fA-F]{16}", hashed):
            # What stands here may be a card number, so it is not repeated.
            problems.at(number, 1, "card: the hash of a card has 16 hex digits")
        elif reason not in BLOCK_REASONS:
            problems.at(number, len(hashed) + 2, f"reason: known are {', '.join(BLOCK_REASONS)}")
        else:
            cards.append((int(hashed, 16), reason))
    raise_if_any(problems)
    return cards


def _limit(section: LimitSection) -> _Limit:
    return _Limit(
        name=section.name,
        scope=section.per,
        kinds=kinds_mask(section.kinds),
        currency=int(section.currency or 0),
        window_ms=(section.window_seconds or 0) * 1000,
        sliding=section.mode == "sliding",
        amount_max=section.amount_max,
        count_max=section.count_max,
        single_max=section.single_amount_max,
    )


def _bin(section: BinSection) -> _Bin:
    kinds = ALL_KINDS if section.kinds is None else kinds_mask(section.kinds)
    return _Bin(section.low, section.high or "", section.block or "", kinds)
