"""Specifications: what compiles, and what is told about one that does not."""

from __future__ import annotations

import encodings
import pickle
import pkgutil
from types import MappingProxyType

import pytest
from iso8583.specs import default, default_ascii

from switch.wire.spec import CodePage, Spec, SpecError, code_page, compile_spec
from tests.ext.purchase import ascii_spec


@pytest.mark.parametrize("spec", [default, default_ascii, MappingProxyType(default)])
def test_specs_of_pyiso8583_compile(spec):
    assert isinstance(compile_spec(spec), Spec)


def test_compiled_spec_is_given_back():
    spec = compile_spec(default)
    assert compile_spec(spec) is spec


def test_later_changes_do_not_reach_it():
    source = ascii_spec()
    spec = compile_spec(source)
    source["2"]["max_len"] = 3
    assert spec.source["2"]["max_len"] == 19


def test_pickle():
    spec = compile_spec(default)
    assert pickle.loads(pickle.dumps(spec)).source == spec.source


def test_spec_is_made_by_compile_spec_only():
    with pytest.raises(TypeError, match="compile_spec"):
        Spec()
    with pytest.raises(TypeError, match="must be a mapping, not list"):
        compile_spec([])


@pytest.mark.parametrize(
    ("field", "change", "problem"),
    [
        ("2", {"data_enc": "utf-8"}, "field 2: data_enc: 'utf-8' is not a one-byte encoding"),
        ("2", {"data_enc": "utf-16"}, "field 2: data_enc: 'utf-16' is not a one-byte encoding"),
        ("2", {"len_enc": "gbk"}, "field 2: len_enc: 'gbk' is not a one-byte encoding"),
        ("2", {"data_enc": "no-such"}, "field 2: data_enc: unknown encoding 'no-such'"),
        ("2", {"data_enc": "hex"}, "field 2: data_enc: unknown encoding 'hex'"),
        ("2", {"data_enc": "bcd"}, "field 2: data_enc: unknown encoding 'bcd'"),
        ("2", {"data_enc": 5}, "field 2: data_enc: must be text, not int"),
        ("2", {"len_type": -1}, "field 2: len_type: must be from 0 to 8, not -1"),
        ("2", {"len_type": True}, "field 2: len_type: must be a number, not bool"),
        ("2", {"len_type": 9}, "field 2: len_type: must be from 0 to 8, not 9"),
        ("2", {"max_len": "19"}, "field 2: max_len: must be a number, not str"),
        ("2", {"max_len": 65536}, "field 2: max_len: must be from 0 to 65535, not 65536"),
        ("2", {"max_len": -1}, "field 2: max_len: must be from 0 to 65535, not -1"),
        ("2", {"len_count": "bits"}, "field 2: len_count: must be one of bytes, nibbles, not 'bits'"),
        ("2", {"len_count": 1}, "field 2: len_count: must be one of bytes, nibbles, not int"),
        ("2", {"left_pad": "G"}, "field 2: left_pad: must be one hex digit, not 'G'"),
        ("2", {"right_pad": "00"}, "field 2: right_pad: must be one hex digit, not '00'"),
        ("2", {"right_pad": 0}, "field 2: right_pad: must be one hex digit, not int"),
        ("2", {"content": "m"}, "field 2: content: must be one of any, n, a, an, ans, z, x+n, hex, not 'm'"),
        ("2", {"data_enc": "b", "content": "an"}, "field 2: content: 'an' needs text, but data_enc is binary"),
        ("2", {"max_length": 4}, "field 2: max_length: unknown key"),
        ("t", {"data_enc": "no-such"}, "field t: data_enc: unknown encoding 'no-such'"),
        ("p", {"data_enc": "utf-8"}, "field p: data_enc: 'utf-8' is not a one-byte encoding"),
        (
            "22",
            {"data_enc": "b", "len_count": "nibbles", "max_len": 3},
            "field 22: max_len: 3 nibbles are no whole bytes: left_pad or right_pad is missing",
        ),
    ],
)
def test_wrong_field(field, change, problem):
    source = ascii_spec()
    source[field].pop("content", None)
    source[field] |= change
    with pytest.raises(SpecError) as caught:
        compile_spec(source)
    assert str(caught.value) == problem
    (only,) = caught.value.problems
    assert only.field == field
    assert only.key in change or only.key == "max_len"


@pytest.mark.parametrize("key", ["data_enc", "len_enc", "len_type", "max_len"])
def test_missing_key(key):
    source = ascii_spec()
    del source["2"][key]
    with pytest.raises(SpecError, match=f"^field 2: {key}: is missing$"):
        compile_spec(source)


def test_length_encoding_of_a_fixed_field_does_not_matter():
    source = ascii_spec()
    source["3"]["len_enc"] = "utf-8"
    source["4"].pop("len_enc")
    compile_spec(source)


@pytest.mark.parametrize("field", ["0", "193", "02", "x", "", "٣", 2])
def test_unknown_field(field):
    with pytest.raises(SpecError, match="is not a field: h, t, p and 1 to 192 are"):
        compile_spec({**ascii_spec(), field: {}})


@pytest.mark.parametrize("field", ["t", "p"])
def test_missing_field(field):
    source = ascii_spec()
    del source[field]
    with pytest.raises(SpecError, match=f"^field {field}: is missing$"):
        compile_spec(source)


def test_all_problems_are_listed_at_once():
    source = ascii_spec()
    source["2"]["max_len"] = "x"
    source["3"]["data_enc"] = "no-such"
    source["4"] = 12
    del source["t"]
    source["200"] = {}
    with pytest.raises(SpecError) as caught:
        compile_spec(source)
    assert {(problem.field, problem.key) for problem in caught.value.problems} == {
        ("2", "max_len"),
        ("3", "data_enc"),
        ("4", ""),
        ("t", ""),
        ("", ""),
    }
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def every_encoding():
    return sorted({module.name for module in pkgutil.iter_modules(encodings.__path__)} - {"aliases", "mbcs", "oem"})


@pytest.mark.parametrize("name", every_encoding())
def test_code_pages_are_the_one_byte_encodings(name):
    """An encoding is taken exactly when each byte is one character, wherever it stands, and lengths can be written."""
    try:
        page = code_page(name)
    except (LookupError, ValueError):
        return
    assert isinstance(page, CodePage)
    digits = "0123456789ABCDEFabcdef"
    assert len(digits.encode(name)) == len(digits)
    for byte in range(256):
        alone = bytes((byte,)).decode(name, "replace")
        assert bytes((byte, byte)).decode(name, "replace") == alone * 2


@pytest.mark.parametrize(
    ("name", "agrees"), [("ascii", True), ("latin-1", True), ("cp1252", True), ("cp500", False), ("cp037", False)]
)
def test_code_page_knows_its_relation_to_ascii(name, agrees):
    page = code_page(name)
    assert page.agrees_with_ascii == agrees
    assert page.holds_ascii


def test_multi_byte_encodings_are_none():
    for name in ("utf-8", "utf-7", "utf-16", "gbk", "shift_jis", "big5", "iso2022_kr", "hz", "punycode", "idna"):
        with pytest.raises(ValueError, match=r"one-byte|idna"):
            CodePage(name)
