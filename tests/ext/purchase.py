"""The purchase that codec tests and benchmarks share: 225 bytes of ASCII with 18 fields, and the same in BCD."""

from __future__ import annotations

import copy
from typing import Any

import iso8583
from iso8583.specs import default_ascii

Document = dict[str, str]
SpecDict = dict[str, dict[str, Any]]

PURCHASE: Document = {
    "t": "0200",
    "2": "4111111111111111",
    "3": "000000",
    "4": "000000012345",
    "7": "1123031500",
    "11": "000123",
    "12": "031500",
    "13": "1123",
    "14": "2812",
    "18": "5411",
    "22": "051",
    "25": "00",
    "32": "00012345678",
    "35": "4111111111111111=28122010000000000000",
    "37": "632703000123",
    "41": "TERM0001",
    "42": "MERCHANT0000001",
    "43": "ACME STORES LONDON           LONDON   GB",
    "49": "826",
}

CONTENT = {
    **dict.fromkeys(("2", "3", "4", "7", "11", "12", "13", "14", "18", "22", "25", "32", "49"), "n"),
    "35": "z",
    "37": "an",
    **dict.fromkeys(("41", "42", "43"), "ans"),
}


def ascii_spec() -> SpecDict:
    """pyiso8583's ASCII specification with content classes."""
    spec = copy.deepcopy(dict(default_ascii))
    for field, content in CONTENT.items():
        spec[field]["content"] = content
    return spec


def bcd_spec() -> SpecDict:
    """Digits packed, odd ones padded on the left; binary bitmap; lengths in BCD."""
    spec = ascii_spec()
    spec["t"]["data_enc"] = spec["p"]["data_enc"] = spec["1"]["data_enc"] = "b"
    for field, content in CONTENT.items():
        entry = spec[field]
        if content in ("n", "z"):
            entry |= {"data_enc": "b", "len_count": "nibbles", "left_pad": "0"}
        if entry["len_type"]:
            entry |= {"len_enc": "bcd", "len_type": 1}
    return spec


def ebcdic_spec() -> SpecDict:
    """The ASCII specification in code page 500, lengths and bitmap too."""
    spec = ascii_spec()
    for entry in spec.values():
        for key in ("data_enc", "len_enc"):
            if entry[key] == "ascii":
                entry[key] = "cp500"
    return spec


def document(spec: SpecDict) -> Document:
    """The purchase as text; the separator of track 2 is D where the track is packed."""
    purchase = dict(PURCHASE)
    if spec["35"]["data_enc"] == "b":
        purchase["35"] = purchase["35"].replace("=", "D")
    return purchase


def message(spec: SpecDict) -> bytes:
    """The purchase on the wire, written by pyiso8583."""
    return bytes(iso8583.encode(document(spec), spec)[0])
