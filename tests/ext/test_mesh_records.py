"""The mesh's records beside an independent reader and writer, cut at every byte, and with everything that can lie."""

from __future__ import annotations

import pickle
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.mesh.record_decoder import MeshRecordError
from switch.mesh.record_values import RECORD_BYTES_MAX, decode_record, encode_record
from switch.wire.framing import Framing
from tests.ext.mesh_records import KINDS, RECORD_SIZE_MAX, RECORDS, SAMPLES, RefusedError, judged, written


def verdict(data, size_max=RECORD_SIZE_MAX):
    """What the compiled decoder says, in the form of ``judged``."""
    try:
        return decode_record(data, size_max)
    except MeshRecordError as error:
        assert 0 <= error.position <= max(len(data), 8)
        raise RefusedError from error


def expected(read, data, size_max=RECORD_SIZE_MAX):
    try:
        return read(data, size_max)
    except RefusedError:
        return "refused"


def agree(data, size_max=RECORD_SIZE_MAX):
    assert expected(verdict, data, size_max) == expected(judged, data, size_max), data.hex()


def patched(data, at, value):
    return data[:at] + value + data[at + len(value) :]


def refusal(data, size_max=RECORD_SIZE_MAX):
    with pytest.raises(MeshRecordError) as caught:
        decode_record(data, size_max)
    return caught.value


class TestRoundTrip:
    @given(RECORDS)
    def test_what_is_written_is_what_the_page_says_and_is_read_again(self, record):
        kind, values = record
        data = encode_record(kind, **values)
        assert data == written(kind, values)
        assert decode_record(data) == (kind, values, len(data))
        assert decode_record(data + b"\xff" * 9) == (kind, values, len(data))

    @pytest.mark.parametrize("kind", KINDS)
    def test_sample(self, kind):
        assert encode_record(kind, **SAMPLES[kind]) == written(kind, SAMPLES[kind])

    @pytest.mark.parametrize("kind", KINDS)
    def test_room_is_never_passed(self, kind):
        size = len(written(kind, SAMPLES[kind]))
        assert len(encode_record(kind, size, **SAMPLES[kind])) == size
        for room in range(size):
            with pytest.raises(ValueError, match=f"longer than {room} bytes"):
                encode_record(kind, room, **SAMPLES[kind])


class TestStream:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_beginning_is_incomplete(self, kind):
        data = written(kind, SAMPLES[kind])
        for size in range(len(data)):
            assert decode_record(data[:size]) is None

    @given(st.lists(RECORDS, min_size=1, max_size=5), st.data())
    @settings(max_examples=50)
    def test_a_stream_that_is_cut_anywhere_gives_the_same_records(self, records, data):
        stream = b"".join(encode_record(kind, **values) for kind, values in records)
        step = data.draw(st.integers(1, 60))
        found = []
        kept = b""
        for at in range(0, len(stream), step):
            kept += stream[at : at + step]
            while (read := decode_record(kept)) is not None:
                found.append(read[:2])
                kept = kept[read[2] :]
        assert found == records
        assert kept == b""

    @given(RECORDS, st.data())
    def test_a_fault_is_the_same_wherever_the_stream_is_cut(self, record, data):
        """It may be seen early; it is never taken back, and never another one."""
        whole = encode_record(record[0], **record[1])
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged = patched(whole, at, bytes([whole[at] ^ data.draw(st.integers(1, 255))])) + bytes(24)
        first = None
        for size in range(len(damaged) + 1):
            try:
                read = decode_record(damaged[:size])
                assert first is None
                if read is not None:
                    break
            except MeshRecordError as error:
                assert first in (None, str(error))
                first = str(error)


class TestDamage:
    @given(RECORDS, st.data())
    @settings(max_examples=400)
    def test_verdicts_are_those_of_the_page(self, record, data):
        whole = bytearray(encode_record(record[0], **record[1]))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, min(len(whole), 80) - 1))
            whole[at] = data.draw(st.sampled_from((0, 1, 2, 7, 8, 16, 0x7F, 0x80, 0xFF, whole[at] ^ 1)))
        agree(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
        agree(bytes(whole))

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_byte_with_each_value(self, kind):
        whole = written(kind, SAMPLES[kind])
        for at in range(min(len(whole), 72)):
            for value in range(256):
                agree(patched(whole, at, bytes([value])))

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_size_with_each_lie(self, kind):
        whole = written(kind, SAMPLES[kind]) + bytes(64)
        for at in range(0, 64, 2):
            for value in (0, 1, 8, 24, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1):
                agree(patched(whole, at, struct.pack("<I", value)))

    @given(st.binary(max_size=120), st.sampled_from((0, 8, 24, 64, RECORD_SIZE_MAX, 2**40)))
    def test_any_bytes(self, data, size_max):
        agree(data, size_max)


class TestLimits:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_record_above_the_reader_s_own_limit_is_refused_by_its_head(self, kind):
        data = written(kind, SAMPLES[kind])
        assert decode_record(data, len(data)) is not None
        error = refusal(data[:8], len(data) - 1)
        assert (error.what, error.position, error.needed, error.available) == ("too-long", 0, len(data) - 1, len(data))

    def test_the_longest_records(self):
        terminal = {"slot": 2**32 - 1, "generation": 2**32 - 1}
        longest = {
            "answer": (terminal | {"frame": bytes(65604)}, RECORD_BYTES_MAX),
            "link_send": ({"link": 65535, "frame": bytes(65604)}, RECORD_BYTES_MAX - 8),
            "terminal_frame": (
                terminal | {"partition": 65535, "headers": bytes(64), "message": bytes(65535)}, RECORD_BYTES_MAX - 8),
            "link_frame": ({"link": 65535, "headers": bytes(64), "message": bytes(65535)}, RECORD_BYTES_MAX - 16),
            "terminal_open": (terminal | {"listener": 1, "peer": "f" * 45, "name": b"n" * 256}, 328),
            "hang_up": (terminal | {"reason": "r" * 256}, 280),
            "hello": (
                {"worker": 1023, "partitions": 1024, "digest": bytes(32), "node": "n" * 64,
                 "owned": dict.fromkeys(range(1024), (2**64 - 1, 2**32 - 1, 2**63 - 1))}, 24704),
        }  # fmt: skip
        for kind, (values, size) in longest.items():
            data = encode_record(kind, **values)
            assert len(data) == size, kind
            assert decode_record(data) == (kind, {**({"asks": False} if kind == "hello" else {}), **values}, size)
        assert RECORD_BYTES_MAX == RECORD_SIZE_MAX

    @pytest.mark.parametrize(
        ("kind", "wrong"),
        [
            ("hello", {"worker": 1024}),
            ("hello", {"partitions": 0, "owned": {}}),
            ("hello", {"partitions": 1025}),
            ("hello", {"partitions": 5}),
            ("hello", {"node": ""}),
            ("hello", {"node": "n" * 65}),
            ("hello", {"node": "two words"}),
            ("hello", {"partitions": 1024, "owned": dict.fromkeys(range(1025), (1, 1, 0))}),
            ("hello", {"digest": bytes(31)}),
            ("terminal_open", {"peer": "f" * 46}),
            ("terminal_open", {"peer": "203.0.113.7\n"}),
            ("terminal_open", {"name": bytes(257)}),
            ("terminal_frame", {"headers": bytes(65)}),
            ("terminal_frame", {"message": b""}),
            ("terminal_frame", {"message": bytes(65536)}),
            ("answer", {"frame": b""}),
            ("answer", {"frame": bytes(65605)}),
            ("handled", {"handled": 1, "in_flight": 2}),
            ("link_send", {"frame": b""}),
            ("link_send", {"frame": bytes(65605)}),
            ("link_frame", {"headers": bytes(65)}),
            ("link_frame", {"message": b""}),
            ("link_frame", {"message": bytes(65536)}),
            ("link_state", {"state": 3}),
        ],
    )
    def test_what_would_be_refused_is_not_written(self, kind, wrong):
        with pytest.raises(ValueError, match=r"not within the limits|digest"):
            encode_record(kind, 1 << 20, **SAMPLES[kind] | wrong)

    def test_a_frame_that_a_framing_may_have_fits(self):
        headers = [{"type": "fixed", "hex": "00" * 32}] * 2
        table = {"headers": headers, "message_size_max": 65535, "trailer": "etx", "length": {"size": 4}}
        frame = Framing(table).wrap(bytes(65535))
        assert len(frame) == 65604
        assert decode_record(encode_record("link_send", link=0, frame=frame)) is not None
        with pytest.raises(ValueError, match="message_size_max"):
            Framing(table | {"message_size_max": 65536})

    def test_a_reason_is_cut_and_cleaned(self):
        """So that a terminal is hung up on whatever the reason."""
        data = encode_record("hang_up", slot=1, generation=2, reason="line\n\x7f" + "r" * 300)
        assert decode_record(data)[1]["reason"] == "line??" + "r" * 250

    def test_unknown_kinds_and_values(self):
        with pytest.raises(ValueError, match="'howl': a record of the mesh is one of hello, terminal_open"):
            encode_record("howl")
        with pytest.raises(TypeError):
            encode_record("ping")
        with pytest.raises(TypeError):
            encode_record("ping", token=1, slot=2)
        with pytest.raises(OverflowError):
            encode_record("ping", token=2**64)


class TestRefusals:
    PING = written("ping", SAMPLES["ping"])

    @pytest.mark.parametrize(
        ("data", "what", "position", "text"),
        [
            (patched(PING, 0, b"\7"), "too-short", 0, "PING refused at byte 0: needed at least 8 bytes, got 7"),
            (patched(PING, 0, b"\x08"), "too-short", 0, "needed at least 16 bytes, got 8"),
            (patched(PING, 3, b"\1"), "too-long", 0, "needed at most 65632 bytes, got 16777232"),
            (patched(PING, 0, b"\x11"), "alignment", 0, "needed a size that is a multiple of 8, got 17"),
            (patched(PING, 0, b"\x18") + bytes(8), "sum", 0, "needed 16 bytes for its parts, got 24"),
            (patched(PING, 4, b"\0"), "type", 4, "record refused at byte 4: needed a type from 1 to 21, got 0"),
            (patched(PING, 4, b"\x16"), "type", 4, "needed a type from 1 to 21, got 22"),
            (patched(PING, 5, b"\2"), "not-zero", 5, "needed a byte of value 0, got 2"),
            (patched(PING, 6, b"\3"), "not-zero", 6, "PING refused at byte 6: needed a byte of value 0, got 3"),
        ],
    )
    def test_heads(self, data, what, position, text):
        error = refusal(data)
        assert (error.what, error.position) == (what, position)
        assert text in str(error)
        assert str(error).startswith("mesh: ")

    @pytest.mark.parametrize(
        ("kind", "at", "value", "what", "position"),
        [
            ("hello", 12, b"\0\4", "too-large", 12),
            ("hello", 16, b"\0", "too-small", 16),
            ("hello", 20, b"\x09", "too-large", 20),
            ("hello", 20, b"\x08", "sum", 0),
            ("hello", 57, b"\2", "too-large", 57),
            ("hello", 58, b"\1", "not-zero", 58),
            ("hello", 64, b"\x08", "too-large", 64),
            ("hello", 64, b"\x05", "order", 88),
            ("hello", 87, b"\x80", "too-small", 80),
            ("hello", 56, b"\0", "too-short", 56),
            ("hello", 56, b"\x41", "too-long", 56),
            ("hello", 113, b"\n", "text", 113),
            ("hello", 119, b"\1", "not-zero", 119),
            ("journal", 8, b"\0\4", "too-large", 8),
            ("journal", 31, b"\x80", "too-small", 24),
            ("terminal_open", 18, b"\x2e", "too-long", 18),
            ("terminal_open", 16, b"\1\1", "too-long", 16),
            ("terminal_open", 24, b" ", "text", 24),
            ("terminal_frame", 16, b"\x41", "too-long", 16),
            ("terminal_frame", 20, b"\0", "too-short", 20),
            ("terminal_frame", 22, b"\1", "too-long", 20),
            ("answer", 20, b"\1", "not-zero", 20),
            ("handled", 24, b"\x15", "too-large", 24),
            ("hang_up", 30, b"\0", "text", 30),
            ("link_state", 8, b"\3", "too-large", 8),
        ],
    )
    def test_bodies(self, kind, at, value, what, position):
        error = refusal(patched(written(kind, SAMPLES[kind]), at, value))
        assert (error.what, error.position) == (what, position)

    def test_another_version_is_said_before_anything_else_is_read(self):
        for size in (16, 24, 64, 4096):
            error = refusal(struct.pack("<IBBHI", size, 1, 0, 0, 1))
            assert str(error) == "mesh: HELLO refused at byte 8: needed version 3 of the mesh, got 1"

    def test_errors_travel_between_processes(self):
        error = refusal(bytes(8))
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.what, again.needed) == (str(error), "too-short", 8)

    def test_no_byte_of_a_message_is_in_an_error(self):
        secret = b"6225000000000014"
        whole = written("answer", {"slot": 1, "generation": 2, "frame": secret})
        for at in range(24):
            for value in (b"\0", b"\xff"):
                try:
                    decode_record(patched(whole, at, value))
                except MeshRecordError as error:
                    assert secret[:6].decode() not in str(error)
