"""The PROXY header that load balancers send: against a builder of its own, cut at every byte, and every refusal."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.wire.proxy_header import SIGNATURE, ProxyHeader, ProxyHeaderError
from tests.ext import proxy_headers
from tests.ext.proxy_headers import (
    LOCAL,
    PROXY,
    REST_BYTES_MAX,
    TCP4,
    TCP6,
    UDP4,
    UDP6,
    UNIX,
    UNSPECIFIED,
    judged,
    proxy_header,
    start,
    tlv,
)

BYTE_13 = "PROXY header: byte 13: needed 00 (unspecified), 11 (TCP over IPv4) or 21 (TCP over IPv6)"
V4, V6 = proxy_header("203.0.113.7"), proxy_header("2001:db8::7")


def read(stream, step=1 << 16):
    """Read as from a socket, ``step`` bytes at most at a time: the header, and what nobody has touched."""
    header = ProxyHeader()
    at = 0
    while header.needed and at < len(stream):
        data = stream[at : at + min(step, header.needed)]
        header.feed(data)
        at += len(data)
    return header, stream[at:]


def refusal(stream, step=1 << 16):
    with pytest.raises(ProxyHeaderError) as caught:
        read(stream, step)
    return str(caught.value)


def test_signature_is_that_of_the_description():
    assert SIGNATURE == proxy_headers.SIGNATURE


@pytest.mark.parametrize("step", range(1, len(V6) + 1))
@pytest.mark.parametrize(("stream", "address"), [(V4, "203.0.113.7"), (V6, "2001:db8::7")])
def test_header_cut_anywhere(stream, address, step):
    header, rest = read(stream + b"\x00\x04next", step)
    assert (header.needed, header.taken, header.address) == (0, len(stream), address)
    assert rest == b"\x00\x04next"


@given(
    st.ip_addresses(),
    st.integers(0, 65_535),
    st.lists(st.builds(tlv, st.integers(0, 255), st.binary(max_size=60)), max_size=6),
    st.binary(max_size=40),
    st.integers(1, 600),
)
def test_whatever_a_balancer_sends_of_tcp(address, port, tlvs, rest, step):
    stream = proxy_header(str(address), port=port, tlvs=b"".join(tlvs))
    header, left = read(stream + rest, step)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    assert (header.needed, ip_address(header.address)) == (0, mapped or address)
    assert left == rest


@given(st.data())
def test_verdict_is_that_of_the_description(data):
    """Any bytes at all, and headers with some of them changed."""
    stream = bytearray(data.draw(st.sampled_from([V4, V6, start(LOCAL, UNSPECIFIED, 3) + b"abc", b"PROXY TCP4 1"])))
    stream += data.draw(st.binary(max_size=30))
    for _ in range(data.draw(st.integers(0, 2))):
        stream[data.draw(st.integers(0, min(15, len(stream) - 1)))] = data.draw(st.integers(0, 255))
    stream = bytes(stream[: data.draw(st.integers(0, len(stream)))])
    verdict, size, address = judged(stream)
    if verdict == "refused":
        refusal(stream, data.draw(st.integers(1, 60)))
        return
    header, rest = read(stream, data.draw(st.integers(1, 60)))
    assert (header.needed == 0) == (verdict == "whole")
    if verdict == "whole":
        assert (header.address, rest) == (address, stream[size:])


@pytest.mark.parametrize(
    "stream",
    [
        start(LOCAL, UNSPECIFIED, 0),
        start(LOCAL, TCP4, 12) + bytes(12),
        start(LOCAL, UNIX, 216) + bytes(216),
        start(LOCAL, 0xFF, 0),
        start(LOCAL, UNSPECIFIED, 4) + tlv(4, b"x"),
        start(PROXY, UNSPECIFIED, 0),
        start(PROXY, UNSPECIFIED, 12) + bytes(12),
    ],
)
def test_header_that_names_nobody(stream):
    header, rest = read(stream + b"frame")
    assert (header.needed, header.address, rest) == (0, None, b"frame")


def test_tlvs_are_stepped_over_up_to_the_limit():
    longest = tlv(4, bytes(REST_BYTES_MAX - 36 - 3))
    header, rest = read(proxy_header("::1", tlvs=longest) + b"next", 7)
    assert (header.address, header.taken, rest) == ("::1", 536, b"next")
    assert "byte 14: needed a length of at most 520, got 521" in refusal(start(PROXY, TCP6, 521))


@pytest.mark.parametrize("step", [1, 5, 16])
@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"\x00\x3c\x60\x00", "no PROXY header: byte 0 of its signature: needed 0D, got 00"),
        (b"\x16\x03\x01", "no PROXY header: byte 0 of its signature: needed 0D, got 16"),
        (SIGNATURE[:11] + b"\r", "no PROXY header: byte 11 of its signature: needed 0A, got 0D"),
        (b"PRO-", "no PROXY header: byte 0 of its signature: needed 0D, got 50"),
        (
            b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5930\r\n",
            "a PROXY header of version 1: needed version 2 (of HAProxy: send-proxy-v2)",
        ),
        (start(0x11, TCP4, 12), "PROXY header: byte 12: needed version 2, got 1"),
        (start(0x22, TCP4, 12), "PROXY header: byte 12: needed command 0 (LOCAL) or 1 (PROXY), got 2"),
        *(
            (
                start(PROXY, family, 216),
                f"{BYTE_13}, got {family:02X}",
            )
            for family in (UDP4, UDP6, UNIX, 0x10, 0x03, 0x41)
        ),
        (start(PROXY, TCP4, 11), "PROXY header: byte 14: needed a length of at least 12, got 11"),
        (start(PROXY, TCP6, 35), "PROXY header: byte 14: needed a length of at least 36, got 35"),
        (start(LOCAL, UNSPECIFIED, 65_535), "PROXY header: byte 14: needed a length of at most 520, got 65535"),
    ],
)
def test_refusals_say_byte_need_and_finding(stream, words, step):
    assert refusal(stream, step) == words


def test_address_of_ipv4_that_is_written_as_ipv6_is_one_of_ipv4():
    assert read(proxy_header("::ffff:192.0.2.9"))[0].address == str(IPv4Address("192.0.2.9"))


def test_more_than_is_needed_is_not_taken():
    with pytest.raises(ValueError, match="needed at most 16 bytes, got 17"):
        ProxyHeader().feed(V4[:17])
