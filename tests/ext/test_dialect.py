"""The tables of dialects as the hot path asks them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.dialect import dialect_names, load_dialect
from switch.dialect.kinds import KINDS, TRAITS, Kind, kind_traits
from switch.dialect.reasons import REASONS, Reason
from switch.dialect.references import conditions
from switch.dialect.tables import DialectTables, answer_mti_of, repeat_mti_of, traits_of
from switch.wire.codec import encode
from switch.wire.scan import ScanError
from switch.wire.slots import SLOTS

EXT = Path(__file__).parents[2] / "ext"
DIALECTS = {name: load_dialect(name) for name in dialect_names()}
CUP = DIALECTS["cup"]
ISO87 = DIALECTS["iso87-ascii"]
ISO93 = DIALECTS["iso93-ascii"]


def write(dialect, document):
    return bytes(encode({"h": "", **document}, dialect.spec)[0])


def message_of(dialect, entry):
    """The least message that a way to write a kind describes."""
    document = {"t": entry.mti}
    for field, start, text in conditions(dialect.file, entry):
        layout = dialect.layout[str(field)]
        before = document.get(str(field), "")
        value = before[:start].ljust(start, "0") + text + before[start + len(text) :]
        document[str(field)] = value if layout["len_type"] else value.ljust(layout["max_len"], "0")
    return document


def names_in(module, prefix):
    text = (EXT / f"{module}.pxd").read_text()
    return [name.lower() for name in re.findall(rf"^    {prefix}_([A-Z_0-9]+)", text, re.MULTILINE) if name != "COUNT"]


@pytest.mark.parametrize(
    ("names", "module", "prefix"),
    [(REASONS, "dialect/reasons", "REASON"), (KINDS, "dialect/kinds", "KIND"), (SLOTS, "wire/translate", "SLOT")],
)
def test_python_names_have_the_order_of_the_hot_path(names, module, prefix):
    assert list(names) == names_in(module, prefix)


@pytest.mark.parametrize("kind", Kind)
def test_traits_are_those_of_the_table(kind):
    assert traits_of(kind) == tuple(TRAITS[kind]) == kind_traits(kind) == kind_traits(kind.label)


@pytest.mark.parametrize("number", [-1, len(KINDS), 1 << 20])
def test_a_number_that_is_no_kind_has_the_traits_of_the_unknown(number):
    assert traits_of(number) == TRAITS[Kind.UNKNOWN]


@pytest.mark.parametrize(
    ("mti", "answer", "repeat"),
    [(200, 210, 201), (201, 210, 201), (220, 230, 221), (420, 430, 421), (421, 430, 421), (1804, 1814, 1805)],
)
def test_answers_and_repeats_follow_from_the_mti(mti, answer, repeat):
    assert answer_mti_of(mti) == answer
    assert repeat_mti_of(mti) == repeat


ENTRIES = [
    pytest.param(dialect, kind, entry, id=f"{name}-{kind}-{place}")
    for name, dialect in DIALECTS.items()
    for kind, entries in dialect.kinds.items()
    for place, entry in enumerate(entries)
]


@pytest.mark.parametrize(("dialect", "kind", "entry"), ENTRIES)
def test_every_way_to_write_a_kind_is_understood(dialect, kind, entry):
    document = message_of(dialect, entry)
    wanted = Kind[kind.upper()]
    assert dialect.tables.kind_of(write(dialect, document)) == wanted
    for mti in (repeat_mti_of(int(entry.mti)), answer_mti_of(int(entry.mti)), (int(entry.mti) + 2000) % 10000):
        assert dialect.tables.kind_of(write(dialect, document | {"t": f"{mti:04}"})) == wanted


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"t": "0200", "3": "000000", "25": "00", "60": "22000001"}, Kind.PURCHASE),
        ({"t": "0200", "3": "000000", "25": "06", "60": "20000001"}, Kind.COMPLETION),
        ({"t": "0200", "3": "200000", "60": "23000001"}, Kind.VOID),
        ({"t": "0200", "3": "200000", "25": "06", "60": "21000001"}, Kind.COMPLETION_VOID),
        ({"t": "0220", "3": "200000", "60": "25000001"}, Kind.REFUND),
        ({"t": "0400", "3": "200000", "60": "23000001"}, Kind.REVERSAL),
        ({"t": "0800", "60": "00000001003"}, Kind.SIGN_ON),
        ({"t": "0820", "60": "00000001301"}, Kind.ECHO_TEST),
        ({"t": "0820", "60": "00000001999"}, Kind.UNKNOWN),
        ({"t": "0600"}, Kind.UNKNOWN),
        ({"t": "0200"}, Kind.UNKNOWN),
        ({"t": "0200", "3": "990000"}, Kind.UNKNOWN),
    ],
)
def test_cup_kinds_are_told_by_the_type_of_message_in_field_60(document, kind):
    assert CUP.tables.kind_of(write(CUP, document)) == kind


def test_a_message_that_cannot_be_read_has_no_kind():
    with pytest.raises(ScanError):
        CUP.tables.kind_of(b"\x02\x00\x20")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_codes_go_both_ways(dialect):
    codes = dialect.response_codes
    for reason in Reason:
        assert dialect.tables.code_of(reason) == codes.write[reason.label]
    for code, (name, _) in codes.read.items():
        assert dialect.tables.reason_of(code) == Reason[name.upper()]
    assert dialect.tables.code_of(-1) == dialect.tables.code_of(999) == codes.write["other_decline"]


@given(st.text(max_size=4))
def test_a_code_that_is_not_listed_is_a_decline(code):
    for dialect in DIALECTS.values():
        if code not in dialect.response_codes.read:
            assert dialect.tables.reason_of(code) == Reason.OTHER_DECLINE


@pytest.mark.parametrize(
    ("terminal", "issuer", "code", "written"),
    [
        (CUP, CUP, "77", "77"),
        (ISO87, DIALECTS["iso87-binary"], "65", "65"),
        (CUP, ISO87, "68", "98"),
        (CUP, ISO93, "916", "A0"),
        (ISO93, ISO87, "51", "116"),
        (ISO87, ISO93, "000", "00"),
        (CUP, ISO87, "ZZ", "05"),
        (CUP, CUP, "ZZ", "05"),
        (ISO87, ISO87, "0", "05"),
        (ISO87, ISO87, "0\xe9", "05"),
    ],
)
def test_an_issuers_code_is_written_as_the_terminal_reads_it(terminal, issuer, code, written):
    assert terminal.tables.answer_code_of(issuer.tables, code) == written


def test_1993_has_words_of_its_own_for_yes():
    assert [ISO93.tables.accepted_code_of(mti) for mti in (1210, 1430, 1814)] == ["000", "400", "800"]
    assert ISO87.tables.accepted_code_of(810) == "00"


def test_a_kind_is_written_with_mti_processing_code_and_its_own_code():
    tables = ISO93.tables
    written = [(tables.mti_of(k), tables.processing_code_of(k), tables.kind_code_of(k)) for k in Kind]
    assert written[Kind.PURCHASE] == (1200, "00", "200")
    assert written[Kind.PREAUTHORIZATION] == (1100, "00", "101")
    assert written[Kind.SIGN_ON] == (1804, "", "801")
    assert written[Kind.UNKNOWN] == (0, "", "")
    assert CUP.tables.kind_code_of(Kind.VOID) == "23"
    assert ISO87.tables.kind_code_of(Kind.COMPLETION) == "06"
    for number in (-1, len(KINDS)):
        assert (tables.mti_of(number), tables.processing_code_of(number), tables.kind_code_of(number)) == (0, "", "")


@pytest.mark.parametrize(
    ("terminal", "issuer", "has", "written"),
    [
        (CUP, ISO93, "051", "51010151300C"),
        (CUP, ISO93, "022", "200101200000"),
        (CUP, ISO93, "999", "000000000000"),
        (ISO93, ISO87, "51010151300C", "051"),
        (ISO93, CUP, "600101600000", "012"),
        (CUP, ISO93, None, ""),
    ],
)
def test_field_22_is_converted_by_what_it_says(terminal, issuer, has, written):
    document = {"t": "0200"} | ({} if has is None else {"22": has})
    assert issuer.tables.entry_mode_of(terminal.tables, write(terminal, document)) == written


def test_data_of_the_original_in_1987():
    for name in ("iso87-ascii", "iso87-binary", "iso87-ebcdic"):
        dialect = DIALECTS[name]
        request = write(dialect, {"t": "0201", "7": "0102030405", "11": "000077", "32": "12345"})
        assert dialect.tables.original_data_of(request) == "0200" + "000077" + "0102030405" + "00000012345" + "0" * 11
        assert dialect.tables.original_field == 90


def test_data_of_the_original_in_1993():
    request = write(ISO93, {"t": "1200", "11": "000077", "12": "260102030405", "32": "12345"})
    assert ISO93.tables.original_data_of(request) == "1200" + "000077" + "260102030405" + "05" + "12345"


def test_cup_names_the_original_by_batch_and_stan():
    assert CUP.tables.original_field == 0
    assert CUP.tables.original_data_of(write(CUP, {"t": "0200", "11": "000077"})) == ""


@pytest.mark.parametrize("room", [0, 3, 9, 19, 41])
def test_data_of_the_original_need_their_room(room):
    request = write(ISO87, {"t": "0200", "7": "0102030405", "11": "000077", "32": "12345678901"})
    with pytest.raises(ValueError, match="longer than their room"):
        ISO87.tables.original_data_of(request, room)


def test_the_mac_field_is_the_last_bit():
    mac = "0123456789ABCDEF"
    assert ISO87.tables.mac_field_in(write(ISO87, {"t": "0200", "64": mac})) == 64
    assert ISO87.tables.mac_field_in(write(ISO87, {"t": "0420", "90": "0" * 42, "128": mac})) == 128
    assert ISO87.tables.mac_field_in(write(ISO87, {"t": "0800", "70": "301"})) == 0


def test_mac_rules_are_in_the_tables():
    assert (CUP.tables.mac_size, CUP.tables.mac_form, CUP.tables.mac_all_up_to) == (8, 0, True)
    assert (ISO87.tables.mac_size, ISO87.tables.mac_form) == (16, 1)
    assert CUP.tables.mac_kinds >> Kind.PURCHASE & 1
    assert not CUP.tables.mac_kinds >> Kind.SIGN_ON & 1


ARGUMENTS = {
    "name": "x",
    "spec": ISO87.spec,
    "mti_version": 0,
    "code_set": "x",
    "codes": ["00"] * len(REASONS),
    "reasons": {"00": 0},
    "accepted": {},
    "kinds": [(1, 200, [(3, 0, "00")])],
    "kind_codes": [],
    "entry_modes": (0, [], []),
    "natural_key": [],
    "mac": {"algorithm": 0, "padding": 0, "form": 0, "size": 16, "fields": [0, 3], "kinds": []},
    "unkept": [35],
    "original": (0, []),
    "reference": (0, []),
}


def test_tables_take_a_list_of_fields_for_the_mac():
    tables = DialectTables(**ARGUMENTS)
    assert (tables.mac_all_up_to, tables.mac_field_count) == (False, 2)
    with pytest.raises(TypeError, match="never change"):
        tables.__init__(**ARGUMENTS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"codes": ["00"]},
        {"codes": ["0000"] * len(REASONS)},
        {"codes": ["00"] * (len(REASONS) - 1) + ["0"]},
        {"codes": ["0_"] * len(REASONS)},
        {"reasons": {"00": 99}},
        {"reasons": {"000": 0}},
        {"kinds": [(99, 200, [])]},
        {"kinds": [(1, 200, [])] * 97},
        {"kinds": [(1, 200, [(3, 0, "0")] * 6)]},
        {"kinds": [(1, 200, [(2, 0, "0" * 13)])]},
        {"kinds": [(1, 200, [(n, 0, "0")]) for n in range(3, 10)]},
        {"kinds": [(1, 10000, [])]},
        {"kinds": [(1, 200, [(1, 0, "0")])]},
        {"kind_codes": ["0" * 13]},
        {"kind_codes": ["0"] * (len(KINDS) + 1)},
        {"entry_modes": (22, ["0" * 13], [])},
        {"entry_modes": (22, ["000"] * 17, [])},
        {"entry_modes": (22, ["000"], [("000", 0)] * 33)},
        {"entry_modes": (22, ["000", "00"], [])},
        {"entry_modes": (22, ["000"], [("00", 0)])},
        {"entry_modes": (22, ["000"], [("000", 1)])},
        {"natural_key": [(12, 0, 0)] * 9},
        {"natural_key": [(193, 0, 0)]},
        {"unkept": [1]},
        {"mac": ARGUMENTS["mac"] | {"kinds": [64]}},
        {"mac": ARGUMENTS["mac"] | {"fields": [3] * 65}},
        {"original": (90, [(11, 0, 6, 0)] * 9)},
    ],
)
def test_tables_have_limits(wrong):
    with pytest.raises(ValueError, match=r"at most|need"):
        DialectTables(**(ARGUMENTS | wrong))
