"""MACs against published vectors, and against independent implementations."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st
from psec.des import decrypt_tdes_ecb, encrypt_tdes_ecb
from psec.mac import generate_cbc_mac, generate_retail_mac

from switch.crypto.mac import ALGORITHMS, KEY_SIZES, MAC_SIZES, Mac, MacEngine, compute_mac, verify_mac

# The oracle psec uses 3DES of `cryptography` in ways that the latter wants to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "mac.json").read_text())
PADDINGS = {"x9.9": (1, 2), "x9.19": (1, 2)}
CASES = [
    (algorithm, size, padding)
    for algorithm in ALGORITHMS
    if algorithm != "none"
    for size in KEY_SIZES[algorithm]
    for padding in PADDINGS.get(algorithm, (1,))
]
KEY = bytes(range(1, 33))
MESSAGE = bytes(range(256))[:225]


def xor_blocks(data: bytes, size: int) -> bytes:
    folded = 0
    for start in range(0, len(data), size):
        folded ^= int.from_bytes(data[start : start + size].ljust(size, b"\0"), "big")
    return folded.to_bytes(size, "big")


def openssl_sm4_ecb(key: bytes, block: bytes) -> bytes:
    command = ["openssl", "enc", "-sm4-ecb", "-nopad", "-K", key.hex()]
    return subprocess.run(command, input=block, capture_output=True, check=True).stdout


def openssl_mac(arguments: list[str], data: bytes) -> bytes:
    command = ["openssl", "mac", *arguments]
    return bytes.fromhex(subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode())


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def oracle(algorithm: str, key: bytes, data: bytes, padding: int) -> bytes:
    """The MAC made with psec, `cryptography` and OpenSSL's command line."""
    if algorithm == "x9.9":
        return generate_cbc_mac(key + key, data, padding)
    if algorithm == "x9.19":
        if len(key) == 8:
            return generate_cbc_mac(key + key, data, padding)
        return (
            generate_retail_mac(key[:8], key[8:16], data, padding)
            if len(key) == 16
            else retail_of_three(key, data, padding)
        )
    if algorithm == "cup-ecb":
        tdes = key + key if len(key) == 8 else key
        text = xor_blocks(data, 8).hex().upper().encode()
        first = encrypt_tdes_ecb(tdes, text[:8])
        return encrypt_tdes_ecb(tdes, xor(first, text[8:])).hex().upper()[:8].encode()
    if algorithm == "cup-sm4":
        text = xor_blocks(data, 16).hex().upper().encode()
        first = openssl_sm4_ecb(key, text[:16])
        return openssl_sm4_ecb(key, xor(first, text[16:])).hex().upper()[:8].encode()
    cmac = CMAC(AES(key))
    cmac.update(data)
    return cmac.finalize()


def retail_of_three(key: bytes, data: bytes, padding: int) -> bytes:
    """Retail MAC whose last encryption is under a third key: undo the second key's, then 3DES of one block."""
    before = generate_cbc_mac(key[:8] * 2, data, padding)
    undone = decrypt_tdes_ecb(key[8:16] * 2, before)
    return encrypt_tdes_ecb(key[16:] * 2, undone)


@pytest.mark.parametrize("vector", VECTORS["iso9797"], ids=lambda vector: vector["algorithm"])
def test_iso_9797_vectors(vector):
    algorithm = "x9.9" if "alg 1" in vector["algorithm"] else "x9.19"
    padding = 2 if "padding 2" in vector["algorithm"] else 1
    data = vector["data_ascii"].encode() if "data_ascii" in vector else bytes.fromhex(vector["data"])
    key = bytes.fromhex(vector["key"])
    mac = bytes.fromhex(vector["mac"])
    assert compute_mac(algorithm, key, data, padding) == mac
    assert verify_mac(algorithm, key, data, mac, padding)
    assert verify_mac(algorithm, key, data, mac[:4], padding)


@pytest.mark.parametrize("vector", VECTORS["aes_cmac"], ids=lambda vector: f"{len(vector['data']) // 2} bytes")
def test_aes_cmac_vectors(vector):
    mac = compute_mac("aes-cmac", bytes.fromhex(vector["key"]), bytes.fromhex(vector["data"]))
    assert mac == bytes.fromhex(vector["mac"])


@pytest.mark.parametrize("vector", VECTORS["cup_ecb"], ids=lambda vector: vector["source"])
def test_cup_ecb_vectors(vector):
    data = bytes.fromhex(vector["mab"])
    assert xor_blocks(data, 8) == bytes.fromhex(vector["xor_of_blocks"])
    assert compute_mac("cup-ecb", bytes.fromhex(vector["key"]), data) == vector["field_64_ascii"].encode()


def test_sm4_oracle_agrees_with_the_standard():
    (vector,) = VECTORS["sm4_block"]
    cipher = openssl_sm4_ecb(bytes.fromhex(vector["key"]), bytes.fromhex(vector["plain"]))
    assert cipher == bytes.fromhex(vector["cipher"])


@pytest.mark.parametrize(("algorithm", "size", "padding"), CASES)
def test_every_length_agrees_with_an_independent_implementation(algorithm, size, padding):
    lengths = range(66) if algorithm != "cup-sm4" else (0, 1, 15, 16, 17, 33)
    for length in lengths:
        data = MESSAGE[:length]
        if length == 0 and algorithm in ("x9.9", "x9.19") and padding == 1:
            continue  # psec makes no block at all of an empty message; see the test of that
        assert compute_mac(algorithm, KEY[:size], data, padding) == oracle(algorithm, KEY[:size], data, padding), length


def test_empty_message_is_one_block_of_padding():
    assert compute_mac("x9.9", KEY[:8], b"") == compute_mac("x9.9", KEY[:8], bytes(8))
    assert compute_mac("x9.9", KEY[:8], b"", 2) == compute_mac("x9.9", KEY[:8], b"\x80" + bytes(7))


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=3000), st.sampled_from((1, 2)))
def test_retail_mac_agrees_with_psec(key, data, padding):
    assert compute_mac("x9.19", key, data, padding) == generate_retail_mac(key[:8], key[8:], data, padding)


@given(
    st.sampled_from((16, 24, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.binary(max_size=3000),
)
def test_aes_cmac_agrees_with_cryptography(key, data):
    assert compute_mac("aes-cmac", key, data) == oracle("aes-cmac", key, data, 1)


def test_aes_cmac_agrees_with_openssl_command_line():
    arguments = ["-cipher", "AES-256-CBC", "-macopt", f"hexkey:{KEY.hex()}", "CMAC"]
    assert compute_mac("aes-cmac", KEY, MESSAGE) == openssl_mac(arguments, MESSAGE)


@pytest.mark.parametrize(("algorithm", "size", "padding"), CASES)
def test_parts_split_at_every_byte(algorithm, size, padding):
    mac = Mac(algorithm, KEY[:size], padding)
    data = MESSAGE[:50]
    whole = mac.compute(data)
    for cut in range(len(data) + 1):
        assert mac.compute(data[:cut], data[cut:]) == whole
        for second in range(cut, len(data) + 1):
            assert mac.compute(data[:cut], data[cut:second], data[second:]) == whole
    assert mac.compute(*(bytes([byte]) for byte in data)) == whole
    assert mac.compute(b"", data, b"", b"") == whole


@pytest.mark.parametrize(("algorithm", "size", "padding"), CASES)
def test_any_flipped_bit_is_found(algorithm, size, padding):
    mac = Mac(algorithm, KEY[:size], padding)
    right = mac.compute(MESSAGE[:40])
    assert mac.verify(right, MESSAGE[:40])
    for bit in range(len(right) * 8):
        wrong = bytearray(right)
        wrong[bit // 8] ^= 1 << bit % 8
        assert not mac.verify(bytes(wrong), MESSAGE[:40])
    for bit in range(40 * 8):
        forged = bytearray(MESSAGE[:40])
        forged[bit // 8] ^= 1 << bit % 8
        assert not mac.verify(right, bytes(forged))


def test_short_and_long_macs_never_agree():
    mac = Mac("aes-cmac", KEY[:16])
    right = mac.compute(MESSAGE)
    for size in range(4):
        assert not mac.verify(right[:size], MESSAGE)
    for size in range(4, 17):
        assert mac.verify(right[:size], MESSAGE)
    assert not mac.verify(right + b"\0", MESSAGE)


def test_none_makes_an_empty_mac_that_verifies_nothing():
    assert compute_mac("none", b"", MESSAGE) == b""
    assert not verify_mac("none", b"", MESSAGE, b"")
    assert not verify_mac("none", b"", MESSAGE, bytes(8))


def test_keys_that_share_a_slot_do_not_share_a_mac():
    """More keys than slots, twice over and in turn: each gets its own MAC whatever stood in its slot before."""
    cases = [
        (algorithm, (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") * (size // 8))
        for number in range(1, 2500)
        for algorithm, size in (("x9.9", 8), ("x9.19", 16), ("aes-cmac", 16))
    ]
    data = MESSAGE[:20]
    first = [compute_mac(algorithm, key, data) for algorithm, key in cases]
    assert [compute_mac(algorithm, key, data) for algorithm, key in cases] == first
    for (algorithm, key), mac in list(zip(cases, first, strict=True))[::100]:
        assert mac == oracle(algorithm, key, data, 1)


def test_same_bytes_as_key_of_several_algorithms():
    key = KEY[:16]
    for algorithm in ("x9.19", "aes-cmac", "cup-ecb", "cup-sm4", "x9.19"):
        assert compute_mac(algorithm, key, MESSAGE[:33]) == oracle(algorithm, key, MESSAGE[:33], 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_wrong_key_size_is_refused_without_showing_the_key(algorithm):
    for size in set(range(40)) - set(KEY_SIZES[algorithm]):
        with pytest.raises(
            ValueError, match=f"MAC algorithm {algorithm} needs a key of .* bytes, not {size}"
        ) as caught:
            Mac(algorithm, b"\xa5" * size)
        assert "a5" not in str(caught.value).lower()


def test_unknown_algorithm_and_padding_are_refused():
    with pytest.raises(ValueError, match=r"unknown MAC algorithm 'hmac'; known are none, x9\.9"):
        Mac("hmac", KEY)
    with pytest.raises(ValueError, match="MAC padding must be 1 or 2, not 3"):
        Mac("x9.19", KEY[:16], 3)
    with pytest.raises(ValueError, match="MAC algorithm aes-cmac has no padding 2"):
        Mac("aes-cmac", KEY[:16], 2)
    with pytest.raises(TypeError):
        Mac("x9.19", KEY[:16]).compute("text")
    with pytest.raises(ValueError, match=r"slot_bits must lie in 0..20, not 21"):
        MacEngine(21)


def test_key_is_shown_nowhere():
    key = bytes.fromhex("C0FFEE0123456789DEADBEEFFEDCBA98")
    mac = Mac("x9.19", key, 2)
    assert repr(mac) == "Mac('x9.19', padding=2)"
    assert str(mac) == repr(mac)
    assert (mac.algorithm, mac.padding, mac.size) == ("x9.19", 2, 8)
    assert not [name for name in dir(mac) if "key" in name]
    with pytest.raises(TypeError, match="a Mac holds a key and is not pickled"):
        pickle.dumps(mac)


def test_tables_of_names_agree():
    assert set(ALGORITHMS) == set(KEY_SIZES) == set(MAC_SIZES)
    for algorithm, size, padding in CASES:
        assert Mac(algorithm, KEY[:size], padding).size == len(compute_mac(algorithm, KEY[:size], MESSAGE, padding))
