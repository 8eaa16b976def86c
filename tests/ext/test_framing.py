"""Framing: every kind of frame, however it is cut up, and every refusal with its place."""

from __future__ import annotations

import gc
import pickle
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.wire.framing import Deframer, FrameBuffer, FrameError, Framing, live_buffer_bytes

TPDU = {"type": "tpdu", "hex": "6000030001"}
CUP_HEADER = {"type": "fixed", "hex": "603100311001"}
VISA = {"type": "visa"}
LITERAL = {"type": "literal", "text": "ISO", "digits": "025000077"}

# Each framing with a message and the frame that it must become, written out by hand.
FRAMINGS = {
    "be2": ({"length": {"encoding": "binary-be", "size": 2}}, b"message", b"\x00\x07message"),
    "be4": ({"length": {"encoding": "binary-be", "size": 4}}, b"message", b"\x00\x00\x00\x07message"),
    "le2": ({"length": {"encoding": "binary-le", "size": 2}}, b"m" * 258, b"\x02\x01" + b"m" * 258),
    "le4": ({"length": {"encoding": "binary-le", "size": 4}}, b"m" * 258, b"\x02\x01\x00\x00" + b"m" * 258),
    "bcd2": ({"length": {"encoding": "bcd", "size": 2}}, b"m" * 1234, b"\x12\x34" + b"m" * 1234),
    "bcd4": ({"length": {"encoding": "bcd", "size": 4}}, b"m" * 1234, b"\x00\x00\x12\x34" + b"m" * 1234),
    "ascii4": ({"length": {"encoding": "ascii", "size": 4}}, b"m" * 123, b"0123" + b"m" * 123),
    "ascii2": (
        {"length": {"encoding": "ascii", "size": 2}, "message_size_max": 99},
        b"m" * 98,
        b"98" + b"m" * 98,
    ),
    "be2-itself": ({"length": {"size": 2, "includes_itself": True}}, b"message", b"\x00\x09message"),
    "ascii4-itself": (
        {"length": {"encoding": "ascii", "size": 4, "includes_itself": True}},
        b"message",
        b"0011message",
    ),
    "tpdu": ({"headers": [TPDU]}, b"message", b"\x00\x0c\x60\x00\x03\x00\x01message"),
    "tpdu-uncounted": (
        {"headers": [{**TPDU, "counted": False}]},
        b"message",
        b"\x00\x07\x60\x00\x03\x00\x01message",
    ),
    "cup": (
        {"headers": [TPDU, CUP_HEADER], "keep_alive": True},
        b"message",
        b"\x00\x12\x60\x00\x03\x00\x01\x60\x31\x00\x31\x10\x01message",
    ),
    "visa": (
        {"length": {"size": 4}, "headers": [VISA]},
        b"message",
        b"\x00\x00\x00\x1d\x16\x01\x02\x00\x1d" + bytes(17) + b"message",
    ),
    "literal": ({"headers": [LITERAL]}, b"message", b"\x00\x13ISO025000077message"),
    "etx-uncounted": ({"trailer": "etx"}, b"message", b"\x00\x07message\x03"),
    "etx-counted": ({"trailer": "etx", "trailer_counted": True}, b"message", b"\x00\x08message\x03"),
    "everything": (
        {
            "length": {"encoding": "bcd", "size": 2, "includes_itself": True},
            "headers": [{**TPDU, "counted": False}, LITERAL],
            "trailer": "etx",
            "trailer_counted": True,
        },
        b"message",
        b"\x00\x22\x60\x00\x03\x00\x01ISO025000077message\x03",
    ),
}


@pytest.fixture(autouse=True)
def _no_memory_left():
    gc.collect()
    before = live_buffer_bytes()
    yield
    gc.collect()
    assert live_buffer_bytes() == before


@pytest.mark.parametrize("name", FRAMINGS)
def test_frame_is_written_as_specified(name):
    table, message, frame = FRAMINGS[name]
    framing = Framing(table)
    assert framing.wrap(message) == frame
    assert framing.overhead == len(frame) - len(message)
    headers = frame[framing.length_size : framing.length_size + framing.headers_size]
    assert framing.wrap(message, headers) == frame
    assert Deframer(framing).feed(frame) == [(headers, message)]


@pytest.mark.parametrize("name", FRAMINGS)
def test_frames_split_at_every_byte(name):
    table, message, frame = FRAMINGS[name]
    framing = Framing(table)
    headers = frame[framing.length_size : framing.length_size + framing.headers_size]
    stream = frame * 3
    for cut in range(len(stream) + 1):
        deframer = Deframer(framing)
        got = deframer.feed(stream[:cut])
        assert len(got) == cut // len(frame)
        assert deframer.partial_size == cut % len(frame)
        got += deframer.feed(stream[cut:])
        assert got == [(headers, message)] * 3
        assert deframer.partial_size == 0


@pytest.mark.parametrize("name", FRAMINGS)
def test_frames_byte_by_byte(name):
    table, message, frame = FRAMINGS[name]
    deframer = Deframer(Framing(table))
    before = live_buffer_bytes()
    for _ in range(2):
        for position, value in enumerate(frame[:-1], start=1):
            assert deframer.feed(bytes([value])) == []
            assert deframer.partial_size == position
        assert [got for _, got in deframer.feed(frame[-1:])] == [message]
        assert deframer.partial_size == 0
        assert live_buffer_bytes() == before


@pytest.mark.parametrize("name", FRAMINGS)
def test_frames_left_for_later_are_kept(name):
    table, message, frame = FRAMINGS[name]
    deframer = Deframer(Framing(table))
    chunk = frame * 5 + frame[:-1]
    assert len(deframer.feed(chunk, 2)) == 2
    assert deframer.partial_size == len(chunk) - 2 * len(frame)
    assert deframer.feed(b"", 0) == []
    assert len(deframer.feed(b"", 1)) == 1
    assert [got for _, got in deframer.feed(frame[-1:] + frame)] == [message] * 4
    assert deframer.partial_size == 0


HEADER_TABLES = st.lists(
    st.one_of(
        st.builds(lambda value: {"type": "tpdu", "hex": value.hex()}, st.binary(min_size=5, max_size=5)),
        st.builds(lambda value: {"type": "fixed", "hex": value.hex()}, st.binary(min_size=1, max_size=12)),
        st.just(LITERAL),
        st.just(VISA),
    ).flatmap(lambda table: st.booleans().map(lambda counted: {**table, "counted": counted})),
    max_size=2,
)
TABLES = st.fixed_dictionaries(
    {
        "length": st.fixed_dictionaries(
            {
                "encoding": st.sampled_from(["binary-be", "binary-le", "bcd", "ascii"]),
                "size": st.just(4),
                "includes_itself": st.booleans(),
            }
        ),
        "headers": HEADER_TABLES,
        "trailer": st.sampled_from(["none", "etx"]),
        "trailer_counted": st.booleans(),
        "keep_alive": st.just(True),
        "message_size_max": st.just(600),
    }
)


@settings(max_examples=150, deadline=None)
@given(TABLES, st.data())
def test_any_framing_gives_back_what_was_wrapped(table, data):
    framing = Framing(table)
    messages = data.draw(st.lists(st.none() | st.binary(min_size=1, max_size=600), max_size=6))
    zero = 4 if table["length"]["includes_itself"] else 0
    encoding = table["length"]["encoding"]
    keep_alive = {
        "binary-be": struct.pack(">I", zero),
        "binary-le": struct.pack("<I", zero),
        "bcd": bytes.fromhex(f"{zero:08}"),
        "ascii": b"%04d" % zero,
    }[encoding]
    stream = b"".join(keep_alive if message is None else framing.wrap(message) for message in messages)
    deframer = Deframer(framing)
    got = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += deframer.feed(stream[:size])
        stream = stream[size:]
    assert [message for _, message in got] == [message for message in messages if message is not None]
    assert deframer.keep_alives == messages.count(None)
    assert deframer.partial_size == 0


@settings(max_examples=200, deadline=None)
@given(TABLES, st.lists(st.binary(max_size=80), max_size=8))
def test_garbage_is_refused_or_waited_for_however_it_is_cut(table, chunks):
    framing = Framing(table)

    def outcome(parts):
        deframer = Deframer(framing)
        frames = []
        try:
            for part in parts:
                frames += deframer.feed(part)
        except FrameError as error:
            return frames + error.frames, (error.status, error.position, error.needed, error.available)
        return frames, deframer.partial_size

    joined = b"".join(chunks)
    whole = outcome([joined])
    assert outcome(chunks) == whole
    assert outcome([bytes([value]) for value in joined]) == whole


def feed_all(deframer, *chunks):
    return [frame for chunk in chunks for frame in deframer.feed(chunk)]


def refusal(table, stream):
    """The refusal of a stream; the same wherever it is cut."""
    framing = Framing(table)
    found = []
    for cut in range(len(stream)):
        deframer = Deframer(framing)
        with pytest.raises(FrameError) as caught:
            feed_all(deframer, stream[:cut], stream[cut:])
        error = caught.value
        found.append((error.status, error.position, error.needed, error.available))
        with pytest.raises(FrameError):
            deframer.feed(framing.wrap(b"message"))
        assert deframer.partial_size == 0
    assert len(set(found)) == 1
    return found[0]


@pytest.mark.parametrize(
    ("table", "stream", "expected"),
    [
        ({"message_size_max": 100}, b"\x00\x65", ("too-long", 0, 100, 101)),
        ({"length": {"size": 4}}, b"\xff\xff\xff\xff", ("too-long", 0, 4096, 0xFFFFFFFF)),
        ({"length": {"size": 4, "encoding": "binary-le"}}, b"\x00\x00\x00\x80", ("too-long", 0, 4096, 1 << 31)),
        ({"length": {"size": 4, "encoding": "bcd"}}, b"\x99\x99\x99\x99", ("too-long", 0, 4096, 99999999)),
        ({"headers": [TPDU], "message_size_max": 1}, b"\x00\x07", ("too-long", 0, 1, 2)),
        ({}, b"\x00\x00", ("too-short", 0, 1, 0)),
        ({"headers": [TPDU]}, b"\x00\x05", ("too-short", 0, 6, 5)),
        ({"length": {"includes_itself": True}}, b"\x00\x02", ("too-short", 0, 3, 2)),
        ({"length": {"includes_itself": True}, "keep_alive": True}, b"\x00\x01", ("too-short", 0, 3, 1)),
        ({"length": {"encoding": "ascii", "size": 4}}, b"01x4", ("bad-length", 2, 0, ord("x"))),
        ({"length": {"encoding": "ascii", "size": 4}}, b" 123", ("bad-length", 0, 0, ord(" "))),
        ({"length": {"encoding": "bcd", "size": 2}}, b"\x01\x2a", ("bad-length", 1, 0, 0x2A)),
        ({"length": {"encoding": "bcd", "size": 2}}, b"\xa0\x00", ("bad-length", 0, 0, 0xA0)),
        ({"headers": [LITERAL]}, b"\x00\x20IS0", ("bad-header", 4, ord("O"), ord("0"))),
        ({"headers": [LITERAL]}, b"\x00\x20ISO02A", ("bad-header", 7, ord("5"), ord("A"))),
        ({"headers": [TPDU, VISA]}, b"\x00\x40\x60\x00\x03\x00\x01\x1a", ("bad-header", 7, 22, 26)),
        ({"trailer": "etx"}, b"\x00\x02ab\x04", ("bad-header", 4, 3, 4)),
    ],
)
def test_refused_as_soon_as_readable(table, stream, expected):
    assert refusal(table, stream) == expected
    assert Deframer(Framing(table)).feed(stream[:-1]) == []


def test_frames_before_a_refused_one_are_not_lost():
    framing = Framing({"message_size_max": 10})
    deframer = Deframer(framing)
    good = framing.wrap(b"one") + framing.wrap(b"two")
    with pytest.raises(FrameError, match="at byte 10: the message has 11 bytes, at most 10 are allowed") as caught:
        deframer.feed(good + b"\x00\x0b")
    assert caught.value.frames == [(b"", b"one"), (b"", b"two")]


def test_error_survives_pickling():
    error = pickle.loads(pickle.dumps(FrameError("too-long", 3, 100, 200)))
    assert (error.status, error.position, error.needed, error.available) == ("too-long", 3, 100, 200)


def test_a_tls_hello_on_a_plain_port_is_refused():
    hello = bytes.fromhex("160301020001000001fc0303") + bytes(100)
    assert refusal({}, hello)[0] == "too-long"


def test_keep_alives_between_frames():
    framing = Framing({"keep_alive": True, "headers": [TPDU], "trailer": "etx"})
    deframer = Deframer(framing)
    frame = framing.wrap(b"message")
    stream = b"\x00\x00" + frame + b"\x00\x00\x00\x00" + frame + b"\x00\x00"
    assert len(deframer.feed(stream)) == 2
    assert deframer.keep_alives == 4
    # A bare zero is a keep-alive in a framing whose length includes itself, too.
    deframer = Deframer(Framing({"keep_alive": True, "length": {"includes_itself": True}}))
    assert deframer.feed(b"\x00\x00\x00\x02\x00\x03m") == [(b"", b"m")]
    assert deframer.keep_alives == 2


def test_answers_go_back_where_the_request_came_from():
    framing = Framing({"headers": [TPDU, CUP_HEADER, LITERAL, VISA]})
    visa = bytes([22, 1, 2, 0, 99]) + b"DDDSSS" + bytes(range(11))
    received = bytes.fromhex("6012345678") + b"abcdef" + b"ISO123456789" + visa
    answer = framing.reply_headers_for(received)
    swapped = bytes([22, 1, 2, 0, 99]) + b"SSSDDD" + bytes(range(11))
    assert answer == bytes.fromhex("6056781234") + b"abcdef" + b"ISO123456789" + swapped
    assert framing.reply_headers_for(answer) == received
    # The Visa header's own size field follows the message that is sent.
    frame = framing.wrap(b"message", answer)
    assert frame[2 + 23 + 3 : 2 + 23 + 5] == b"\x00\x1d"
    with pytest.raises(ValueError, match="45 bytes are needed, there are 3"):
        framing.reply_headers_for(b"abc")
    with pytest.raises(ValueError, match="45 bytes are needed, there are 0"):
        framing.wrap(b"message", b"")


def test_messages_outside_the_limits_are_not_wrapped():
    framing = Framing({"message_size_max": 10})
    assert len(framing.wrap(b"m" * 10)) == 12
    with pytest.raises(FrameError, match="too-long"):
        framing.wrap(b"m" * 11)
    with pytest.raises(FrameError, match="too-short"):
        framing.wrap(b"")


def test_a_partial_frame_holds_no_more_than_came():
    framing = Framing({"length": {"size": 4}, "message_size_max": 65535})
    deframers = [Deframer(framing) for _ in range(100)]
    before = live_buffer_bytes()
    for deframer in deframers:
        deframer.feed(struct.pack(">I", 65535))
    assert live_buffer_bytes() - before <= 100 * 64
    del deframers, deframer
    assert live_buffer_bytes() == before


def test_more_than_a_read_left_over_is_refused():
    framing = Framing({"message_size_max": 1000})
    deframer = Deframer(framing)
    chunk = framing.wrap(b"m" * 1000) * 60
    assert len(deframer.feed(chunk, 1)) == 1
    with pytest.raises(FrameError, match="no-memory"):
        deframer.feed(chunk, 0)
    assert deframer.partial_size == 0


@pytest.mark.parametrize("size", [0, -1, 1 << 30, "1"])
def test_buffer_limit_is_checked(size):
    with pytest.raises(ValueError, match="size_max"):
        FrameBuffer(size)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([], "framing: a table"),
        ({"lenght": {}}, r"framing\.lenght: unknown key"),
        ({"length": {"sise": 2}}, r"framing\.length\.sise: unknown key"),
        ({"length": {"encoding": "hex"}}, r"framing\.length\.encoding: one of binary-be"),
        ({"length": {"size": 3}}, r"framing\.length\.size: 2 or 4, not 3"),
        ({"length": {"size": 8}}, r"framing\.length\.size: a number from 2 to 4"),
        ({"length": {"size": True}}, r"framing\.length\.size"),
        ({"length": {"includes_itself": 1}}, "includes_itself: true or false"),
        ({"headers": [{}]}, r"headers\[0\]\.type"),
        ({"headers": ["tpdu"]}, r"headers\[0\]\.type"),
        ({"headers": "tpdu"}, r"framing\.headers: a list"),
        ({"headers": [TPDU] * 9}, "at most 8"),
        ({"headers": [{"type": "fixed", "hex": "00" * 33}] * 2}, r"headers\[1\]: headers of 66 bytes, at most 64"),
        ({"headers": [{"type": "fixed", "hex": "xx"}]}, r"headers\[0\]\.hex: hex digits"),
        ({"headers": [{"type": "fixed"}]}, r"headers\[0\]\.hex: hex digits"),
        ({"headers": [{"type": "fixed", "hex": ""}]}, "at least one byte"),
        ({"headers": [{"type": "tpdu", "hex": "6000"}]}, "a TPDU has 5 bytes, not 2"),
        ({"headers": [{"type": "tpdu", "text": "60"}]}, r"headers\[0\]\.text: unknown key"),
        ({"headers": [{"type": "literal"}]}, r"headers\[0\]\.text: ASCII"),
        ({"headers": [{"type": "literal", "text": "ISO", "digits": "1x"}]}, r"headers\[0\]\.digits"),
        ({"headers": [{"type": "visa", "hex": "160102"}]}, "at least 11 bytes, not 3"),
        ({"headers": [{"type": "visa", "hex": "17" + "00" * 21}]}, "own size, 22, not 23"),
        ({"headers": [{**TPDU, "counted": "yes"}]}, r"headers\[0\]\.counted"),
        ({"trailer": "crlf"}, r"framing\.trailer: none or etx"),
        ({"trailer_counted": None}, r"framing\.trailer_counted"),
        ({"keep_alive": "no"}, r"framing\.keep_alive"),
        ({"message_size_max": 0}, "a number from 1 to 65535"),
        ({"length": {"encoding": "ascii", "size": 4}, "message_size_max": 10000}, "can count at most 9999"),
        ({"message_size_max": 65535, "headers": [TPDU]}, "can count at most 65530"),
        ({"length": {"encoding": "bcd", "size": 2}, "message_size_max": 10000}, "can count at most 9999"),
        ({"length": {"size": 4}, "headers": [VISA], "message_size_max": 65514}, "can count at most 65513"),
    ],
)
def test_wrong_tables_are_refused_with_their_key(table, reason):
    with pytest.raises(ValueError, match=reason):
        Framing(table)
