"""What a transaction is looked for by: what a terminal's slip shows."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

RRN = re.compile(r"[0-9]{4}[0-9A-Z]{8}")
TERMINAL_AND_STAN = re.compile(r"([!-~]{1,8})/([0-9]{1,6})")
TERMINAL_DASH_STAN = re.compile(r"[0-9A-Za-z]{8}[-_ :.][0-9]{1,6}")
CARD = re.compile(r"([0-9]{0,9})\*+([0-9]{4,10})")
AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{2,4})?")  # no currency has tenths: 12.5 may stand for 12.50 or for 1.25
YEARS = range(1970, 9999)
PAN_DIGITS_MIN = 13
"""With so many digits a key may be a whole card number, whatever stands between them: it is not repeated."""

RRN_SPARE = timedelta(minutes=10)
"""How far a request's record may lie outside of the hour that its reference number tells."""

KEYS_WANTED = (
    "a retrieval reference number (12 characters, such as 632804000123), TERMINAL/STAN (10000002/000123), or a card "
    "as it is printed (622500******0014, or *0014)"
)


class QueryError(ValueError):
    """What was asked cannot be looked for; the text says what was needed."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is known of a transaction; what is None or empty is not asked for.

    Attributes:
        rrn: Retrieval reference number.
        terminal: Field 41.
        stan: The terminal's own number, field 11.
        pan_first: First digits of the card number.
        pan_last: Last digits.
        amount_minor: In minor units.
        begins: The request came then, or later.
        ends: It came before.
    """

    rrn: str | None = None
    terminal: str | None = None
    stan: int | None = None
    pan_first: str = ""
    pan_last: str = ""
    amount_minor: int | None = None
    begins: datetime | None = None
    ends: datetime | None = None

    def words(self, zone: ZoneInfo) -> str:
        """What is looked for, for people."""
        known = [
            (self.rrn, f"RRN {self.rrn}"),
            (self.terminal, f"terminal {self.terminal}"),
            (self.stan is not None, f"STAN {self.stan or 0:06d}"),
            (self.pan_last or self.pan_first, f"card {self.pan_first}*{self.pan_last}"),
            (self.amount_minor is not None, f"amount {self.amount_minor} in minor units"),
            (self.begins, f"from {shown_time(self.begins, zone)}"),
            (self.ends, f"to {shown_time(self.ends, zone)}"),
        ]
        return ", ".join(text for is_known, text in known if is_known)


def parse_key(text: str, now: datetime) -> Query:
    """What a key says: a reference number, a terminal with a STAN, or a card.

    Raises:
        QueryError: It is none of these.
    """
    if match := TERMINAL_AND_STAN.fullmatch(text):
        return Query(terminal=match[1], stan=int(match[2]))
    if TERMINAL_DASH_STAN.fullmatch(text):
        raise QueryError("a terminal and its STAN are written with a slash between them: 10000002/000123")
    if sum(map(str.isdigit, text)) >= PAN_DIGITS_MIN:
        raise QueryError("a whole card number does not belong on a command line: give its last four digits, as *0014")
    if match := CARD.fullmatch(text):
        return Query(pan_first=match[1], pan_last=match[2])
    if RRN.fullmatch(rrn := text.upper()):
        begins, ends = day_of_rrn(rrn, now) or (None, None)
        return Query(rrn=rrn, begins=begins, ends=ends)
    raise QueryError(f"{text!r} is no key; needed {KEYS_WANTED}")


def narrowed(query: Query, *, begins: datetime | None, ends: datetime | None, amount_minor: int | None) -> Query:
    """The same, with times and amount where they were given.

    Raises:
        QueryError: It ends before it begins.
    """
    changed = replace(
        query,
        begins=query.begins if begins is None else begins,
        ends=query.ends if ends is None else ends,
        amount_minor=amount_minor,
    )
    if changed.begins is not None and changed.ends is not None and changed.ends <= changed.begins:
        raise QueryError("the time to which is searched must be after the time from which is searched")
    return changed


def day_of_rrn(rrn: str, now: datetime) -> tuple[datetime, datetime] | None:
    """Between which times a request with this number came: it begins with YDDD, in UTC.

    None where that is no day, or one to come: then the clock has been ahead. The year is the latest one with that last
    digit.
    """
    day = int(rrn[1:4])
    year = now.year + (1 if now.month == 12 else 0)
    year -= (year - int(rrn[0])) % 10
    begins = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
    if begins > now + timedelta(days=1):
        begins = datetime(year - 10, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
    if not 1 <= day <= 366 or begins > now:
        return None
    return begins - RRN_SPARE, begins + timedelta(days=1) + RRN_SPARE


def parse_time(text: str, zone: ZoneInfo) -> datetime:
    """A time as 2026-11-23T14:05, with seconds or an offset where wanted; without an offset in the switch's zone.

    Raises:
        QueryError: It is none.
    """
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.year not in YEARS:
        raise QueryError(f"{text!r} is no time; needed one as 2026-11-23T14:05 or 2026-11-23T14:05+08:00")
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment


def parse_date(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The beginning and the end of a day in the switch's zone.

    Raises:
        QueryError: It is none.
    """
    try:
        begins: datetime | None = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        begins = None
    if begins is None or begins.year not in YEARS:
        raise QueryError(f"{text!r} is no day; needed one as 2026-11-23")
    return begins, (begins.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)


def parse_amount(text: str) -> int:
    """An amount in minor units, as field 4 has it: a decimal point is left out.

    Raises:
        QueryError: It is none.
    """
    if not AMOUNT.fullmatch(text):
        raise QueryError(f"{text!r} is no amount; needed one as it is printed, 12.50, or in minor units, 1250")
    return int(text.replace(".", ""))


def shown_time(moment: datetime | None, zone: ZoneInfo) -> str:
    """A time for people, in the switch's zone."""
    return "the beginning" if moment is None else moment.astimezone(zone).isoformat(" ", "seconds")
