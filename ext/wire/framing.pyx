"""Framing: length field, fixed headers and trailer around a message on a TCP stream.

A frame is, in this order: length, headers, message, trailer. Lengths are unsigned, and compared with the limit before
anything is computed from them.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from switch.base.live_counts cimport live
from switch.wire.cursor cimport load_be16, load_be32
from switch.wire.proxy_header cimport starts_proxy_header

from collections.abc import Mapping, Sequence

from switch.wire.proxy_header import UNEXPECTED

cdef enum:
    ETX = 0x03
    MESSAGE_SIZE_MAX_DEFAULT = 4096   # bytes
    MESSAGE_SIZE_LIMIT = 65535        # bytes: what a configuration may ask for; the state machine has room for it twice
    BUFFER_SIZE_LIMIT = 1 << 20       # bytes: of one that is made from Python
    CHUNK_SIZE_MAX = 1 << 16          # bytes that are read from a connection at once
    TPDU_SIZE = 5                     # bytes
    VISA_SIZE_MIN = 11                # bytes up to the end of the station addresses
    BUFFER_ROOM_MIN = 64              # bytes


def _check_keys(place, table, names):
    if not isinstance(table, Mapping):
        raise ValueError(f"{place}: a table is needed")
    for name in table:
        if name not in names:
            raise ValueError(f"{place}.{name}: unknown key; known are {', '.join(sorted(names))}")


def _integer(place, value, least, most):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{place}: a number from {least} to {most} is needed, not {value!r}")
    return value


def _boolean(place, value):
    if not isinstance(value, bool):
        raise ValueError(f"{place}: true or false is needed, not {value!r}")
    return value


def _hex_bytes(place, header, default=None):
    try:
        value = bytes.fromhex(header.get("hex", default))
    except (TypeError, ValueError):
        raise ValueError(f"{place}.hex: hex digits are needed") from None
    if not value:
        raise ValueError(f"{place}.hex: at least one byte is needed")
    return value


def _tpdu_default(place, header):
    value = _hex_bytes(place, header, "6000000000")
    if len(value) != TPDU_SIZE:
        raise ValueError(f"{place}.hex: a TPDU has {TPDU_SIZE} bytes, not {len(value)}")
    return value


def _literal_default(place, header):
    text = header.get("text")
    digits = header.get("digits", "")
    if not isinstance(text, str) or not text.isascii() or not text:
        raise ValueError(f"{place}.text: ASCII characters are needed")
    if not isinstance(digits, str) or not (digits.isascii() and digits.isdigit() or not digits):
        raise ValueError(f"{place}.digits: decimal digits are needed")
    return (text + digits).encode("ascii")


def _visa_default(place, header):
    value = _hex_bytes(place, header, "16010200" + "00" * 18)
    if len(value) < VISA_SIZE_MIN:
        raise ValueError(f"{place}.hex: a Visa header has at least {VISA_SIZE_MIN} bytes, not {len(value)}")
    if value[0] != len(value):
        raise ValueError(f"{place}.hex: the first byte is the header's own size, {len(value)}, not {value[0]}")
    return value


# Of each type of header: its keys besides "type" and "counted", and what makes its default bytes.
cdef dict HEADER_TYPES = {
    "tpdu": ({"hex"}, _tpdu_default),
    "fixed": ({"hex", "requirement_digit"}, _hex_bytes),
    "literal": ({"text", "digits"}, _literal_default),
    "visa": ({"hex"}, _visa_default),
}

cdef dict LENGTH_ENCODINGS = {
    "binary-be": FRAME_LENGTH_BINARY_BE,
    "binary-le": FRAME_LENGTH_BINARY_LE,
    "bcd": FRAME_LENGTH_BCD,
    "ascii": FRAME_LENGTH_ASCII,
}

cdef dict STATUS_NAMES = {
    FRAME_TOO_LONG: "too-long",
    FRAME_TOO_SHORT: "too-short",
    FRAME_BAD_LENGTH: "bad-length",
    FRAME_BAD_HEADER: "bad-header",
    FRAME_NO_MEMORY: "no-memory",
    FRAME_PROXY_HEADER: "proxy-header",
}

cdef dict STATUS_TEXTS = {
    "too-long": "the message has {available} bytes, at most {needed} are allowed",
    "too-short": "the length must be at least {needed}, it is {available}",
    "bad-length": "a length digit was needed, there is a byte of value {available}",
    "bad-header": "a byte of value {needed} was needed, there is one of value {available}",
    "no-memory": "{needed} bytes were to be kept, there is room for {available}",
    "proxy-header": UNEXPECTED,
}


def _words(status, position, needed, available):
    detail = STATUS_TEXTS[status].format(needed=needed, available=available)
    return f"frame refused ({status}) at byte {position}: {detail}"


cdef str frame_words(int status, uint32_t position, uint64_t needed, uint64_t available):
    return _words(STATUS_NAMES[status], position, needed, available)


class FrameError(ValueError):
    """A stream, or a message, that the framing refuses. Its text holds no byte of any message."""

    def __init__(self, status, position, needed, available):
        self.status = status
        self.position = position
        self.needed = needed
        self.available = available
        self.frames = []
        super().__init__(_words(status, position, needed, available))

    def __reduce__(self):
        return FrameError, (self.status, self.position, self.needed, self.available)


@cython.final
cdef class Framing:
    def __init__(self, table):
        names = {"length", "headers", "trailer", "trailer_counted", "keep_alive", "message_size_max"}
        _check_keys("framing", table, names)
        length = table.get("length", {})
        _check_keys("framing.length", length, {"encoding", "size", "includes_itself"})
        encoding = length.get("encoding", "binary-be")
        if encoding not in LENGTH_ENCODINGS:
            raise ValueError(f"framing.length.encoding: one of {', '.join(LENGTH_ENCODINGS)}, not {encoding!r}")
        self.length_encoding = LENGTH_ENCODINGS[encoding]
        self.length_size = _integer("framing.length.size", length.get("size", 2), 2, 4)
        if self.length_size == 3:
            raise ValueError("framing.length.size: 2 or 4, not 3")
        self.keep_alive = _boolean("framing.keep_alive", table.get("keep_alive", False))
        size_max = table.get("message_size_max", MESSAGE_SIZE_MAX_DEFAULT)
        self.message_size_max = _integer("framing.message_size_max", size_max, 1, MESSAGE_SIZE_LIMIT)
        self.counted = 0
        if _boolean("framing.length.includes_itself", length.get("includes_itself", False)):
            self.counted = self.length_size
        self.keep_alive_length = self.counted
        self.requirement_offset = -1
        self._compile_headers(table.get("headers", []))
        self._compile_trailer(table.get("trailer", "none"), table.get("trailer_counted", False))
        self.overhead = self.length_size + self.headers_size + self.trailer_size
        self._check_limit()

    def _compile_headers(self, headers):
        cdef uint32_t offset = 0
        cdef uint32_t size
        if isinstance(headers, str) or not isinstance(headers, Sequence):
            raise ValueError("framing.headers: a list of tables is needed")
        if len(headers) > HEADER_COUNT_MAX:
            raise ValueError(f"framing.headers: {len(headers)} headers, at most {HEADER_COUNT_MAX} are allowed")
        for number, header in enumerate(headers):
            place = f"framing.headers[{number}]"
            if not isinstance(header, Mapping) or header.get("type") not in HEADER_TYPES:
                raise ValueError(f"{place}.type: one of {', '.join(HEADER_TYPES)} is needed")
            names, make_default = HEADER_TYPES[header["type"]]
            _check_keys(place, header, {"type", "counted"} | names)
            default = make_default(place, header)
            size = len(default)
            if offset + size > FRAME_HEADERS_MAX:
                raise ValueError(f"{place}: headers of {offset + size} bytes, at most {FRAME_HEADERS_MAX} are allowed")
            memcpy(self.defaults + offset, PyBytes_AS_STRING(default), size)
            self._add_rules(header, offset, size)
            if _boolean(f"{place}.counted", header.get("counted", True)):
                self.counted += size
            offset += size
        self.headers_size = offset

    def _add_rules(self, header, uint32_t offset, uint32_t size):
        cdef uint32_t literal_size, digit
        kind = header["type"]
        if kind == "fixed" and "requirement_digit" in header:
            digit = _integer("framing.headers.requirement_digit", header["requirement_digit"], 1, 2 * size) - 1
            self.requirement_offset = offset + digit // 2
            self.requirement_shift = 0 if digit % 2 else 4
        if kind == "tpdu":
            self._add_swap(offset + 1, offset + 3, 2)
        elif kind == "literal":
            literal_size = len(header["text"])
            self._add_check(CHECK_EQUAL, offset, literal_size)
            if size > literal_size:
                self._add_check(CHECK_DIGITS, offset + literal_size, size - literal_size)
        elif kind == "visa":
            self._add_check(CHECK_EQUAL, offset, 1)
            self._add_swap(offset + 5, offset + 8, 3)
            self.totals[self.total_count] = HeaderTotal(offset + 3, size)
            self.total_count += 1

    def _add_check(self, uint8_t kind, uint32_t offset, uint32_t size):
        self.checks[self.check_count] = HeaderCheck(kind, <uint8_t>offset, <uint8_t>size)
        self.check_count += 1

    def _add_swap(self, uint32_t first, uint32_t second, uint8_t size):
        self.swaps[self.swap_count] = HeaderSwap(<uint8_t>first, <uint8_t>second, size)
        self.swap_count += 1

    def _compile_trailer(self, trailer, counted):
        if trailer not in ("none", "etx"):
            raise ValueError(f"framing.trailer: none or etx, not {trailer!r}")
        self.trailer_size = 1 if trailer == "etx" else 0
        if _boolean("framing.trailer_counted", counted):
            self.counted += self.trailer_size

    def _check_limit(self):
        """Every message within the limit must have a length that can be written."""
        cdef int i
        if self.length_encoding == FRAME_LENGTH_ASCII:
            length_max = int("9" * self.length_size)
        elif self.length_encoding == FRAME_LENGTH_BCD:
            length_max = int("99" * self.length_size)
        else:
            length_max = int("ff" * self.length_size, 16)
        room = length_max - self.counted
        for i in range(self.total_count):
            room = min(room, 0xFFFF - self.totals[i].header_size)
        if self.message_size_max > room:
            raise ValueError(
                f"framing.message_size_max: {self.message_size_max} bytes, but the length can count at most {room}"
            )

    cdef int _read_length(self, const uint8_t *data, uint32_t *length, Frame *frame) noexcept nogil:
        """The length field at ``data`` as a number; FRAME_COMPLETE or FRAME_BAD_LENGTH."""
        cdef uint32_t value = 0
        cdef uint32_t i
        cdef uint8_t high, low
        if self.length_encoding == FRAME_LENGTH_BINARY_BE:
            length[0] = load_be16(data) if self.length_size == 2 else load_be32(data)
            return FRAME_COMPLETE
        if self.length_encoding == FRAME_LENGTH_BINARY_LE:
            for i in range(self.length_size):
                value |= <uint32_t>data[i] << (8 * i)
            length[0] = value
            return FRAME_COMPLETE
        for i in range(self.length_size):
            if self.length_encoding == FRAME_LENGTH_ASCII:
                high = 0
                low = <uint8_t>(data[i] - c'0')
                value *= 10
            else:
                high = data[i] >> 4
                low = data[i] & 0x0F
                value *= 100
            if high > 9 or low > 9:
                frame.position = i
                frame.needed = 0
                frame.available = data[i]
                return FRAME_BAD_LENGTH
            value += <uint32_t>high * 10 + low
        length[0] = value
        return FRAME_COMPLETE

    cdef void _write_length(self, uint8_t *out, uint32_t length) noexcept nogil:
        cdef uint32_t i, at
        cdef uint32_t rest = length
        for i in range(self.length_size):
            at = i if self.length_encoding == FRAME_LENGTH_BINARY_LE else self.length_size - 1 - i
            if self.length_encoding == FRAME_LENGTH_ASCII:
                out[at] = <uint8_t>(c'0' + rest % 10)
                rest //= 10
            elif self.length_encoding == FRAME_LENGTH_BCD:
                out[at] = <uint8_t>(((rest // 10) % 10) << 4 | rest % 10)
                rest //= 100
            else:
                out[at] = <uint8_t>(rest & 0xFF)
                rest >>= 8

    cdef int _check_headers(self, const uint8_t *headers, size_t size, Frame *frame) noexcept nogil:
        """Compare what is there of the headers, ``size`` bytes, with the rules; FRAME_COMPLETE or FRAME_BAD_HEADER."""
        cdef const HeaderCheck *check
        cdef uint32_t at, end
        cdef int i
        for i in range(self.check_count):
            check = &self.checks[i]
            end = <uint32_t>check.offset + check.size
            for at in range(check.offset, end):
                if at >= size:
                    break
                if headers[at] != self.defaults[at] if check.kind == CHECK_EQUAL else <uint8_t>(headers[at] - c'0') > 9:
                    frame.position = self.length_size + at
                    frame.needed = self.defaults[at]
                    frame.available = headers[at]
                    return FRAME_BAD_HEADER
        return FRAME_COMPLETE

    cdef int next_frame(self, const uint8_t *data, size_t size, Frame *frame) noexcept nogil:
        cdef uint32_t length = 0
        cdef uint32_t total
        cdef const uint8_t *trailer
        frame.total = 0
        if size < self.length_size:
            return FRAME_INCOMPLETE
        if self._read_length(data, &length, frame) != FRAME_COMPLETE:
            return FRAME_BAD_LENGTH
        if self.keep_alive and (length == 0 or length == self.keep_alive_length):
            frame.total = self.length_size
            return FRAME_KEEP_ALIVE
        if length <= self.counted:
            frame.position = 0
            frame.needed = self.counted + 1
            frame.available = length
            return FRAME_TOO_SHORT
        frame.message_size = length - self.counted
        if frame.message_size > self.message_size_max:
            frame.position = 0
            frame.needed = self.message_size_max
            frame.available = frame.message_size
            return FRAME_TOO_LONG
        # From here every size is at most MESSAGE_SIZE_LIMIT and a few bytes: sums stay far below 2**32.
        frame.headers = data + self.length_size
        if self.check_count and self._check_headers(frame.headers, size - self.length_size, frame) != FRAME_COMPLETE:
            return FRAME_BAD_HEADER
        total = self.overhead + frame.message_size
        frame.total = total
        if size < total:
            return FRAME_INCOMPLETE
        frame.headers_size = self.headers_size
        frame.message = frame.headers + self.headers_size
        if self.trailer_size:
            trailer = frame.message + frame.message_size
            if trailer[0] != ETX:
                frame.position = total - 1
                frame.needed = ETX
                frame.available = trailer[0]
                return FRAME_BAD_HEADER
        return FRAME_COMPLETE

    cdef void reply_headers(self, const uint8_t *received, uint8_t *reply) noexcept nogil:
        cdef const HeaderSwap *swap
        cdef int i
        memcpy(reply, received, self.headers_size)
        for i in range(self.swap_count):
            swap = &self.swaps[i]
            memcpy(reply + swap.first, received + swap.second, swap.size)
            memcpy(reply + swap.second, received + swap.first, swap.size)

    cdef bint require(self, const uint8_t *received, uint8_t requirement, uint8_t *marked) noexcept nogil:
        if self.requirement_offset < 0:
            return False
        memcpy(marked, received, self.headers_size)
        marked[self.requirement_offset] &= 0xF0 >> self.requirement_shift
        marked[self.requirement_offset] |= requirement << self.requirement_shift
        return True

    cdef int open_frame(self, uint8_t *out, size_t room) noexcept nogil:
        if room < self.overhead:
            return -1
        return <int>(self.length_size + self.headers_size)

    cdef int close_frame(self, uint8_t *out, size_t room, const uint8_t *headers, uint32_t message_size) noexcept nogil:
        cdef uint8_t *at = out + self.length_size
        cdef uint32_t total, inner
        cdef int i
        if message_size == 0 or message_size > self.message_size_max:
            return -1
        total = self.overhead + message_size
        if total > room:
            return -1
        self._write_length(out, self.counted + message_size)
        if headers == NULL:
            headers = self.defaults
        memcpy(at, headers, self.headers_size)
        for i in range(self.total_count):
            inner = self.totals[i].header_size + message_size
            at[self.totals[i].offset] = <uint8_t>(inner >> 8)
            at[self.totals[i].offset + 1] = <uint8_t>(inner & 0xFF)
        if self.trailer_size:
            out[total - 1] = ETX
        return <int>total

    def wrap(self, message, headers=None):
        cdef bytes data = bytes(memoryview(message))
        cdef bytes given = None if headers is None else self._checked_headers(headers)
        cdef size_t size = len(data)
        cdef size_t room
        cdef const uint8_t *chosen = self.defaults
        cdef bytes framed
        cdef uint8_t *out
        if size == 0:
            raise FrameError("too-short", 0, 1, 0)
        if size > self.message_size_max:
            raise FrameError("too-long", 0, self.message_size_max, size)
        room = self.overhead + size
        framed = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>room)
        out = <uint8_t *>PyBytes_AS_STRING(framed)
        memcpy(out + self.open_frame(out, room), <const uint8_t *>data, size)
        if given is not None:
            chosen = given
        self.close_frame(out, room, chosen, <uint32_t>size)
        return framed

    def reply_headers_for(self, headers):
        cdef bytes received = self._checked_headers(headers)
        cdef uint8_t reply[FRAME_HEADERS_MAX]
        self.reply_headers(received, reply)
        return reply[:self.headers_size]

    def _checked_headers(self, headers):
        checked = bytes(memoryview(headers))
        if len(checked) != self.headers_size:
            raise ValueError(f"headers: {self.headers_size} bytes are needed, there are {len(checked)}")
        return checked


@cython.final
cdef class FrameBuffer:
    def __cinit__(self, size_max):
        self.size_max = _integer("size_max", size_max, 1, BUFFER_SIZE_LIMIT)

    def __dealloc__(self):
        self.clear()

    cdef int append(self, const uint8_t *data, size_t size) noexcept nogil:
        cdef uint8_t *grown
        cdef uint32_t room
        if size == 0:
            return 0
        if size > self.size_max or self.size > self.size_max - size:
            return -1
        if self.start + self.size + size > self.room:
            room = self.room if self.room > BUFFER_ROOM_MIN else BUFFER_ROOM_MIN
            # Doubling stays below 2**32, because a buffer's limit is below 2**31.
            while room < self.size + size:
                room *= 2
            if room == self.room:
                memmove(self.data, self.data + self.start, self.size)
            else:
                grown = <uint8_t *>malloc(room)
                if grown == NULL:
                    return -1
                if self.size:
                    memcpy(grown, self.data + self.start, self.size)
                free(self.data)
                live.frame_bytes += room - self.room
                self.data = grown
                self.room = room
            self.start = 0
        memcpy(self.data + self.start + self.size, data, size)
        self.size += <uint32_t>size
        return 0

    cdef void consume(self, size_t size) noexcept nogil:
        if size >= self.size:
            self.clear()
            return
        self.start += <uint32_t>size
        self.size -= <uint32_t>size

    cdef void clear(self) noexcept nogil:
        if self.data != NULL:
            free(self.data)
            live.frame_bytes -= self.room
            self.data = NULL
        self.start = 0
        self.size = 0
        self.room = 0


@cython.final
@cython.no_gc
cdef class FrameStream:
    def __cinit__(self, Framing framing not None):
        self.framing = framing
        # A whole frame, or what a caller who stops early leaves of a chunk and the frame before it.
        self.tail = FrameBuffer(framing.overhead + framing.message_size_max + CHUNK_SIZE_MAX)

    cdef void begin(self, const uint8_t *data, size_t size) noexcept nogil:
        self._chunk = data
        self._left = size

    cdef int next(self, Frame *frame) noexcept nogil:
        cdef int status
        cdef uint32_t wanted
        cdef size_t taken
        if self._given:
            self.tail.consume(self._given)
            self._given = 0
        while self.tail.size:
            status = self.framing.next_frame(self.tail.data + self.tail.start, self.tail.size, frame)
            if status > 0:
                self._given = frame.total
                return status
            if status < 0 or self._left == 0:
                return status
            # Only as much as this frame still needs is copied; what follows it is read in place.
            wanted = (frame.total if frame.total else self.framing.length_size) - self.tail.size
            taken = wanted if wanted < self._left else self._left
            if self.tail.append(self._chunk, taken) < 0:
                frame.position = 0
                frame.needed = self.tail.size + taken
                frame.available = self.tail.size_max
                return FRAME_NO_MEMORY
            self._chunk += taken
            self._left -= taken
        status = self.framing.next_frame(self._chunk, self._left, frame)
        if status > 0:
            self._chunk += frame.total
            self._left -= frame.total
        return status

    cdef int end(self) noexcept nogil:
        cdef int result
        if self._given:
            self.tail.consume(self._given)
            self._given = 0
        result = self.tail.append(self._chunk, self._left)
        self._chunk = NULL
        self._left = 0
        return result

    cdef uint32_t partial_size(self) noexcept nogil:
        return self.tail.size

    cdef bint begins_with_proxy_header(self) noexcept nogil:
        if self.tail.size:
            return starts_proxy_header(self.tail.data + self.tail.start, self.tail.size)
        return self._left > 0 and starts_proxy_header(self._chunk, self._left)

    cdef void clear(self) noexcept nogil:
        self._given = 0
        self._chunk = NULL
        self._left = 0
        self.tail.clear()


cdef class Deframer:
    cdef FrameStream stream
    cdef readonly uint64_t keep_alives
    cdef uint64_t consumed                  # bytes of the stream before the frame that is read next
    cdef object refusal

    def __init__(self, Framing framing not None):
        self.stream = FrameStream(framing)

    @property
    def partial_size(self):
        return self.stream.partial_size()

    def feed(self, data, count_max=None):
        cdef bytes chunk = bytes(memoryview(data))
        cdef Frame frame
        cdef int status = FRAME_COMPLETE
        cdef size_t left
        cdef list frames = []
        if self.refusal is not None:
            raise self.refusal
        self.stream.begin(chunk, len(chunk))
        while count_max is None or len(frames) < count_max:
            status = self.stream.next(&frame)
            if status <= 0:
                break
            self.consumed += frame.total
            if status == FRAME_KEEP_ALIVE:
                self.keep_alives += 1
            else:
                frames.append((frame.headers[:frame.headers_size], frame.message[:frame.message_size]))
        left = self.stream._left
        if status >= 0 and self.stream.end() < 0:
            frame.position = 0
            frame.needed = left
            frame.available = self.stream.tail.size_max
            status = FRAME_NO_MEMORY
        if status < 0:
            self.stream.clear()
            self.refusal = FrameError(STATUS_NAMES[status], self.consumed + frame.position, frame.needed,
                                      frame.available)
            self.refusal.frames = frames
            raise self.refusal
        return frames


def live_buffer_bytes():
    return live.frame_bytes
