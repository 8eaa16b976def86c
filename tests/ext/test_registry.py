"""Registry of merchants and terminals: what it finds, what it tells, what it refuses."""

import contextlib
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.crypto.mac import ALGORITHMS, KEY_SIZES
from switch.files.problems import ConfigError
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS, TERMINAL_PIN_FORMATS, Registry

KINDS = ("unknown", "purchase", "refund")
LISTENERS = ("pos", "pos-tls")
MERCHANTS = "898000000000001,Harbour Bookshop,active,5942,\n"


class AnyKey:
    """Gives a key of the size that its name's ending asks for."""

    def __init__(self, tak: int = 16, tpk: int = 16, tmk: int = 16, tdk: int = 0) -> None:
        self.sizes = {"tak": tak, "tpk": tpk, "tmk": tmk, "tdk": tdk}

    def get(self, name: str) -> bytes | None:
        return bytes(range(self.sizes[name[-3:]])) or None


def build(
    terminals: str = "", merchants: str = MERCHANTS, keys: object | None = None, heading: bool = True
) -> Registry:
    merchants_text = ",".join(MERCHANT_COLUMNS) + "\n" + merchants if heading else merchants
    terminals_text = ",".join(TERMINAL_COLUMNS) + "\n" + terminals if heading else terminals
    source = AnyKey() if keys is None else keys
    return Registry.build(merchants_text.encode(), terminals_text.encode(), source, KINDS, LISTENERS)  # type: ignore[arg-type]


def problems_of(*args: object, **options: object) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        build(*args, **options)  # type: ignore[arg-type]
    return [(problem.file, problem.key, problem.reason) for problem in caught.value.problems]


def test_describes_what_is_registered() -> None:
    registry = build(
        "T1,898000000000001,suspended,pos-tls,purchase|refund,x9.19,iso-0,shop.example\n"
        "T2 A,898000000000001,active,,,none,none,\n",
        '898000000000001,"Tea, ""Silk"" and Päper",active,5942,refund\n1,x,closed,0000,\n',
    )
    assert (registry.merchant_count, registry.terminal_count) == (2, 2)
    assert registry.describe_terminal("T1") == {
        "id": "T1",
        "merchant": "898000000000001",
        "state": "suspended",
        "listeners": ["pos-tls"],
        "kinds": ["purchase", "refund"],
        "mac_algorithm": "x9.19",
        "pin_format": "iso-0",
        "certificate": "shop.example",
        "has_master_key": True,
        "serial_number": "",
        "position": None,
        "bound_to": "00" * 16,
    }
    assert registry.describe_terminal("T2 A  ") == {
        "id": "T2 A",
        "merchant": "898000000000001",
        "state": "active",
        "listeners": ["pos", "pos-tls"],
        "kinds": list(KINDS),
        "mac_algorithm": "none",
        "pin_format": "none",
        "certificate": "T2 A",
        "has_master_key": True,
        "serial_number": "",
        "position": None,
        "bound_to": "00" * 16,
    }
    assert registry.describe_merchant("898000000000001") == {
        "id": "898000000000001",
        "name": 'Tea, "Silk" and Päper',
        "state": "active",
        "category": "5942",
        "kinds": ["refund"],
        "elements": "00" * 16,
        "merchant_class": "",
        "same_identity": "",
    }
    assert registry.describe_merchant("2") is None
    assert registry.describe_terminal("T3") is None


@pytest.mark.parametrize("pin_format", ["iso-0", "iso-1", "iso-3", "iso-4"])
def test_derived_pin_keys_need_no_key_of_the_terminal(pin_format: str) -> None:
    registry = build(f"T9,898000000000001,active,,,none,{pin_format}+dukpt,\n")
    described = registry.describe_terminal("T9")
    assert described is not None
    assert described["pin_format"] == f"{pin_format}+dukpt"


def test_trailing_blanks_do_not_count() -> None:
    registry = build("T1,898000000000001,active,,,none,none,\n", MERCHANTS + "7,Short,active,0000,\n")
    assert (
        registry.terminal_index("T1")
        == registry.terminal_index(b"T1      ")
        == registry.terminal_index("T1" + " " * 40)
    )
    assert registry.merchant_index("7") == registry.merchant_index("7              ") == 1
    for unknown in ("", " ", "        ", "T", " T1", "T1\0", "123456789", "T1é"):
        assert registry.terminal_index(unknown) is None
        assert registry.merchant_index(unknown) is None


def test_certificates_are_compared_whole() -> None:
    registry = build(
        "T1,898000000000001,active,,,none,none,shop.example\nT2,898000000000001,active,,,none,none,\n"
        "T3,898000000000001,active,,,none,none,shop.example\n"
    )
    assert registry.certificate_matches("T1", "shop.example")
    assert registry.certificate_matches("T3", "shop.example")
    assert not registry.certificate_matches("T1", "T1")
    assert not registry.certificate_matches("T1", "shop.exampl")
    assert not registry.certificate_matches("T1", "shop.example2")
    assert registry.certificate_matches("T2", "T2")
    assert not registry.certificate_matches("T2", "T1")
    assert not registry.certificate_matches("T2", "")
    assert not registry.certificate_matches("T4", "T4")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_mac_algorithm_takes_its_key_sizes(algorithm: str) -> None:
    row = f"T1,898000000000001,active,,,{algorithm},none,\n"
    for size in (8, 16, 24, 32):
        keys = AnyKey(tak=size)
        if algorithm == "none" or size in KEY_SIZES[algorithm]:
            description = build(row, keys=keys).describe_terminal("T1")
            assert description is not None
            assert description["mac_algorithm"] == algorithm
        else:
            sizes = " or ".join(map(str, KEY_SIZES[algorithm]))
            assert problems_of(row, keys=keys) == [(
                "terminals.csv",
                f"line 2, column {len('T1,898000000000001,active,,,') + 1}",
                f"mac_algorithm: key terminal/T1/tak has {size} bytes; needed are {sizes}",
            )]  # fmt: skip


def test_missing_keys_are_told() -> None:
    rows = "T1,898000000000001,active,,,x9.9,none,\nT2,898000000000001,active,,,none,iso-0,\n"
    assert problems_of(rows, keys={}) == [
        ("terminals.csv", "line 2, column 29", "mac_algorithm: no key terminal/T1/tak, which x9.9 needs"),
        ("terminals.csv", "line 3, column 34", "pin_format: no key terminal/T2/tpk, which a PIN format needs"),
    ]


def test_a_wrong_master_key_is_told_without_showing_it() -> None:
    key = b"secret0"
    with pytest.raises(ConfigError) as caught:
        build("T1,898000000000001,active,,,none,none,\n", keys={"terminal/T1/tmk": key})
    assert str(caught.value) == (
        "terminals.csv: line 2, column 1: id: key terminal/T1/tmk has 7 bytes; needed are 8 or 16 or 24"
    )


@pytest.mark.parametrize("state", ["closed", "suspended"])
def test_a_closed_terminal_needs_no_keys(state: str) -> None:
    row = f"T1,898000000000001,{state},,,x9.19,iso-0,\n"
    if state == "closed":
        description = build(row, keys={}).describe_terminal("T1")
        assert description is not None
        assert (description["state"], description["mac_algorithm"]) == ("closed", "x9.19")
        return
    with pytest.raises(ConfigError, match="no key terminal/T1/tak"):
        build(row, keys={})


def test_a_terminal_without_master_key() -> None:
    description = build("T1,898000000000001,active,,,none,none,\n", keys={}).describe_terminal("T1")
    assert description is not None
    assert description["has_master_key"] is False


def test_every_problem_of_both_files_is_told() -> None:
    merchants = (
        "1,A,active,5411,\n1,B,active,5411,\n,C,active,5411,\n1234567890123456,D,active,5411,\n"
        '2,"E,active,5411,\n3,,active,5411,\n4,F,open,5411,\n5,G,active,541,\n6,H,active,5411,sale\n7,I,active\n'
        "ä,J,active,5411,\n8," + "n" * 256 + ",active,5411,\n"
        '9,"K"L,active,5411,\n'
    )
    terminals = (
        "123456789,1,active,,,none,none,\nT1,2,active,,,none,none,\nT1,1,active,,,none,none,\nT1,1,active,,,none,none,\n"
        "T2,1,active,web,,none,none,\nT2,1,active,,sale,none,none,\nT2,1,active,,,sha,none,\nT2,1,active,,,none,iso-9,\n"
        'T2,1,gone,,,none,none,\nT2,1,active,,,none,none,"x\nT2\n'
        "T2,1,active,,,none,none," + "c" * 256 + "\n"
    )
    assert problems_of(terminals, merchants) == [
        ("merchants.csv", "line 3, column 1", "id: this merchant is on line 2 already"),
        ("merchants.csv", "line 4, column 1", "id: the identifier has 0 characters; needed are 1 to 15"),
        ("merchants.csv", "line 5, column 1", "id: the identifier has 16 characters; needed are 1 to 15"),
        ("merchants.csv", "line 6, column 1", "2 cells; needed are 5"),
        ("merchants.csv", "line 7, column 3", "name: a name of 1 to 255 bytes is needed"),
        ("merchants.csv", "line 8, column 5", "state: unknown state 'open'; known are active, suspended, closed"),
        (
            "merchants.csv",
            "line 9, column 12",
            "category: '541' is not a merchant category code (ISO 18245) of 4 digits",
        ),
        ("merchants.csv", "line 10, column 17", "kinds: unknown kind 'sale'; known are unknown, purchase, refund"),
        ("merchants.csv", "line 11, column 1", "3 cells; needed are 5"),
        (
            "merchants.csv",
            "line 12, column 1",
            "id: the identifier holds the byte 0xC3; needed are printable ASCII characters",
        ),
        ("merchants.csv", "line 13, column 3", "name: a name of 1 to 255 bytes is needed"),
        ("merchants.csv", "line 14, column 3", "name: the double quotes do not close at the end of the cell"),
        ("terminals.csv", "line 2, column 1", "id: the identifier has 9 characters; needed are 1 to 8"),
        ("terminals.csv", "line 3, column 4", "merchant: unknown merchant '2'"),
        ("terminals.csv", "line 5, column 1", "id: this terminal is on line 4 already"),
        ("terminals.csv", "line 6, column 13", "listeners: unknown listener 'web'; known are pos, pos-tls"),
        ("terminals.csv", "line 7, column 14", "kinds: unknown kind 'sale'; known are unknown, purchase, refund"),
        (
            "terminals.csv",
            "line 8, column 15",
            f"mac_algorithm: unknown MAC algorithm 'sha'; known are {', '.join(ALGORITHMS)}",
        ),
        (
            "terminals.csv",
            "line 9, column 20",
            f"pin_format: unknown PIN format 'iso-9'; known are {', '.join(TERMINAL_PIN_FORMATS)}",
        ),
        ("terminals.csv", "line 10, column 6", "state: unknown state 'gone'; known are active, suspended, closed"),
        (
            "terminals.csv",
            "line 11, column 25",
            "certificate: the double quotes do not close at the end of the cell",
        ),
        ("terminals.csv", "line 12, column 1", "1 cells; needed are 8"),
        ("terminals.csv", "line 13, column 25", "certificate: a certificate name has at most 255 bytes"),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "id,name\n"])
def test_the_headings_are_needed(text: str) -> None:
    files = [file for file, _, reason in problems_of(text, text, heading=False) if "first row must be id," in reason]
    assert files == ["merchants.csv", "terminals.csv"]


def test_empty_tables_are_possible() -> None:
    registry = build("", "")
    assert (registry.merchant_count, registry.terminal_count) == (0, 0)
    assert registry.describe_terminal("T1") is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(string.ascii_letters + string.digits + "-./", min_size=1, max_size=8), unique=True, max_size=200),
    st.lists(st.text(string.ascii_letters + string.digits + " ", max_size=9), max_size=50),
)
def test_finds_exactly_what_is_registered(ids: list[str], others: list[str]) -> None:
    registry = build(
        "".join(f"{name},M{name},active,,,none,none,\n" for name in ids),
        "".join(f"M{name},Name of {name},active,0000,\n" for name in ids),
    )
    assert registry.terminal_count == registry.merchant_count == len(ids)
    for number, name in enumerate(ids):
        assert registry.terminal_index(name) == number
        description = registry.describe_terminal(name)
        assert description is not None
        assert description["merchant"] == f"M{name}"
        merchant = registry.describe_merchant(f"M{name}")
        assert merchant is not None
        assert merchant["name"] == f"Name of {name}"
    for other in others:
        assert (registry.terminal_index(other) is not None) == (other.rstrip() in ids)


def test_many_terminals() -> None:
    chooser = random.Random(7)
    ids = chooser.sample(range(10**8), 20_000)
    registry = build("".join(f"{name:08d},898000000000001,active,,,aes-cmac,iso-0,\n" for name in ids))
    assert registry.terminal_count == len(ids)
    assert registry.size_bytes / len(ids) < 272, "a million of them with their index"
    assert len({registry.terminal_index(f"{name:08d}") for name in ids} - {None}) == len(ids)
    absent = min(set(range(len(ids) + 1)) - set(ids))
    assert registry.terminal_index(f"{absent:08d}") is None


def test_limits_of_the_configuration() -> None:
    with pytest.raises(ValueError, match="at most 32 listeners"):
        Registry.build(b"", b"", {}, KINDS, [f"l{n}" for n in range(33)])
    with pytest.raises(TypeError, match=r"Registry\.build"):
        Registry()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text('T1,89active|none"#\r\n', max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    heading = ",".join(TERMINAL_COLUMNS).encode() + b"\n"
    merchants = ",".join(MERCHANT_COLUMNS).encode() + b"\n"
    for files in ((merchants + data, heading), (merchants + MERCHANTS.encode(), heading + data)):
        with contextlib.suppress(ConfigError):
            Registry.build(*files, {}, KINDS, LISTENERS)
