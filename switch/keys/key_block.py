"""Key blocks (ANSI X9.143, before that ASC X9 TR-31): a key that travels together with what it may be used for.

A block is text: a header of 16 characters and optional blocks, the enciphered key, and a MAC over all of it::

    version, length of the whole (4 digits), usage (2), algorithm, mode of use, version of the key (2),
    exportability, number of optional blocks (2 digits), key context, reserved
    optional blocks: identifier (2), length of all of it (2 hex digits), data; 00 and a longer length where it is longer
    enciphered key: length in bits (2 bytes), key, padding; in hex
    MAC: 4, 8 or 16 bytes, in hex

| version | protected by | keys for cipher and MAC |
| --- | --- | --- |
| A, C | 3DES | the protecting key with a constant mixed in; MAC of 4 bytes over what is enciphered |
| B | 3DES | derived by CMAC; MAC of 8 bytes over the clear key, which is also where the cipher begins |
| D | AES | the same, 16 bytes |

A and C are read only: both of their keys give away the protecting one to whoever learns one of them, and their MAC can
be met by 2**32 guesses.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Final, NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from switch.keys.key import Key, check_value
from switch.keys.names import Family, Usage, check_algorithm
from switch.keys.wrapping import check_wrapping

HEADER_CHARACTERS: Final = 16
_BEGINNING = re.compile(r"[A-Z][0-9]{4}")
_NOT_HEX = re.compile(r"[^0-9A-Fa-f\s]")
_HEADER = re.compile(r"[ABCD][0-9]{4}[A-Z0-9]{2}[A-Z0-9][A-Z0-9][A-Z0-9]{2}[A-Z0-9][0-9]{2}[0-9]0")
_UPPER_HEX = re.compile(r"[0-9A-F]*")
_TEXT = re.compile(r"[ -~]*")
_CONTEXT_STORED: Final = "1"
"""Key context of a block that is for its maker alone, to keep the key under a key of its own."""


class _Version(NamedTuple):
    """How blocks of a version are protected."""

    family: Family
    mac_bytes: int
    is_derived: bool


_VERSIONS: Final = {
    "A": _Version("des", 4, is_derived=False),
    "B": _Version("des", 8, is_derived=True),
    "C": _Version("des", 4, is_derived=False),
    "D": _Version("aes", 16, is_derived=True),
}
_BLOCK_BYTES: Final = {"des": 8, "aes": 16}
_WRITTEN: Final = {"des": "B", "aes": "D"}
_LETTERS: Final = {"des": "D", "3des-2key": "T", "3des-3key": "T", "aes-128": "A", "aes-192": "A", "aes-256": "A"}
_DERIVED_FOR: Final = {"3des-2key": 0, "3des-3key": 1, "aes-128": 2, "aes-192": 3, "aes-256": 4}
"""How the derivation of keys for cipher and MAC names the algorithm of the protecting key."""
_FOR_CIPHER, _FOR_MAC = 0x0000, 0x0001
_VARIANT_CIPHER, _VARIANT_MAC = 0x45, 0x4D


class _Meaning(NamedTuple):
    """What a block must say of a key that is to be used as one of our usages, and what ours say."""

    usages: frozenset[str]
    modes: frozenset[str]
    written_mode: str


_MEANINGS: Final[dict[Usage, _Meaning]] = {
    "tmk": _Meaning(frozenset(("K0", "K1")), frozenset("BN"), "B"),
    "tak": _Meaning(frozenset(("M0", "M1", "M3", "M6")), frozenset("CN"), "C"),
    "tpk": _Meaning(frozenset(("P0",)), frozenset("BDN"), "B"),
    "zmk": _Meaning(frozenset(("K0", "K1")), frozenset("BN"), "B"),
    "zak": _Meaning(frozenset(("M0", "M1", "M3", "M6")), frozenset("CN"), "C"),
    "zpk": _Meaning(frozenset(("P0",)), frozenset("BEN"), "B"),
    "bdk": _Meaning(frozenset(("B0",)), frozenset("XN"), "X"),
    "tdk": _Meaning(frozenset(("D0",)), frozenset("BDN"), "B"),
}
_MAC_USAGES: Final = {"des": "M1", "3des-2key": "M3", "3des-3key": "M3"}
"""ISO 9797-1 algorithm 1 (X9.9) and 3 (X9.19) by algorithm of the key; one of AES is for CMAC."""
_MAC_USAGE_AES: Final = "M6"
_SENT_BY_SIGN_IN: Final = ("tak", "tpk", "tdk")
_EXPORTABLE, _NOT_EXPORTABLE, _SENSITIVE = "E", "N", "S"


class Block(NamedTuple):
    """A key block, taken apart; nothing of it is believed yet."""

    header: str
    """All that is in clear, optional blocks as well."""
    optional: tuple[tuple[str, str], ...]
    """Identifier and data."""
    ciphertext: bytes
    mac: bytes

    @property
    def version(self) -> str:
        """One letter: how it is protected."""
        return self.header[0]

    @property
    def usage(self) -> str:
        """Such as P0: for PIN blocks."""
        return self.header[5:7]

    @property
    def algorithm(self) -> str:
        """One letter: T for 3DES, D for DES, A for AES."""
        return self.header[7]

    @property
    def mode(self) -> str:
        """One letter: E to encipher alone, B both ways, and so on."""
        return self.header[8]

    @property
    def exportability(self) -> str:
        """E, S or N: may be passed on, may be passed on in other forms as well, must not."""
        return self.header[11]

    @property
    def context(self) -> str:
        """0, 1 or 2: not said, for storage, for exchange."""
        return self.header[14]


def is_key_block(text: str) -> bool:
    """Whether a text is meant to be a key block, whole or damaged, and not an enciphered key in hex."""
    return _BEGINNING.match(text) is not None and _NOT_HEX.search(text) is not None


def wrap_key_block(under: Key, key: Key) -> str:
    """The block of a key, of version B under 3DES and D under AES.

    It says that the key may be used in both directions, as the switch may.

    Args:
        under: The protecting key, a TMK or ZMK.
        key: The key.

    Raises:
        ValueError: ``under`` is not there to wrap keys, or not such ones; or the key must not be exported, or has no
            form as a key block.
    """
    meaning = _MEANINGS.get(key.usage)
    if meaning is None or key.algorithm not in _LETTERS:
        raise ValueError(f"key {key.name} ({key.usage}, {key.algorithm}) has no form as a key block")
    key.check_exportable()
    check_wrapping(under, key.algorithm)
    version = _WRITTEN[_protecting_family(under)]
    protection = _VERSIONS[version]
    block_bytes = _BLOCK_BYTES[protection.family]
    clear = (8 * len(key.value)).to_bytes(2, "big") + key.value
    clear += secrets.token_bytes(-len(clear) % block_bytes)
    size = HEADER_CHARACTERS + 2 * (len(clear) + protection.mac_bytes)
    usage = _usage_written(meaning, key.algorithm)
    header = f"{version}{size:04}{usage}{_LETTERS[key.algorithm]}{meaning.written_mode}00{_EXPORTABLE}0000"
    cipher_key, mac_key = _derived(under)
    mac = _cmac(mac_key, protection.family, header.encode() + clear)
    ciphertext = _encrypted(cipher_key, protection.family, mac, clear)
    return header + ciphertext.hex().upper() + mac.hex().upper()


def unwrap_key_block(under: Key, text: str, name: str, usage: Usage) -> Key:
    """The key of a block, of any version, to be kept by a name and used as one of our usages.

    The MAC is compared before anything that the block says is acted on. Optional blocks may be there: check values of
    the key (KC) and of the protecting key (KP) are compared, all others are passed over.

    Raises:
        ValueError: It is no key block, was damaged or not made under this key; or it says that its key is for something
            else; or ``under`` may not protect it.
    """
    block = take_apart(text)
    protection = _VERSIONS[block.version]
    check_wrapping(under, under.algorithm)
    if _protecting_family(under) != protection.family:
        raise ValueError(f"key block: version {block.version} is not protected by a key of algorithm {under.algorithm}")
    clear = _opened(under, protection, block)
    _check_meaning(block, usage)
    bits = int.from_bytes(clear[:2], "big")
    size = bits // 8
    if bits % 8 or size > len(clear) - 2:
        raise ValueError("key block: the length of the key in it is not one that fits")
    value = clear[2 : 2 + size]
    algorithm = _algorithm_of(block.algorithm, size)
    check_wrapping(under, algorithm)
    _check_usage_fits(block, algorithm)
    _check_values(block, (("KC", algorithm, value), ("KP", under.algorithm, under.value)))
    return Key(name, usage, algorithm, value, exportable=block.exportability != _NOT_EXPORTABLE)


def take_apart(text: str) -> Block:
    """The parts of a key block, each within the bounds of the whole.

    Raises:
        ValueError: It is not written as one.
    """
    head = text[:HEADER_CHARACTERS]
    if _HEADER.fullmatch(head) is None:
        raise ValueError("key block: the header is not that of version A, B, C or D")
    if int(text[1:5]) != len(text):
        raise ValueError(f"key block: has {len(text)} characters, and says that it has {int(text[1:5])}")
    protection = _VERSIONS[text[0]]
    block_bytes = _BLOCK_BYTES[protection.family]
    optional, end = _optional_blocks(text, int(text[12:14]))
    if end % block_bytes:
        raise ValueError(f"key block: the header has {end} characters, which is no multiple of {block_bytes}")
    mac_begins = len(text) - 2 * protection.mac_bytes
    ciphertext, mac = text[end : max(mac_begins, end)], text[max(mac_begins, end) :]
    if not ciphertext or len(ciphertext) % (2 * block_bytes) or len(mac) != 2 * protection.mac_bytes:
        raise ValueError("key block: what follows the header is not an enciphered key and its MAC")
    if _UPPER_HEX.fullmatch(ciphertext) is None or _UPPER_HEX.fullmatch(mac) is None:
        raise ValueError("key block: the enciphered key or its MAC is not written in upper-case hex digits")
    return Block(text[:end], optional, bytes.fromhex(ciphertext), bytes.fromhex(mac))


def _optional_blocks(text: str, count: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """Identifier and data of each optional block, and where the last one ends."""
    found = []
    at = HEADER_CHARACTERS
    for number in range(1, count + 1):
        begin, size = at + 4, _hex_number(text[at + 2 : at + 4], 2)
        if size == 0:
            digits = 2 * (_hex_number(text[at + 4 : at + 6], 2) or 0)
            begin, size = at + 6 + digits, _hex_number(text[at + 6 : at + 6 + digits], digits)
        end = at + (size or 0)
        data = text[begin:end]
        if size is None or end < begin or end > len(text) or _TEXT.fullmatch(text, at, end) is None:
            raise ValueError(f"key block: optional block {number} does not end within it, or is not of plain text")
        found.append((text[at : at + 2], data))
        at = end
    return tuple(found), at


def _hex_number(text: str, digits: int) -> int | None:
    """The number that so many hex digits say; None when these are none."""
    return int(text, 16) if digits and len(text) == digits and _UPPER_HEX.fullmatch(text) else None


def _check_meaning(block: Block, usage: Usage) -> None:
    """Refuse a key that is for something else, or that its maker wants to be used otherwise than we would."""
    meaning = _MEANINGS.get(usage)
    if meaning is None or block.usage not in meaning.usages:
        raise ValueError(f"key block: its key is for {block.usage}, and no {usage}")
    if block.mode not in meaning.modes:
        needed = " or ".join(sorted(meaning.modes))
        raise ValueError(f"key block: its key is to be used in mode {block.mode}; a {usage} needs {needed}")
    if block.exportability not in (_EXPORTABLE, _NOT_EXPORTABLE, _SENSITIVE):
        raise ValueError(f"key block: unknown exportability {block.exportability}; known are E, N and S")
    if block.exportability == _NOT_EXPORTABLE and usage in _SENT_BY_SIGN_IN:
        raise ValueError(f"key block: its key must not be exported, and a sign-in sends a {usage} to its terminal")
    if block.context == _CONTEXT_STORED:
        raise ValueError("key block: is for its maker to keep, not to hand over (key context 1)")


def _check_usage_fits(block: Block, algorithm: str) -> None:
    """A MAC key of AES is for CMAC, and one of DES is not."""
    is_aes = check_algorithm(algorithm).family == "aes"
    if block.usage.startswith("M") and is_aes != (block.usage == _MAC_USAGE_AES):
        raise ValueError(f"key block: a key of algorithm {algorithm} is not for {block.usage}")


def _check_values(block: Block, keys: tuple[tuple[str, str, bytes], ...]) -> None:
    """Compare check values that stand in optional blocks with those of the keys that they are about."""
    for identifier, algorithm, value in keys:
        method = "01" if check_algorithm(algorithm).family == "aes" else "00"
        for found, data in block.optional:
            if found != identifier or data[:2] != method:
                continue
            expected = check_value(algorithm, value, len(data[2:]) // 2)
            if not data[2:] or data[2:] != expected:
                raise ValueError(f"key block: the check value in its block {identifier} is not the key's")


def _usage_written(meaning: _Meaning, algorithm: str) -> str:
    if _MAC_USAGE_AES in meaning.usages:
        return _MAC_USAGES.get(algorithm, _MAC_USAGE_AES)
    return min(meaning.usages)


def _algorithm_of(letter: str, size: int) -> str:
    """The algorithm of a key by the letter of its block and its size."""
    for algorithm, known in _LETTERS.items():
        if known == letter and check_algorithm(algorithm).size == size:
            return algorithm
    raise ValueError(f"key block: a key of {size} bytes is none of algorithm {letter}")


def _protecting_family(under: Key) -> Family:
    """The family of a key that protects key blocks."""
    if under.algorithm not in _DERIVED_FOR:
        raise ValueError(f"a key of algorithm {under.algorithm} protects no key blocks; needed is one of 3DES or AES")
    return check_algorithm(under.algorithm).family


def _opened(under: Key, protection: _Version, block: Block) -> bytes:
    """What is enciphered in a block, once its MAC is known to be right."""
    header = block.header.encode()
    if protection.is_derived:
        cipher_key, mac_key = _derived(under)
        clear = _decrypted(cipher_key, protection.family, block.mac, block.ciphertext)
        expected = _cmac(mac_key, protection.family, header + clear)
    else:
        cipher_key, mac_key = (bytes(byte ^ mixed for byte in under.value) for mixed in (_VARIANT_CIPHER, _VARIANT_MAC))
        clear = _decrypted(cipher_key, protection.family, header[:8], block.ciphertext)
        chained = _encrypted(mac_key, protection.family, bytes(8), header + block.ciphertext)
        expected = chained[-8:][: protection.mac_bytes]
    if not hmac.compare_digest(expected, block.mac):
        raise ValueError("key block: was not made under this key, or was damaged")
    return clear


def _derived(under: Key) -> tuple[bytes, bytes]:
    """The keys for cipher and MAC of versions B and D."""
    size, family = check_algorithm(under.algorithm)
    ends = _DERIVED_FOR[under.algorithm].to_bytes(2, "big") + (8 * size).to_bytes(2, "big")

    def key(purpose: int) -> bytes:
        steps = -(-size // _BLOCK_BYTES[family])
        middle = purpose.to_bytes(2, "big") + b"\0" + ends
        return b"".join(_cmac(under.value, family, bytes((step,)) + middle) for step in range(1, steps + 1))[:size]

    return key(_FOR_CIPHER), key(_FOR_MAC)


def _cipher(key: bytes, family: Family) -> TripleDES | AES:
    return AES(key) if family == "aes" else TripleDES((key + key)[:24])


def _cmac(key: bytes, family: Family, data: bytes) -> bytes:
    cmac = CMAC(_cipher(key, family))
    cmac.update(data)
    return cmac.finalize()


def _encrypted(key: bytes, family: Family, first: bytes, data: bytes) -> bytes:
    encryptor = Cipher(_cipher(key, family), modes.CBC(first)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _decrypted(key: bytes, family: Family, first: bytes, data: bytes) -> bytes:
    decryptor = Cipher(_cipher(key, family), modes.CBC(first)).decryptor()
    return decryptor.update(data) + decryptor.finalize()
