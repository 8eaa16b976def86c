"""Every built-in dialect to every other, with the steps of their own field policies."""

from __future__ import annotations

import random

import iso8583
import pytest

from switch.dialect import dialect_names, load_dialect
from switch.dialect.composers import PairComposers
from switch.dialect.policy import answer_steps, request_steps
from switch.wire.scan import ScanError, scan

DIALECTS = {name: load_dialect(name) for name in dialect_names()}
SLOTS = {
    "mti": "0200",
    "processing_code": "000000",
    "stan": "654321",
    "rrn": "632703123456",
    "transmission_time": "1123040000",
    "local_time": "120000",
    "local_date": "1123",
    "local_date_time": "261123120000",
    "response_code": "00",
    "acquirer": "48200000",
    "pan": "6212345678901234560",
}
ALPHABETS = {
    "n": "0123456789",
    "z": "0123456789",
    "hex": "0123456789ABCDEF",
    "a": "ABCDEFGHIJKLM",
    "an": "ABC0123456789",
    "ans": "ABC0123456789 ",  # as narrow as what it may be forwarded to
    "any": "ABC0123456789 .,-/",
}
VALUES_EACH = 5


def any_value(entry, dice):
    """A value that a field may hold, as pyiso8583 shows it."""
    content = entry.get("content", "any")
    size = entry["max_len"] if not entry["len_type"] else dice.randint(1, min(entry["max_len"], 60))
    packed = entry["data_enc"] == "b"
    if content == "hex":
        size += size % 2
    if packed and entry.get("len_count", "bytes") == "bytes":
        size *= 2
        content = "hex" if content == "any" else content
    elif packed and content == "any":
        content = "z"  # a track that may be enciphered, and goes on in clear
    if content == "x+n":
        sign = dice.choice("CD")
        sign = f"{ord(sign):x}" if packed else sign
        return sign + "".join(dice.choices("0123456789", k=size - len(sign)))
    value = "".join(dice.choices(ALPHABETS[content], k=size))
    if content == "z" and size > 2:
        value = value[: size // 2] + ("D" if packed else "=") + value[size // 2 + 1 :]
    return value


def meaning(value, entry):
    """What a value says, whatever its dialect: no filling zeros and blanks, no sign byte, one separator,
    digits of bytes in one case."""
    content = entry.get("content", "any")
    if content == "x+n":
        if entry["data_enc"] == "b":
            value = bytes.fromhex(value[:2]).decode() + value[2:]
        return value[0] + value[1:].lstrip("0")
    if content == "n":
        return value.lstrip("0")
    if content == "z":
        return value.replace("=", "D")
    if content == "hex":
        return value.upper()
    return value.rstrip(" ") if content in ("a", "an", "ans", "any") else value


def any_message(dialect, numbers, dice):
    document = {"t": SLOTS["mti"]} | {str(number): any_value(dialect.layout[str(number)], dice) for number in numbers}
    return document, bytes(iso8583.encode(dict(document), dialect.layout)[0])


def check_composed(composed, destination, source, document, steps, origin):
    """Fields that came from ``document`` say the same; all others are there or not as the steps say."""
    decoded, _ = iso8583.decode(composed, destination.layout)
    assert scan(composed, destination.spec).fields == sorted(
        int(key) for key in decoded if key.isdigit() and key != "1"
    )
    first = {}
    for field, step_origin, argument in steps:
        first.setdefault(field, (step_origin, argument))
    for field, (step_origin, argument) in first.items():
        if step_origin == origin and str(argument) in document:
            got = meaning(decoded[str(field)], destination.layout[str(field)])
            assert got == meaning(document[str(argument)], source.layout[str(argument)]), f"field {field}"


@pytest.mark.parametrize("terminal", DIALECTS)
@pytest.mark.parametrize("link", DIALECTS)
def test_requests_say_the_same_on_the_other_side(terminal, link):
    terminal, link = DIALECTS[terminal], DIALECTS[link]
    steps = request_steps(terminal, link)
    composer = PairComposers(terminal, link, signed=True).request
    assert composer.mac_field in (0, 64, 128)
    dice = random.Random(f"{terminal.name} {link.name}")
    forwarded = [argument for _, origin, argument in steps if origin == "request"]
    for _ in range(VALUES_EACH):
        document, message = any_message(terminal, forwarded, dice)
        composed = composer.compose_message(message, slots=SLOTS)
        check_composed(composed, link, terminal, document, steps, "request")


@pytest.mark.parametrize("terminal", DIALECTS)
@pytest.mark.parametrize("link", DIALECTS)
def test_answers_say_the_same_on_the_other_side(terminal, link):
    terminal, link = DIALECTS[terminal], DIALECTS[link]
    steps = answer_steps(terminal, link)
    composer = PairComposers(terminal, link, signed=True).answer
    slots = SLOTS | {"mti": "0210", "response_code": "0" * terminal.tables.code_size}
    dice = random.Random(f"{terminal.name} {link.name}")
    forwarded = {origin: [step.argument for step in steps if step.source == origin] for origin in ("request", "answer")}
    for _ in range(VALUES_EACH):
        document, request = any_message(terminal, forwarded["request"], dice)
        answered, answer = any_message(link, forwarded["answer"], dice)
        composed = composer.compose_message(request, answer, slots=slots)
        check_composed(composed, terminal, terminal, document, steps, "request")
        check_composed(composed, terminal, link, answered, steps, "answer")


@pytest.mark.parametrize("terminal", DIALECTS)
@pytest.mark.parametrize("link", DIALECTS)
def test_damaged_requests_are_refused_or_readable(terminal, link):
    terminal, link = DIALECTS[terminal], DIALECTS[link]
    steps = request_steps(terminal, link)
    composer = PairComposers(terminal, link, signed=True).request
    dice = random.Random(f"{terminal.name} {link.name}")
    _, message = any_message(terminal, [argument for _, origin, argument in steps if origin == "request"], dice)
    for _ in range(40):
        damaged = bytearray(message)
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            composed = composer.compose_message(damaged, slots=SLOTS)
        except ScanError:
            continue
        scan(composed, link.spec)
