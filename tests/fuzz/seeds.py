"""Small inputs to begin with, made from the dialects' own messages: ``python -m tests.fuzz.seeds`` writes them.

They stand in ``tests/fuzz/corpus/TARGET``, together with inputs that once broke something.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import iso8583

from tests.ext.mesh_records import SAMPLES, written
from tests.ext.proxy_headers import LOCAL, PROXY, TCP6, UNSPECIFIED, proxy_header, start, tlv
from tests.ext.test_translate_dialects import any_message
from tests.ext.world import CUP_TAK, ISO_TAK, World, purchase, reversal, seal
from tests.fuzz.framing import FRAMINGS
from tests.fuzz.parsers import DIALECTS, LAYOUTS

CORPUS = Path(__file__).parent / "corpus"
PURCHASE = {
    "t": "0200", "2": "6225000000000014", "3": "000000", "4": "000000001000", "7": "0115080000", "11": "000123",
    "12": "160000", "13": "0115", "22": "012", "25": "00", "37": "632703000123", "41": "10000002",
    "42": "898000000000001", "49": "156",
}  # fmt: skip


def fitted(document: dict[str, str], layout: dict[str, dict[str, object]]) -> dict[str, str]:
    """A document with the lengths that a layout's fixed fields have."""
    result = {"h": ""} if layout.get("h", {}).get("len_type") else {}
    for key, value in document.items():
        entry = layout.get(key)
        if key != "t" and (entry is None or (not entry["len_type"] and characters(entry) != len(value))):
            continue
        result[key] = value
    return result


def characters(entry: dict[str, object]) -> int:
    """Canonical characters of a fixed field."""
    per_unit = 2 if entry["data_enc"] == "b" and entry.get("len_count", "bytes") == "bytes" else 1
    return int(str(entry["max_len"])) * per_unit


def framing_seeds() -> Iterator[bytes]:
    """Two messages, a keep-alive and the beginning of a third, in each framing."""
    for number, framing in enumerate(FRAMINGS):
        stream = framing.wrap(b"0200") + framing.wrap(b"0800 hello") + framing.wrap(bytes(range(40)))[:-3]
        yield bytes([number, 6]) + stream
        yield bytes([number, 2]) + bytes(4)


def proxy_header_seeds() -> Iterator[bytes]:
    """A header of each kind, with TLVs and with what follows it; and one of version 1."""
    for stream in (
        proxy_header("203.0.113.7"),
        proxy_header("2001:db8::7", tlvs=tlv(5, b"unique") + tlv(4, bytes(30))),
        proxy_header("::ffff:192.0.2.9"),
        start(LOCAL, UNSPECIFIED, 0),
        start(PROXY, UNSPECIFIED, 4) + tlv(4, b"x"),
        start(PROXY, TCP6, 521),
        b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5930\r\n",
    ):
        for step in (0, 6):
            yield bytes([step]) + stream + b"\x00\x04next"


def mesh_seeds() -> Iterator[bytes]:
    """A record of each type, alone and behind another; all of them; and the beginning of one."""
    records = [written(kind, values) for kind, values in SAMPLES.items()]
    for before, record in zip([b"", *records], records, strict=False):
        yield record
        yield before + record
    yield b"".join(records) + records[0][:70]


def scan_seeds() -> Iterator[bytes]:
    """A purchase in each layout, and each field once."""
    dice = random.Random("scan")
    for number, layout in enumerate(LAYOUTS):
        yield bytes([number]) + bytes(iso8583.encode(fitted(PURCHASE, layout), layout)[0])
    for number, dialect in enumerate(DIALECTS):
        fields = [int(key) for key in dialect.layout if key.isdigit() and key not in ("1", "65")]
        for part in range(0, len(fields), 12):
            yield bytes([number]) + any_message(dialect, fields[part : part + 12], dice)[1]


def translation_seeds() -> Iterator[bytes]:
    """A request for each pair of dialects, and an answer for some."""
    for number, dialect in enumerate(DIALECTS):
        request = bytes(iso8583.encode(fitted(PURCHASE, dialect.layout), dialect.layout)[0])
        answered = PURCHASE | {"t": "0210", "38": "A1B2C3", "39": "00"}
        for link, issuer in enumerate(DIALECTS):
            pair = number * len(DIALECTS) + link
            yield bytes([pair, 0, 0, 0]) + request
            answer = bytes(iso8583.encode(fitted(answered, issuer.layout), issuer.layout)[0])
            padded = -len(request) % 4
            if not padded:
                yield bytes([pair, len(request) // 4, 0, 1]) + request + answer
        yield bytes([number, 0, 210, 0]) + request


def mac_seeds() -> Iterator[bytes]:
    """Each algorithm with each of its key sizes."""
    for algorithm in range(6):
        for size in range(3):
            yield bytes([algorithm, size, 5]) + bytes(range(60))
    yield bytes([0, 8, 9]) + bytes(range(30))


def authentication_seeds() -> Iterator[bytes]:
    """A purchase and a reversal with the right MAC, and one to be sealed."""
    world = World()
    for number, (name, algorithm, key) in enumerate((("cup", "cup-ecb", CUP_TAK), ("iso", "x9.19", ISO_TAK))):
        line = world.terminal(name)
        document = purchase(world, name)
        for message in (document, reversal(world, document)):
            yield bytes([number, 0]) + seal(message, line.dialect, algorithm, key)
            yield bytes([number, 1]) + seal(message, line.dialect, algorithm, key)
        line.close()


def machine_seeds() -> Iterator[bytes]:
    """Plays: purchases that are approved, time out, are taken back; floods; lost connections."""
    ask, answer, wait, sync, cut, connect, flood = 0, 1, 3, 4, 5, 6, 7
    sign_on = bytes([sync, answer, 0, 0, 0, sync])
    for line in range(3):
        approved = bytes([ask, line, 8, 1, 5, 0, sync, answer, line, 0x10, 0, sync])
        yield approved
        yield sign_on + approved
        yield sign_on + bytes([ask, line, 0, 1, 5, 0, sync, wait, 20, sync, answer, 1, 0, 0, sync])
        yield bytes([ask, line, 8, 1, 5, 0, sync, cut, line, answer, 0, 0, 0, sync, connect, line])
        yield bytes([ask, line, 8, 1, 5, 0, ask, line, 0x88, 1, 5, 0, sync, answer, 0, 0, 0, wait, 9, sync])
        yield bytes([flood, line, 3, sync, answer, 0, 0, 0, flood, line, 3, wait, 100, sync])
    yield bytes([2, 3, 40]) + bytes(40)


SEEDS = {
    "framing": framing_seeds,
    "proxy_header": proxy_header_seeds,
    "mesh": mesh_seeds,
    "scan": scan_seeds,
    "translation": translation_seeds,
    "mac": mac_seeds,
    "authentication": authentication_seeds,
    "machine": machine_seeds,
}


def write_seeds() -> None:
    """Write all seeds; what was found by fuzzing stays as it is."""
    for target, seeds in SEEDS.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(seeds()):
            (folder / f"seed-{number:02d}.bin").write_bytes(data)


if __name__ == "__main__":
    write_seeds()
