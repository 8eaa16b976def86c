"""Scan, decode and encode of the 225-byte purchase, beside pyiso8583 in the same run.

A scan takes less time than a Python call, so its figure is of a loop in C: divide it by ``SCANS``. The others are of a
loop in Python, so that the harness's own call does not count: divide them by ``CALLS``.
"""

from __future__ import annotations

import iso8583
import pytest

from switch.wire.codec import decode, encode
from switch.wire.spec import compile_spec
from tests.ext.purchase import ascii_spec, bcd_spec, document, ebcdic_spec, message

SCANS = 1000
CALLS = 100
SPECS = {"ascii": ascii_spec(), "bcd": bcd_spec(), "ebcdic": ebcdic_spec()}
dialects = pytest.mark.parametrize("dialect", SPECS)


def repeat(function, message_or_document, spec):
    for _ in range(CALLS):
        function(message_or_document, spec)


@dialects
def test_scan_1000_times(benchmark, steps, dialect):
    benchmark.group = f"read {dialect}"
    benchmark.extra_info["scans"] = SCANS
    spec = SPECS[dialect]
    benchmark(steps.scan, message(spec), compile_spec(spec), SCANS)


@dialects
def test_decode_100_times(benchmark, dialect):
    benchmark.group = f"read {dialect}"
    spec = SPECS[dialect]
    benchmark(repeat, decode, message(spec), compile_spec(spec))


@dialects
def test_decode_with_dictionary_100_times(benchmark, dialect):
    """The specification as a dictionary, which is compared with the one compiled at each call."""
    benchmark.group = f"read {dialect}"
    spec = SPECS[dialect]
    benchmark(repeat, decode, message(spec), spec)


@dialects
def test_decode_pyiso8583_100_times(benchmark, dialect):
    benchmark.group = f"read {dialect}"
    spec = SPECS[dialect]
    benchmark(repeat, iso8583.decode, message(spec), spec)


@dialects
def test_encode_100_times(benchmark, dialect):
    benchmark.group = f"write {dialect}"
    spec = SPECS[dialect]
    benchmark(repeat, encode, document(spec), compile_spec(spec))


@dialects
def test_encode_pyiso8583_100_times(benchmark, dialect):
    benchmark.group = f"write {dialect}"
    spec = SPECS[dialect]
    benchmark(repeat, iso8583.encode, document(spec), spec)
