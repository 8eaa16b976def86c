"""Masking of card numbers."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switch.base.masking import mask_pan, mask_private, mask_text, mask_track, passes_luhn


def with_check_digit(digits):
    return next(digits + check for check in "0123456789" if passes_luhn(digits + check))


pans = st.text("0123456789", min_size=12, max_size=18).map(with_check_digit)


@pytest.mark.parametrize("pan", ["4111111111111111", "6222021234567894", "378282246310005", "79927398713"])
def test_luhn(pan):
    assert passes_luhn(pan)
    assert not passes_luhn(pan[:-1] + str((int(pan[-1]) + 1) % 10))


def test_pan_shows_first_six_and_last_four():
    assert mask_pan("4111111111111111") == "411111******1111"
    assert mask_pan("6222021234567890128") == "622202*********0128"
    assert mask_pan("123456789012") == "************"


@given(pans, st.sampled_from(["", " ", ":", "x", "'", "-"]), st.sampled_from(["", " ", ",", "F", "\n"]))
def test_pan_in_a_text_is_masked(pan, before, after):
    masked = mask_text(f"{before}{pan}{after}")
    assert pan not in masked
    assert mask_pan(pan) in masked


@given(pans, st.sampled_from([" ", "-"]))
def test_pan_in_groups_is_masked(pan, separator):
    grouped = separator.join(pan[i : i + 4] for i in range(0, len(pan), 4))
    assert mask_text(f"card {grouped}.") == f"card {mask_pan(pan)}."


@given(st.text("0123456789", min_size=20, max_size=60))
def test_longer_runs_are_masked_whatever_they_hold(digits):
    assert mask_text(digits) == digits[:6] + "*" * (len(digits) - 10) + digits[-4:]


@pytest.mark.parametrize("separator", ["=", "D"])
def test_track_2_is_masked_to_its_end(separator):
    masked = mask_text(f"track 6222021234567890{separator}25121010000012345678")
    assert masked == "track 622202******7890" + "*" * 21


@pytest.mark.parametrize(
    "text",
    [
        "",
        "123456789012",
        "RRN 531512345678",
        "2026-11-23T03:18:26.123456Z",
        "4111111111111112",
        "no digits",
        "20261123 0318",
    ],
)
def test_other_text_is_left_alone(text):
    assert mask_text(text) == text


@given(pans, st.text("ABCDEFGHIJ/ ", min_size=2, max_size=26), st.sampled_from(["%B", "B", ""]))
def test_track_1_is_masked_whole_but_for_its_card_number(pan, name, before):
    masked = mask_text(f"{before}{pan}^{name}^25121010000000000123?")
    assert masked == before + mask_pan(pan) + "*" * (len(name) + 23)


@given(pans, st.sampled_from(["=", "D"]), st.text("0123456789", min_size=4, max_size=20))
def test_nobody_sees_what_follows_a_card_number_in_a_track(pan, separator, rest):
    assert mask_track(f";{pan}{separator}{rest}?") == f";{pan}*" + "*" * len(rest) + "?"


@given(st.text("ABC =;:", max_size=6), st.text("0123456789", min_size=3, max_size=12), st.text("xyz ", max_size=5))
def test_no_number_of_a_private_field_is_shown(before, digits, behind):
    assert digits not in mask_private(before + digits + behind)
    assert len(mask_private(before + digits + behind)) == len(before + digits + behind)


@given(st.integers(0, 40), st.text("123456789", min_size=13, max_size=19))
@example(13, "11112222222233344")
def test_a_bitmap_before_a_card_number_never_shows_more_of_it_than_a_mask(zeros, pan):
    shown = mask_private("0" * zeros + pan)
    assert pan[:7] not in shown
    assert pan[-7:] not in shown
