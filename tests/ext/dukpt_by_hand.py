"""TDES DUKPT (ANSI X9.24-1:2009) in plain Python, as its annex A has it, to compare with.

The key serial number (KSN) has 80 bits: key set and terminal in the upper 59, a transaction counter in the lower 21.
"""

from __future__ import annotations

from switch.crypto.des import encrypt_blocks

KSN_BYTES = 10
KEY_BYTES = 16
COUNTER_BITS = 21
COUNTER_ONES_MAX = 10
"""A terminal skips counters with more ones than this, so that it has few keys to derive (clause A.3)."""

_COUNTER_MASK = (1 << COUNTER_BITS) - 1
_HALF_VARIANT = bytes.fromhex("C0C0C0C000000000")
_PIN_VARIANT = bytes.fromhex("00000000000000FF00000000000000FF")


def derive_pin_key(base_key: bytes, serial_number: bytes) -> bytes:
    """The key under which the PIN block of one transaction is encrypted.

    Args:
        base_key: The base derivation key (BDK), 16 bytes.
        serial_number: The KSN, 10 bytes, as it came with the transaction.

    Returns:
        16 bytes, for 3DES.

    Raises:
        ValueError: A wrong size, or a counter that no terminal sends.
    """
    return _xor(_derive(base_key, serial_number), _PIN_VARIANT)


def derive_initial_key(base_key: bytes, serial_number: bytes) -> bytes:
    """The initial key (IPEK) that a terminal is loaded with; the counter of ``serial_number`` plays no part.

    Raises:
        ValueError: A wrong size.
    """
    if len(base_key) != KEY_BYTES:
        raise ValueError(f"a base derivation key has {KEY_BYTES} bytes, not {len(base_key)}")
    if len(serial_number) != KSN_BYTES:
        raise ValueError(f"a key serial number has {KSN_BYTES} bytes, not {len(serial_number)}")
    cleared = int.from_bytes(serial_number, "big") & ~_COUNTER_MASK
    block = cleared.to_bytes(KSN_BYTES, "big")[:8]
    return encrypt_blocks(base_key, block) + encrypt_blocks(_xor(base_key, _HALF_VARIANT * 2), block)


def _derive(base_key: bytes, serial_number: bytes) -> bytes:
    """The transaction key that all variants come from: one step for each one of the counter, the highest first."""
    key = derive_initial_key(base_key, serial_number)
    whole = int.from_bytes(serial_number, "big")
    counter = whole & _COUNTER_MASK
    if not 1 <= counter.bit_count() <= COUNTER_ONES_MAX:
        raise ValueError(
            f"the counter of a key serial number has 1 to {COUNTER_ONES_MAX} bits set, not {counter.bit_count()}"
        )
    register = whole & ~_COUNTER_MASK & (1 << 64) - 1
    for bit in reversed(range(COUNTER_BITS)):
        if counter >> bit & 1:
            register |= 1 << bit
            key = _step(key, register.to_bytes(8, "big"))
    return key


def _step(key: bytes, register: bytes) -> bytes:
    """The non-reversible key generation of clause A.2."""
    varied = _xor(key, _HALF_VARIANT * 2)
    return _half(varied, register) + _half(key, register)


def _half(key: bytes, register: bytes) -> bytes:
    left, right = key[:8], key[8:]
    return _xor(encrypt_blocks(left, _xor(register, right)), right)


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
