"""An independent reader and writer of the mesh's records, after docs/mesh.md; and records to try."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

KINDS = (
    "hello", "terminal_open", "terminal_frame", "terminal_closed", "answer", "told", "handled", "hang_up", "link_send",
    "link_frame", "link_state", "ping", "pong", "counted", "counts_taken", "outstanding",
    "claim", "claimed", "claim_state", "claim_noted", "journal",
)  # fmt: skip
"""In order of their numbers, from 1."""

NUMBERED = {"terminal_open": "listener", "terminal_frame": "partition", "link_send": "link", "link_frame": "link",
            "link_state": "link", "counted": "link", "outstanding": "link",
            **dict.fromkeys(("claim", "claimed", "claim_state", "claim_noted"), "partition")}  # fmt: skip
LINK_STATES = 3
RECORD_SIZE_MAX = 65632

Values = dict[str, Any]


class RefusedError(Exception):
    """Bytes that are no record, as far as the description goes."""


# --- writing ----------------------------------------------------------------------------------------------------------


def written(kind: str, values: Mapping[str, Any]) -> bytes:
    """A record as the page describes it."""
    content = CONTENTS[kind](**{name: value for name, value in values.items() if name != NUMBERED.get(kind)})
    size = (8 + len(content) + 7) // 8 * 8
    head = struct.pack("<IBBH", size, KINDS.index(kind) + 1, 0, values[NUMBERED[kind]] if kind in NUMBERED else 0)
    return (head + content).ljust(size, b"\0")


def hello(*, worker, partitions, digest, node, owned, asks):
    fixed = struct.pack("<IIII32sBB6x", 3, worker, partitions, len(owned), digest, len(node), asks)
    entries = [
        struct.pack("<IIQq", partition, life, epoch, began) for partition, (epoch, life, began) in sorted(owned.items())
    ]
    return fixed + b"".join(entries) + node.encode()


def terminal_open(*, slot, generation, peer, name):
    return struct.pack("<IIHB5x", slot, generation, len(name), len(peer)) + peer.encode() + name


def frame(*, slot, generation, headers, message):
    return struct.pack("<IIII", slot, generation, len(headers), len(message)) + headers + message


def told(*, slot, generation, told):
    return struct.pack("<IIQ", slot, generation, told)


def answer(*, slot, generation, frame):
    return struct.pack("<IIII", slot, generation, len(frame), 0) + frame


def handled(*, slot, generation, handled, in_flight):
    return struct.pack("<IIQII", slot, generation, handled, in_flight, 0)


def hang_up(*, slot, generation, reason):
    return struct.pack("<IIII", slot, generation, len(reason.encode()), 0) + reason.encode()


def link_send(*, frame):
    return struct.pack("<II", len(frame), 0) + frame


def link_frame(*, headers, message):
    return struct.pack("<II", len(headers), len(message)) + headers + message


def link_state(*, state, connections):
    return struct.pack("<B3xI", state, connections)


def token(*, token):
    return struct.pack("<Q", token)


def counted(
    *, number, amount_minor, age_ms, currency, transaction_kind, is_stand_in, is_taken_back, is_declined, pan, terminal,
    merchant, entry_mode
):  # fmt: skip
    how = is_stand_in + 2 * is_taken_back + 4 * is_declined
    fixed = struct.pack("<QqQIBBB", number, amount_minor, age_ms, currency, transaction_kind, how, len(pan))
    return fixed + struct.pack("<B19s8s15s6x", entry_mode, pan, terminal, merchant)


def counts_taken(*, next):
    return struct.pack("<Q", next)


def outstanding(*, currency, amount_minor):
    return struct.pack("<qII", amount_minor, currency, 0)


def claim_part(*, terminal, occasion, amount_minor, stan, claimant, currency, message_class, transaction_kind, tag):
    return struct.pack(
        "<8sQqIIHBBI", terminal, occasion, amount_minor, stan, claimant, currency, message_class, transaction_kind, tag
    )


def claim(*, rrn, merchant, pan, **part):
    return claim_part(**part) + struct.pack("<12s15sB19sx", rrn, merchant, len(pan), pan)


def claimed(*, position, keeper, age_s, link, reason, flags, rrn, authorization_code, data, **part):
    fixed = struct.pack("<qIIHBBB", position, keeper, age_s, link, reason, flags, len(data))
    return claim_part(**part) + fixed + struct.pack("<12s6s64sx", rrn, authorization_code, data)


def claim_state(*, position, approved_minor, claimant, number, state):
    return struct.pack("<qqIIB7x", position, approved_minor, claimant, number, state)


def claim_noted(*, position, keeper, number):
    return struct.pack("<qII", position, keeper, number)


def journal(*, partition, epoch, life, position):
    return struct.pack("<IIQq", partition, life, epoch, position)


CONTENTS = {
    "hello": hello, "terminal_open": terminal_open, "terminal_frame": frame, "terminal_closed": told, "answer": answer,
    "told": told, "handled": handled, "hang_up": hang_up, "link_send": link_send, "link_frame": link_frame,
    "link_state": link_state, "ping": token, "pong": token, "counted": counted, "counts_taken": counts_taken,
    "outstanding": outstanding, "claim": claim, "claimed": claimed, "claim_state": claim_state,
    "claim_noted": claim_noted, "journal": journal,
}  # fmt: skip


# --- reading ----------------------------------------------------------------------------------------------------------


def demand(holds: bool) -> None:
    if not holds:
        raise RefusedError


def judged(data: bytes, size_max: int = RECORD_SIZE_MAX) -> tuple[str, Values, int] | None:
    """The record at the beginning of bytes, with its size; None when it is incomplete.

    Raises:
        RefusedError: it is none.
    """
    if len(data) < 8:
        return None
    size, number, reserved, subject = struct.unpack_from("<IBBH", data)
    demand(8 <= size <= min(size_max, RECORD_SIZE_MAX) and size % 8 == 0)
    demand(1 <= number <= len(KINDS) and reserved == 0)
    kind = KINDS[number - 1]
    demand(subject == 0 or kind in NUMBERED)
    if kind == "hello" and size >= 16:
        if len(data) < 12:
            return None
        demand(data[8:12] == b"\3\0\0\0")
    demand(size >= 8 + FIXED[kind])
    if len(data) < size:
        return None
    body = data[8:size]
    values, used = READERS[kind](body)
    if kind in NUMBERED:
        values[NUMBERED[kind]] = subject
    demand(kind != "claimed" or values["claimant"] == subject)
    demand(kind != "counted" or subject == 0 or values["is_stand_in"])
    demand((used + 7) // 8 * 8 == len(body) and not any(body[used:]))
    return kind, values, size


FIXED = {kind: len(body) for kind, body in {
    "hello": bytes(56), "terminal_open": bytes(16), "terminal_frame": bytes(16), "terminal_closed": bytes(16),
    "answer": bytes(16), "told": bytes(16), "handled": bytes(24), "hang_up": bytes(16), "link_send": bytes(8),
    "link_frame": bytes(8), "link_state": bytes(8), "ping": bytes(8), "pong": bytes(8),
    "counted": bytes(80), "counts_taken": bytes(8), "outstanding": bytes(16), "claim": bytes(88), "claimed": bytes(144),
    "claim_state": bytes(32), "claim_noted": bytes(16), "journal": bytes(24),
}.items()}  # fmt: skip


def cut(body: bytes, at: int, *sizes: int) -> tuple[list[bytes], int]:
    """Parts of the given sizes, one behind the other; and where they end."""
    parts = []
    for size in sizes:
        demand(at + size <= len(body))
        parts.append(body[at : at + size])
        at += size
    return parts, at


def is_plain(text: bytes) -> bool:
    return all(0x21 <= byte <= 0x7E for byte in text)


def read_hello(body):
    version, worker, partitions, count, digest, size, asks, zeros = struct.unpack_from("<IIII32sBB6s", body)
    demand(asks < 2)
    demand(version == 3 and worker < 1024 and 1 <= partitions <= 1024 and count <= partitions and not any(zeros))
    demand(1 <= size <= 64)
    (entries, node), end = cut(body, 56, 24 * count, size)
    owned: dict[int, tuple[int, int, int]] = {}
    for partition, life, epoch, began in struct.iter_unpack("<IIQq", entries):
        demand(began >= 0 and partition < partitions and (not owned or partition > max(owned)))
        owned[partition] = (epoch, life, began)
    demand(is_plain(node))
    said = {"worker": worker, "partitions": partitions, "digest": digest, "node": node.decode(), "owned": owned}
    return {**said, "asks": bool(asks)}, end


def read_terminal_open(body):
    slot, generation, name_size, peer_size, zeros = struct.unpack_from("<IIHB5s", body)
    demand(not any(zeros) and peer_size <= 45 and name_size <= 256)
    (peer, name), end = cut(body, 16, peer_size, name_size)
    demand(is_plain(peer))
    return {"slot": slot, "generation": generation, "peer": peer.decode(), "name": name}, end


def read_frame(body):
    slot, generation, headers_size, message_size = struct.unpack_from("<IIII", body)
    demand(headers_size <= 64 and 1 <= message_size <= 65535)
    (headers, message), end = cut(body, 16, headers_size, message_size)
    return {"slot": slot, "generation": generation, "headers": headers, "message": message}, end


def read_told(body):
    return dict(zip(("slot", "generation", "told"), struct.unpack_from("<IIQ", body), strict=True)), 16


def read_answer(body):
    slot, generation, size, zero = struct.unpack_from("<IIII", body)
    demand(1 <= size <= 65604 and zero == 0)
    (frame,), end = cut(body, 16, size)
    return {"slot": slot, "generation": generation, "frame": frame}, end


def read_handled(body):
    slot, generation, count, in_flight, zero = struct.unpack_from("<IIQII", body)
    demand(in_flight <= count and zero == 0)
    return {"slot": slot, "generation": generation, "handled": count, "in_flight": in_flight}, 24


def read_hang_up(body):
    slot, generation, size, zero = struct.unpack_from("<IIII", body)
    demand(size <= 256 and zero == 0)
    (reason,), end = cut(body, 16, size)
    demand(not any(byte < 0x20 or byte == 0x7F for byte in reason))
    return {"slot": slot, "generation": generation, "reason": reason.decode(errors="replace")}, end


def read_link_send(body):
    size, zero = struct.unpack_from("<II", body)
    demand(1 <= size <= 65604 and zero == 0)
    (frame,), end = cut(body, 8, size)
    return {"frame": frame}, end


def read_link_frame(body):
    headers_size, message_size = struct.unpack_from("<II", body)
    demand(headers_size <= 64 and 1 <= message_size <= 65535)
    (headers, message), end = cut(body, 8, headers_size, message_size)
    return {"headers": headers, "message": message}, end


def read_link_state(body):
    state, zeros, connections = struct.unpack_from("<B3sI", body)
    demand(state < LINK_STATES and not any(zeros))
    return {"state": state, "connections": connections}, 8


def read_token(body):
    return {"token": struct.unpack_from("<Q", body)[0]}, 8


def read_counted(body):
    number, amount_minor, age_ms, currency, kind, how, size, entry_mode = struct.unpack_from("<QqQIBBBB", body)
    pan, terminal, merchant, zeros = struct.unpack_from("<19s8s15s6s", body, 32)
    demand(amount_minor >= (0 if how & 1 else -1) and currency <= 999 and kind < 64 and how <= 4)
    demand(size <= 19 and entry_mode < 16 and not any(pan[size:]) and not any(zeros))
    demand(all(0x30 <= byte <= 0x39 for byte in pan[:size]))
    values = {
        "number": number,
        "amount_minor": amount_minor,
        "age_ms": age_ms,
        "currency": currency,
        "transaction_kind": kind,
    }
    how_it_is = {"is_stand_in": bool(how & 1), "is_taken_back": bool(how & 2), "is_declined": bool(how & 4)}
    values["entry_mode"] = entry_mode
    return {**values, **how_it_is, "pan": pan[:size], "terminal": terminal, "merchant": merchant}, 80


def read_counts_taken(body):
    return {"next": struct.unpack_from("<Q", body)[0]}, 8


def read_outstanding(body):
    amount_minor, currency, zero = struct.unpack_from("<qII", body)
    demand(amount_minor >= 0 and currency <= 999 and zero == 0)
    return {"currency": currency, "amount_minor": amount_minor}, 16


def read_claim_part(body):
    terminal, occasion, amount_minor, stan, claimant, currency, message_class, kind, tag = struct.unpack_from(
        "<8sQqIIHBBI", body
    )
    demand(-1 <= amount_minor < 10**12 and stan <= 999_999 and claimant < 1024 and currency <= 999 and kind < 64)
    return {
        "terminal": terminal,
        "occasion": occasion,
        "amount_minor": amount_minor,
        "stan": stan,
        "claimant": claimant,
        "currency": currency,
        "message_class": message_class,
        "transaction_kind": kind,
        "tag": tag,
    }


def read_claim(body):
    rrn, merchant, size, pan, zero = struct.unpack_from("<12s15sB19sB", body, 40)
    demand(is_plain(rrn) and size <= 19 and not any(pan[size:]) and zero == 0)
    demand(all(0x30 <= byte <= 0x39 for byte in pan[:size]))
    return {**read_claim_part(body), "rrn": rrn, "merchant": merchant, "pan": pan[:size]}, 88


def read_claimed(body):
    position, keeper, age_s, link, reason, flags, size = struct.unpack_from("<qIIHBBB", body, 40)
    rrn, authorization_code, data, zero = struct.unpack_from("<12s6s64sB", body, 61)
    demand(0 <= position < 2**48 and keeper < 1024 and flags < 16 and size <= 64 and not any(data[size:]) and zero == 0)
    said = {"position": position, "keeper": keeper, "age_s": age_s, "link": link, "reason": reason, "flags": flags}
    named = {"rrn": rrn, "authorization_code": authorization_code, "data": data[:size]}
    return {**read_claim_part(body), **said, **named}, 144


def read_claim_state(body):
    position, approved_minor, claimant, number, state, zeros = struct.unpack_from("<qqIIB7s", body)
    demand(1 <= position < 2**48 and 0 <= approved_minor < 10**12 and claimant < 1024 and state < 3 and not any(zeros))
    return {
        "position": position,
        "approved_minor": approved_minor,
        "claimant": claimant,
        "number": number,
        "state": state,
    }, 32


def read_claim_noted(body):
    position, keeper, number = struct.unpack_from("<qII", body)
    demand(position >= 1 and keeper < 1024)
    return {"position": position, "keeper": keeper, "number": number}, 16


def read_journal(body):
    partition, life, epoch, position = struct.unpack_from("<IIQq", body)
    demand(partition < 1024 and position >= 0)
    return {"partition": partition, "epoch": epoch, "life": life, "position": position}, 24


READERS = {
    "hello": read_hello, "terminal_open": read_terminal_open, "terminal_frame": read_frame,
    "terminal_closed": read_told, "answer": read_answer, "told": read_told, "handled": read_handled,
    "hang_up": read_hang_up, "link_send": read_link_send, "link_frame": read_link_frame, "link_state": read_link_state,
    "ping": read_token, "pong": read_token, "counted": read_counted, "counts_taken": read_counts_taken,
    "outstanding": read_outstanding, "claim": read_claim, "claimed": read_claimed,
    "claim_state": read_claim_state, "claim_noted": read_claim_noted, "journal": read_journal,
}  # fmt: skip


# --- records to try ---------------------------------------------------------------------------------------------------

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
FROM_ZERO = st.integers(0, 2**63 - 1)
TERMINAL = {"slot": U32, "generation": U32}
PLAIN = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
REASONS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=256).filter(
    lambda text: len(text.encode()) <= 256
)
HEADERS, MESSAGES = st.binary(max_size=64), st.binary(min_size=1, max_size=400)


@st.composite
def hellos(draw):
    """Values of a HELLO, which depend on each other."""
    partitions = draw(st.integers(1, 1024))
    owned = draw(
        st.dictionaries(st.integers(0, partitions - 1), st.tuples(U64, U32, FROM_ZERO), max_size=min(partitions, 40))
    )
    return {
        "worker": draw(st.integers(0, 1023)),
        "partitions": partitions,
        "digest": draw(st.binary(min_size=32, max_size=32)),
        "node": draw(st.text(PLAIN, min_size=1, max_size=64)),
        "owned": owned,
        "asks": draw(st.booleans()),
    }


@st.composite
def handleds(draw):
    """Values of a HANDLED: no more in flight than were looked at."""
    count = draw(U64)
    return {**draw(st.fixed_dictionaries(TERMINAL)), "handled": count,
            "in_flight": draw(st.integers(0, min(count, 2**32 - 1)))}  # fmt: skip


@st.composite
def counteds(draw):
    """Values of a COUNTED: a link, and an amount for certain, where stand-in has counted it."""
    how = draw(st.integers(0, 4))
    is_stand_in = bool(how & 1)
    return {
        "number": draw(U64),
        "link": draw(U16) if is_stand_in else 0,
        "amount_minor": draw(st.integers(0 if is_stand_in else -1, 2**63 - 1)),
        "age_ms": draw(U64),
        "currency": draw(st.integers(0, 999)),
        "transaction_kind": draw(st.integers(0, 63)),
        "is_stand_in": is_stand_in,
        "is_taken_back": bool(how & 2),
        "is_declined": bool(how & 4),
        "entry_mode": draw(st.integers(0, 15)),
        "pan": draw(st.text("0123456789", max_size=19)).encode(),
        "terminal": draw(st.binary(min_size=8, max_size=8)),
        "merchant": draw(st.binary(min_size=15, max_size=15)),
    }


CLAIM = {
    "terminal": st.binary(min_size=8, max_size=8),
    "occasion": U64,
    "amount_minor": st.integers(-1, 10**12 - 1),
    "stan": st.integers(0, 999_999),
    "currency": st.integers(0, 999),
    "message_class": st.integers(0, 255),
    "transaction_kind": st.integers(0, 63),
    "tag": U32,
}
PARTITIONS, POSITIONS = st.integers(0, 1023), st.integers(1, 2**63 - 1)

VALUES = {
    "hello": hellos(),
    "terminal_open": st.fixed_dictionaries(
        {**TERMINAL, "listener": U16, "peer": st.text(PLAIN, max_size=45), "name": st.binary(max_size=256)}
    ),
    "terminal_frame": st.fixed_dictionaries({**TERMINAL, "partition": U16, "headers": HEADERS, "message": MESSAGES}),
    "terminal_closed": st.fixed_dictionaries({**TERMINAL, "told": U64}),
    "answer": st.fixed_dictionaries({**TERMINAL, "frame": MESSAGES}),
    "told": st.fixed_dictionaries({**TERMINAL, "told": U64}),
    "handled": handleds(),
    "hang_up": st.fixed_dictionaries({**TERMINAL, "reason": REASONS}),
    "link_send": st.fixed_dictionaries({"link": U16, "frame": MESSAGES}),
    "link_frame": st.fixed_dictionaries({"link": U16, "headers": HEADERS, "message": MESSAGES}),
    "link_state": st.fixed_dictionaries({"link": U16, "state": st.integers(0, LINK_STATES - 1), "connections": U32}),
    "ping": st.fixed_dictionaries({"token": U64}),
    "pong": st.fixed_dictionaries({"token": U64}),
    "counted": counteds(),
    "counts_taken": st.fixed_dictionaries({"next": U64}),
    "outstanding": st.fixed_dictionaries({"link": U16, "currency": st.integers(0, 999), "amount_minor": FROM_ZERO}),
    "journal": st.fixed_dictionaries(
        {"partition": st.integers(0, 1023), "epoch": U64, "life": U32, "position": FROM_ZERO}
    ),
    "claim": st.fixed_dictionaries(
        {
            **CLAIM,
            "partition": PARTITIONS,
            "claimant": PARTITIONS,
            "rrn": st.text(PLAIN, min_size=12, max_size=12).map(str.encode),
            "merchant": st.binary(min_size=15, max_size=15),
            "pan": st.text("0123456789", max_size=19).map(str.encode),
        }
    ),
    "claimed": st.fixed_dictionaries(
        {
            **CLAIM,
            "partition": PARTITIONS,
            "position": st.integers(0, 2**48 - 1),
            "keeper": PARTITIONS,
            "age_s": U32,
            "link": U16,
            "reason": st.integers(0, 255),
            "flags": st.integers(0, 15),
            "rrn": st.binary(min_size=12, max_size=12),
            "authorization_code": st.binary(min_size=6, max_size=6),
            "data": st.binary(max_size=64),
        }
    ).map(lambda values: {**values, "claimant": values["partition"]}),
    "claim_state": st.fixed_dictionaries(
        {
            "partition": PARTITIONS,
            "position": st.integers(1, 2**48 - 1),
            "approved_minor": st.integers(0, 10**12 - 1),
            "claimant": PARTITIONS,
            "number": U32,
            "state": st.integers(0, 2),
        }
    ),
    "claim_noted": st.fixed_dictionaries(
        {"partition": PARTITIONS, "position": POSITIONS, "keeper": PARTITIONS, "number": U32}
    ),
}
RECORDS = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind]))

SAMPLES: dict[str, Values] = {
    "hello": {
        "worker": 2,
        "partitions": 8,
        "digest": bytes(range(32)),
        "node": "pos-1",
        "owned": {1: (7, 2**31, 0), 5: (2**40, 1, 2**62)},
        "asks": False,
    },
    "terminal_open": {"slot": 3, "generation": 9, "listener": 1, "peer": "203.0.113.7", "name": b"T1000002"},
    "terminal_frame": {"slot": 3, "generation": 9, "partition": 5, "headers": b"\x60\0\1\0\2", "message": b"0200..."},
    "terminal_closed": {"slot": 3, "generation": 9, "told": 17},
    "answer": {"slot": 3, "generation": 9, "frame": b"\0\x040210"},
    "told": {"slot": 3, "generation": 9, "told": 18},
    "handled": {"slot": 3, "generation": 9, "handled": 20, "in_flight": 2},
    "hang_up": {"slot": 3, "generation": 9, "reason": "sent what is no message"},
    "link_send": {"link": 2, "frame": b"\0\x040200"},
    "link_frame": {"link": 2, "headers": b"ISO", "message": b"0210..."},
    "link_state": {"link": 2, "state": 1, "connections": 4},
    "ping": {"token": 2**63},
    "pong": {"token": 2**63},
    "counted": {
        "number": 2**40,
        "link": 3,
        "amount_minor": 12_50,
        "age_ms": 7,
        "currency": 156,
        "transaction_kind": 1,
        "is_stand_in": True,
        "is_taken_back": False,
        "is_declined": False,
        "entry_mode": 5,
        "pan": b"6225000000000014",
        "terminal": b"10000001",
        "merchant": b"898000000000001",
    },
    "counts_taken": {"next": 2**40 + 1},
    "outstanding": {"link": 3, "currency": 156, "amount_minor": 12_50},
    "claim": {
        "partition": 2,
        "claimant": 5,
        "terminal": b"10000001",
        "occasion": 2**60,
        "amount_minor": 12_50,
        "stan": 123,
        "currency": 156,
        "message_class": 2,
        "transaction_kind": 3,
        "tag": 2**31 + 1,
        "rrn": b"632804000123",
        "merchant": b"898000000000001",
        "pan": b"6225000000000014",
    },
    "claimed": {
        "partition": 5,
        "claimant": 5,
        "terminal": b"10000001",
        "occasion": 2**60,
        "amount_minor": 12_50,
        "stan": 123,
        "currency": 156,
        "message_class": 2,
        "transaction_kind": 3,
        "tag": 2**31 + 1,
        "position": 2**40,
        "keeper": 2,
        "age_s": 1,
        "link": 3,
        "reason": 255,
        "flags": 1,
        "rrn": b"632804000123",
        "authorization_code": b"A1B2C3",
        "data": b"0200000123",
    },
    "claim_state": {
        "partition": 2,
        "position": 2**40,
        "approved_minor": 0,
        "claimant": 5,
        "number": 7,
        "state": 1,
    },
    "claim_noted": {"partition": 5, "position": 2**40, "keeper": 2, "number": 7},
    "journal": {"partition": 5, "epoch": 7, "life": 2**31, "position": 2**40},
}
"""One record of each type."""
