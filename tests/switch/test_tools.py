"""``decode`` and ``encode``: what people see of one message, and what they never see."""

import base64
import functools
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from switch.cli.messages import decode_app, encode_app
from switch.dialect import dialect_names, load_dialect
from switch.messages.opened import open_message
from switch.messages.reading import Notation, from_bytes
from switch.messages.tlv import Tlv, TlvError, parse_tlv
from switch.wire.codec import encode

CUP_MESSAGES = json.loads((Path(__file__).parents[1] / "vectors/messages_cup.json").read_text())["messages"]
CUP = load_dialect("cup")
ISO87 = load_dialect("iso87-ascii")
PAN = "4111111111111111"
TRACK = f"{PAN}=25121010000012345678"
PIN_BLOCK = "0A1B2C3D4E5F6071"
PURCHASE = {
    "t": "0200",
    "2": PAN,
    "3": "000000",
    "4": "000000001234",
    "11": "000077",
    "35": TRACK,
    "42": "411111111111111",
    "45": f"B{PAN}^DOE/JANE^2512",
    "48": f"CARD {PAN}",
    "52": PIN_BLOCK,
    "55": f"5A08{PAN}5F20044A414E45570C{PAN}D25120009F3602031E7106860484120000",
}


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Dialects are read once, which takes longer than most commands do with them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("switch.cli.messages.load_dialect", functools.cache(load_dialect))
        yield


def run(app, *arguments, given=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)


def write(document, dialect=ISO87):
    return bytes(encode({"h": "", **document}, dialect.spec)[0])


def decoded(document, *options, dialect="iso87-ascii"):
    message = write(document, load_dialect(dialect)).hex()
    result = run(decode_app, "-d", dialect, "--json", *options, message)
    assert result.exit_code == 0, result.output
    return {field["field"]: field for field in json.loads(result.stdout)["fields"]}, result.stdout


DIALECTS = {name: load_dialect(name) for name in dialect_names()}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["30323030303030303030303030303830303030305445524D00303031"],
            "iso87-ascii: field 41: needs printable characters, has a control character (0x00), at byte 24",
        ),
        (
            ["-d", "cup", "--frame", "no", "020000000000008000003136363838303100"],
            "cup: field 41: needs printable characters, has a control character (0x00), at byte 17",
        ),
    ],
)
def test_character_outside_its_class_ends_in_words(arguments, error):
    result = run(decode_app, *arguments)
    assert (result.exit_code, result.stderr) == (1, f"authswitch: {error}\n")
    assert isinstance(result.exception, SystemExit)


@st.composite
def damaged_messages(draw):
    """A dialect, and a message of it that was cut, changed, or made up."""
    name = draw(st.sampled_from(sorted(DIALECTS)))
    dialect = DIALECTS[name]
    document = {"t": "0200", "3": "000000", "11": "000077", "41": "10000001", "2": PAN, "35": TRACK.replace("=", "D")}
    message = bytearray(encode({"h": "", **document}, dialect.spec)[0])
    if draw(st.booleans()):
        message = bytearray(dialect.framing.wrap(bytes(message)))
    for _ in range(draw(st.integers(0, 4))):
        message[draw(st.integers(0, len(message) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        del message[draw(st.integers(1, len(message))) :]
    return name, draw(st.one_of(st.just(bytes(message)), st.binary(max_size=80)))


@settings(max_examples=400, deadline=None)
@given(
    damaged_messages(),
    st.sampled_from(["hex", "base64", "text", "raw"]),
    st.sampled_from(["auto", "yes", "no"]),
    st.lists(st.sampled_from(["--json", "--show-sensitive"]), unique=True),
    st.booleans(),
)
def test_any_bytes_end_in_words(message, notation, frame, options, as_written):
    name, data = message
    written = from_bytes(data, Notation(notation)) if as_written else data
    result = run(decode_app, "-d", name, "--in", notation, "--frame", frame, *options, given=written)
    assert result.exit_code in (0, 1, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code == 0) == (not result.stderr)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(DIALECTS)),
    st.one_of(
        st.text(),
        st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")),
        st.dictionaries(
            st.one_of(st.sampled_from(["t", "h", "p", "2", "3.1", "F4", "pan", "55", "90", "128"]), st.text()),
            st.one_of(st.text(), st.none(), st.integers(), st.just("0200"), st.just("000000")),
        ).map(json.dumps),
    ),
)
def test_any_document_ends_in_words(name, document):
    given = document.encode("utf-8", "surrogateescape") if is_utf8(document) else b"\xff"
    result = run(encode_app, "-d", name, given=given)
    assert result.exit_code in (0, 1, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    if result.exit_code == 0:
        assert run(decode_app, "-d", name, result.stdout).exit_code == 0, "what is written can be read"


def is_utf8(text):
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


# --- decode ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", CUP_MESSAGES, ids=lambda message: message["name"])
def test_cup_messages_are_shown_and_written_back(message):
    shown = run(decode_app, "-d", "cup", "--json", "--show-sensitive", message["hex"])
    assert shown.exit_code == 0
    opened = json.loads(shown.stdout)
    assert opened["mti"] == message["fields"]["t"]
    fields = {field["field"]: field["value"] for field in opened["fields"]}
    for number, value in message["fields"].items():
        assert number == "t" or fields[number] == value
    table = run(decode_app, "-d", "cup", message["hex"])
    assert table.exit_code == 0
    assert opened["mti"] in table.stdout
    written = run(
        encode_app, "-d", "cup", "--frame", "--headers", opened["headers"], json.dumps({"t": "0820", "11": "000001"})
    )
    assert written.stdout.strip()[4:26] == opened["headers"]


def test_positions_and_sizes_cover_the_message():
    message = write(PURCHASE)
    fields = open_message(message, ISO87).fields
    assert fields[0].position == 4 + 16
    for before, after in itertools.pairwise(fields):
        assert before.position + before.size == after.position
    assert fields[-1].position + fields[-1].size == len(message)


def test_the_kind_and_the_meaning_of_a_response_code_are_told():
    opened = open_message(write({"t": "0210", "3": "000000", "39": "51"}), ISO87)
    assert opened.kind == "purchase"
    assert opened.fields[-1].meaning == "Not sufficient funds"
    assert open_message(write({"t": "0210", "39": "Z9"}), ISO87).fields[-1].meaning == "not listed by the dialect"


def test_card_numbers_are_masked_everywhere():
    fields, text = decoded(PURCHASE)
    assert fields["2"]["value"] == "411111******1111"
    assert fields["48"]["value"] == "CARD 411111******1111"
    assert fields["42"]["value"] == "411111111111111"
    assert PAN not in text
    assert "JANE" not in text
    assert "4A414E45" not in text


def test_card_numbers_are_shown_when_asked_for_but_track_and_pin_never():
    fields, text = decoded(PURCHASE, "--show-sensitive")
    assert fields["2"]["value"] == PAN
    assert fields["55"]["parts"][0] == {
        "name": "5A",
        "description": "Application primary account number",
        "value": PAN,
        "parts": [],
    }
    for secret in (TRACK, PIN_BLOCK, "D2512000", "^2512", "=2512"):
        assert secret not in text
    for number in ("35", "45", "52"):
        assert fields[number]["value"].endswith("characters, never shown)")


def test_field_55_is_opened_with_the_names_of_its_tags():
    fields, _ = decoded(PURCHASE)
    parts = {part["name"]: part for part in fields["55"]["parts"]}
    assert parts["9F36"]["value"] == "031E"
    assert parts["9F36"]["description"] == "Application transaction counter"
    assert parts["57"]["value"] == "(24 characters, never shown)"
    assert parts["5A"]["value"] == "411111******1111"
    assert [part["name"] for part in parts["71"]["parts"]] == ["86"]


def test_field_55_that_is_no_tlv_says_so_and_shows_nothing():
    fields, text = decoded(PURCHASE | {"55": "5A09" + PAN})
    assert fields["55"]["parts"][0]["value"] == "tag 5A: 9 bytes needed, 8 there at byte 2"
    assert PAN not in text


def test_the_keys_of_a_sign_in_answer_are_opened_and_hidden():
    keys = CUP_MESSAGES[1]["hex"]
    hidden = json.loads(run(decode_app, "-d", "cup", "--json", keys).stdout)
    parts = {part["name"]: part["value"] for part in hidden["fields"][-1]["parts"]}
    assert parts == {"62.1": "*" * 32, "62.2": "900ECCE3", "62.3": "*" * 32, "62.4": "CFF1592A"}
    shown = json.loads(run(decode_app, "-d", "cup", "--json", "--show-sensitive", keys).stdout)
    assert shown["fields"][-1]["parts"][0]["value"] == "46F161A743497B32EAC760DF5EA57DF5"


def test_field_62_is_text_where_it_is_no_keys():
    request = json.loads(run(decode_app, "-d", "cup", "--json", CUP_MESSAGES[0]["hex"]).stdout)
    fields = {field["field"]: field for field in request["fields"]}
    assert fields["62"]["value"] == "Sequence No**************"
    other = open_message(write({"t": "0810", "60": "00000519003", "62": "00FF" * 4}, CUP), CUP)
    assert other.fields[-1].value == "(16 characters, shown when asked for)"  # keys of a size that nobody has told


def test_subfields_and_remarks_of_cup():
    remark = "交易成功".encode("gb18030").ljust(20).decode("latin-1")
    opened = open_message(write({"t": "0210", "60": "22000519", "63": "CUP" + remark}, CUP), CUP)
    parts = {part.name: part.value for field in opened.fields for part in field.parts}
    assert (parts["60.1"], parts["60.2"], parts["63.1"]) == ("22", "000519", "CUP")
    assert parts["63.2.1"].strip() == "交易成功"


@pytest.mark.parametrize("notation", ["hex", "base64", "raw", "text"])
def test_ways_to_give_a_message(tmp_path, notation):
    message = write({"t": "0800", "11": "000001"})
    path = tmp_path / "message"
    written = {
        "hex": message.hex(" ").encode() + b"\n",
        "base64": base64.b64encode(message),
        "raw": message,
        "text": message + b"\r\n",
    }
    path.write_bytes(written[notation])
    from_file = run(decode_app, "--in", notation, "--json", "-f", path)
    from_input = run(decode_app, "--in", notation, "--json", "-", given=written[notation])
    assert json.loads(from_file.stdout) == json.loads(from_input.stdout)
    assert json.loads(from_file.stdout)["fields"][0]["value"] == "000001"


def test_many_frames_in_one_file(tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(b"".join(bytes.fromhex(message["hex"]) for message in CUP_MESSAGES))
    result = run(decode_app, "-d", "cup", "--in", "raw", "--json", "-f", path)
    assert [opened["mti"] for opened in json.loads(result.stdout)] == ["0800", "0810", "0410"]


def test_a_message_without_its_frame():
    body = CUP_MESSAGES[0]["hex"][4 + 22 :]
    assert run(decode_app, "-d", "cup", body).exit_code == 0
    assert run(decode_app, "-d", "cup", "--frame", "no", body).exit_code == 0
    assert run(decode_app, "-d", "cup", "--frame", "yes", body).exit_code == 2
    assert run(decode_app, "-d", "cup", "--frame", "yes", CUP_MESSAGES[0]["hex"][:-2]).exit_code == 2


def test_a_message_that_breaks_off_is_shown_up_to_there():
    message = write(PURCHASE)
    result = run(decode_app, "--json", message[:59].hex())
    assert result.exit_code == 1
    opened = json.loads(result.stdout)
    assert [field["field"] for field in opened["fields"]] == ["2", "3", "4"]
    assert "field 11" in result.stderr
    assert "at byte 56" in result.stderr
    assert PAN not in result.output


def test_control_characters_do_nothing_to_the_terminal():
    result = run(decode_app, "--in", "raw", "-", given=b"\x1b[2J0000000000000000")
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-d", "iso88", "00"], "unknown dialect"),
        (["0g"], "character 2 is none"),
        (["000"], "two hex digits for each byte"),
        (["--in", "base64", "*"], "needed base64"),
        (["--in", "hex", ""], "there is no message"),
        (["-f", "no/such/file"], "no/such/file: cannot be read: No such file"),
        (["-f", "x", "00"], "either a message or a file"),
        (["--in", "morse", "00"], "morse"),
    ],
)
def test_decode_asked_wrongly(arguments, reason):
    result = run(decode_app, *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr


# --- encode ----------------------------------------------------------------------------------------------------------


def test_encode_writes_what_decode_reads():
    document = {"t": "0820", "11": "000001", "60": "00000001301"}
    plain = run(encode_app, "-d", "cup", json.dumps(document))
    assert plain.stdout == write(document, CUP).hex().upper() + "\n"
    framed = run(encode_app, "-d", "cup", "--frame", "--out", "base64", "-", given=json.dumps(document))
    assert base64.b64decode(framed.stdout) == CUP.framing.wrap(write(document, CUP))
    text = run(encode_app, "--out", "text", json.dumps({"t": "0800", "11": "000001"}))
    assert text.stdout == "08000020000000000000000001\n"
    raw = run(encode_app, "--out", "raw", json.dumps({"t": "0800", "11": "000001"}))
    assert raw.stdout == "08000020000000000000000001"


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (['{"t": "0800", "11": "1"}'], 1, "field 11"),
        (['{"t": "0800", "200": "1"}'], 2, 'key "200": dialect iso87-ascii has no such field'),
        (['{"t": "0800", "pan": "1"}'], 2, 'key "pan": fields are given by number, this one as "2"'),
        (['{"t": "0800", "3.1": "00"}'], 2, 'key "3.1": a part of a field cannot be given alone, give field "3" whole'),
        (['{"t": "0800", "F4": "1"}'], 2, 'key "F4": fields are given by number, this one as "4"'),
        (['{"t": "0800", "04": "1"}'], 2, 'key "04": fields are given by number, this one as "4"'),
        (['{"t": "0800", "p": "00"}'], 2, 'key "p": the bitmap makes itself'),
        (['{"t": "0800", "h": "00"}'], 2, 'key "h": unknown'),
        (['{"t": "0800", "\\ud800": "x", "é": "y"}'], 2, 'key "\\ud800": unknown'),
        (['{"t": "0800", "x": "1", "pan": "1"}'], 2, '; key "pan"'),
        (['{"t": "0800", "11": "1", "11": "2"}'], 2, 'key "11" stands there 2 times'),
        (["[" * 100_000], 2, "needed"),
        (['{"t": "0800", "11": "00000A"}'], 1, "iso87-ascii: field 11: needs digits, has a letter, at byte 25"),
        (['{"t": "0800", "11": "\\ud800"}'], 1, "field 11"),
        (['{"t": "0800", "11": 1}'], 2, "field 11: needed a string"),
        (["[]"], 2, "needed a JSON object"),
        (["{"], 2, "needed JSON"),
        (["-d", "iso88", "{}"], 2, "unknown dialect"),
        (["-d", "cup", "--frame", "--headers", "00", '{"t": "0800"}'], 2, "headers"),
        (["--headers", "0x", '{"t": "0800"}'], 2, "hex digits"),
    ],
)
def test_encode_refuses(arguments, status, reason):
    result = run(encode_app, *arguments)
    assert result.exit_code == status
    assert reason in result.stderr


# --- BER-TLV ---------------------------------------------------------------------------------------------------------


def test_nested_objects_and_long_forms():
    data = bytes.fromhex("00 71 07 86 05 8412000000 9F36 02 031E 00 5F20 81 02 4A4A")
    script, counter, name = parse_tlv(data)
    assert (script.tag, script.position) == ("71", 1)
    assert script.parts == (Tlv("86", bytes.fromhex("8412000000"), 3, ()),)
    assert (counter.tag, counter.value, counter.position) == ("9F36", b"\x03\x1e", 10)
    assert (name.tag, name.value) == ("5F20", b"JJ")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("9F", "tag cut off at byte 0"),
        ("9F8181818101", "tag of more than 4 bytes at byte 0"),
        ("9A", "length missing at byte 1"),
        ("9A80", "a length of 1 to 4 bytes needed at byte 1"),
        ("9A850000000001", "a length of 1 to 4 bytes needed at byte 1"),
        ("9A82FF", "length cut off at byte 1"),
        ("9A03FFFF", "tag 9A: 3 bytes needed, 2 there at byte 2"),
        ("71039A03FF", "tag 9A: 3 bytes needed, 1 there at byte 4"),
        ("7110710E710C710A7108710671047102" + "7100", "nested too deep"),
    ],
)
def test_what_is_no_tlv(data, reason):
    with pytest.raises(TlvError, match=reason):
        parse_tlv(bytes.fromhex(data))


def parsed(data):
    """The objects, or where they were refused."""
    try:
        return parse_tlv(data)
    except TlvError as error:
        return error.position


@given(st.binary(max_size=64))
def test_any_bytes_are_taken_apart_or_refused_within_them(data):
    found = parsed(data)
    if isinstance(found, int):
        assert 0 <= found <= len(data)
    else:
        assert all(item.value in data for item in found)


def test_an_object_cut_anywhere_is_refused_or_shorter():
    data = bytes.fromhex("9F3602031E5A084111111111111111710686048412000095050000000000")
    whole = parse_tlv(data)
    for size in range(len(data)):
        found = parsed(data[:size])
        assert found <= size if isinstance(found, int) else found == whole[: len(found)]


# --- private fields --------------------------------------------------------------------------------------------------

TRACK_1 = f"B{PAN}^DOE/JANE^25121010000000000123"
PRIVATE = {
    "tag": "CVV2 123",
    "tag and length": "9203123",
    "behind an expiration date": "2512 123",
    "joined to it": "2512123",
    "four digits": "CID=1234;",
    "track 1": f"%{TRACK_1}?",
    "track 2": f";{TRACK}?",
    "track 2 without Luhn": "4111111111111112=251210112345",
    "in a list": "01 09 123 02",
}


@pytest.mark.parametrize("number", ["48", "60", "63", "120", "126", "127"])
@pytest.mark.parametrize("case", PRIVATE)
def test_codes_and_tracks_in_private_fields_are_masked(number, case):
    fields, text = decoded(PURCHASE | {number: PRIVATE[case]})
    for secret in (PAN, "123", "1234", "2512", "JANE", "DOE", "251210112345"):
        if secret in PRIVATE[case]:
            assert secret not in fields[number]["value"]
    assert "DOE" not in text


@pytest.mark.parametrize("case", [case for case in PRIVATE if "track" in case])
def test_tracks_in_private_fields_are_not_shown_when_asked_for(case):
    fields, _ = decoded(PURCHASE | {"48": PRIVATE[case]}, "--show-sensitive")
    assert fields["48"]["value"].lstrip("%;B").startswith("4111111111")
    for secret in ("DOE", "2512"):
        assert secret not in fields["48"]["value"]


def test_data_objects_in_a_private_field_are_opened_as_those_of_field_55():
    fields, text = decoded(PURCHASE | {"48": f"5A08{PAN}5F20044A414E455711{PAN}D25121010000012345"})
    parts = {part["name"]: part["value"] for part in fields["48"]["parts"]}
    assert parts["5A"] == "411111******1111"
    assert "never shown" in parts["57"]
    for secret in (PAN, "4A414E45", "D2512"):
        assert secret not in text


def test_a_nested_bitmap_is_no_card_number():
    bitmap = "8000004000000001"
    fields, _ = decoded(PURCHASE | {"127": f"{bitmap}16{PAN}"})
    assert fields["127"]["value"] == bitmap + "*" * 18
    card, _ = decoded(PURCHASE | {"127": f"{PAN}2512"})
    assert PAN not in card["127"]["value"]


@pytest.mark.parametrize(
    ("code", "size"), [("001", 24), ("001", 40), ("003", 40), ("004", 60), ("004", 84), ("004", 12)]
)
def test_keys_in_a_sign_in_answer_are_masked_whatever_their_size(code, size):
    keys = bytes(range(0x41, 0x41 + size)).hex().upper()
    document = {"t": "0810", "11": "000001", "39": "00", "60": f"00000001{code}", "62": keys}
    _, text = decoded(document, dialect="cup")
    assert keys[:16] not in text
    assert bytes(range(0x41, 0x49)).decode() not in text
    shown, _ = decoded(document, "--show-sensitive", dialect="cup")
    assert keys[:16] in json.dumps(shown["62"])
