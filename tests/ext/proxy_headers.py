"""PROXY headers of version 2 made and judged by their description alone (HAProxy's proxy-protocol.txt, 2.2)."""

from __future__ import annotations

import struct
from ipaddress import ip_address

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
LOCAL, PROXY = 0x20, 0x21
UNSPECIFIED, TCP4, UDP4, TCP6, UDP6, UNIX = 0x00, 0x11, 0x12, 0x21, 0x22, 0x31
REST_BYTES_MAX = 520
ADDRESS_BYTES = {TCP4: 12, TCP6: 36}


def start(command: int, family: int, length: int) -> bytes:
    """The first 16 bytes."""
    return SIGNATURE + struct.pack("!BBH", command, family, length)


def proxy_header(source: str, destination: str = "", *, port: int = 40_000, tlvs: bytes = b"") -> bytes:
    """What a balancer sends for a TCP connection of ``source``."""
    address = ip_address(source)
    target = ip_address(destination or ("127.0.0.1" if address.version == 4 else "::1"))
    rest = address.packed + target.packed + struct.pack("!HH", port, 5930) + tlvs
    return start(PROXY, TCP4 if address.version == 4 else TCP6, len(rest)) + rest


def tlv(kind: int, value: bytes) -> bytes:
    """One type, length and value."""
    return struct.pack("!BH", kind, len(value)) + value


def judged(data: bytes) -> tuple[str, int, str | None]:
    """What a stream begins with: (``whole``, its size, the address), or ``refused``, or ``incomplete``."""
    seen = data[:12]
    if seen != SIGNATURE[: len(seen)]:
        could_be_old = len(data) < 6 and b"PROXY ".startswith(data)
        return ("incomplete" if could_be_old else "refused", 0, None)
    if len(data) < 16:
        return ("incomplete", 0, None)
    command, family, length = struct.unpack("!BBH", data[12:16])
    names_nobody = command == LOCAL or (command == PROXY and family in (0x00, 0x01, 0x02))
    needed = 0 if names_nobody else ADDRESS_BYTES.get(family)
    if command not in (LOCAL, PROXY) or needed is None or not needed <= length <= REST_BYTES_MAX:
        return ("refused", 0, None)
    if len(data) < 16 + length:
        return ("incomplete", 0, None)
    if names_nobody:
        return ("whole", 16 + length, None)
    address = ip_address(data[16:20] if family == TCP4 else data[16:32])
    mapped = address.ipv4_mapped if address.version == 6 else None
    return ("whole", 16 + length, str(mapped or address))
