"""Messages put together from ready-made pieces, one a field, so that a simulator need not encode whole documents."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from switch.wire.codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from switch.wire.spec import Spec

_CACHED_PIECES_MAX = 8192


class MessageWriter:
    """Writes messages of one specification.

    A *piece* is one field as it stands on the wire, length header included. Pieces of fields that stay the same are
    made once; a message is its MTI, its bitmaps (remembered for each set of fields) and its pieces joined.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._source: Mapping[str, Any] = spec.source
        self._writers: dict[int, Callable[[str], bytes]] = {}
        self._layouts: dict[tuple[str, tuple[int, ...]], tuple[bytes, Callable[[Mapping[int, bytes]], Any]]] = {}

    def piece(self, field: int, text: str) -> bytes:
        """One field on the wire.

        Args:
            field: Its number.
            text: Its canonical value: characters, or hex digits where the field is binary.

        Raises:
            EncodeError: The field cannot hold the value.
        """
        writer = self._writers.get(field)
        if writer is None:
            writer = self._writers[field] = self._field_writer(field)
        return writer(text)

    def message(self, mti: str, pieces: Mapping[int, bytes]) -> bytes:
        """A whole message; the pieces may come in any order."""
        key = (mti, tuple(pieces))
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = self._layout(mti, key[1])
        start, in_order = layout
        return start + b"".join(in_order(pieces))

    def _field_writer(self, field: int) -> Callable[[str], bytes]:
        name = str(field)
        table = self._source[name]
        if table["len_type"] == 0 and table.get("content") is None:
            nibbles = table.get("len_count") == "nibbles"
            size = table["max_len"]
            if table["data_enc"] != "b":
                return lambda text: _exactly(text.encode(table["data_enc"]), size, name)
            if not (nibbles and size % 2):
                return lambda text: _exactly(bytes.fromhex(text), size // 2 if nibbles else size, name)

        def encode_one(text: str) -> bytes:
            _, encoded = encode({**self._leader, name: text}, self.spec)
            return encoded[name]["len"] + encoded[name]["data"]

        return lru_cache(_CACHED_PIECES_MAX)(encode_one)

    @property
    def _leader(self) -> dict[str, str]:
        """What a document needs besides its fields."""
        leader = {"t": "0200"}
        if self._source["h"]["max_len"]:
            leader["h"] = ""
        return leader

    def _layout(self, mti: str, fields: tuple[int, ...]) -> tuple[bytes, Callable[[Mapping[int, bytes]], Any]]:
        ordered = sorted(fields)
        highest = ordered[-1]
        words = {"p": 0, "1": 0, "65": 0}
        names = list(words)
        for field in ordered:
            words[names[(field - 1) // 64]] |= 1 << (63 - (field - 1) % 64)
        if highest > 64:
            words["p"] |= 1 << 63
        if highest > 128:
            words["1"] |= 1 << 63
        _, encoded = encode({**self._leader, "t": mti}, self.spec)
        header = encoded.get("h", {"len": b"", "data": b""})
        start = header["len"] + header["data"] + encoded["t"]["data"] + self._bitmap("p", words["p"])
        if highest > 64:
            start += self._bitmap("1", words["1"])
        if highest > 128:
            start += self._bitmap("65", words["65"])
        if len(ordered) == 1:
            single = ordered[0]
            return start, lambda pieces: (pieces[single],)
        return start, itemgetter(*ordered)

    def _bitmap(self, name: str, word: int) -> bytes:
        digits = f"{word:016X}"
        encoding = self._source[name]["data_enc"]
        return bytes.fromhex(digits) if encoding == "b" else digits.encode(encoding)


def _exactly(data: bytes, size: int, name: str) -> bytes:
    if len(data) != size:
        raise ValueError(f"field {name}: needed {size} bytes, got {len(data)}")
    return data


def answer_mti(mti: str) -> str:
    """The MTI of the answer: 0200 and 0201 give 0210, 0420 and 0421 give 0430, 1804 gives 1814."""
    function = "0123456789"[int(mti[2]) + 1]
    origin = {"1": "0", "3": "2", "5": "4"}.get(mti[3], mti[3])
    return mti[:2] + function + origin
