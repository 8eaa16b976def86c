"""Dialect files: what is built in, what a user adds, and what is said of mistakes."""

import json
import re
from pathlib import Path

import iso8583
import pytest
from iso8583.specs import default_ascii

from switch.dialect import DialectError, dialect_names, load_dialect
from switch.dialect.kinds import Kind
from switch.dialect.layout import characters_max, is_fixed, parse_format
from switch.dialect.reasons import Reason
from switch.wire.codec import decode, encode
from switch.wire.framing import Deframer

ROOT = Path(__file__).parents[2]
CUP_MESSAGES = json.loads((ROOT / "tests/vectors/messages_cup.json").read_text())["messages"]
NAMES = ["cup", "iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary"]


def problems_of(path):
    with pytest.raises(DialectError) as raised:
        load_dialect(path)
    return [(Path(problem.file).name, problem.key, problem.reason) for problem in raised.value.problems]


def filling(entry):
    """A value that fills a field."""
    content = entry.get("content", "any")
    size = characters_max(entry)
    if content == "x+n":
        return "C" + "1" * (size - 1) if entry["data_enc"] != "b" else "43" + "1" * (size - 2)
    return {"n": "1", "z": "2", "a": "A", "an": "A", "ans": "/", "hex": "F"}.get(content, "E") * size


def test_the_built_in_dialects():
    assert dialect_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_pyiso8583_reads_what_a_dialect_describes(name):
    """Every field of the dialect at once, by pyiso8583 alone and by our codec: the same bytes, the same values."""
    dialect = load_dialect(name)
    document = {"t": f"{dialect.file.mti_version}200"}
    document |= {str(number): filling(dialect.layout[str(number)]) for number in dialect.meanings}
    layout = {field: dict(entry) for field, entry in dialect.layout.items()}
    theirs, _ = iso8583.encode({"h": "", **document}, layout)
    ours, _ = encode({"h": "", **document}, dialect.spec)
    assert ours == theirs
    read, _ = iso8583.decode(theirs, layout)
    assert decode(ours, dialect.spec)[0] == read
    assert {field: read[field] for field in document} == document


@pytest.mark.parametrize("message", CUP_MESSAGES, ids=lambda message: message["name"])
def test_cup_messages_decode_to_their_fields_and_encode_back(message):
    dialect = load_dialect("cup")
    frame = bytes.fromhex(message["hex"])
    ((headers, body),) = Deframer(dialect.framing).feed(frame)
    document, _ = decode(body, dialect.spec)
    assert {field: document[field] for field in message["fields"]} == message["fields"]
    assert dialect.framing.wrap(bytes(encode(document, dialect.spec)[0]), headers) == frame


def test_ascii_1987_has_the_fields_of_pyiso8583s_own_specification():
    """Where both follow the standard: lengths and whether they vary."""
    layout = load_dialect("iso87-ascii").layout
    ours_differ = {
        number
        for number in map(str, range(2, 129))
        if number in layout
        and (layout[number]["len_type"], layout[number]["max_len"])
        != (default_ascii[number]["len_type"], default_ascii[number]["max_len"])
    }
    # Signed amounts, chip data as hex digits, and fields that pyiso8583 leaves open where the standard does not.
    assert ours_differ <= {"28", "29", "30", "31", "34", "36", "43", "46", "54", "55", "97", "104"}


def test_what_dialects_say_of_fields():
    cup = load_dialect("cup")
    assert cup.numbers["pan"] == 2
    assert cup.meanings[60].key == "cup_reserved_60"
    assert cup.sensitive == {35, 36, 45, 52, 55}
    assert "1" not in cup.layout
    assert "65" not in cup.layout
    assert cup.layout["22"]["right_pad"] == "0"
    assert "left_pad" not in cup.layout["22"]
    assert load_dialect("iso93-ascii").numbers["merchant_category"] == 26
    assert "natural" not in repr(cup.tables)


@pytest.mark.parametrize(
    ("dialect", "reason", "code"),
    [
        ("cup", Reason.MAC_FAILED, "A0"),
        ("cup", Reason.UNKNOWN_TERMINAL, "97"),
        ("cup", Reason.TIMEOUT, "98"),
        ("iso87-ascii", Reason.MAC_FAILED, "63"),
        ("iso87-ascii", Reason.UNKNOWN_TERMINAL, "58"),
        ("iso87-ascii", Reason.TIMEOUT, "68"),
        ("iso87-ascii", Reason.NO_SUCH_ISSUER, "15"),
        ("iso87-ascii", Reason.ISSUER_UNAVAILABLE, "91"),
        ("iso87-ascii", Reason.FORMAT_ERROR, "30"),
        ("iso87-ascii", Reason.UNKNOWN_MERCHANT, "03"),
    ],
)
def test_refusals_have_the_codes_of_the_field(dialect, reason, code):
    assert load_dialect(dialect).tables.code_of(reason) == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n6", ("n", 0, 6)),
        ("ans...999", ("ans", 3, 999)),
        ("b64", ("b", 0, 8)),
        ("b...255", ("b", 3, 255)),
        ("x+n8", ("x+n", 0, 8)),
    ],
)
def test_formats_of_the_standard(text, expected):
    assert parse_format(text) == expected


@pytest.mark.parametrize("text", ["", "n", "n..", "n0", "n..100", "q6", "b63", "n 6", "n.....9", "n99999"])
def test_what_is_no_format(text):
    with pytest.raises(ValueError, match=r"needed|does not fit"):
        parse_format(text)


# --- a dialect of one's own ------------------------------------------------------------------------------------------


@pytest.fixture
def example(tmp_path):
    """The dialect that the documentation shows."""
    text, _downloads = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/dialects.md").read_text(), re.DOTALL)
    path = tmp_path / "north-bank.toml"
    path.write_text(text)
    return path


def test_the_documented_example_is_a_dialect(example):
    dialect = load_dialect(example)
    assert dialect.name == "north-bank"
    assert dialect.layout["48"] == {
        "data_enc": "ascii",
        "len_enc": "ascii",
        "len_type": 3,
        "max_len": 255,
        "content": "ans",
        "desc": "Product and branch",
    }
    assert dialect.layout["43"]["max_len"] == 30
    assert dialect.meanings[126].key == "north_bank_token"
    assert dialect.layout["4"]["data_enc"] == "ascii"
    assert dialect.layout["52"]["data_enc"] == "b"
    assert not dialect.tables.mac_all_up_to
    assert dialect.tables.mac_field_count == 6
    assert dialect.tables.reason_of("N7") == Reason.WRONG_PIN
    assert dialect.tables.reason_of("51") == Reason.INSUFFICIENT_FUNDS
    message = bytes(encode({"h": "", "t": "0200", "3": "000000", "48": "VOID000001"}, dialect.spec)[0])
    assert dialect.tables.kind_of(message) == Kind.VOID
    assert dialect.framing.wrap(message) == b"%04dISO026000075" % (len(message) + 12) + message


def test_a_dialect_extends_a_file_beside_it(example):
    child = example.parent / "north-bank-test.toml"
    child.write_text('extends = "./north-bank.toml"\nfields.126 = { desc = "Token" }\n')
    dialect = load_dialect(child)
    assert dialect.name == "north-bank-test"
    assert dialect.meanings[126].description == "Token"
    assert not is_fixed(dialect.layout["126"])


@pytest.mark.parametrize("listed", ["[]", "[48]"])
def test_a_file_that_leaves_card_data_out_of_sensitive_is_refused(example, listed):
    child = example.parent / "careless.toml"
    child.write_text(f'extends = "./north-bank.toml"\nsensitive = {listed}\nharmless = []\n')
    with pytest.raises(DialectError) as refused:
        load_dialect(child)
    assert [(problem.key, problem.reason.partition(" ")[2][:2]) for problem in refused.value.problems] == [
        ("sensitive", number) for number in ("35", "36", "45", "52", "55")
    ]
    assert "field 35 is missing: it holds track 2" in str(refused.value)


def test_what_is_track_data_by_its_key_is_sensitive_wherever_it_stands(example):
    child = example.parent / "moved.toml"
    child.write_text('extends = "./north-bank.toml"\nfields.120 = { key = "track_2" }\nfields.35 = { key = "other" }\n')
    with pytest.raises(DialectError, match="field 120 is missing: it holds track 2"):
        load_dialect(child)


def test_card_data_cannot_be_called_harmless(example):
    child = example.parent / "careless.toml"
    child.write_text('extends = "./north-bank.toml"\nharmless = [45, 48]\n')
    with pytest.raises(DialectError, match="harmless: field 45 cannot be harmless: it holds track 1"):
        load_dialect(child)


@pytest.mark.parametrize("name", [*dialect_names()])
def test_private_fields_are_not_kept_unless_somebody_vouches_for_them(name):
    dialect = load_dialect(name)
    private = {
        48,
        *range(120, 128),
        *((62, 63) if name != "cup" else (48, 56, 57, 58, 59, 62)),
    } & dialect.meanings.keys()
    assert dialect.unkept >= private | dialect.sensitive
    kept = {2, 3, 4, 7, 11, 12, 14, 22, 25, 32, 37, 38, 39, 41, 42, 43, 49, 54, 90, 102}
    assert not dialect.unkept & kept
    if name == "cup":
        assert not dialect.unkept & {44, 53, 60, 61, 63}


def test_what_a_dialect_calls_harmless_is_kept_and_what_it_redefines_is_not(example):
    child = example.parent / "mine.toml"
    child.write_text('extends = "iso87-ascii"\nharmless = [48]\nfields.102 = { key = "security_code" }\n')
    dialect = load_dialect(child)
    assert 48 not in dialect.unkept
    assert {47, 102} <= dialect.unkept


def test_all_mistakes_are_told_at_once_each_with_its_file(example, tmp_path):
    base = tmp_path / "base.toml"
    base.write_text(
        'extends = "iso87-ascii"\n'
        'fields = { 48 = { format = "q9" }, 4 = { data_enc = "klingon" } }\n'
        'kinds.void = [{ mti = "0210" }, { mti = "1200" }, { mti = "0200", where = { "60.1" = "2", 130 = "1" } }]\n'
        'kinds.refund = [{ mti = "0200", where = { 25 = "123" } }]\n'
    )
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "./base.toml"\n'
        'natural_key = { fields = ["12", "61.9"] }\n'
        'framing = { headers = [{ type = "literal", text = "X" }], message_size_max = 65535 }\n'
        'response_codes = { write = { approved = "77" }, read = { "000" = ["approved", "?"] } }\n'
        'original_data = { field = 65, parts = [{ field = "65" }] }\n'
        'mac = { form = "hex", coverage = ["mti", "4", "65"] }\n'
        "[subfields]\n"
        '65 = [{ name = "65.1", size = 1, desc = "" }]\n'
        '3 = [{ name = "x", size = 0, desc = "" }, { name = "3.2", size = 9, desc = "" }]\n'
        "[[variants.3]]\n"
        'mti = "0200"\nwhere = { "3.7" = "1" }\nparts = []\n'
        "[policy.request]\n"
        '4 = "compute:money"\n5 = "issuer"\n65 = "forward"\n3 = "constant:1"\n6 = "constant:AAAAAAAAAAAA"\n'
        '128 = "compute:mac"\n8 = "forward:"\n9 = "compute:mti"\n10 = "drop"\n'
        "[policy.reversal]\n"
        '35 = "original"\n6 = "original:nothing"\n'
        "[network.sign_on]\n"
        'mti = "0800"\nfields = { 70 = "constant:1" }\n'
        "[entry_modes]\n"
        'read = [["0", "chip"]]\n'
        'write = { chip = "1" }\n'
    )
    found = problems_of(path)
    assert {(file, key) for file, key, _ in found} == {
        ("base.toml", "fields.48.format"),
        ("base.toml", "fields.4.data_enc"),
        ("base.toml", "kinds.void"),
        ("base.toml", "kinds.refund"),
        ("mine.toml", "natural_key.fields"),
        ("mine.toml", "framing.message_size_max"),
        ("mine.toml", "response_codes.write.approved"),
        ("mine.toml", "response_codes.read.000"),
        ("mine.toml", "original_data.field"),
        ("mine.toml", "original_data.parts"),
        ("mine.toml", "mac.coverage"),
        ("mine.toml", "subfields.65"),
        ("mine.toml", "subfields.3"),
        ("mine.toml", "variants.3"),
        ("mine.toml", "policy.request.4"),
        ("mine.toml", "policy.request.5"),
        ("mine.toml", "policy.request.65"),
        ("mine.toml", "policy.request.3"),
        ("mine.toml", "policy.request.6"),
        ("mine.toml", "policy.request.8"),
        ("mine.toml", "policy.request.9"),
        ("iso87-ascii.toml", "policy.request.64"),
        ("mine.toml", "policy.reversal.35"),
        ("mine.toml", "policy.reversal.6"),
        ("mine.toml", "network.sign_on.fields.70"),
        ("mine.toml", "entry_modes.read"),
        ("mine.toml", "entry_modes.write.chip"),
    }
    assert sum(key == "kinds.void" for _, key, _ in found) == 4
    assert all(reason for _, _, reason in found)


def test_keys_and_sorts_of_values_are_checked(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "cup"\nmti_version = "0"\ncolour = "red"\n[mac]\nalgorithm = "rot13"\n[encoding]\nnumeric = "no"\n'
        '[kinds]\nbarter = [{ mti = "0200" }]\n[response_codes.write]\napproved = "0"\n'
    )
    found = {key: reason for _, key, reason in problems_of(path)}
    assert set(found) == {
        "mti_version",
        "colour",
        "mac.algorithm",
        "encoding.numeric",
        "kinds.barter",
        "response_codes.write.approved",
    }
    assert "x9.19" in found["mac.algorithm"]
    assert "'no'" in found["encoding.numeric"]


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("not toml", "", "is no TOML file"),
        ('extends = "iso87"', "extends", "did you mean iso87"),
        ('extends = "zzz"', "extends", "built in are cup"),
        ("extends = 3", "extends", "needed the name"),
        ('extends = "./other.toml"', "extends", "cannot read"),
        ('extends = "./mine.toml"', "extends", "extends itself"),
        ('extends = "cup"\ncatalogue = "fields-2003"', "catalogue", "fields-1987, fields-1993"),
        ('extends = "cup"\nfields.60 = { key = "pan" }', "fields.60.key", "stands for more than one field: 2, 60"),
        ('extends = "cup"\nonly = [2, 3, 4]', "only", "fields.39"),
        ('extends = "cup"\nmac.form = "hex"', "mac.form", "field 64 is binary"),
        ('extends = "iso87-ascii"\nfields.128 = { max_len = 8 }', "fields.128.max_len", "size of field 64"),
        ('extends = "cup"\nentry_modes.field = "70"', "entry_modes.field", "no field 70"),
        ('extends = "cup"\nkind_code.field = "60.9"', "kind_code.field", "no subfield 60.9"),
    ],
)
def test_one_mistake(tmp_path, text, key, reason):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert any(found == key and reason in why for _, found, why in problems_of(path))


def test_unknown_names_are_told_with_the_nearest():
    assert "did you mean iso87-ascii?" in problems_of("iso87-asci")[0][2]
    assert problems_of("no/such/file.toml")[0][2] == "cannot be read: No such file or directory"


def test_required_tables_are_told(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('catalogue = "fields-1987"\n')
    found = problems_of(path)
    assert ("mine.toml", "encoding", "is required") in found
    assert ("mine.toml", "kinds", "is required") in found


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('extends = "iso87-ascii"\nstand_in_mark = "' + "x" * 65 + '"', "stand_in_mark", "at most 64"),
        ('extends = "iso93-ascii"\nstand_in_mark = "STIP"', "stand_in_mark", "needed content of class n"),
        ('extends = "iso93-ascii"\nstand_in_mark = "10"', "stand_in_mark", "needed 4 characters"),
        ('extends = "iso93-ascii"\n[policy.advice]\n25 = "drop"', "policy.advice.25", "no field of policy.advice"),
        ('extends = "iso87-ascii"\n[policy.advice]\n60 = "issuer"', "policy.advice.60", "needed one of forward"),
    ],
)
def test_advices_that_make_no_sense(tmp_path, text, key, reason):
    path = tmp_path / "own.toml"
    path.write_text(f'description = "Own"\n{text}\n')
    assert any(found == key and reason in why for _, found, why in problems_of(path)), problems_of(path)
