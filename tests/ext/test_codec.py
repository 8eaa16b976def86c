"""Decoding and encoding on their own terms; agreement with pyiso8583 is in the differential test."""

from __future__ import annotations

import contextlib
import copy
import enum
import gc
import pickle
import random
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.wire.codec import DecodeError, EncodeError, decode, encode
from switch.wire.faults import FAULT_NAMES, place_words
from switch.wire.spec import SpecError, compile_spec
from tests.ext.purchase import ascii_spec, bcd_spec, document, ebcdic_spec, message

SPECS = {"ascii": ascii_spec(), "bcd": bcd_spec(), "ebcdic": ebcdic_spec()}
COMPILED = {name: compile_spec(spec) for name, spec in SPECS.items()}
MESSAGES = {name: message(spec) for name, spec in SPECS.items()}
dialects = pytest.mark.parametrize("dialect", SPECS)


def decoded_or_error(data, spec):
    try:
        return decode(data, spec)
    except DecodeError as error:
        return error


@dialects
def test_round_trip(dialect):
    purchase = document(SPECS[dialect])
    doc_dec, doc_enc = decode(MESSAGES[dialect], COMPILED[dialect])
    assert {key: value for key, value in doc_dec.items() if key != "p"} == purchase
    again, again_enc = encode(doc_dec, COMPILED[dialect])
    assert again == MESSAGES[dialect]
    assert isinstance(again, bytearray)
    assert again_enc == doc_enc
    assert b"".join(entry["len"] + entry["data"] for entry in doc_enc.values()) == MESSAGES[dialect]


@dialects
@given(st.data())
def test_documents_come_back(dialect, data):
    """Any values that the fields hold survive the way to bytes and back."""
    spec = SPECS[dialect]
    fields = data.draw(st.sets(st.sampled_from(["2", "4", "11", "32", "35", "37", "43", "48", "63", "102"])))
    purchase = {"t": "0210"}
    for field in sorted(fields, key=int):
        entry = spec[field]
        digits = entry["data_enc"] == "b" or entry.get("content") in ("n", "z")
        alphabet = "0123456789" if digits else "".join(map(chr, range(0x20, 0x7F)))
        least = 0 if entry["len_type"] else entry["max_len"]
        purchase[field] = data.draw(st.text(alphabet, min_size=least, max_size=min(entry["max_len"], 99)))
    written, _ = encode(dict(purchase), COMPILED[dialect])
    doc_dec, _ = decode(bytes(written), COMPILED[dialect])
    assert {key: value for key, value in doc_dec.items() if key not in ("p", "1")} == purchase


@dialects
def test_cut_off_at_every_byte(dialect):
    whole = MESSAGES[dialect]
    for size in range(len(whole)):
        error = decoded_or_error(whole[:size], COMPILED[dialect])
        assert isinstance(error, DecodeError)
        assert error.pos <= size
        assert error.needed > error.available


@dialects
def test_64_kib_of_random_bytes(dialect):
    source = random.Random(dialect)
    for _ in range(20):
        assert isinstance(decoded_or_error(source.randbytes(65536), COMPILED[dialect]), DecodeError)


@dialects
@given(st.binary(max_size=400))
def test_random_bytes(dialect, data):
    decoded_or_error(data, COMPILED[dialect])


@pytest.mark.parametrize("field", range(2, 193))
def test_every_field_number(field):
    spec = ascii_spec() | {
        str(number): {"data_enc": "ascii", "len_enc": "ascii", "len_type": 2, "max_len": 20} for number in (field, 129)
    }
    purchase = {"t": "0100", str(field): "1"}
    if field == 65:
        assert encode(purchase, spec)[1].keys() == {"t", "p"}
        return
    written, doc_enc = encode(purchase, spec)
    assert decode(written, spec) == (purchase, doc_enc)
    assert len(written) == 4 + 16 * (1 + (field > 64) + (field > 128)) + 3


def test_input_is_bytes_or_bytearray():
    spec = COMPILED["ascii"]
    assert decode(bytearray(MESSAGES["ascii"]), spec) == decode(MESSAGES["ascii"], spec)
    with pytest.raises(TypeError, match="must be bytes or bytearray, not memoryview"):
        decode(memoryview(MESSAGES["ascii"]), spec)
    with pytest.raises(TypeError, match="must be dict, not list"):
        encode([], spec)
    with pytest.raises(TypeError, match="must be a mapping, not NoneType"):
        decode(b"", None)


def test_bytearray_is_free_again_afterwards():
    data = bytearray(MESSAGES["ascii"])
    decode(data, COMPILED["ascii"])
    data.append(0)
    with pytest.raises(DecodeError):
        decode(data, COMPILED["ascii"])
    data.append(0)


def test_dictionary_that_changes_is_compiled_again():
    spec = copy.deepcopy(SPECS["ascii"])
    assert decode(MESSAGES["ascii"], spec) == decode(MESSAGES["ascii"], COMPILED["ascii"])
    spec["2"]["max_len"] = 10
    with pytest.raises(DecodeError, match="larger than maximum 10: field 2 pos 20"):
        decode(MESSAGES["ascii"], spec)
    spec["2"]["max_len"] = "10"
    with pytest.raises(SpecError, match="field 2: max_len"):
        decode(MESSAGES["ascii"], spec)


def test_many_dictionaries():
    for limit in range(16, 80):
        spec = copy.deepcopy(SPECS["ascii"])
        spec["2"]["max_len"] = limit
        assert decode(MESSAGES["ascii"], spec)[0]["2"] == "4111111111111111"


def every_decode_error():
    whole = MESSAGES["ascii"]
    for size in range(0, len(whole), 5):
        yield decoded_or_error(whole[:size], COMPILED["ascii"])
    for position in range(20, len(whole), 3):
        error = decoded_or_error(whole[:position] + b"\xff" + whole[position + 1 :], COMPILED["ascii"])
        assert isinstance(error, DecodeError)
        yield error


def every_encode_error():
    for field, value in document(SPECS["ascii"]).items():
        for wrong in (value + "\xff", value * 3, "中" * len(value), 5, None):
            with pytest.raises(EncodeError) as caught:
                encode(document(SPECS["ascii"]) | {field: wrong}, COMPILED["ascii"])
            yield caught.value


def test_errors_hold_no_data_in_their_text():
    for error in (*every_decode_error(), *every_encode_error()):
        for text in (str(error), repr(error), error.safe_message):
            assert not any(secret in text for secret in ("4111", "TERM", "MERCHANT", "ACME", "\xff", "中"))
            assert place_words(error.field) in text or f"field {error.field}" in text
        assert error.args == (str(error),)


def test_errors_are_worded_as_everywhere():
    """``str()`` is pyiso8583's; what people read is the project's."""
    for error in (*every_decode_error(), *every_encode_error()):
        assert error.fault in FAULT_NAMES
        place = getattr(error, "pos", None)
        assert error.safe_message.startswith(f"{place_words(error.field)}: ")
        assert place is None or error.safe_message.endswith(f", at byte {place}")
        assert not re.search(r"Failed|Field|expecting|Extra", error.safe_message), error.safe_message


def test_errors_travel_between_processes():
    for error in (*every_decode_error(), *every_encode_error()):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_safe_message():
    error = decoded_or_error(MESSAGES["ascii"][:-69], COMPILED["ascii"])
    assert error.safe_message == "field 37: needs 12 bytes, has 9, at byte 147"
    assert (error.needed, error.available, error.pos, error.field) == (12, 9, 147, "37")
    with pytest.raises(EncodeError) as caught:
        encode({"t": "0200", "2": "4" * 25}, COMPILED["ascii"])
    assert caught.value.safe_message == "field 2: the length is 25, above the maximum of 19"
    assert (caught.value.needed, caught.value.available) == (19, 25)


@pytest.mark.parametrize("value", ["", "1", "22", "x" * 600, "\x00", "\x7f", "é", "中", "\ud800"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp500", "cp1252", "gb2312"])
def test_text_as_python_writes_it(value, encoding):
    spec = {
        "t": {"data_enc": "ascii"},
        "p": {"data_enc": "b"},
        "2": {"data_enc": encoding, "len_enc": "b", "len_type": 2, "max_len": 999},
    }
    if encoding == "gb2312":
        with pytest.raises(SpecError):
            encode({"t": "0200", "2": value}, spec)
        return
    try:
        expected = value.encode(encoding)
    except UnicodeEncodeError:
        with pytest.raises(EncodeError, match="Failed to encode field, invalid data: field 2"):
            encode({"t": "0200", "2": value}, spec)
        return
    written, doc_enc = encode({"t": "0200", "2": value}, spec)
    assert doc_enc["2"]["data"] == expected
    assert decode(written, spec)[0]["2"] == value


@pytest.mark.parametrize("encoding", ["b", "bcd", "ascii", "cp500"])
@pytest.mark.parametrize("width", range(1, 9))
def test_lengths_of_every_width(encoding, width):
    """Up to the widest: a length that came last is remembered in a word of eight bytes."""
    spec = {
        "t": {"data_enc": "ascii"},
        "p": {"data_enc": "b"},
        "2": {"data_enc": "ascii", "len_enc": encoding, "len_type": width, "max_len": 9},
        "192": {"data_enc": "ascii", "len_enc": encoding, "len_type": width, "max_len": 9},
        "1": {"data_enc": "b"},
    }
    compiled = compile_spec(spec)
    for first, last in (("ab", "x"), ("abc", ""), ("ab", "x"), ("", "123456789")):
        written, doc_enc = encode({"t": "0200", "p": "", "2": first, "192": last}, compiled)
        lengths = [
            size.to_bytes(width, "big")
            if encoding == "b"
            else bytes.fromhex(f"{size:0{2 * width}d}")
            if encoding == "bcd"
            else f"{size:0{width}d}".encode(encoding)
            for size in (len(first), len(last))
        ]
        assert [doc_enc[key]["len"] for key in ("2", "192")] == lengths
        doc_dec, again_enc = decode(written, compiled)
        assert (doc_dec["2"], doc_dec["192"]) == (first, last)
        assert again_enc == doc_enc


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, 16, 17])
def test_one_letter_beyond_ascii_at_each_place(size):
    specs = {
        encoding: compile_spec(
            {
                "t": {"data_enc": "ascii"},
                "p": {"data_enc": "b"},
                "2": {"data_enc": encoding, "len_type": 0, "max_len": size},
            }
        )
        for encoding in ("ascii", "latin-1", "cp500")
    }
    for place in range(size):
        text = "a" * place + "é" + "a" * (size - place - 1)
        head = b"0200" + bytes.fromhex("4000000000000000")
        assert decode(head + text.encode("latin-1"), specs["latin-1"])[0]["2"] == text
        assert decode(head + text.encode("cp500"), specs["cp500"])[0]["2"] == text
        with pytest.raises(DecodeError, match="Failed to decode field, invalid data: field 2 pos 12"):
            decode(head + text.encode("latin-1"), specs["ascii"])


@dialects
def test_remembered_keys_make_no_difference(dialect):
    """A specification that has read the message before gives the same, also where the message breaks off."""
    whole = MESSAGES[dialect]
    used = compile_spec(copy.deepcopy(SPECS[dialect]))
    decode(whole, used)
    for size in range(len(whole) + 1):
        fresh = decoded_or_error(whole[:size], compile_spec(copy.deepcopy(SPECS[dialect])))
        again = decoded_or_error(whole[:size], used)
        if isinstance(fresh, DecodeError):
            fresh, again = (fresh.doc_dec, fresh.doc_enc), (again.doc_dec, again.doc_enc)
        assert again == fresh
        assert [list(document) for document in again] == [list(document) for document in fresh]


@dialects
def test_a_document_that_is_changed_changes_no_other(dialect):
    spec = COMPILED[dialect]
    first = decode(MESSAGES[dialect], spec)
    expected = copy.deepcopy(first)
    for one in decode(MESSAGES[dialect], spec):
        one.clear()
    for entry in decode(MESSAGES[dialect], spec)[1].values():
        entry.clear()
    encode(dict(first[0]), spec)[1]["2"].clear()
    assert decode(MESSAGES[dialect], spec) == first == expected


def test_a_secondary_bitmap_is_not_foretold_by_the_primary_one():
    spec = COMPILED["ascii"]
    for field in ("70", "90", "128", "70"):
        document = {"t": "0800", "11": "000001", field: {"70": "301", "90": "1" * 42, "128": "AABBCCDDEEFF0011"}[field]}
        written, doc_enc = encode(dict(document), spec)
        doc_dec, again = decode(written, spec)
        assert list(doc_dec) == ["t", "p", "1", "11", field]
        assert again == doc_enc


def test_lengths_that_change_from_message_to_message():
    spec = COMPILED["ascii"]
    for size in (1, 2, 1, 10, 19, 0, 19):
        written, doc_enc = encode({"t": "0200", "2": "4" * size}, spec)
        assert doc_enc["2"] == {"len": b"%02d" % size, "data": b"4" * size}
        assert decode(written, spec)[1] == doc_enc


def test_keys_of_a_class_of_its_own():
    class Field(enum.StrEnum):
        PAN = "2"
        STAN = "11"

    spec = COMPILED["ascii"]
    written, _ = encode({"t": "0200", Field.PAN: "4111", Field.STAN: "000001"}, spec)
    assert written == encode({"t": "0200", "2": "4111", "11": "000001"}, spec)[0]


def test_a_message_longer_than_the_first_room():
    spec = compile_spec(
        ascii_spec()
        | {
            str(field): {"data_enc": "ascii", "len_enc": "ascii", "len_type": 4, "max_len": 9999}
            for field in (48, 60, 61, 62)
        }
    )
    document = {"t": "0200", "48": "a" * 600, "60": "b" * 9999, "61": "c", "62": "d" * 5000}
    written, _ = encode(dict(document), spec)
    assert len(written) == 4 + 16 + 4 * 4 + 600 + 9999 + 1 + 5000
    assert {key: value for key, value in decode(written, spec)[0].items() if key != "p"} == document


def test_values_are_let_go():
    """Neither a document that is written nor one that is refused leaves a reference to a value."""
    spec = COMPILED["ascii"]
    for value in ("1" * 12, "1" * 13, None):
        held = {"t": "0200", "11": "000001", "37": value or ["no text"]}
        before = sys.getrefcount(held["37"])
        for _ in range(20):
            with contextlib.suppress(EncodeError):
                encode(held, spec)
        gc.collect()
        assert sys.getrefcount(held["37"]) < before + 20


def test_nothing_is_leaked():
    spec = COMPILED["ascii"]

    def run():
        doc_dec, _ = decode(MESSAGES["ascii"], spec)
        encode(doc_dec, spec)
        decoded_or_error(MESSAGES["ascii"][:100], spec)

    run()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        run()
    gc.collect()
    assert len(gc.get_objects()) - before < 20
