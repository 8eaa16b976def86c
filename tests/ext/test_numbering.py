"""STANs and retrieval reference numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.calendar import Calendar
from switch.numbering import Numbering, number_of

HOUR_S = 3600
START_S = 1_795_400_000  # some moment in 2026


@pytest.fixture
def calendar():
    calendar = Calendar()
    calendar.set(0, START_S)
    return calendar


def test_the_first_million_of_an_hour_end_in_their_stan(calendar):
    numbering = Numbering(41)
    prefix = calendar.texts()["rrn_prefix"]
    assert [numbering.rrn(calendar) for _ in range(3)] == [f"{prefix}{number:06d}" for number in (41, 42, 43)]


def test_numbers_begin_anew_without_repeating_a_reference_number(calendar):
    numbering = Numbering(999_998)
    first = [numbering.rrn(calendar) for _ in range(4)]
    assert [number_of(rrn) for rrn in first] == [999_998, 999_999, 1, 2]
    assert first[2][6].isalpha()
    assert len(set(first)) == 4


def test_a_new_hour_counts_in_digits_again(calendar):
    numbering = Numbering(999_999)
    numbering.rrn(calendar)
    assert numbering.rrn(calendar)[6].isalpha()
    calendar.set(0, START_S + HOUR_S)
    assert numbering.rrn(calendar)[6:] == "000002"


@given(st.integers(1, 999_999))
def test_reference_numbers_of_one_hour_differ_and_lead_back_to_their_number(first):
    calendar = Calendar()
    calendar.set(0, START_S)
    numbering = Numbering(first)
    seen = set()
    for _ in range(1_000):
        number = numbering.next
        rrn = numbering.rrn(calendar)
        assert number_of(rrn) == number
        assert len(rrn) == 12
        seen.add(rrn)
    assert len(seen) == 1_000


@pytest.mark.parametrize("rrn", ["", "63270300000", "632703-00001", "6327031A0000", "632703a00000"])
def test_what_is_no_reference_number_of_ours_leads_nowhere(rrn):
    assert number_of(rrn) == -1


@pytest.mark.parametrize("first", [0, 1_000_000])
def test_the_sequence_begins_within_six_digits(first):
    with pytest.raises(ValueError, match="must be 1 to 999,999"):
        Numbering(first)
