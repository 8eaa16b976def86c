"""Translation between specifications: what pyiso8583 reads from the result is what went in."""

from __future__ import annotations

import re
from pathlib import Path

import iso8583
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.wire.scan import ScanError, scan
from switch.wire.slots import SLOTS
from switch.wire.spec import compile_spec
from switch.wire.translate import Composer, Step

EBCDIC = "cp500"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def layout(data="ascii", width=0, size=0, *, length=None, nibbles=False, content="any", **pads):
    """One field's dictionary; the length is written like the data unless said otherwise."""
    return {
        "data_enc": data,
        "len_enc": length or data,
        "len_type": width,
        "max_len": size,
        "len_count": "nibbles" if nibbles else "bytes",
        "content": content,
        "desc": "",
        **pads,
    }


def whole_spec(encoding, fields, header=0):
    """A specification with every part in one encoding, and the fields given."""
    sizes = (2, 8, 8) if encoding == "b" else (4, 16, 16)
    spec = {"h": layout("ascii", size=header)}
    spec.update((key, layout(encoding, size=size)) for key, size in zip("tp1", sizes, strict=True))
    spec.update((str(number), field) for number, field in fields.items())
    return spec


def encode(document, spec):
    return bytes(iso8583.encode(dict(document), spec)[0])


def decode(message, spec):
    return iso8583.decode(message, spec)[0]


def translate(value, origin, target, field=2):
    """The value of one field after its way from one layout to another; a ScanError where it cannot go."""
    source_spec = whole_spec("ascii", {field: origin})
    target_spec = whole_spec("ascii", {field: target})
    composer = Composer(compile_spec(target_spec), compile_spec(source_spec), None, [(field, "request", field)])
    message = composer.compose_message(encode({"t": "0200", str(field): value}, source_spec), slots={"mti": "0210"})
    assert scan(message, target_spec).mti == "0210"
    return decode(message, target_spec)[str(field)]


# --- a purchase, between the usual dialects --------------------------------------------------------------------------

PURCHASE = {
    "2": "6212345678901234560",
    "3": "000000",
    "4": "000000012345",
    "7": "1123032845",
    "11": "123456",
    "12": "032845",
    "13": "1123",
    "14": "3012",
    "18": "5411",
    "22": "021",
    "25": "00",
    "32": "12345678901",
    "35": "6212345678901234560=3012101000000000",
    "37": "123456789012",
    "41": "TERM0001",
    "42": "MERCHANT0000001",
    "43": "CORNER SHOP           SINGAPORE      SG ",
    "49": "156",
}
SIZES = {
    2: (2, 19, "n"), 3: (0, 6, "n"), 4: (0, 12, "n"), 7: (0, 10, "n"), 11: (0, 6, "n"), 12: (0, 6, "n"),
    13: (0, 4, "n"), 14: (0, 4, "n"), 18: (0, 4, "n"), 22: (0, 3, "n"), 25: (0, 2, "n"), 32: (2, 11, "n"),
    35: (2, 37, "z"), 37: (0, 12, "an"), 41: (0, 8, "ans"), 42: (0, 15, "ans"), 43: (0, 40, "ans"), 49: (0, 3, "n"),
    64: (0, 16, "hex"), 102: (2, 28, "ans"), 128: (0, 16, "hex"), 150: (3, 999, "ans"),
}  # fmt: skip


def purchase_spec(encoding):
    if encoding != "cup":
        return whole_spec(encoding, {n: layout(encoding, w, m, content=c) for n, (w, m, c) in SIZES.items()})
    fields = {}
    for number, (width, size, content) in SIZES.items():
        if content in "nz":
            packed = layout("b", (width + 1) // 2, size, length="bcd", nibbles=True, content=content, right_pad="0")
            fields[number] = packed
        elif content == "hex":
            fields[number] = layout("b", size=8)
        else:
            fields[number] = layout("ascii", (width + 1) // 2, size, length="bcd", content=content)
    return whole_spec("b", fields)


SPECS = {name: purchase_spec(name) for name in ("ascii", "cup", EBCDIC)}
FORWARD_ALL = [Step(number, "request", number) for number in SIZES]


def shown(document, name):
    """A document as pyiso8583 decodes it from a dialect: track 2's separator is D in nibbles."""
    return {key: value.replace("=", "D") if name == "cup" else value for key, value in document.items()}


@pytest.mark.parametrize("origin", SPECS)
@pytest.mark.parametrize("target", SPECS)
def test_a_purchase_arrives_whole(origin, target):
    composer = Composer(compile_spec(SPECS[target]), compile_spec(SPECS[origin]), None, FORWARD_ALL)
    document = {"t": "0200", **PURCHASE}
    message = encode(shown(document, origin), SPECS[origin])
    composed = composer.compose_message(message, slots={"mti": "0200"})
    assert composed == encode(shown(document, target), SPECS[target])


@pytest.mark.parametrize("origin", SPECS)
@pytest.mark.parametrize("target", SPECS)
@pytest.mark.parametrize("extra", [{"102": "ACCOUNT 1"}, {"150": "x" * 700}, {"102": "", "150": "y"}])
def test_bitmaps_follow_the_fields(origin, target, extra):
    composer = Composer(compile_spec(SPECS[target]), compile_spec(SPECS[origin]), None, FORWARD_ALL)
    document = {"t": "0200", "11": "123456", **extra}
    composed = composer.compose_message(encode(document, SPECS[origin]), slots={"mti": "0200"})
    assert composed == encode(document, SPECS[target])


@pytest.mark.parametrize("target", SPECS)
def test_every_room_that_is_too_small_is_refused(target):
    composer = Composer(compile_spec(SPECS[target]), compile_spec(SPECS["cup"]), None, FORWARD_ALL)
    document = {"t": "0200", **PURCHASE, "102": "ACCOUNT 1", "150": "y"}
    message = encode(shown(document, "cup"), SPECS["cup"])
    whole = composer.compose_message(message, slots={"mti": "0200"})
    for room in range(len(whole)):
        with pytest.raises(ScanError) as caught:
            composer.compose_message(message, slots={"mti": "0200"}, room=room)
        error = caught.value
        assert error.code == "room"
        assert error.position + error.available == room
        assert error.needed > error.available
        assert whole.startswith(composer.compose_message(message, slots={"mti": "0200"})[: error.position])
    assert composer.compose_message(message, slots={"mti": "0200"}, room=len(whole)) == whole


# --- any value, between any two layouts --------------------------------------------------------------------------

ALPHABETS = {"n": DIGITS, "a": LETTERS + " ", "an": LETTERS + DIGITS + " ", "ans": PRINTABLE, "hex": "0123456789ABCDEF"}


def values_of(content, size_max):
    if content == "z":
        return st.tuples(st.text(DIGITS, max_size=19), st.booleans(), st.text(DIGITS, max_size=17)).map(
            lambda parts: parts[0] + ("=" if parts[1] else "") + parts[2]
        )
    if content == "x+n":
        return st.tuples(st.sampled_from("CD"), st.text(DIGITS, min_size=1, max_size=12)).map("".join)
    return st.text(ALPHABETS[content], max_size=size_max)


FORMS = ("ascii", EBCDIC, "bytes", "left", "right")


def written(value, form, content):
    """How pyiso8583 shows a value in a form; None where the form cannot hold it."""
    if content == "x+n" and form == "bytes":
        value = value[0].encode().hex() + value[1:]
    if content == "z" and form not in ("ascii", EBCDIC):
        value = value.replace("=", "D")
    if form == "bytes" and len(value) % 2:
        return value + "F" if content == "z" else None
    return value


def field_layout(form, content, size, width):
    """A field of up to, or where ``width`` is 0 of exactly, ``size`` characters."""
    if form in ("ascii", EBCDIC):
        return layout(form, width, size, content=content)
    if form == "bytes":
        return layout("b", width and 2, size // 2, length="b", content=content)
    pad = {"left_pad": "0"} if form == "left" else {"right_pad": "F"}
    return layout("b", width and 2, size, length="bcd", nibbles=True, content=content, **pad)


def forms_of(content):
    return FORMS[:2] if content in ("a", "an", "ans") else FORMS


def expected_fixed(value, content, form, size):
    """A value in a fixed field of ``size`` characters; None when it cannot be there."""
    sign, rest = (value[: 2 if form == "bytes" else 1], value) if content == "x+n" else ("", value)
    rest = rest[len(sign) :]
    room = size - len(sign)
    if content in ("n", "x+n"):
        while len(rest) > room and rest.startswith("0"):
            rest = rest[1:]
        rest = rest.rjust(room, "0")
    elif content in ("a", "an", "ans"):
        while len(rest) > room and rest.endswith(" "):
            rest = rest[:-1]
        rest = rest.ljust(room)
    return sign + rest if len(rest) == room else None


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_any_value_between_any_layouts(data):
    content = data.draw(st.sampled_from(["n", "a", "an", "ans", "hex", "z", "x+n"]))
    value = data.draw(values_of(content, data.draw(st.sampled_from([8, 40, 600]))))
    origin_form = data.draw(st.sampled_from(forms_of(content)))
    target_form = data.draw(st.sampled_from(forms_of(content)))
    original = written(value, origin_form, content)
    if original is None:
        value = value[:1] + "0" + value[1:]
        original = written(value, origin_form, content)
    fixed_origin = data.draw(st.booleans()) and len(original) > 0
    origin = field_layout(origin_form, content, len(original) if fixed_origin else 1998, 0 if fixed_origin else 4)
    if content == "x+n" and target_form == "bytes":
        arrived = value[0].encode().hex() + value[1:]
    elif content == "z" and target_form not in ("ascii", EBCDIC):
        arrived = value.replace("=", "D")
    else:
        arrived = value
    if data.draw(st.booleans()):
        size = data.draw(st.integers(max(1, len(arrived) - 5), len(arrived) + 5))
        if target_form == "bytes":
            size += size % 2
            if content == "z" and len(arrived) % 2:
                arrived += "F"
        target = field_layout(target_form, content, size, 0)
        expected = expected_fixed(arrived, content, target_form, size)
    else:
        size = data.draw(st.sampled_from([8, 38, 1998]))
        target = field_layout(target_form, content, size, 4)
        expected = written(value, target_form, content)
        if expected is not None and len(expected) > size:
            expected = None
    try:
        got = translate(original, origin, target)
    except ScanError as error:
        got = (error.code, error.field)
    assert got == (("value", "2") if expected is None else expected)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_composed_can_be_read(data):
    """Whatever bytes a terminal sends, the result is readable by the destination or refused."""
    origin = data.draw(st.sampled_from(sorted(SPECS)))
    target = data.draw(st.sampled_from(sorted(SPECS)))
    document = {"t": "0200", **PURCHASE, "102": "ACCOUNT 1"}
    message = bytearray(encode(shown(document, origin), SPECS[origin]))
    header = 12 if origin == "cup" else 36
    for _ in range(data.draw(st.integers(0, 6))):
        message[data.draw(st.integers(header, len(message) - 1))] = data.draw(st.integers(0, 255))
    composer = Composer(compile_spec(SPECS[target]), compile_spec(SPECS[origin]), None, FORWARD_ALL)
    try:
        composed = composer.compose_message(message, slots={"mti": "0200"})
    except ScanError:
        return
    original = scan(message, SPECS[origin])
    result = scan(composed, SPECS[target])
    assert result.fields == original.fields
    for field in result.fields:
        assert result.text(field).replace("=", "D") == original.text(field).replace("=", "D")


@pytest.mark.parametrize("origin", FORMS)
@pytest.mark.parametrize("target", FORMS)
@pytest.mark.parametrize("size", [254, 256, 258, 510, 512, 1998])
def test_long_values_cross_the_chunks(origin, target, size):
    value = "0123456789ABCDEF"[1:] * 134
    value = value[:size]
    for content in ("hex", "any"):
        translated = translate(value, field_layout(origin, content, 1998, 4), field_layout(target, content, 1998, 4))
        assert translated == value
    if origin != "bytes":
        odd = translate(value[1:], field_layout(origin, "hex", 1998, 4), field_layout("left", "hex", 1998, 4))
        assert odd == value[1:]


@pytest.mark.parametrize(
    ("value", "origin", "target", "expected"),
    [
        # A currency in two BCD bytes is three digits elsewhere.
        ("0156", layout("b", size=2, content="n"), layout(size=3, content="n"), "156"),
        ("156", layout(size=3, content="n"), layout("b", size=2, content="n"), "0156"),
        ("156", layout(size=3, content="n"), layout("b", size=3, nibbles=True, content="n", right_pad="0"), "156"),
        # Where the destination names no class, that of the source says how to fill up.
        ("156", layout(size=3, content="n"), layout("b", size=3), "000156"),
        ("AB", layout(size=2, content="a"), layout(size=4), "AB  "),
        ("AB", layout(width=2, size=9, content="ans"), layout(size=4, content="ans"), "AB  "),
        ("AB  ", layout(size=4, content="ans"), layout(size=2, content="ans"), "AB"),
        # Track 2 in whole bytes ends with a filler where its digits are odd.
        ("1234D56F", layout("b", 1, 19, content="z"), layout(width=2, size=37, content="z"), "1234=56"),
        ("1234=567", layout(width=2, size=37, content="z"), layout("b", 1, 19, content="z"), "1234D567"),
        ("1234=56", layout(width=2, size=37, content="z"), layout("b", 1, 19, content="z"), "1234D56F"),
        ("1234D56", layout(width=2, size=37, content="z"), layout(EBCDIC, 2, 37, content="z"), "1234=56"),
        # Amounts with a sign.
        ("4300000100", layout("b", size=5, content="x+n"), layout(size=9, content="x+n"), "C00000100"),
        ("D00000100", layout(size=9, content="x+n"), layout("b", size=5, content="x+n"), "4400000100"),
        ("D100", layout(size=4, content="x+n"), layout(size=9, content="x+n"), "D00000100"),
        ("D100", layout(size=4, content="x+n"), layout(width=2, size=9), "D100"),
        # Bytes beyond ASCII pass between text encodings that agree with it.
        ("\xc0\xee", layout("latin-1", 2, 9), layout("cp1252", 1, 9, length="b"), "\xc0\xee"),
        ("\xe9", layout("latin-1", 2, 9), layout(EBCDIC, 2, 9), "\xe9"),
        ("00112233", layout("b", size=4), layout(size=8, content="hex"), "00112233"),
        ("abCD", layout(size=4, content="hex"), layout("b", size=2), "ABCD"),
        # Lengths count in the destination's unit.
        ("AB", layout(size=2), layout(width=2, size=9, nibbles=True), "AB"),
        ("1234", layout("b", size=2), layout(width=2, size=9, nibbles=True), "1234"),
    ],
)  # fmt: skip
def test_values_are_fitted(value, origin, target, expected):
    assert translate(value, origin, target) == expected


@pytest.mark.parametrize(
    ("value", "origin", "target"),
    [
        ("1234567", layout(width=2, size=9, content="n"), layout(size=6, content="n")),
        ("1234567", layout(width=2, size=9, content="n"), layout(width=2, size=6, content="n")),
        ("12345", layout(width=2, size=9, content="n"), layout("b", 1, 9, content="n")),
        ("12345", layout(width=2, size=9, content="n"), layout("b", 1, 9, length="bcd", nibbles=True, content="n")),
        ("12A4", layout(size=4), layout(size=4, content="n")),
        ("12G4", layout(size=4), layout("b", size=2)),
        ("12=4", layout(size=4), layout("b", size=2)),
        ("12 4", layout(size=4, content="an"), layout("b", size=2, content="n")),
        ("A-B4", layout(size=4, content="ans"), layout(size=4, content="an")),
        ("1234", layout(size=4), layout(size=6)),
        ("1234", layout(size=4), layout(size=3)),
        ("1234", layout(size=4, content="hex"), layout("b", size=3, content="hex")),
        ("X100", layout(size=4), layout(size=9, content="x+n")),
        ("", layout(width=2, size=9), layout(size=9, content="x+n")),
        ("43", layout("b", size=1), layout("b", 1, 9, content="x+n")),
        ("C123", layout(size=4, content="x+n"), layout("b", 1, 9, content="x+n")),
        ("\xc4", layout("latin-1", size=1), layout("cp875", size=1)),
        ("12", layout(size=2), layout(width=1, size=9, nibbles=True, length="ascii") | {"max_len": 3}),
        ("A" * 12, layout(width=2, size=99), layout(width=1, size=99)),
    ],
)
def test_values_that_do_not_fit_are_refused(value, origin, target):
    with pytest.raises(ScanError) as caught:
        translate(value, origin, target)
    assert (caught.value.code, caught.value.field, caught.value.position) == ("value", "2", 20)


# --- sources ---------------------------------------------------------------------------------------------------------

ASCII = compile_spec(SPECS["ascii"])
CUP = compile_spec(SPECS["cup"])


def ascii_message(**fields):
    return encode({"t": "0200", **{key[1:]: value for key, value in fields.items()}}, SPECS["ascii"])


def test_the_first_alternative_that_is_present_counts():
    steps = [(11, "answer", 11), (11, "request", 11), (11, "slot", "stan"), (11, "constant", "999999")]
    composer = Composer(CUP, ASCII, ASCII, steps)
    request, answer, bare = ascii_message(f11="111111"), ascii_message(f11="222222"), ascii_message(f3="000000")

    def stan(*messages, **slots):
        return scan(composer.compose_message(*messages, slots={"mti": "0210", **slots}), CUP).text(11)

    assert stan(request, answer, stan="333333") == "222222"
    assert stan(request, bare, stan="333333") == "111111"
    assert stan(request) == "111111"
    assert stan(bare, bare, stan="333333") == "333333"
    assert stan(None, None, stan="333333") == "333333"
    assert stan(bare, stan="") == "999999"


def test_the_order_of_steps_is_that_of_the_fields():
    steps = [(49, "constant", "156"), (3, "slot", "processing_code"), (41, "constant", "T1"), (2, "slot", "pan")]
    composer = Composer(CUP, None, None, steps)
    message = scan(composer.compose_message(None, slots={"mti": "0100", "processing_code": "0", "pan": "62123"}), CUP)
    assert message.fields == [2, 3, 41, 49]
    assert [message.text(field) for field in message.fields] == ["62123", "000000", "T1      ", "156"]


def test_messages_are_taken_as_scanned_or_as_bytes():
    composer = Composer(CUP, ASCII, None, [(11, "request", 11)])
    message = ascii_message(f11="111111")
    expected = composer.compose_message(message, slots={"mti": "0200"})
    for given_message in (scan(message, ASCII), bytearray(message), memoryview(message)):
        assert composer.compose_message(given_message, slots={"mti": "0200"}) == expected


@pytest.mark.parametrize(("target", "field", "size"), [("ascii", 64, 16), ("ascii", 128, 16), ("cup", 64, 8)])
def test_the_mac_has_a_place_of_zeros_at_the_end(target, field, size):
    composer = Composer(compile_spec(SPECS[target]), ASCII, None, [(field, "slot", "mac"), (11, "request", 11)])
    assert (composer.mac_field, composer.mac_size) == (field, size)
    without = composer.compose_message(ascii_message(f11="111111"), slots={"mti": "0200", "mac": "ignored"})
    assert without.endswith(bytes(size) if target == "cup" else b"0" * size)
    assert decode(without, SPECS[target])[str(field)] == "0" * 16
    assert Composer(CUP, ASCII, None, [(64, "request", 64)]).mac_field == 0


def test_headers_are_written_and_read():
    source = compile_spec(whole_spec("ascii", {11: layout(size=6)}, header=4))
    target = compile_spec(whole_spec("b", {11: layout(size=6)}, header=6) | {"h": layout("b", size=2)})
    composer = Composer(target, source, None, [(0, "request", 0), (11, "request", 11)])
    assert composer.compose_message(b"ABCD02000020000000000000123456", slots={"mti": "0210"}) == (
        b"\xab\xcd\x02\x10" + bytes.fromhex("0020000000000000") + b"123456"
    )
    with pytest.raises(ScanError, match="header"):
        composer.compose_message(None, slots={"mti": "0210"})
    constant = Composer(target, None, None, [(0, "constant", "6000")])
    assert constant.compose_message(None, slots={"mti": "0210"}) == b"\x60\x00\x02\x10" + bytes(8)
    with pytest.raises(ValueError, match="field 0: the destination has a header, but no step writes it"):
        Composer(target, source, None, [(11, "request", 11)])
    with pytest.raises(ValueError, match="field 0 from constant: the destination has no such field"):
        Composer(CUP, None, None, [(0, "constant", "6000")])


@pytest.mark.parametrize("mti", ["", "200", "02000", "02x0", "02 0"])
@pytest.mark.parametrize("target", SPECS)
def test_an_mti_is_four_digits(mti, target):
    composer = Composer(compile_spec(SPECS[target]), None, None, [])
    with pytest.raises(ScanError) as caught:
        composer.compose_message(None, slots={"mti": mti})
    assert (caught.value.code, caught.value.field, caught.value.position) == ("type_digits", "t", 0)


def test_slots_are_checked_like_any_value():
    composer = Composer(CUP, None, None, [(11, "slot", "stan"), (37, "slot", "rrn")])
    with pytest.raises(ScanError) as caught:
        composer.compose_message(None, slots={"mti": "0200", "stan": "1234567", "rrn": "1"})
    error = caught.value
    assert (error.code, error.field, error.position, error.needed, error.available) == ("value", "11", 10, 6, 7)
    with pytest.raises(ScanError, match="field 37"):
        composer.compose_message(None, slots={"mti": "0200", "stan": "1", "rrn": "12345678901?"})
    with pytest.raises(ValueError, match="slot 'rnn' is unknown"):
        composer.compose_message(None, slots={"rnn": "1"})
    with pytest.raises(ValueError, match="at most 65535"):
        composer.compose_message(None, slots={"rrn": "1" * 65536})


def test_errors_show_no_value():
    composer = Composer(CUP, ASCII, None, [(41, "request", 2)])
    with pytest.raises(ScanError) as caught:
        composer.compose_message(ascii_message(f2="6212345678901234560"), slots={"mti": "0200"})
    assert "621234" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([(1, "constant", "1")], "field 1 from constant: the destination has no such field"),
        ([(65, "constant", "1")], "field 65 from constant: the destination has no such field"),
        ([(193, "constant", "1")], "field 193 from constant: the destination has no such field"),
        ([(-1, "constant", "1")], "field -1 from constant: the destination has no such field"),
        ([(60, "constant", "1")], "field 60 from constant: the destination has no such field"),
        ([("2", "constant", "1")], "a field is a number, not '2'"),
        ([(2, "request", 60)], "field 2 from request 60: the source has no such field"),
        ([(2, "request", "pan")], "field 2 from request pan: a field is a number, not 'pan'"),
        ([(2, "answer", 2)], "field 2 from answer: the composer has no specification of it"),
        ([(2, "slot", "pam")], "field 2 from slot 'pam': unknown; known are mti"),
        ([(2, "terminal", 2)], "field 2 from terminal: a source is one of"),
        ([(3, "constant", "1234567")], "field 3 from constant: the field cannot hold '1234567'"),
        ([(3, "constant", "12345x")], "field 3 from constant: the field cannot hold"),
        ([(3, "constant", 0)], "field 3 from constant: a constant is text"),
        ([(37, "slot", "mac")], "the MAC goes to field 64 or 128"),
        ([(64, "slot", "mac"), (102, "request", 102)], "field 64: the MAC must be the last field"),
        ([(64, "request", 64), (64, "slot", "mac")], "field 64: the MAC must be the last field"),
        ([(2, "request", 2)] * 1001, "1001 steps, at most 1000"),
    ],
)
def test_steps_that_cannot_be_done_are_refused(steps, reason):
    with pytest.raises(ValueError, match=reason):
        Composer(CUP, ASCII, None, steps)


def test_a_destination_without_secondary_bitmap_has_no_high_fields():
    spec = dict(SPECS["ascii"])
    del spec["1"]
    with pytest.raises(ValueError, match="field 102: the destination has no secondary bitmap"):
        Composer(compile_spec(spec), ASCII, None, FORWARD_ALL)


def test_messages_without_a_specification_are_refused():
    composer = Composer(CUP, ASCII, None, [(11, "request", 11)])
    with pytest.raises(ValueError, match="no specification"):
        composer.compose_message(None, ascii_message(f11="111111"), slots={"mti": "0200"})
    with pytest.raises(ScanError):
        composer.compose_message(b"0200", slots={"mti": "0200"})


def test_a_composer_never_changes():
    composer = Composer(CUP, ASCII, None, FORWARD_ALL)
    with pytest.raises(TypeError, match="compiled once"):
        composer.__init__(ASCII, ASCII, None, [])


def test_slot_numbers_agree_with_their_names():
    source = (Path(__file__).parents[2] / "ext" / "wire" / "translate.pxd").read_text()
    names = re.findall(r"^    SLOT_(\w+)", source, re.MULTILINE)
    assert tuple(name.lower() for name in names) == (*SLOTS, "count")
