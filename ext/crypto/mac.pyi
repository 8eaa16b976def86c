"""Message authentication codes: ISO 9797-1 algorithms 1 and 3, the China UnionPay POS MACs and AES-CMAC.

==========  =================================================  ====================  =====================
name        algorithm                                          key, bytes            MAC
==========  =================================================  ====================  =====================
x9.9        ISO 9797-1 algorithm 1 (ANSI X9.9): DES-CBC        8                     8 bytes
x9.19       ISO 9797-1 algorithm 3 (ANSI X9.19), retail MAC    16 or 24; 8 is x9.9   8 bytes
cup-ecb     China UnionPay POS, DES or 3DES                    8, 16 or 24           8 ASCII hex digits
cup-sm4     the same with SM4 (GB/T 32907)                     16                    8 ASCII hex digits
aes-cmac    NIST SP 800-38B, RFC 4493                          16, 24 or 32          16 bytes
none        no MAC                                             0                     empty; never verifies
==========  =================================================  ====================  =====================

The China UnionPay MAC of a message: XOR of its blocks (the last one padded with zeros), written as hex digits; the
first half of the digits encrypted, XORed with the second half, encrypted again; the first 8 hex digits of that are
field 64.
"""

from typing import Final, final

ALGORITHMS: Final[tuple[str, ...]]
KEY_SIZES: Final[dict[str, tuple[int, ...]]]
MAC_SIZES: Final[dict[str, int]]

class MacEngine:
    """Contexts of libcrypto and expanded keys for the compiled callers of one thread.

    Args:
        slot_bits: the tables of expanded keys have ``2 ** slot_bits`` slots each.

    Raises:
        ValueError: ``slot_bits`` outside 0..20.
    """

    def __init__(self, slot_bits: int = 10) -> None: ...

@final
class Mac:
    """One algorithm with its key and padding. ``repr`` shows neither the key nor anything made from it.

    Args:
        algorithm: one of ``ALGORITHMS``.
        key: as long as ``KEY_SIZES`` says.
        padding: ISO 9797-1 padding method, 1 (zeros) or 2 (0x80, then zeros); 2 with x9.9 and x9.19 only. With
            method 1 an empty message is one block of zeros.

    Raises:
        ValueError: an unknown algorithm, or a key size or padding that does not suit it.
    """

    def __init__(self, algorithm: str, key: bytes, padding: int = 1) -> None: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def padding(self) -> int: ...
    @property
    def size(self) -> int:
        """Bytes of the MAC."""

    def compute(self, *parts: bytes) -> bytes:
        """The MAC of the parts joined."""

    def verify(self, mac: bytes, *parts: bytes) -> bool:
        """Whether ``mac`` is the leftmost part, 4 bytes or more, of the MAC of the parts joined.

        The comparison takes the same time wherever the two differ.
        """

def compute_mac(algorithm: str, key: bytes, data: bytes, padding: int = 1) -> bytes:
    """The MAC of ``data``; arguments and errors as for ``Mac``."""

def verify_mac(algorithm: str, key: bytes, data: bytes, mac: bytes, padding: int = 1) -> bool:
    """Whether ``mac`` is that of ``data``; as ``Mac.verify``."""
