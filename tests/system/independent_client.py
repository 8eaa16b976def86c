"""A terminal's software that shares nothing with the switch: pyiso8583, a socket, and its own idea of the dialect."""

import copy
import socket
import time

import iso8583
import iso8583.specs

SPEC = copy.deepcopy(iso8583.specs.default_ascii)
ANSWER_SECONDS_MAX = 10


class Client:
    """A connection on which ASCII messages travel behind a length of two bytes."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX)
        self._stream = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()
        self._socket.close()

    def send(self, document):
        """Encode and send one message; its bytes."""
        raw, _ = iso8583.encode(dict(document), SPEC)
        self._socket.sendall(len(raw).to_bytes(2, "big") + raw)
        return bytes(raw)

    def receive(self):
        """Read and decode one message: the document and its bytes."""
        raw = self._stream.read(int.from_bytes(self._stream.read(2), "big"))
        document, _ = iso8583.decode(raw, SPEC)
        return document, raw

    def ask(self, document):
        """Send one message and read the answer."""
        self.send(document)
        return self.receive()[0]


def network_message(code, stan):
    """An 0800 of a terminal."""
    return {
        "t": "0800",
        "7": time.strftime("%m%d%H%M%S"),
        "11": stan,
        "41": "10000001",
        "42": "898000000000001",
        "70": code,
    }


def purchase(stan, **changes):
    """A purchase for 12.34 with a card that was read from its stripe; ``None`` leaves a field out."""
    document = {
        "t": "0200",
        "2": "6225000000000014",
        "3": "000000",
        "4": "000000001234",
        "7": time.strftime("%m%d%H%M%S"),
        "11": stan,
        "12": "101112",
        "13": "1123",
        "14": "3012",
        "22": "022",
        "25": "00",
        "35": "6225000000000014=3012201",
        "41": "10000001",
        "42": "898000000000001",
        "49": "156",
    }
    document.update({key.removeprefix("f"): value for key, value in changes.items()})
    return {key: value for key, value in document.items() if value is not None}
