"""Fuzz targets of the parsers: what each input must and must not lead to, whatever its bytes are.

An input's first bytes choose the framing, dialect or algorithm; the rest is what a peer would send.
"""

from __future__ import annotations

import ctypes
from functools import cache

import switch.wire.scan as scan_module
from switch.crypto.mac import ALGORITHMS, KEY_SIZES, MAC_SIZES, Mac, compute_mac, verify_mac
from switch.dialect import Dialect, dialect_names, load_dialect
from switch.dialect.composers import PairComposers
from switch.dialect.policy import answer_steps, request_steps
from switch.wire.codec import DecodeError, decode, encode
from switch.wire.scan import Message, ScanError, scan
from switch.wire.spec import Spec, compile_spec
from switch.wire.translate import Composer, Step
from tests.ext.purchase import bcd_spec, ebcdic_spec
from tests.ext.test_translate_dialects import SLOTS, meaning

DIALECTS = [load_dialect(name) for name in dialect_names()]
LAYOUTS = [dialect.layout for dialect in DIALECTS] + [
    {**bcd_spec(), "h": {"data_enc": "b", "len_enc": "b", "len_type": 1, "max_len": 12}},
    {**ebcdic_spec(), "1": {**ebcdic_spec()["1"], "data_enc": "b"}},
]

INDEX = ctypes.create_string_buffer(1 << 16)
FAULT = ctypes.create_string_buffer(1 << 10)
"""More room than ``MessageIndex`` and ``Fault`` take."""

NO_CHARACTER = "Failed to decode field, invalid data"


# --- scan, decode, encode -----------------------------------------------------------------------------------------


def compiled(function: str) -> int:
    """The address of a function that ``switch.wire.scan`` shows other compiled modules only."""
    capsule = scan_module.__pyx_capi__[function]
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(pointer(capsule, name(capsule)))


SCAN_IN_PLACE = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
)(compiled("scan_message"))


@cache
def spec_of(number: int) -> Spec:
    """The compiled form of one of ``LAYOUTS``."""
    return compile_spec(LAYOUTS[number])


def scanned(view: memoryview, spec: Spec) -> Message | None:
    """The message, scanned in bytes behind which nothing lies and in a copy; None when it cannot be read."""
    alone = (ctypes.c_char * len(view)).from_buffer_copy(view)
    status = SCAN_IN_PLACE(spec, alone, len(view), INDEX, FAULT)
    try:
        message = scan(bytes(view), spec)
    except ScanError:
        assert status < 0, "read in place, refused in a copy"
        return None
    assert status == 0, "refused in place, read in a copy"
    return message


def fuzz_scan(view: memoryview) -> None:
    """What the scan accepts, the decoder reads too, with the same values; and what it reads can be written again.

    But for text without a content class: the scan asks nothing of it, the decoder that its encoding has each character.
    """
    if not len(view):
        return
    number = view[0] % len(LAYOUTS)
    layout, spec = LAYOUTS[number], spec_of(number)
    data = bytes(view[1:])
    message = scanned(view[1:], spec)
    try:
        document, _ = decode(data, spec)
    except DecodeError as error:
        assert 0 <= error.pos <= len(data)
        is_free_text = layout.get(error.field, {}).get("content", "any") == "any"
        assert message is None or (error.msg == NO_CHARACTER and is_free_text), f"scanned, but not decoded: {error.msg}"
        return
    if message is None:
        return
    assert document["t"] == message.mti
    numbers = [int(key) for key in document if key.isdigit()]
    assert message.fields == [number for number in numbers if number not in (1, 65)]
    for field in message.fields:
        assert document[str(field)] == in_code_page(message, field, layout)
        text = message.text(field)
        message.patch(field, text)
    written, _ = encode(dict(document), spec)
    assert without_bitmaps(decode(bytes(written), spec)[0]) == without_bitmaps(document)
    again = scan(bytes(written), spec)
    assert [(field, again.text(field)) for field in again.fields] == [
        (field, message.text(field)) for field in message.fields
    ]


def without_bitmaps(document: dict[str, str]) -> dict[str, str]:
    """What a document says; a peer may also send bitmaps that are empty or in lower case."""
    return {key: value for key, value in document.items() if key not in ("p", "1", "65")}


def in_code_page(message: Message, field: int, layout: dict[str, dict[str, object]]) -> str:
    """A field's value as the decoder gives it."""
    encoding = str(layout[str(field)]["data_enc"])
    return message.text(field) if encoding == "b" else message.raw(field).decode(encoding)


# --- translation --------------------------------------------------------------------------------------------------


def request_composer(terminal: Dialect, link: Dialect) -> tuple[Composer, list[Step]]:
    """From a terminal's dialect to a link's."""
    return PairComposers(terminal, link, signed=True).request, request_steps(terminal, link)


def answer_composer(terminal: Dialect, link: Dialect) -> tuple[Composer, list[Step]]:
    """From a link's answer to a terminal's."""
    return PairComposers(terminal, link, signed=True).answer, answer_steps(terminal, link)


REQUEST_COMPOSERS = [[request_composer(terminal, link) for link in DIALECTS] for terminal in DIALECTS]
ANSWER_COMPOSERS = [[answer_composer(terminal, link) for link in DIALECTS] for terminal in DIALECTS]


def fuzz_translation(view: memoryview) -> None:
    """A message that is translated can be read on the other side and says there what it said here.

    The first byte chooses the two dialects, the third how much room there is, the fourth whether a request or an
    answer is composed; the second says how many bytes the answer's request has.
    """
    if len(view) < 4:
        return
    terminal, link = divmod(view[0] % len(DIALECTS) ** 2, len(DIALECTS))
    room = 8192 if view[2] < 200 else view[2]
    data = bytes(view[4:])
    try:
        if view[3] & 1:
            check_answer(terminal, link, data[: 4 * view[1]], data[4 * view[1] :], room)
        else:
            check_request(terminal, link, data, room)
    except ScanError:
        return


def check_request(terminal: int, link: int, request: bytes, room: int) -> None:
    """Compose a request and compare."""
    composer, steps = REQUEST_COMPOSERS[terminal][link]
    message = scan(request, DIALECTS[terminal].spec)
    composed = composer.compose_message(message, slots=SLOTS, room=room)
    compare(composed, DIALECTS[link], {"request": (message, DIALECTS[terminal])}, steps)


def check_answer(terminal: int, link: int, request: bytes, answer: bytes, room: int) -> None:
    """Compose an answer and compare."""
    composer, steps = ANSWER_COMPOSERS[terminal][link]
    code = "0" * DIALECTS[terminal].tables.code_size
    messages = {
        "request": (scan(request, DIALECTS[terminal].spec), DIALECTS[terminal]),
        "answer": (scan(answer, DIALECTS[link].spec), DIALECTS[link]),
    }
    slots = SLOTS | {"mti": "0210", "response_code": code}
    composed = composer.compose_message(messages["request"][0], messages["answer"][0], slots=slots, room=room)
    compare(composed, DIALECTS[terminal], messages, steps)


def compare(
    composed: bytes, destination: Dialect, sources: dict[str, tuple[Message, Dialect]], steps: list[Step]
) -> None:
    """Each field is there when its first source was, and says the same."""
    result = scan(composed, destination.spec)
    chosen: dict[int, Step] = {}
    for step in steps:
        present = step.source not in sources or step.argument in sources[step.source][0]
        if step.source == "slot":
            present = step.argument == "mac" or bool(SLOTS.get(str(step.argument), step.argument == "response_code"))
        if present:
            chosen.setdefault(step.field, step)
    assert result.fields == sorted(field for field in chosen if field)
    for field, step in chosen.items():
        if step.source in sources:
            message, origin = sources[step.source]
            said = meaning(message.text(int(str(step.argument))), origin.layout[str(step.argument)])
            assert meaning(result.text(field), destination.layout[str(field)]) == said, f"field {field}"


# --- MACs ---------------------------------------------------------------------------------------------------------


def fuzz_mac(view: memoryview) -> None:
    """A MAC verifies for its own bytes and key, however they are cut, and for no others."""
    if len(view) < 3:
        return
    algorithm = ALGORITHMS[view[0] % len(ALGORITHMS)]
    sizes = KEY_SIZES[algorithm]
    size = sizes[view[1] % len(sizes)]
    padding = 2 if algorithm in ("x9.9", "x9.19") and view[1] & 8 else 1
    claimed_size = min(MAC_SIZES[algorithm], len(view) - 3)
    key = (bytes(view[3 : 3 + size]) + b"0123456789ABCDEFfedcba9876543210")[:size]
    data = bytes(view[3 + size :])
    claimed = bytes(view[len(view) - claimed_size :])
    mac = Mac(algorithm, key, padding)
    made = mac.compute(data)
    cut = view[2] % (len(data) + 1)
    assert len(made) == MAC_SIZES[algorithm]
    assert mac.compute(data[:cut], data[cut:]) == made == compute_mac(algorithm, key, data, padding)
    if algorithm == "none":
        assert not mac.verify(claimed, data)
        return
    assert mac.verify(made, data[:cut], data[cut:])
    assert verify_mac(algorithm, key, data, claimed, padding) == (len(claimed) >= 4 and made.startswith(claimed))
    flipped = bytearray(made)
    flipped[view[2] % len(made)] ^= 1 << view[1] % 8
    assert not mac.verify(bytes(flipped), data)
