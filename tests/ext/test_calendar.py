"""The texts of the present moment, against the standard library's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.base.calendar import Calendar

EDGES = [
    datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC),
    datetime(2040, 12, 31, 23, 59, 59, tzinfo=UTC),
]


def expected(moment, offset_s):
    """What messages carry at a moment."""
    local = moment.astimezone(timezone(timedelta(seconds=offset_s)))
    return {
        "transmission_time": f"{moment:%m%d%H%M%S}",
        "local_time": f"{local:%H%M%S}",
        "local_date": f"{local:%m%d}",
        "local_date_time": f"{local:%y%m%d%H%M%S}",
    }


@pytest.mark.parametrize("moment", EDGES, ids=str)
@pytest.mark.parametrize("offset_s", [0, 8 * 3600, -5 * 3600, 5 * 3600 + 45 * 60])
def test_texts_at_edges(moment, offset_s):
    calendar = Calendar(offset_s)
    calendar.set(1, int(moment.timestamp()))
    assert calendar.texts() == expected(moment, offset_s)


@given(wall_s=st.integers(0, 4_102_444_799), offset_s=st.integers(-12 * 3600, 14 * 3600))
def test_texts(wall_s, offset_s):
    calendar = Calendar(offset_s)
    calendar.set(5, wall_s)
    assert calendar.texts() == expected(datetime.fromtimestamp(wall_s, UTC), offset_s)
    assert (calendar.now_ns, calendar.wall_s) == (5, wall_s)


def test_time_zone_may_change():
    moment = EDGES[2]
    calendar = Calendar(0)
    calendar.set_local_offset(3600)  # before the first moment: nothing to write yet
    calendar.set(0, int(moment.timestamp()))
    assert calendar.texts() == expected(moment, 3600)
    calendar.set_local_offset(7200)
    assert calendar.texts() == expected(moment, 7200)


def test_microseconds_of_the_moment():
    calendar = Calendar()
    calendar.set(0, 1_800_000_000, 123_456)
    assert calendar.wall_us == 1_800_000_000_123_456
