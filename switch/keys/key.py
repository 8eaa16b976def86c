"""One key, and the check value by which people recognize it without seeing it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from switch.crypto.des import encrypt_blocks
from switch.keys.names import ALGORITHMS, DIGESTS_USAGE, Usage, check_algorithm, check_name, check_usage

CHECK_VALUE_BYTES = {"des": 3, "aes": 5, "sm4": 3}
"""Bytes of a check value that are shown, by family of algorithm."""

# FIPS 74 and NIST SP 800-67: keys that DES must not be used with, parity bits apart.
_DES_WEAK_KEYS = frozenset(
    bytes(byte & 0xFE for byte in bytes.fromhex(key))
    for key in (
        "0101010101010101",
        "FEFEFEFEFEFEFEFE",
        "E0E0E0E0F1F1F1F1",
        "1F1F1F1F0E0E0E0E",
        "011F011F010E010E",
        "1F011F010E010E01",
        "01E001E001F101F1",
        "E001E001F101F101",
        "01FE01FE01FE01FE",
        "FE01FE01FE01FE01",
        "1FE01FE00EF10EF1",
        "E01FE01FF10EF10E",
        "1FFE1FFE0EFE0EFE",
        "FE1FFE1FFE0EFE0E",
        "E0FEE0FEF1FEF1FE",
        "FEE0FEE0FEF1FEF1",
    )
)


@dataclass(frozen=True, slots=True)
class Key:
    """A clear key. ``repr`` and ``str`` show its check value only.

    Attributes:
        name: Such as ``terminal/10000001/tak`` or ``link/bank-a/zpk``.
        usage: One of ``USAGES``.
        algorithm: One of ``ALGORITHMS``.
        value: The key itself, as many bytes as the algorithm says; several times as many where it is digests.
        exportable: False when whoever made it said in its key block that it must not be passed on.

    Raises:
        ValueError: One of them is not what it should be.
    """

    name: str
    usage: Usage
    algorithm: str
    value: bytes = field(repr=False)
    exportable: bool = True

    def __post_init__(self) -> None:
        check_name(self.name)
        check_usage(self.usage)
        size = check_algorithm(self.algorithm).size
        if self.usage == DIGESTS_USAGE and self.value and not len(self.value) % size:
            return
        if len(self.value) != size:
            raise ValueError(f"a key of algorithm {self.algorithm} has {size} bytes, not {len(self.value)}")

    @property
    def check_value(self) -> str:
        """The key check value (KCV) in upper-case hex: see ``check_value``; empty of what is no key."""
        return "" if self.usage == DIGESTS_USAGE else check_value(self.algorithm, self.value)

    def check_exportable(self) -> None:
        """Refuse to pass on a key that must not be.

        Raises:
            ValueError: It must not.
        """
        if not self.exportable:
            raise ValueError(f"key {self.name} must not be exported: the key block that it came in says so")

    def __repr__(self) -> str:
        return f"Key({self.name!r}, usage={self.usage!r}, algorithm={self.algorithm!r}, kcv={self.check_value!r})"


def check_value(algorithm: str, value: bytes, size: int | None = None) -> str:
    """The check value of a key, in upper-case hex.

    DES, 3DES and SM4: the leftmost bytes of a zero block encrypted under the key (3 bytes). AES: the leftmost bytes of
    the CMAC of a zero block (5 bytes), as ANSI X9.24-1:2017 has it.

    Args:
        algorithm: One of ``ALGORITHMS``.
        value: The key.
        size: How many bytes of it, when not as many as is usual.
    """
    family = check_algorithm(algorithm).family
    if family == "des":
        whole = encrypt_blocks(value, bytes(8))
    elif family == "sm4":
        encryptor = Cipher(algorithms.SM4(value), modes.ECB()).encryptor()  # noqa: S305 - a single block
        whole = encryptor.update(bytes(16)) + encryptor.finalize()
    else:
        cmac = CMAC(algorithms.AES(value))
        cmac.update(bytes(16))
        whole = cmac.finalize()
    return whole[: CHECK_VALUE_BYTES[family] if size is None else size].hex().upper()


def generate_value(algorithm: str) -> bytes:
    """A new random key; DES keys with odd parity, no weak part and no two parts alike."""
    size, family = check_algorithm(algorithm)
    while True:
        value = secrets.token_bytes(size)
        if family != "des":
            return value
        value = set_odd_parity(value)
        parts = {value[at : at + 8] for at in range(0, size, 8)}
        if len(parts) == size // 8 and not any(is_weak_des_key(part) for part in parts):
            return value


def set_odd_parity(value: bytes) -> bytes:
    """A DES key with the lowest bit of each byte set so that the byte has an odd number of ones (FIPS 46-3)."""
    return bytes((byte & 0xFE) | (1 - (byte >> 1).bit_count() % 2) for byte in value)


def is_weak_des_key(part: bytes) -> bool:
    """Whether 8 bytes are one of the 16 weak and semi-weak keys of DES, whatever their parity bits."""
    return bytes(byte & 0xFE for byte in part) in _DES_WEAK_KEYS


def has_weak_part(algorithm: str, value: bytes) -> bool:
    """Whether a key is one that nobody may use: zeros alone, or of DES with a weak part."""
    parts = (value[at : at + 8] for at in range(0, len(value), 8))
    return not any(value) or (check_algorithm(algorithm).family == "des" and any(map(is_weak_des_key, parts)))


def cancel_out(algorithm: str, components: Sequence[bytes]) -> bool:
    """Whether some of a key's components cancel each other out, as two equal ones do, or one of zeros.

    Who has the others has the key alone then. Of a DES key no 8 bytes may, whatever their parity bits.
    """
    is_des = check_algorithm(algorithm).family == "des"
    mask, size = (0xFE, 8) if is_des else (0xFF, len(components[0]))
    columns = [[one[at : at + size] for one in components] for at in range(0, len(components[0]), size)]
    return any(
        not any(byte & mask for byte in combine_components(list(some)))
        for column in columns
        for count in range(1, len(column) + 1)
        for some in combinations(column, count)
    )


def algorithm_of_des_size(size: int) -> str:
    """The algorithm of a DES key by its size in bytes."""
    for name, algorithm in ALGORITHMS.items():
        if algorithm == (size, "des"):
            return name
    raise ValueError(f"a DES key has 8, 16 or 24 bytes, not {size}")


def combine_components(components: list[bytes]) -> bytes:
    """The key of which several people hold one component each: XOR of them all.

    Raises:
        ValueError: There is none, or they differ in length.
    """
    if not components:
        raise ValueError("no key component was given")
    size = len(components[0])
    combined = bytearray(size)
    for number, component in enumerate(components, 1):
        if len(component) != size:
            raise ValueError(f"component {number} has {len(component)} bytes, but component 1 has {size}")
        for place, byte in enumerate(component):
            combined[place] ^= byte
    return bytes(combined)
