"""Copies that are kept: whole messages of their dialect, whatever they have lost."""

from __future__ import annotations

import iso8583
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from switch.dialect import dialect_names, load_dialect
from switch.wire.codec import encode
from switch.wire.kept_copy import copy_without, mend
from switch.wire.scan import ScanError, scan
from switch.wire.spec import compile_spec
from tests.ext.test_codec_differential import FIELDS, specs
from tests.ext.test_translate_dialects import any_message

DIALECTS = {name: load_dialect(name) for name in dialect_names()}
NUMBERS = st.sets(st.integers(2, 192), max_size=60)


@st.composite
def messages(draw):
    """A built-in dialect and a message of it."""
    spoken = DIALECTS[draw(st.sampled_from(sorted(DIALECTS)))]
    numbers = draw(st.sets(st.sampled_from(sorted(spoken.meanings)), max_size=30))
    return spoken, any_message(spoken, sorted(numbers), draw(st.randoms(use_true_random=False)))[1]


@st.composite
def generated_messages(draw):
    """A specification that nobody has thought of, and a message of it."""
    layout = draw(specs())
    document = {"t": "0200", "h": draw(right_values(layout["h"]))}
    for field in draw(st.sets(st.sampled_from(FIELDS))):
        document[field] = draw(right_values(layout[field]))
    return layout, bytes(encode(document, layout)[0])


@st.composite
def right_values(draw, entry):
    """A value that fits its field."""
    packed, nibbles = entry["data_enc"] == "b", entry.get("len_count") == "nibbles"
    size = entry["max_len"]
    if entry["len_type"]:
        base = {"b": 256, "bcd": 100}.get(entry["len_enc"], 10)
        size = draw(st.integers(0, min(size, base ** entry["len_type"] - 1)))
    if nibbles and (not packed or not (entry.get("left_pad") or entry.get("right_pad"))):
        assume(entry["len_type"] or not size & 1)  # else no value fits
        size -= size & 1
    characters = (size if nibbles else 2 * size) if packed else (size // 2 if nibbles else size)
    return draw(st.text("0123456789", min_size=characters, max_size=characters))


def check_copy(layout, written, unkept):
    """A copy has all other fields as they were; pyiso8583, which shares nothing with it, reads it so too."""
    spec = compile_spec(layout)
    kept = copy_without(spec, written, unkept)
    before, after = scan(written, spec), scan(kept, spec)
    assert after.fields == [field for field in before.fields if field not in unkept]
    assert after.mti == before.mti
    assert {field: after.raw(field) for field in after.fields} == {field: before.raw(field) for field in after.fields}
    if any(field > 128 for field in before.fields):
        return  # pyiso8583 knows no bitmap behind the secondary one
    whole, rest = (iso8583.decode(one, layout)[0] for one in (written, kept))
    gone = {"p", "1", *map(str, unkept)}
    assert {key: rest[key] for key in rest.keys() - gone} == {key: whole[key] for key in whole.keys() - gone}
    assert not {key for key in rest.keys() - {"p", "1"} if key in gone}


@settings(max_examples=300, deadline=None)
@given(messages(), NUMBERS)
def test_a_copy_is_the_message_without_some_fields(message, unkept):
    spoken, written = message
    check_copy(spoken.layout, written, unkept)


@settings(max_examples=300, deadline=None)
@given(generated_messages(), NUMBERS)
def test_a_copy_in_any_specification(message, unkept):
    check_copy(*message, unkept)


@settings(max_examples=300, deadline=None)
@given(messages(), st.integers(0, 255))
def test_what_an_earlier_version_overwrote_is_left_out_and_the_rest_can_be_read(message, filler):
    spoken, written = message
    blanked = bytearray(written)
    at = len(written)
    before = scan(written, spoken.spec)
    for field in reversed(before.fields):
        size = len(before.raw(field))
        if field in spoken.sensitive:
            blanked[at - size : at] = bytes([filler]) * size
        at -= size + spoken.layout[str(field)]["len_type"]
    assert mend(spoken.spec, bytes(blanked), spoken.unkept) == copy_without(spoken.spec, written, spoken.unkept)


def test_a_field_that_a_configuration_no_longer_calls_sensitive_is_left_out_where_it_cannot_be_read():
    spoken = DIALECTS["iso87-binary"]
    written = bytes(iso8583.encode({"t": "0200", "3": "000000", "11": "000001", "35": "4" * 19}, spoken.layout)[0])
    blanked = written[:-10] + bytes(10)
    with pytest.raises(ScanError):
        scan(blanked, spoken.spec)
    assert scan(mend(spoken.spec, blanked, ()), spoken.spec).fields == [3, 11]


def test_what_has_no_structure_cannot_be_mended():
    spoken = DIALECTS["iso87-binary"]
    assert mend(spoken.spec, bytes.fromhex("0200FFFFFFFFFFFFFFFF12"), ()) is None
    assert mend(spoken.spec, b"", ()) is None
