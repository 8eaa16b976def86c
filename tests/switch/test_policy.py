"""Field policies: what a composed message holds, from one dialect to another."""

import itertools

import iso8583
import pytest

from switch.dialect import dialect_names, load_dialect
from switch.dialect.composers import LinkComposers, ListenerComposers, PairComposers
from switch.dialect.kinds import Kind
from switch.dialect.policy import network_steps
from switch.dialect.rules import Origin, parse_rule
from switch.wire.codec import encode
from switch.wire.translate import Composer

DIALECTS = {name: load_dialect(name) for name in dialect_names()}
CUP = DIALECTS["cup"]
PAN = "6225000000000014"
PAIRS = [pytest.param(a, b, id=f"{a.name}-{b.name}") for a, b in itertools.product(DIALECTS.values(), repeat=2)]

CUP_PURCHASE = {
    "t": "0200",
    "2": PAN,
    "3": "000000",
    "4": "000000001234",
    "11": "000077",
    "14": "2912",
    "22": "051",
    "23": "001",
    "25": "00",
    "26": "06",
    "35": f"{PAN}D29122010000",
    "36": f"99{PAN}D15600000",
    "41": "99999906",
    "42": "001430170119999",
    "49": "156",
    "52": "0123456789ABCDEF",
    "53": "2600000000000000",
    "55": "9F3602031E",
    "60": "2200000700050",
    "64": "3132333435363738",
}
CUP_ANSWER_FIELDS = {2, 3, 4, 11, 12, 13, 14, 15, 25, 32, 37, 38, 39, 41, 42, 44, 49, 53, 60, 63, 64}

SLOTS = {
    "mti": "0200",
    "processing_code": "000000",
    "stan": "900001",
    "rrn": "632800900001",
    "transmission_time": "1123040506",
    "local_time": "120506",
    "local_date": "1123",
    "local_date_time": "261123120506",
    "response_code": "00",
    "authorization_code": "A1B2C3",
    "acquirer": "00085500",
    "pin_block": "FEDCBA9876543210",
    "pan": PAN,
    "settlement_date": "1124",
    "kind_code": "00",
    "entry_mode": "51010151300C",
    "original_data": "0200900001112304050600000085500" + "0" * 11,
    "keys": "46F161A743497B32EAC760DF5EA57DF5900ECCE3977731A7EA402DDF0000000000000000CFF1592A",
}


def write(dialect, document):
    return bytes(encode({"h": "", **document}, dialect.spec)[0])


def read(dialect, message):
    """The fields of a message as pyiso8583 alone reads them."""
    document, _ = iso8583.decode(message, {field: dict(entry) for field, entry in dialect.layout.items()})
    return {int(field): value for field, value in document.items() if field.isdecimal() and field != "1"}


def compose_request(terminal, link, document, **slots):
    composer = PairComposers(terminal, link, signed=True).request
    slots = {"entry_mode": link.tables.entry_mode_of(terminal.tables, write(terminal, document))} | slots
    return authenticated(link, composer.compose_message(write(terminal, document), slots=SLOTS | slots))


def authenticated(dialect, message):
    """A composed message with a MAC of zeros in the dialect's form."""
    size = dialect.tables.mac_size
    return message[:-size] + (b"0" if dialect.mac.form == "hex" else b"\0") * size


@pytest.mark.parametrize(("terminal", "link"), PAIRS)
def test_every_dialect_can_be_composed_from_every_other(terminal, link):
    request = PairComposers(terminal, link, signed=True).request
    answer = PairComposers(terminal, link, signed=True).answer
    assert request.mac_field == answer.mac_field == 64
    assert request.mac_size == link.tables.mac_size


@pytest.mark.parametrize("name", ["iso87-ascii", "iso87-binary", "iso87-ebcdic"])
def test_a_cup_purchase_to_an_issuer_of_1987(name):
    link = DIALECTS[name]
    sent = read(link, compose_request(CUP, link, CUP_PURCHASE))
    separator = "D" if link.layout["35"]["data_enc"] == "b" else "="
    assert sent == {
        2: PAN,
        3: "000000",
        4: "000000001234",
        7: "1123040506",
        11: "900001",
        12: "120506",
        13: "1123",
        14: "2912",
        22: "051",
        23: "001",
        25: "00",
        26: "06",
        32: "00085500",
        35: f"{PAN}{separator}29122010000",
        36: f"99{PAN}{separator}15600000",
        37: "632800900001",
        41: "99999906",
        42: "001430170119999",
        49: "156",
        52: "FEDCBA9876543210",
        55: "9F3602031E",
        64: "0" * 16,
    }


def test_a_cup_purchase_to_an_issuer_of_1993():
    link = DIALECTS["iso93-ascii"]
    sent = read(link, compose_request(CUP, link, CUP_PURCHASE, mti="1200", kind_code="200"))
    assert (sent[12], sent[22], sent[24]) == ("261123120506", "51010151300C", "200")
    assert not {13, 18, 25, 26, 53, 60} & sent.keys()


def test_private_fields_pass_within_a_family_only():
    ascii87, binary87, ascii93 = (DIALECTS[name] for name in ("iso87-ascii", "iso87-binary", "iso93-ascii"))
    document = {"t": "0200", "48": "PRIVATE", "60": "SIXTY", "18": "5411"}
    within = read(binary87, compose_request(ascii87, binary87, document))
    assert (within[48], within[60]) == ("PRIVATE", "SIXTY")
    across = read(ascii93, compose_request(ascii87, ascii93, document, mti="1200"))
    assert not {48, 60} & across.keys()
    assert across[26] == "5411"


def test_a_cup_purchase_to_a_cup_link_keeps_what_only_cup_has():
    sent = read(CUP, compose_request(CUP, CUP, CUP_PURCHASE))
    assert sent[60] == "2200000700050"
    assert sent[53] == "2600000000000000"
    assert sent[52] == "FEDCBA9876543210"


def test_an_iso_purchase_to_a_cup_link_has_its_kind_in_field_60():
    document = {"t": "0200", "2": PAN, "3": "000000", "4": "000000001234"}
    sent = read(CUP, compose_request(DIALECTS["iso87-ascii"], CUP, document, kind_code="22"))
    assert (sent[25], sent[60]) == ("00", "22")


def test_a_card_number_from_track_2_goes_in_field_2():
    link = DIALECTS["iso87-ascii"]
    document = {field: value for field, value in CUP_PURCHASE.items() if field != "2"}
    assert read(link, compose_request(CUP, link, document))[2] == PAN


@pytest.mark.parametrize("name", ["iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary", "cup"])
def test_the_answer_to_a_cup_purchase(name):
    link = DIALECTS[name]
    version = "1210" if link.file.family == "iso93" else "0210"
    answer = {"t": version, "4": "000000001234", "11": "900001", "38": "ISSUER", "44": "03020000   00085500   "}
    composer = PairComposers(CUP, link, signed=True).answer
    message = composer.compose_message(write(CUP, CUP_PURCHASE), write(link, answer), SLOTS | {"mti": "0210"})
    told = read(CUP, message)
    expected = CUP_ANSWER_FIELDS | {23} if name == "cup" else CUP_ANSWER_FIELDS - {44} | {23}
    assert set(told) == expected
    assert (told[11], told[37], told[39], told[60]) == ("000077", "632800900001", "00", CUP_PURCHASE["60"])
    assert (told[2], told[14], told[63]) == (PAN, "2912", "CUP")
    assert not {35, 36, 52} & told.keys()


def test_the_balance_reaches_a_cup_terminal():
    link = DIALECTS["iso87-ascii"]
    composer = PairComposers(CUP, link, signed=True).answer
    answer = {"t": "0210", "54": "1002156C000000123456"}
    told = read(CUP, composer.compose_message(write(CUP, CUP_PURCHASE), write(link, answer), SLOTS | {"mti": "0210"}))
    assert told[54] == "1002156C000000123456"


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_an_answer_that_the_switch_gives_on_its_own(dialect):
    composer = ListenerComposers(dialect).answer
    version = dialect.file.mti_version
    request = write(dialect, {"t": f"{version}200", "11": "000077", "41": "99999906", "42": "001430170119999"})
    slots = {"mti": f"{version}210", "response_code": dialect.tables.code_of(8)}
    told = read(dialect, authenticated(dialect, composer.compose_message(request, slots=slots)))
    assert (told[11], told[39], told[41]) == ("000077", dialect.response_codes.write["format_error"], "99999906")
    assert not {37, 38} & told.keys()


@pytest.mark.parametrize("link", DIALECTS.values(), ids=DIALECTS)
def test_a_reversal_has_its_original_and_nothing_sensitive(link):
    sent = compose_request(CUP, link, CUP_PURCHASE, kind_code="200" if link.file.family == "iso93" else "22")
    composer = LinkComposers(link, signed=True).reversal
    slots = {**SLOTS, "mti": "0420", "stan": "900002", "response_code": link.tables.code_of(29)}
    slots["original_data"] = link.tables.original_data_of(sent)
    reversal = read(link, authenticated(link, composer.compose_message(sent, slots=slots)))
    assert (reversal[2], reversal[4], reversal[41]) == (PAN, "000000001234", "99999906")
    assert not {35, 36, 45, 52, 55} & reversal.keys()
    if link.file.family == "iso87":
        assert reversal[11] == "900002"
        assert reversal[90] == "0200" + "900001" + "1123040506" + "00000085500" + "0" * 11
        assert 128 in reversal
    elif link.file.family == "iso93":
        assert reversal[24] == "400"
        assert reversal[56] == "0200" + "900001" + "261123120506" + "08" + "00085500"
    else:
        assert reversal[11] == "900001"
        assert reversal[60] == CUP_PURCHASE["60"]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_network_management_messages_are_of_their_kind(dialect):
    for kind, message in dialect.file.network.items():
        composer = Composer(dialect.spec, None, None, network_steps(dialect, kind))
        composed = composer.compose_message(None, slots=SLOTS | {"mti": message.mti})
        assert Kind(dialect.tables.kind_of(composed)).label == kind
        assert read(dialect, composed)[11] == "900001"


def test_a_dialect_without_such_a_message():
    with pytest.raises(KeyError):
        network_steps(CUP, "cut_over")


def test_the_answer_to_a_sign_in_carries_the_keys():
    composer = ListenerComposers(CUP).network_answer
    request = write(CUP, {"t": "0800", "11": "000001", "41": "99999906", "42": "001430170119999", "60": "00000519003"})
    told = read(CUP, composer.compose_message(request, slots=SLOTS | {"mti": "0810"}))
    assert set(told) == {11, 12, 13, 32, 37, 39, 41, 42, 60, 62}
    assert told[62] == SLOTS["keys"]


@pytest.mark.parametrize(
    ("rule", "policy", "origins"),
    [
        ("forward", "request", [Origin("request", "")]),
        ("forward:merchant", "request", [Origin("request", "merchant")]),
        ("default:00", "request", [Origin("request", ""), Origin("constant", "00")]),
        ("constant:a:b", "network", [Origin("constant", "a:b")]),
        (["issuer", "compute:rrn"], "answer", [Origin("answer", ""), Origin("slot", "rrn")]),
        ("drop", "reversal", []),
    ],
)
def test_rules(rule, policy, origins):
    assert parse_rule(rule, policy) == origins


@pytest.mark.parametrize(
    ("rule", "policy"),
    [
        ("", "request"),
        ("issuer", "request"),
        ("forward:", "request"),
        ("drop:1", "answer"),
        ("compute:", "answer"),
        ("compute:x", "answer"),
        ("constant:", "network"),
        ("default:", "request"),
        ("original", "answer"),
    ],
)
def test_what_is_no_rule(rule, policy):
    with pytest.raises(ValueError, match=r"needed|needs|no rule"):
        parse_rule(rule, policy)


def test_messages_of_keys_carry_a_mac_where_the_link_has_a_key():
    dialect = DIALECTS["iso87-ascii"]
    for signed in (True, False):
        composers = LinkComposers(dialect, signed=signed)
        asked = composers.network[Kind.KEY_EXCHANGE].compose_message(
            None, slots=SLOTS | {"mti": "0800", "mac": "0" * 16}
        )
        answered = composers.key_answer.compose_message(asked, slots=SLOTS | {"mti": "0810", "mac": "0" * 16})
        assert [128 in read(dialect, message) for message in (asked, answered)] == [signed, signed]
        assert 128 not in read(dialect, composers.network_answer.compose_message(asked, slots=SLOTS | {"mti": "0810"}))
