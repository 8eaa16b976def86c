"""Fuzz target of the PROXY header: what a stream must and must not lead to, whatever its bytes and however it is cut.

An input's first byte chooses the cuts; the rest is what a load balancer would send.
"""

from __future__ import annotations

from switch.wire.proxy_header import ProxyHeader, ProxyHeaderError
from tests.ext.proxy_headers import judged


def fuzz_proxy_header(view: memoryview) -> None:
    """The verdict is that of the description, however the stream is cut; and nothing behind the header is asked for."""
    if not len(view):
        return
    stream = bytes(view[1:])
    verdict = judged(stream)
    for step in (view[0] % 31 + 1, len(stream) + 1):
        assert read(stream, step) == verdict


def read(stream: bytes, step: int) -> tuple[str, int, str | None]:
    """The same of the parser."""
    header = ProxyHeader()
    at = 0
    try:
        while header.needed and at < len(stream):
            data = stream[at : at + min(step, header.needed)]
            header.feed(data)
            at += len(data)
    except ProxyHeaderError:
        return ("refused", 0, None)
    return ("incomplete", 0, None) if header.needed else ("whole", at, header.address)
