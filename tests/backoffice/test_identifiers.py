"""Codes, identity numbers and accounts: the standards' own examples, and the mistakes that they promise to find."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from switch.applications.identifiers import (
    CODE_CHARACTERS,
    CODE_MODULUS,
    CODE_WEIGHTS,
    IDENTITY_CHECKS,
    IDENTITY_WEIGHTS,
    account_fault,
    code_fault,
    identity_fault,
)
from switch.base.masking import passes_luhn

TODAY = date(2026, 11, 28)
CODE_OF_THE_STANDARD = "91350100M000100Y43"
IDENTITY_OF_THE_STANDARD = "11010519491231002X"
OLD_IDENTITY_OF_THE_STANDARD = "440524188001010014"
CHECK = "check character does not fit"


def identity_of(first):
    total = sum(int(one) * weight for one, weight in zip(first, IDENTITY_WEIGHTS, strict=True))
    return first + IDENTITY_CHECKS[total % 11]


def code_of(first):
    total = sum(CODE_CHARACTERS.index(one) * weight for one, weight in zip(first, CODE_WEIGHTS, strict=True))
    return first + CODE_CHARACTERS[-total % CODE_MODULUS]


CODES = st.builds(
    lambda head, region, tail: code_of(head + region + tail),
    st.text(CODE_CHARACTERS, min_size=2, max_size=2),
    st.text("0123456789", min_size=6, max_size=6),
    st.text(CODE_CHARACTERS, min_size=9, max_size=9),
)
IDENTITIES = st.builds(
    lambda region, day, order: identity_of(f"{region}{day:%Y%m%d}{order:03}"),
    st.text("123456789", min_size=6, max_size=6),
    st.dates(date(1920, 1, 1), date(2008, 11, 28)),
    st.integers(0, 999),
)


def swapped(text, at):
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def test_the_examples_of_the_standards():
    assert code_fault(CODE_OF_THE_STANDARD) == ""
    assert identity_fault(IDENTITY_OF_THE_STANDARD, TODAY, 18) == ""
    assert CODE_WEIGHTS == (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
    assert IDENTITY_WEIGHTS == (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    assert "living person" in identity_fault(OLD_IDENTITY_OF_THE_STANDARD, TODAY, 18)


@settings(deadline=None)
@given(CODES, st.integers(0, 17), st.sampled_from(CODE_CHARACTERS))
def test_one_wrong_character_of_a_code_is_found(code, at, other):
    assume(other != code[at])
    assert code_fault(code) == ""
    assert code_fault(code[:at] + other + code[at + 1 :])


@settings(deadline=None)
@given(CODES, st.integers(0, 16))
def test_two_swapped_characters_of_a_code_are_found(code, at):
    assume(code[at] != code[at + 1])
    assert code_fault(swapped(code, at))


@settings(deadline=None)
@given(IDENTITIES, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_one_wrong_digit_of_an_identity_number_is_found(number, at, other):
    assume(other != number[at])
    assert identity_fault(number, TODAY, 18) == ""
    assert identity_fault(number[:at] + other + number[at + 1 :], TODAY, 18)


@settings(deadline=None)
@given(IDENTITIES, st.integers(0, 16))
def test_two_swapped_digits_of_an_identity_number_are_found(number, at):
    assume(number[at] != number[at + 1])
    assert identity_fault(swapped(number, at), TODAY, 18)


@settings(deadline=None)
@given(st.text("0123456789", min_size=13, max_size=16), st.integers(0, 17), st.sampled_from("0123456789"))
def test_one_wrong_digit_of_an_account_is_found(digits, at, other):
    first = f"62{digits}"
    account = next(first + one for one in "0123456789" if passes_luhn(first + one))
    assert account_fault(account) == ""
    assume(2 <= at < len(account) and other != account[at])
    assert "check digit" in account_fault(account[:at] + other + account[at + 1 :])


@settings(deadline=None)
@given(st.text("0123456789", min_size=14, max_size=17), st.integers(2, 14))
def test_swapped_digits_of_an_account_are_found_but_0_and_9(digits, at):
    first = f"62{digits[:-1]}"
    account = next(first + one for one in "0123456789" if passes_luhn(first + one))
    assume(account[at] != account[at + 1])
    assert passes_luhn(swapped(account, at)) == ({account[at], account[at + 1]} == {"0", "9"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needed 18 characters"),
        ("91350100M000100Y4", "needed 18 characters"),
        ("9135010OM000100Y43", "needed 18 characters"),
        ("91350100m000100Y43", "needed 18 characters"),
        ("91350100M000100Y44", CHECK),
    ],
)
def test_what_is_no_code(text, words):
    assert words in code_fault(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("11010519491231002x", "needed 17 digits"),
        ("110105194912310021", CHECK),
        (identity_of("11010520010229002"), "no day of the calendar"),
        (identity_of("11010520270101002"), "living person"),
        (identity_of("11010520081129002"), "younger than 18"),
        (identity_of("11010520081128002"), ""),
    ],
)
def test_what_is_no_identity_number(text, words):
    assert words in identity_fault(text, TODAY, 18)
    assert bool(identity_fault(text, TODAY, 18)) == bool(words)


@pytest.mark.parametrize(("text", "words"), [("12345", "6 to 32"), ("62220210x0123456781", "6 to 32"), ("123456", "")])
def test_an_account_that_is_no_card_may_be_any_digits(text, words):
    assert words in account_fault(text)
