"""What terminals load from the switch: parameters, keys of card schemes, chips' applications."""

from __future__ import annotations

import re
import tomllib
from hashlib import sha1
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.dialect import load_dialect
from switch.dialect.downloads import DownloadAnswers
from switch.dialect.source import DialectError

DOCS = (Path(__file__).parents[2] / "docs" / "dialects.md").read_text()
PAGE = re.search(r"^```toml\n(extends = \"cup\"\n\n\[downloads\.parameters\].*?)^```", DOCS, re.MULTILINE | re.DOTALL)
ROOM = 512


def key(number: int, size: int = 128) -> str:
    """A key of a card scheme, as a table."""
    modulus, exponent = bytes((number + n) % 256 for n in range(size)), b"\x03"
    rid, index = bytes.fromhex("A000000333"), bytes((number,))
    check = sha1(rid + index + modulus + exponent).hexdigest()
    return (
        f'[[downloads.ca_keys]]\nrid = "{rid.hex()}"\nindex = "{index.hex()}"\nexpires = "20301231"\n'
        f'exponent = "03"\nmodulus = "{modulus.hex()}"\ncheck_value = "{check}"\n'
    )


def answers(tmp_path, text: str) -> DownloadAnswers:
    """Of the built-in dialect with a few tables more."""
    path = tmp_path / "till.toml"
    path.write_text(f'extends = "cup"\n{text}')
    found = load_dialect(path).downloads
    assert found is not None
    return found


def field_60(code: str) -> str:
    return f"00000001{code}"


def split(data: bytes) -> list[tuple[str, bytes]]:
    """Data objects, read by their own rules."""
    found = []
    while data:
        tag = data[:1] if data[0] & 0x1F != 0x1F else data[:2]
        size, at = data[len(tag)], len(tag) + 1
        if size == 0x81:
            size, at = data[at], at + 1
        found.append((tag.hex().upper(), data[at : at + size]))
        data = data[at + size :]
    return found


def test_the_page_is_loaded_as_it_says(tmp_path):
    assert PAGE is not None
    tables = tomllib.loads(PAGE[1])["downloads"]
    loads = answers(tmp_path, PAGE[1].partition("\n")[2])
    assert loads.answer(field_60("360"), b"") == b"1260" + b"133" + b"22" + tables["parameters"]["22"].encode()
    listed = loads.answer(field_60("372"), b"100")
    assert listed is not None
    assert len(listed) == 1 + 23
    assert listed[:1] == b"1"
    assert split(listed[1:]) == [("9F06", bytes.fromhex("A000000333")), ("9F22", b"\x02"), ("DF05", b"20301231")]
    one = loads.answer(field_60("370"), listed[1:13])
    assert one is not None
    found = dict(split(one[1:]))
    assert found["DF02"].hex().upper() == tables["ca_keys"][0]["modulus"]
    assert found["DF03"].hex().upper() == tables["ca_keys"][0]["check_value"]
    assert loads.answer(field_60("371"), b"") == b""
    (name,) = split(loads.answer(field_60("382"), b"100")[1:])
    assert name == ("9F06", bytes.fromhex("A000000333010101"))
    application = loads.answer(field_60("380"), bytes.fromhex("9F0608A000000333010101"))
    assert application[1:].hex().upper() == "9F0608A000000333010101" + tables["applications"][0]["data"]


def test_nothing_is_there_unless_a_file_has_it():
    loads = load_dialect("cup").downloads
    assert loads.answer(field_60("360"), b"") is None
    assert loads.answer(field_60("372"), b"100") == b"0"
    assert loads.answer(field_60("370"), bytes.fromhex("9F0605A0000003339F220102")) == b"0"
    assert loads.answer(field_60("390"), b"100") == b"0"
    assert [loads.answer(field_60(code), b"") for code in ("362", "391", "371", "381")] == [b""] * 4
    assert loads.answer(field_60("999"), b"") is None
    assert loads.answer("", b"") is None


@pytest.mark.parametrize("count", [1, 22, 23, 44, 45, 99])
def test_a_list_is_given_page_by_page(tmp_path, count):
    loads = answers(tmp_path, "\n".join(key(number, 64) for number in range(count)))
    seen: list[bytes] = []
    kinds = ""
    while kinds[-1:] not in ("1", "3"):
        page = loads.answer(field_60("372"), f"1{len(seen):02d}".encode())
        assert page is not None
        assert len(page) <= ROOM
        kinds += page[:1].decode()
        seen += [page[at : at + 23] for at in range(1, len(page), 23)]
    assert kinds == ("1" if count <= 22 else "2" * ((count - 1) // 22) + "3")
    assert len(set(seen)) == len(seen) == count
    for head in seen:
        entry = loads.answer(field_60("370"), head[:12])
        assert entry is not None
        assert (entry[:1], entry[1:13]) == (b"1", head[:12])


@given(st.text(max_size=14), st.binary(max_size=600))
@settings(deadline=None)
def test_whatever_is_asked_is_answered(field, asked):
    loads = load_dialect("cup").downloads
    told = loads.answer(field, asked)
    assert told is None or len(told) <= ROOM


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (key(1).replace('index = "01"', 'index = "02"'), "the check value is not that of the key"),
        (key(1) + key(1), "one of them is there twice"),
        ('[[downloads.applications]]\naid = "A0"\ndata = "9F0800"\n', "aid"),
        ('[downloads.parameters]\n1 = "60"\n', "parameters"),
        ("[downloads]\nfield = 63\n", "field 63 holds no bytes"),
        ('[downloads]\ncode = "60.9"\n', "no subfield 60.9"),
    ],
)
def test_what_cannot_be_loaded_is_refused(tmp_path, text, reason):
    with pytest.raises(DialectError, match=reason):
        answers(tmp_path, text)
