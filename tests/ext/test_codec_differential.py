"""The codec beside pyiso8583: same results and errors, but for what docs/codec-differences.md lists."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import iso8583
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from iso8583.specs import default_ascii

from switch.wire.codec import DecodeError, EncodeError, decode, encode
from switch.wire.spec import SpecError, compile_spec

TEXT_ENCODINGS = ("ascii", "latin-1", "cp500", "cp037", "cp1252", "cp864")
FIXED = {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": 2}
FIELDS = ("2", "3", "4", "64", "66", "70", "128", "129", "192")
DIFFERENCES = Path(__file__).parents[2] / "docs" / "codec-differences.md"


# --- what both are fed -------------------------------------------------------------------------------------------


@st.composite
def field_specs(draw):
    """Every option of a field; without those that only one of the two accepts."""
    entry = {
        "data_enc": draw(st.sampled_from(("b", *TEXT_ENCODINGS))),
        "len_enc": draw(st.sampled_from(("b", "bcd", *TEXT_ENCODINGS))),
        "len_type": draw(st.integers(0, 4)),
        "max_len": draw(st.integers(0, 30)),
    }
    if draw(st.booleans()):
        entry["len_count"] = draw(st.sampled_from(("bytes", "nibbles")))
    for side in ("left_pad", "right_pad"):
        if draw(st.booleans()):
            entry[side] = draw(st.sampled_from(("", "0", "F", "D")))
    odd = entry["data_enc"] == "b" and entry.get("len_count") == "nibbles" and entry["max_len"] & 1
    if odd and not entry["len_type"] and not (entry.get("left_pad") or entry.get("right_pad")):
        entry["max_len"] += 1
    return entry


@st.composite
def specs(draw):
    spec = dict.fromkeys(FIELDS, FIXED)
    spec |= {field: draw(field_specs()) for field in draw(st.sets(st.sampled_from(FIELDS), min_size=1))}
    spec["h"] = draw(field_specs()) if draw(st.booleans()) else {**FIXED, "max_len": 0}
    for field in ("t", "p", "1"):
        spec[field] = {**FIXED, "data_enc": draw(st.sampled_from(("b", *TEXT_ENCODINGS)))}
    return spec


@st.composite
def values(draw, entry):
    """A value that mostly fits its field, and now and then does not."""
    size = entry["max_len"]
    if entry["data_enc"] == "b" and entry.get("len_count", "bytes") == "bytes":
        size *= 2
    if entry["len_type"] and draw(st.booleans()):
        size = draw(st.integers(0, size))
    if not draw(st.integers(0, 9)):
        size = draw(st.integers(0, 64))
    alphabet = "0123456789ABCDEFabcdef" if draw(st.integers(0, 9)) else "09AZ é中\x00\x7f"
    return draw(st.text(alphabet, min_size=size, max_size=size))


@st.composite
def specs_and_documents(draw):
    spec = draw(specs())
    document = {}
    for field in draw(st.sets(st.sampled_from(FIELDS))):
        document[field] = draw(values(spec[field]))
    for field in ("h", "t"):
        if draw(st.integers(0, 19)):
            document[field] = draw(values(spec["h"])) if field == "h" else draw(st.sampled_from(TYPES))
    return spec, document


TYPES = ("0200",) * 8 + ("02", "02000", "zz00", "é200")


@st.composite
def specs_and_messages(draw):
    """A message that pyiso8583 wrote where it could, and then damaged."""
    spec, document = draw(specs_and_documents())
    try:
        data, _ = iso8583.encode(dict(document), spec)
    except iso8583.EncodeError:
        data = bytearray(draw(st.binary(max_size=60)))
    for _ in range(draw(st.integers(0, 3))):
        if not data:
            break
        place = draw(st.integers(0, len(data) - 1))
        damage = draw(st.sampled_from(("change", "cut", "insert", "remove")))
        if damage == "change":
            data[place] = draw(st.integers(0, 255))
        elif damage == "cut":
            del data[place:]
        elif damage == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=4))
        else:
            del data[place]
    return spec, bytes(data)


# --- how the two compare -----------------------------------------------------------------------------------------


def outcome(call, value, spec):
    """What a call gives: its result, or its error in a form that compares."""
    value = copy.copy(value)
    try:
        return call(value, spec), value
    except (iso8583.DecodeError, DecodeError) as error:
        return ("DecodeError", str(error), error.msg, error.field, error.pos, error.s, error.doc_dec, error.doc_enc)
    except (iso8583.EncodeError, EncodeError) as error:
        return ("EncodeError", str(error), error.msg, error.field, error.doc_dec, error.doc_enc)
    except KeyError as error:
        return ("KeyError", error.args[0])


def differs_by_intent(ours, theirs, spec, data):
    """Whether a difference is one of those that the list allows."""
    if ours[0] != "DecodeError":
        return False
    _, _, msg, field, position, *_ = ours
    if msg == "Field is not defined in specifications":
        return theirs == ("KeyError", field)
    if msg == "Failed to decode field length, non-numeric data":
        length = data[position : position + spec[field]["len_type"]].decode(spec[field]["len_enc"])
        return not re.fullmatch("[0-9]+", length)
    if msg == "Failed to decode field, non-hex data":
        return bool(re.search(r"\s", data[position : position + 16].decode(spec[field]["data_enc"])))
    return False


@settings(max_examples=200)
@given(specs_and_documents())
def test_encode_agrees(case):
    spec, document = case
    theirs = outcome(iso8583.encode, document, spec)
    assert outcome(encode, document, compile_spec(spec)) == theirs


@settings(max_examples=250)
@given(specs_and_messages())
def test_decode_agrees(case):
    spec, data = case
    ours = outcome(decode, data, compile_spec(spec))
    theirs = outcome(iso8583.decode, data, spec)
    assert ours == theirs or differs_by_intent(ours, theirs, spec, data)


@settings(max_examples=100)
@given(specs(), st.binary(max_size=80))
def test_decode_agrees_on_noise(spec, data):
    ours = outcome(decode, data, compile_spec(spec))
    theirs = outcome(iso8583.decode, data, spec)
    assert ours == theirs or differs_by_intent(ours, theirs, spec, data)


@settings(max_examples=60)
@given(specs_and_documents())
def test_decode_agrees_on_messages_cut_at_every_byte(case):
    spec, document = case
    try:
        data, _ = iso8583.encode(document, spec)
    except iso8583.EncodeError:
        return
    compiled = compile_spec(spec)
    for size in range(len(data) + 1):
        assert outcome(decode, bytes(data[:size]), compiled) == outcome(iso8583.decode, bytes(data[:size]), spec)


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(["t", "p", "bm", "1", "65", "2", "128", "0", "193", "999999"]), st.integers()),
        st.text("0123", max_size=4),
    )
)
@example({"t": "0200", "0": "", "193": ""})
def test_documents_with_any_keys_agree(document):
    spec = {**{str(field): FIXED for field in range(1, 193)}, "h": {**FIXED, "max_len": 0}, "t": FIXED, "p": FIXED}
    assert outcome(encode, document, spec) == outcome(iso8583.encode, document, spec)


# --- deliberate differences, one test each -----------------------------------------------------------------------


def small(**change):
    """Fields 2 and 3, of which 2 is changed."""
    return {
        "h": {**FIXED, "max_len": 0},
        "t": {**FIXED, "max_len": 4},
        "p": {**FIXED, "data_enc": "b"},
        "1": {**FIXED, "data_enc": "b"},
        "2": {**FIXED, **change},
        "3": FIXED,
    }


def with_field_2(data):
    return b"0200" + bytes.fromhex("4000000000000000") + data


def test_every_listed_difference_has_its_test():
    rows = [line for line in DIFFERENCES.read_text().splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for row in rows:
        name = row.rsplit("`", 2)[1]
        assert callable(globals()[name]), row


@pytest.mark.parametrize(
    ("change", "error"),
    [({"data_enc": "no-such"}, iso8583.DecodeError), ({"max_len": None}, TypeError), ({"len_type": "2"}, TypeError)],
)
def test_wrong_specification(change, error):
    with pytest.raises(error):
        iso8583.decode(with_field_2(b"ab"), small(**change))
    with pytest.raises(SpecError):
        decode(with_field_2(b"ab"), small(**change))
    assert iso8583.decode(with_field_2(b"ab"), small(max_lenght=3))[0]["2"] == "ab"
    with pytest.raises(SpecError, match="field 2: max_lenght: unknown key"):
        decode(with_field_2(b"ab"), small(max_lenght=3))


def test_multi_byte_encoding():
    spec = small(data_enc="utf-8")
    assert iso8583.decode(with_field_2("é".encode()), spec)[0]["2"] == "é"
    with pytest.raises(SpecError, match="not a one-byte encoding"):
        decode(with_field_2("é".encode()), spec)


@pytest.mark.parametrize("change", [{"max_len": 65536, "len_type": 6}, {"len_type": 9}])
def test_limits(change):
    spec = small(**change)
    data = with_field_2(b"2".rjust(change["len_type"], b"0") + b"ab")
    assert iso8583.decode(data, spec)[0]["2"] == "ab"
    with pytest.raises(SpecError, match="must be from 0 to"):
        decode(data, spec)


@pytest.mark.parametrize("pad", ["00", "G", "é"])
def test_strange_pads(pad):
    spec = small(data_enc="b", len_count="nibbles", max_len=3, left_pad=pad)
    if pad == "00":
        assert iso8583.decode(with_field_2(b"\x01\x23"), spec)[0]["2"] == "123"
    else:
        with pytest.raises(iso8583.DecodeError):
            iso8583.decode(with_field_2(b"\x01\x23"), spec)
    with pytest.raises(SpecError, match="field 2: left_pad: must be one hex digit"):
        decode(with_field_2(b"\x01\x23"), spec)


def test_lower_case_pad():
    spec = small(data_enc="b", len_count="nibbles", max_len=3, right_pad="f")
    written, _ = iso8583.encode({"t": "0200", "2": "123"}, spec)
    assert encode({"t": "0200", "2": "123"}, spec)[0] == written
    with pytest.raises(iso8583.DecodeError):
        iso8583.decode(written, spec)
    assert decode(written, spec)[0]["2"] == "123"


def test_odd_fixed_field_without_pad():
    spec = small(data_enc="b", len_count="nibbles", max_len=3)
    for value in ("123", "1234", "12"):
        with pytest.raises(iso8583.EncodeError):
            iso8583.encode({"t": "0200", "2": value}, spec)
    with pytest.raises(iso8583.DecodeError):
        iso8583.decode(with_field_2(b"\x01\x23"), spec)
    with pytest.raises(SpecError, match="left_pad or right_pad is missing"):
        compile_spec(spec)


def test_no_header():
    spec = small()
    del spec["h"]
    with pytest.raises(KeyError):
        iso8583.decode(with_field_2(b"ab"), spec)
    assert decode(with_field_2(b"ab"), spec)[0]["2"] == "ab"


@pytest.mark.parametrize(
    ("field", "bitmap", "position"), [("4", "5000000000000000", 14), ("1", "8000000000000000", 12)]
)
def test_undefined_field(field, bitmap, position):
    spec = small()
    spec.pop("1")
    data = b"0200" + bytes.fromhex(bitmap) + b"ab"
    with pytest.raises(KeyError):
        iso8583.decode(data, spec)
    with pytest.raises(DecodeError) as caught:
        decode(data, spec)
    error = caught.value
    assert str(error) == f"Field is not defined in specifications: field {field} pos {position}"
    document = {"t": "0200", "70" if field == "1" else field: "301"}
    with pytest.raises(KeyError):
        iso8583.encode(dict(document), spec)
    with pytest.raises(EncodeError, match=f"^Field is not defined in specifications: field {field}$"):
        encode(dict(document), spec)


@pytest.mark.parametrize("length", [" 2", "2 ", "+2", "\t2", "-1"])
def test_text_length_is_digits(length):
    data = with_field_2(length.encode() + b"ab")
    spec = small(len_type=2, max_len=9)
    if length == "-1":
        with pytest.raises(iso8583.DecodeError, match="expecting -1"):
            iso8583.decode(data, spec)
    else:
        assert iso8583.decode(data, spec)[0]["2"] == "ab"
    with pytest.raises(DecodeError, match=r"^Failed to decode field length, non-numeric data: field 2 pos 12$"):
        decode(data, spec)


def test_text_length_is_digits_without_underscores():
    data = with_field_2(b"1_0" + b"a" * 10)
    spec = small(len_type=3, max_len=10)
    assert iso8583.decode(data, spec)[0]["2"] == "a" * 10
    with pytest.raises(DecodeError, match="non-numeric data"):
        decode(data, spec)


def test_hex_bitmap_with_blanks():
    spec = {**small(), "p": FIXED}
    data = b"0200" + b"40  00 00       " + b"ab"
    assert iso8583.decode(data, spec)[0]["2"] == "ab"
    with pytest.raises(DecodeError, match=r"^Failed to decode field, non-hex data: field p pos 4$"):
        decode(data, spec)


@pytest.mark.parametrize(
    ("key", "error"), [("007", KeyError), ("٣", KeyError), ("½", ValueError), ("1" * 5000, ValueError)]
)
def test_strange_keys(key, error):
    document = {"t": "0200", key: "ab"}
    with pytest.raises(error):
        iso8583.encode(dict(document), default_ascii)
    with pytest.raises(EncodeError, match=re.escape(f"Dictionary contains invalid fields {[key]}: field p")):
        encode(dict(document), dict(default_ascii))


@pytest.mark.parametrize("value", [b"ABCD", 12, None])
@pytest.mark.parametrize("count", ["bytes", "nibbles"])
def test_binary_field_that_is_no_text(value, count):
    spec = small(data_enc="b", len_count=count, max_len=2 if count == "bytes" else 4)
    if value == b"ABCD":
        assert iso8583.encode({"t": "0200", "2": value}, spec)[1]["2"]["data"] == b"\xab\xcd"
    else:
        with pytest.raises((TypeError, UnboundLocalError)):
            iso8583.encode({"t": "0200", "2": value}, spec)
    with pytest.raises(EncodeError, match=r"^Failed to encode field, non-hex data: field 2$"):
        encode({"t": "0200", "2": value}, spec)


def test_errors_tell_more():
    with pytest.raises(DecodeError) as caught:
        decode(with_field_2(b"a"), small())
    error = caught.value
    assert (error.needed, error.available) == (2, 1)
    assert error.safe_message == "field 2: needs 2 bytes, has 1, at byte 12"
    assert not hasattr(iso8583.DecodeError("", b"", {}, {}, 0, "2"), "needed")
