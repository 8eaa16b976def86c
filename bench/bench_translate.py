"""Translation of a whole 18-field purchase beside pyiso8583, which decodes it and encodes it anew."""

from __future__ import annotations

import iso8583
import pytest

from switch.wire.spec import compile_spec
from switch.wire.translate import Composer

ROUNDS = 1000
PURCHASE = {
    "t": "0200",
    "2": "6212345678901234560",
    "3": "000000",
    "4": "000000012345",
    "7": "1123032845",
    "11": "123456",
    "12": "032845",
    "13": "1123",
    "14": "3012",
    "18": "5411",
    "22": "021",
    "25": "00",
    "32": "12345678901",
    "35": "6212345678901234560=3012101000000000",
    "37": "123456789012",
    "41": "TERM0001",
    "42": "MERCHANT0000001",
    "43": "CORNER SHOP           SINGAPORE      SG ",
    "49": "156",
}
# Width of the length in digits, size, content class.
FIELDS = {
    "2": (2, 19, "n"),
    "3": (0, 6, "n"),
    "4": (0, 12, "n"),
    "7": (0, 10, "n"),
    "11": (0, 6, "n"),
    "12": (0, 6, "n"),
    "13": (0, 4, "n"),
    "14": (0, 4, "n"),
    "18": (0, 4, "n"),
    "22": (0, 3, "n"),
    "25": (0, 2, "n"),
    "32": (2, 11, "n"),
    "35": (2, 37, "z"),
    "37": (0, 12, "an"),
    "41": (0, 8, "ans"),
    "42": (0, 15, "ans"),
    "43": (0, 40, "ans"),
    "49": (0, 3, "n"),
}


def text_spec(encoding):
    def entry(width, size, content="any"):
        return {"data_enc": encoding, "len_enc": encoding, "len_type": width, "max_len": size, "content": content}

    parts = {"h": entry(0, 0), "t": entry(0, 4), "p": entry(0, 16), "1": entry(0, 16)}
    return parts | {number: entry(*field) for number, field in FIELDS.items()}


def packed_spec():
    """As the China UnionPay POS dialect writes: digits as nibbles, lengths in BCD."""

    def entry(encoding, width, size, content="any"):
        field = {"data_enc": encoding, "len_enc": "bcd", "len_type": (width + 1) // 2, "max_len": size}
        if content in ("n", "z"):
            field |= {"len_count": "nibbles", "right_pad": "0"}
        return field | {"content": content}

    parts = {"h": entry("ascii", 0, 0), "t": entry("b", 0, 2), "p": entry("b", 0, 8), "1": entry("b", 0, 8)}
    return parts | {
        number: entry("b" if field[2] in ("n", "z") else "ascii", *field) for number, field in FIELDS.items()
    }


SPECS = {"ascii": text_spec("ascii"), "cup": packed_spec(), "ebcdic": text_spec("cp500")}
# The switch's own number and time take the place of the terminal's; all else is forwarded.
SLOTS = {"mti": "0200", "stan": "654321", "transmission_time": "1123040000"}
COMPUTED = {"11": "stan", "7": "transmission_time"}


def message_of(name):
    document = dict(PURCHASE)
    if name == "cup":
        document["35"] = document["35"].replace("=", "D")
    return bytes(iso8583.encode(document, SPECS[name])[0])


def composer_of(origin, target):
    steps = [
        (int(number), "slot", COMPUTED[number]) if number in COMPUTED else (int(number), "request", int(number))
        for number in FIELDS
    ]
    return Composer(compile_spec(SPECS[target]), compile_spec(SPECS[origin]), None, steps)


def with_pyiso8583(message, origin, target):
    document, _ = iso8583.decode(message, SPECS[origin])
    document["11"] = SLOTS["stan"]
    document["7"] = SLOTS["transmission_time"]
    separator = ("=", "D") if target == "cup" else ("D", "=")
    document["35"] = document["35"].replace(*separator)
    return bytes(iso8583.encode(document, SPECS[target])[0])


WAYS = [("ascii", "cup"), ("cup", "ascii"), ("ascii", "ascii"), ("cup", "cup"), ("ascii", "ebcdic"), ("ebcdic", "cup")]


@pytest.mark.benchmark(group=f"translate: {ROUNDS} purchases")
@pytest.mark.parametrize(("origin", "target"), WAYS)
class TestTranslate:
    def test_ours(self, benchmark, steps, origin, target):
        composer = composer_of(origin, target)
        message = message_of(origin)
        assert composer.compose_message(message, slots=SLOTS) == with_pyiso8583(message, origin, target)
        benchmark(steps.compose, composer, message, SLOTS, ROUNDS)

    def test_pyiso8583(self, benchmark, origin, target):
        message = message_of(origin)
        benchmark.pedantic(
            lambda: [with_pyiso8583(message, origin, target) for _ in range(ROUNDS)], rounds=3, warmup_rounds=1
        )
