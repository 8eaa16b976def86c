"""The index scan: what it finds, what it refuses, and that it says where."""

from __future__ import annotations

import pickle
import random

import iso8583
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.wire.scan import FAULT_NAMES, Message, ScanError, scan
from switch.wire.spec import compile_spec
from tests.ext.purchase import ascii_spec, bcd_spec, document, ebcdic_spec, message

SPECS = {"ascii": ascii_spec(), "bcd": bcd_spec(), "ebcdic": ebcdic_spec()}
COMPILED = {name: compile_spec(spec) for name, spec in SPECS.items()}
MESSAGES = {name: message(spec) for name, spec in SPECS.items()}
dialects = pytest.mark.parametrize("dialect", SPECS)


def one_field(field=None, **change):
    """A small specification: MTI and binary bitmap, and fields 2 and 3."""
    text = {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": 4}
    spec = {"t": {"data_enc": "ascii"}, "p": {"data_enc": "b"}, "1": {"data_enc": "b"}, "2": dict(text)}
    spec |= {"3": dict(text), "2": {**text, **change}}
    return compile_spec(spec)


def only_field_2(data):
    return b"0200" + bytes.fromhex("4000000000000000") + data


def fault(data, spec):
    with pytest.raises(ScanError) as caught:
        scan(data, spec)
    return caught.value


def scan_or_error(data, spec):
    try:
        return scan(data, spec)
    except ScanError as error:
        return error


@dialects
def test_purchase_is_indexed(dialect):
    found = scan(MESSAGES[dialect], COMPILED[dialect])
    expected = document(SPECS[dialect])
    assert found.mti == expected.pop("t")
    assert found.fields == [int(field) for field in expected]
    assert {str(field): found.text(field) for field in found.fields} == expected
    assert found.data == MESSAGES[dialect]
    encoded = iso8583.decode(MESSAGES[dialect], SPECS[dialect])[1]
    assert all(found.raw(field) == encoded[str(field)]["data"] for field in found.fields)
    assert found.number(4) == 12345
    assert found.number(22) == 51


def test_purchase_has_the_size_that_is_measured_everywhere():
    assert len(MESSAGES["ascii"]) == 225


@dialects
def test_cut_off_at_every_byte(dialect):
    whole = MESSAGES[dialect]
    for size in range(len(whole)):
        error = fault(whole[:size], COMPILED[dialect])
        assert error.code == "truncated"
        assert error.position <= size
        assert error.position + error.available == size
        assert error.needed > error.available


@dialects
def test_anything_after_the_last_field_is_refused(dialect):
    whole = MESSAGES[dialect]
    error = fault(whole + b"\x00\x00", COMPILED[dialect])
    assert (error.code, error.field, error.position, error.available) == ("trailing", "49", len(whole), 2)


@dialects
def test_every_byte_changed_to_every_other(dialect):
    """Nothing but an answer or a ScanError, and an answer covers every byte."""
    whole = bytearray(MESSAGES[dialect])
    spec = COMPILED[dialect]
    for position in range(len(whole)):
        for value in range(0, 256, 5):
            kept = whole[position]
            whole[position] = value
            found = scan_or_error(whole, spec)
            if isinstance(found, ScanError):
                assert found.position <= len(whole)
            else:
                assert whole.endswith(found.raw(found.fields[-1]))
            whole[position] = kept


@given(st.binary(max_size=400), st.sampled_from(sorted(SPECS)))
def test_random_bytes(data, dialect):
    found = scan_or_error(data, COMPILED[dialect])
    if isinstance(found, ScanError):
        assert found.code in FAULT_NAMES
        assert found.position <= len(data)
    else:
        assert all(len(found.raw(field)) <= len(data) for field in found.fields)


@dialects
def test_64_kib_of_random_bytes(dialect):
    source = random.Random(dialect)
    for _ in range(20):
        data = source.randbytes(65536)
        assert fault(data, COMPILED[dialect]).position <= len(data)


def test_message_of_a_wrong_class_is_told_by_position():
    whole = bytearray(MESSAGES["ascii"])
    place = whole.index(b"632703000123") + 4
    whole[place] = ord("*")
    error = fault(whole, COMPILED["ascii"])
    assert (error.code, error.field, error.position) == ("content", "37", place)
    assert str(error) == f"field 37: needs letters, digits and blanks, has a punctuation mark, at byte {place}"


def test_what_was_needed_and_what_was_there_is_told():
    assert str(fault(MESSAGES["ascii"][:-69], COMPILED["ascii"])) == "field 37: needs 12 bytes, has 9, at byte 147"


def test_errors_travel_between_processes():
    error = fault(b"0200", COMPILED["ascii"])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "bitmap: needs 16 bytes, has 0, at byte 4"
    assert vars(again) == vars(error)


CHARACTERS = bytes(range(256))
CLASSES = {
    "any": CHARACTERS,
    "n": b"0123456789",
    "a": bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b" ",
    "an": bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"0123456789 ",
    "ans": bytes(range(0x20, 0x7F)),
    "z": b"0123456789=DF",
    "hex": b"0123456789ABCDEFabcdef",
}


@pytest.mark.parametrize("behind", [0, 1, 14, 40], ids="{} bytes behind".format)
@pytest.mark.parametrize("content", CLASSES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 25, 32, 33])
def test_each_character_of_each_class_at_each_place(content, size, behind):
    """Whatever stands behind a field, which a scan may load together with it, is not asked about."""
    bits = "4000000000000000" if behind == 0 else "6000000000000000"
    spec = compile_spec(
        {
            "t": {"data_enc": "ascii"},
            "p": {"data_enc": "b"},
            "2": {"data_enc": "ascii", "len_type": 0, "max_len": size, "content": content},
            "3": {"data_enc": "b", "len_type": 0, "max_len": behind},
        }
    )
    allowed = CLASSES[content]
    good = allowed[:1]
    head, tail = b"0200" + bytes.fromhex(bits), b"\xff" * behind
    for place in range(size):
        for character in CHARACTERS if place in (0, size // 2, size - 1) else (ord(good), 0x2F, 0x3A, 0x80, 0xFF):
            data = head + good * place + bytes((character,)) + good * (size - place - 1) + tail
            if character in allowed:
                assert scan(data, spec).raw(2) == data[12 : 12 + size]
            else:
                error = fault(data, spec)
                assert (error.code, error.position) == ("content", 12 + place)


@pytest.mark.parametrize("content", CLASSES)
def test_classes_hold_in_ebcdic(content):
    spec = one_field(max_len=9, content=content, data_enc="cp500")
    for character in CHARACTERS:
        data = only_field_2(("0" * 8).encode("cp500") + bytes((character,)))
        if content == "a":
            data = data.replace(b"\xf0", b"\xc1", 8)
        if bytes((character,)).decode("cp500").encode("latin-1") in [bytes((c,)) for c in CLASSES[content]]:
            assert scan(data, spec).fields == [2]
        else:
            assert fault(data, spec).position in range(12, 21)


@pytest.mark.parametrize(("content", "allowed"), [("n", "0123456789"), ("z", "0123456789DF")])
@pytest.mark.parametrize("size", [1, 3, 8, 11])
def test_packed_classes(content, allowed, size):
    spec = one_field(max_len=size, content=content, data_enc="b")
    for place in range(size):
        for value in range(256):
            data = only_field_2(b"\x12" * place + bytes((value,)) + b"\x34" * (size - place - 1))
            if all(digit in allowed for digit in f"{value:02X}"):
                assert scan(data, spec).text(2) == data[12:].hex().upper()
            else:
                assert fault(data, spec).position == 12 + place


@pytest.mark.parametrize(
    ("change", "data", "text"),
    [
        ({"left_pad": "0"}, "0123", "123"),
        ({"right_pad": "F"}, "123F", "123"),
        ({"right_pad": "f"}, "123F", "123"),
        ({"left_pad": "0", "right_pad": "F"}, "0123", "123"),
        ({"left_pad": "0", "right_pad": "F"}, "123F", "123"),
        ({"left_pad": "0"}, "1230", None),
        ({"right_pad": "F"}, "F123", None),
        ({"left_pad": "0"}, "01A3", None),
        ({"right_pad": "F"}, "12AF", None),
    ],
)
def test_pads(change, data, text):
    spec = one_field(max_len=3, data_enc="b", len_count="nibbles", content="n", **change)
    whole = only_field_2(bytes.fromhex(data))
    if text is None:
        assert fault(whole, spec).code == "content"
    else:
        found = scan(whole, spec)
        assert found.text(2) == text
        found.patch(2, "987")
        assert found.text(2) == "987"
        assert found.data == whole[:12] + bytes.fromhex(data.replace("123", "987"))


@pytest.mark.parametrize(
    ("change", "data", "well"),
    [
        ({"max_len": 5}, b"C1234", True),
        ({"max_len": 5}, b"D0000", True),
        ({"max_len": 5}, b"E0000", False),
        ({"max_len": 5}, b"C12D4", False),
        ({"max_len": 5, "data_enc": "cp500"}, "C1234".encode("cp500"), True),
        ({"max_len": 5, "data_enc": "cp500"}, b"C1234", False),
        ({"max_len": 3, "data_enc": "b"}, b"C\x12\x34", True),
        ({"max_len": 3, "data_enc": "b"}, b"C\x12\x3a", False),
        ({"max_len": 3, "data_enc": "b"}, b"\xc1\x12\x34", False),
        ({"max_len": 4, "data_enc": "b", "len_count": "nibbles"}, b"\xd1\x23", True),
        ({"max_len": 4, "data_enc": "b", "len_count": "nibbles"}, b"\x11\x23", False),
        ({"max_len": 3, "data_enc": "b", "len_count": "nibbles", "left_pad": "0"}, b"\x0d\x23", True),
    ],
)
def test_signed_amounts(change, data, well):
    spec = one_field(content="x+n", **change)
    whole = only_field_2(data)
    if well:
        assert scan(whole, spec).raw(2) == data
    else:
        assert fault(whole, spec).code == "content"


@pytest.mark.parametrize(
    ("change", "length", "expected"),
    [
        ({"len_type": 2}, b"03", 3),
        ({"len_type": 2}, b" 3", "length_digits"),
        ({"len_type": 2}, b"+3", "length_digits"),
        ({"len_type": 2}, b"-1", "length_digits"),
        ({"len_type": 2}, b"3 ", "length_digits"),
        ({"len_type": 3}, b"1_0", "length_digits"),
        ({"len_type": 2}, b"05", "length_limit"),
        ({"len_type": 8}, b"99999999", "length_limit"),
        ({"len_type": 2, "len_enc": "cp500"}, "03".encode("cp500"), 3),
        ({"len_type": 2, "len_enc": "cp500"}, b"03", "length_digits"),
        ({"len_type": 1, "len_enc": "bcd"}, b"\x03", 3),
        ({"len_type": 1, "len_enc": "bcd"}, b"\x0a", "length_digits"),
        ({"len_type": 1, "len_enc": "bcd"}, b"\xa0", "length_digits"),
        ({"len_type": 2, "len_enc": "bcd"}, b"\x00\x03", 3),
        ({"len_type": 8, "len_enc": "bcd"}, b"\x99" * 8, "length_limit"),
        ({"len_type": 1, "len_enc": "b"}, b"\x03", 3),
        ({"len_type": 2, "len_enc": "b"}, b"\x01\x00", "length_limit"),
        ({"len_type": 8, "len_enc": "b"}, b"\xff" * 8, "length_limit"),
        ({"len_type": 8, "len_enc": "b"}, b"\x80" + b"\x00" * 7, "length_limit"),
    ],
)
def test_lengths(change, length, expected):
    spec = one_field(**change)
    whole = only_field_2(length + b"abc")
    if expected == 3:
        assert scan(whole, spec).text(2) == "abc"
    else:
        error = fault(whole, spec)
        assert (error.code, error.field, error.position) == (expected, "2", 12)


def test_length_limit_is_told():
    error = fault(only_field_2(b"25" + b"x" * 25), one_field(len_type=2))
    assert (error.needed, error.available) == (4, 25)
    assert str(error) == "field 2: the length is 25, above the maximum of 4, at byte 12"


def test_zero_length():
    found = scan(only_field_2(b"00"), one_field(len_type=2, content="n"))
    assert found.fields == [2]
    assert found.text(2) == ""
    found.patch(2, "")
    with pytest.raises(ValueError, match="is not a number"):
        found.number(2)


@pytest.mark.parametrize("mti", [b"02a0", b"    ", b"-200", b"\xff000"])
def test_type_is_four_digits(mti):
    error = fault(mti + bytes(8), one_field())
    assert (error.code, error.field, error.position) == ("type_digits", "t", 0)


@pytest.mark.parametrize("bitmap", [b"40000000000000 0", b" 000000000000000", b"400000000000000G", b"0x00000000000000"])
def test_hex_bitmap_is_hex_digits_only(bitmap):
    spec = ascii_spec()
    error = fault(b"0200" + bitmap, compile_spec(spec))
    assert (error.code, error.field, error.position) == ("bitmap_digits", "p", 4)


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_hex_bitmap_of_either_case(case):
    spec = ascii_spec()
    plain = {"t": "0800", "11": "000001", "70": "301", "128": "ABCDEF0123456789", "39": "00", "41": "TERM0001"}
    spec["128"] |= {"data_enc": "ascii", "max_len": 16}
    data, _ = iso8583.encode(dict(plain), spec)
    data = data[:4] + case(data[4:36].decode()).encode() + data[36:]
    assert scan(data, spec).fields == [11, 39, 41, 70, 128]


def test_bit_without_specification():
    error = fault(b"0200" + bytes.fromhex("5000000000000000") + b"1234", one_field())
    assert (error.code, error.field, error.position) == ("no_spec", "4", 16)
    assert str(error) == "field 4: the bit is set, but the specification has no such field, at byte 16"


def test_secondary_bitmap_without_specification():
    spec = ascii_spec()
    del spec["1"]
    error = fault(b"0200" + b"8" + b"0" * 15, compile_spec(spec))
    assert (error.code, error.field, error.position) == ("no_spec", "1", 20)


@dialects
@given(st.sets(st.integers(2, 192)))
def test_any_set_of_fields_over_three_bitmaps(dialect, fields):
    spec = dict(SPECS[dialect])
    plain = {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": 3, "content": "n"}
    spec |= {str(field): plain for field in range(2, 193)}
    fields.discard(65)
    data, _ = iso8583.encode({"t": "0200", **{str(field): f"{field:03}" for field in fields}}, spec)
    found = scan(data, spec)
    assert found.fields == sorted(fields)
    assert all(found.number(field) == field for field in fields)
    assert 65 not in found


def test_header():
    spec = ascii_spec()
    spec["h"] |= {"data_enc": "b", "max_len": 6, "content": "n"}
    whole = bytes.fromhex("603100311108") + MESSAGES["ascii"]
    found = scan(whole, spec)
    assert 0 in found
    assert found.text(0) == "603100311108"
    assert found.text(41) == "TERM0001"
    error = fault(bytes.fromhex("60310031F108") + MESSAGES["ascii"], compile_spec(spec))
    assert (error.code, error.field, error.position) == ("content", "h", 4)
    error = fault(whole[:4], compile_spec(spec))
    assert (error.code, error.field, error.needed, error.available) == ("truncated", "h", 6, 4)


@dialects
def test_patch(dialect):
    found = scan(MESSAGES[dialect], COMPILED[dialect])
    found.patch(11, "654321")
    found.patch(22, "072")
    found.patch(41, "TERM0002")
    again = scan(found.data, COMPILED[dialect])
    assert [again.text(field) for field in (11, 22, 41, 42)] == ["654321", "072", "TERM0002", "MERCHANT0000001"]
    assert len(again.data) == len(MESSAGES[dialect])


@dialects
@pytest.mark.parametrize(
    ("field", "text"), [(11, "12345"), (11, "1234567"), (11, "12345x"), (41, "TERM000é"), (41, "TERM000中"), (41, "")]
)
def test_patch_that_does_not_fit(dialect, field, text):
    found = scan(MESSAGES[dialect], COMPILED[dialect])
    with pytest.raises(ValueError, match=f"^field {field}: the value does not fit exactly$"):
        found.patch(field, text)
    assert found.data == MESSAGES[dialect]


@pytest.mark.parametrize("field", [-1, 0, 1, 5, 65, 192, 193, 10**6])
def test_fields_that_are_not_there(field):
    found = scan(MESSAGES["ascii"], COMPILED["ascii"])
    assert field not in found
    for call in (found.raw, found.text, found.number, lambda number: found.patch(number, "1")):
        with pytest.raises(KeyError):
            call(field)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("9" * 18, 10**18 - 1), ("0" * 19, None), ("12a", None), ("-12", None), (" 12", None)],
)
def test_number(text, number):
    found = scan(only_field_2(b"%02d" % len(text) + text.encode()), one_field(len_type=2, max_len=30))
    if number is None:
        with pytest.raises(ValueError, match="not a number of 1 to 18 digits"):
            found.number(2)
    else:
        assert found.number(2) == number


@given(
    text=st.text("0123456789", max_size=20)
    | st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=20),
    encoding=st.sampled_from(["ascii", "cp500"]),
)
def test_numbers_of_every_width_and_encoding(text, encoding):
    length = b"%02d" % len(text)
    found = scan(only_field_2(length + text.encode(encoding)), one_field(len_type=2, max_len=30, data_enc=encoding))
    if 1 <= len(text) <= 18 and set(text) <= set("0123456789"):
        assert found.number(2) == int(text)
    else:
        with pytest.raises(ValueError, match="not a number of 1 to 18 digits"):
            found.number(2)


def test_letters_beyond_ascii_keep_their_place():
    spec = one_field(data_enc="cp500", max_len=6)
    found = scan(only_field_2("Zürich".encode("cp500")), spec)
    assert found.text(2) == "Zürich"
    found.patch(2, "Genève")
    assert found.raw(2) == "Genève".encode("cp500")


def test_message_is_made_by_scan_only():
    with pytest.raises(TypeError, match="with scan"):
        Message()


def test_input_is_copied():
    data = bytearray(MESSAGES["ascii"])
    found = scan(data, COMPILED["ascii"])
    data[:] = bytes(len(data))
    assert found.text(41) == "TERM0001"


def test_errors_and_representations_hold_no_data():
    whole = MESSAGES["ascii"]
    texts = [repr(scan(whole, COMPILED["ascii"]))]
    for size in range(0, len(whole), 7):
        error = fault(whole[:size], COMPILED["ascii"])
        texts += [str(error), repr(error), repr(vars(error))]
    assert not any("411111" in text or "TERM" in text for text in texts)
