"""Business days: a calendar's, which end at the cut-over, and not at midnight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

US_A_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """When business days end.

    Attributes:
        cut_over: The time of day at which one ends and the next one begins.
        zone: The time zone of that.
    """

    cut_over: time
    zone: ZoneInfo

    def day_of(self, at_us: int) -> date:
        """The business day of a moment, in microseconds since 1970: with the cut-over the next one begins."""
        day = datetime.fromtimestamp(at_us // US_A_SECOND, UTC).astimezone(self.zone).date() - timedelta(days=1)
        while self.ends_us(day) <= at_us:
            day += timedelta(days=1)
        return day

    def ends_us(self, day: date) -> int:
        """The moment at which a business day ends, in microseconds since 1970; with a cut-over at midnight, its last.

        A cut-over that a clock passes twice in one night is the first of them; one that it leaps over is as many
        minutes behind the leap as it would have been.
        """
        last = day if self.cut_over != time.min else day + timedelta(days=1)
        return int(datetime.combine(last, self.cut_over, self.zone).timestamp()) * US_A_SECOND
