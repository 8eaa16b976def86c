"""DES and 3DES of single blocks under keys that are used once: PIN blocks, key wrapping, key check values."""

def encrypt_blocks(key: bytes, data: bytes) -> bytes:
    """Encrypt blocks of 8 bytes one by one (ECB).

    Args:
        key: 8 bytes for DES, 16 or 24 for 3DES; parity bits are not looked at.
        data: any number of whole blocks.

    Raises:
        ValueError: another key size, or data that is not whole blocks.
    """

def decrypt_blocks(key: bytes, data: bytes) -> bytes:
    """The reverse of ``encrypt_blocks``."""
