"""How a key travels: encrypted under a master key that both sides hold.

DES and 3DES keys under a DES or 3DES master key, and SM4 keys under an SM4 one, go block by block (ECB), as terminals
and issuers customarily have it. Everything under an AES master key goes by AES key wrap (RFC 3394, NIST SP 800-38F),
which also notices a wrong or damaged key.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
)

from switch.crypto.des import decrypt_blocks, encrypt_blocks
from switch.keys.key import Key
from switch.keys.names import WRAPPING_USAGES, check_algorithm

AES_WRAP_BYTES_MIN = 16
"""The shortest key that RFC 3394 wraps; an 8-byte DES key needs the padded form, RFC 5649."""

_MAY_WRAP = {"des": ("des",), "aes": ("des", "aes", "sm4"), "sm4": ("sm4",)}


def wrap_key(under: Key, algorithm: str, value: bytes) -> bytes:
    """Encrypt a key of an algorithm under a master key.

    Raises:
        ValueError: ``under`` is not there to wrap keys, or not such ones.
    """
    family = check_wrapping(under, algorithm)
    if family == "des":
        return encrypt_blocks(under.value, value)
    if family == "sm4":
        encryptor = Cipher(algorithms.SM4(under.value), modes.ECB()).encryptor()  # noqa: S305 - as terminals have it
        return encryptor.update(value) + encryptor.finalize()
    if len(value) < AES_WRAP_BYTES_MIN:
        return aes_key_wrap_with_padding(under.value, value)
    return aes_key_wrap(under.value, value)


def unwrap_key(under: Key, algorithm: str, wrapped: bytes) -> bytes:
    """Decrypt a key of an algorithm that came under a master key.

    Raises:
        ValueError: ``under`` is not there to wrap keys, or not such ones; the size is wrong; or, under AES, what came
            was not wrapped under this key.
    """
    family = check_wrapping(under, algorithm)
    size = check_algorithm(algorithm).size
    if family == "aes":
        value = _aes_unwrapped(under.value, wrapped, padded=size < AES_WRAP_BYTES_MIN)
    elif len(wrapped) != size:
        raise ValueError(f"an encrypted key of algorithm {algorithm} has {size} bytes, not {len(wrapped)}")
    elif family == "des":
        value = decrypt_blocks(under.value, wrapped)
    else:
        decryptor = Cipher(algorithms.SM4(under.value), modes.ECB()).decryptor()  # noqa: S305 - as terminals have it
        value = decryptor.update(wrapped) + decryptor.finalize()
    if len(value) != size:
        raise ValueError(f"a key of algorithm {algorithm} has {size} bytes, not {len(value)}")
    return value


def check_wrapping(under: Key, algorithm: str) -> str:
    """The family of a master key, when it may wrap a key of this algorithm.

    Raises:
        ValueError: ``under`` is not there to wrap keys, or not such ones.
    """
    if under.usage not in WRAPPING_USAGES:
        raise ValueError(f"key {under.name} is a {under.usage}; only {' and '.join(WRAPPING_USAGES)} wrap other keys")
    family = check_algorithm(under.algorithm).family
    wrapped = check_algorithm(algorithm)
    too_weak = under.algorithm == "des" and wrapped.size > check_algorithm("des").size
    if wrapped.family not in _MAY_WRAP[family] or too_weak:
        raise ValueError(f"a key of algorithm {algorithm} must not travel under one of algorithm {under.algorithm}")
    return family


def _aes_unwrapped(master_key: bytes, wrapped: bytes, *, padded: bool) -> bytes:
    try:
        return (aes_key_unwrap_with_padding if padded else aes_key_unwrap)(master_key, wrapped)
    except InvalidUnwrap:
        raise ValueError("what came was not wrapped under this key, or was damaged") from None
