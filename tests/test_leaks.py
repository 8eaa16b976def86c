"""The scanner for secrets finds each of them in each form, wherever it lies."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .leaks import Leaks, forms

CARD = "6225000000000014"
KEY = bytes(range(0x80, 0x90))
IDENTITY = "11010519491231002X"
LEAKS = Leaks({"card": CARD, "key": KEY, "identity": IDENTITY})
WRITTEN = {
    "ASCII": (CARD.encode(), "card"),
    "EBCDIC": (CARD.encode("cp037"), "card"),
    "UTF-16": (CARD.encode("utf-16-be"), "card"),
    "packed": (bytes.fromhex(CARD), "card"),
    "packed behind a nibble": (bytes.fromhex(f"0{CARD}D"), "card"),
    "packed in hex": (bytes.fromhex(CARD).hex().encode(), "card"),
    "a key": (KEY, "key"),
    "a key in hex": (KEY.hex().encode(), "key"),
    "a key in capitals": (KEY.hex().upper().encode(), "key"),
    "an identity": (IDENTITY.encode(), "identity"),
    "an identity in hex": (IDENTITY.encode().hex().encode(), "identity"),
}


@pytest.mark.parametrize("form", WRITTEN)
@given(st.binary(max_size=50), st.binary(max_size=50))
def test_every_form_is_found_everywhere(form, before, behind):
    data, name = WRITTEN[form]
    assert name in LEAKS.in_bytes(before + data + behind)


@pytest.mark.parametrize("name", ["ASCII", "a key", "an identity"])
@given(st.binary(max_size=50), st.binary(max_size=50))
def test_base64_is_found_everywhere(name, before, behind):
    data, secret = WRITTEN[name]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert secret in LEAKS.in_bytes(encode(before + data + behind))


def test_what_is_masked_is_no_secret():
    assert LEAKS.in_bytes(b"622500******0014 110105********002X 80818283...") == set()
    assert all(len(form) >= 6 for form in forms(CARD) | forms(KEY))


def test_files_that_are_known_to_hold_secrets_are_left_out(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.log").write_text(f"card {CARD} was charged")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "form.toml").write_text(IDENTITY)
    assert LEAKS.in_files(tmp_path, [tmp_path / "given"]) == {"inner/one.log": {"card"}}
