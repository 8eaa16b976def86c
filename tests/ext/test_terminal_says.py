"""Which machine a terminal says that it is, and where: read from its messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.dialect.terminal_says import TerminalSays, position_of

MICRO = 1_000_000


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("+31.230400+121.473700/", (31_230_400, 121_473_700)),
        ("31.2304,121.4737", (31_230_400, 121_473_700)),
        ("31.2304 -121.4737", (31_230_400, -121_473_700)),
        ("-0.5-0.25", (-500_000, -250_000)),
        ("+90+180", (90 * MICRO, 180 * MICRO)),
        ("1.23456789+2", (1_234_567, 2 * MICRO)),
        ("", None),
        ("31.2304", None),
        ("31.2304121.4737", None),
        ("+90.000001+0", None),
        ("+0+180.000001", None),
        ("+31.2+121.4x", None),
        ("north,east", None),
        ("+-1+2", None),
        ("99999999999999999999,1", None),
    ],
)
def test_position(text, position):
    assert position_of(text) == position


@settings(deadline=None)
@given(st.text())
def test_no_text_is_too_odd(text):
    position = position_of(text)
    assert position is None or (abs(position[0]) <= 90 * MICRO and abs(position[1]) <= 180 * MICRO)


@settings(deadline=None)
@given(st.integers(-90 * MICRO, 90 * MICRO), st.integers(-180 * MICRO, 180 * MICRO))
def test_position_as_written(latitude, longitude):
    assert position_of(f"{latitude / MICRO:+.6f}{longitude / MICRO:+.6f}/") == (latitude, longitude)


@pytest.mark.parametrize("tags", [["A"] * 5, ["A23456789"], ["A2", "0"]])
def test_places_that_there_is_no_room_for(tags):
    with pytest.raises(ValueError, match="tag"):
        TerminalSays([1], (59, 0, 0, tags, len(tags[0]), 3), (0, 0, 0, [], 0, 0))
