"""MACs of a 225-byte message beside libcrypto's cheapest correct call for the same bytes, in one run.

``own key`` has one key, as on a link. ``many keys`` takes 5,000 keys in turn, more than the engine's table of expanded
keys holds, as terminals that speak seldom do. Each round makes 5,000 MACs; the time of one is in ``extra_info``.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from switch.crypto.mac import KEY_SIZES, Mac

MESSAGE = bytes(range(225))
MACS_A_ROUND = 5_000
ROUNDS = 15
BASELINES = {"x9.9": "des_mac", "x9.19": "des_mac", "cup-ecb": "cup_ecb", "aes-cmac": "aes_cmac"}
SIZES = {"x9.9": 8, "x9.19": 16, "cup-ecb": 8, "aes-cmac": 16}
CASES = [pytest.param(name, count, id=f"{name}-{count}") for name in SIZES for count in (1, 5_000)]


class Work(ctypes.Structure):
    """``Work`` of libcrypto_mac.c."""

    _fields_ = (
        ("keys", ctypes.c_char_p),
        ("key_size", ctypes.c_int),
        ("count", ctypes.c_int),
        ("data", ctypes.c_char_p),
        ("size", ctypes.c_int),
        ("rounds", ctypes.c_int),
        ("mac", ctypes.c_char_p),
    )


@pytest.fixture(scope="module")
def libcrypto(tmp_path_factory):
    target = tmp_path_factory.mktemp("libcrypto") / "libcrypto_mac.so"
    source = Path(__file__).with_name("libcrypto_mac.c")
    subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", target, source, "-lcrypto"], check=True)
    return ctypes.CDLL(str(target))


def keys_of(algorithm, count):
    """Keys that differ, of one part or two."""
    size = SIZES[algorithm]
    assert size in KEY_SIZES[algorithm]
    return [
        (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).to_bytes(16, "big")[:size]
        for number in range(1, count + 1)
    ]


def measured(benchmark, algorithm, count, run, *arguments):
    benchmark.group = f"{algorithm}, {'own key' if count == 1 else 'many keys'}"
    benchmark.pedantic(run, args=arguments, rounds=ROUNDS, warmup_rounds=2)
    benchmark.extra_info["ns_a_mac"] = round(benchmark.stats.stats.min / MACS_A_ROUND * 1e9, 1)


@pytest.mark.parametrize(("algorithm", "count"), CASES)
def test_ours(benchmark, steps, algorithm, count):
    macs = [Mac(algorithm, key) for key in keys_of(algorithm, count)]
    measured(benchmark, algorithm, count, steps.compute_macs, macs, MESSAGE, MACS_A_ROUND)


@pytest.mark.parametrize(("algorithm", "count"), CASES)
def test_libcrypto(benchmark, libcrypto, algorithm, count):
    keys = keys_of(algorithm, count)
    mac = ctypes.create_string_buffer(16)
    mac_at = ctypes.cast(mac, ctypes.c_char_p)
    work = Work(b"".join(keys), SIZES[algorithm], count, MESSAGE, len(MESSAGE), MACS_A_ROUND, mac_at)
    run = getattr(libcrypto, BASELINES[algorithm])
    measured(benchmark, algorithm, count, run, ctypes.byref(work))
    last = Mac(algorithm, keys[(MACS_A_ROUND - 1) % count]).compute(MESSAGE)
    assert mac.raw[: len(last)] == last
