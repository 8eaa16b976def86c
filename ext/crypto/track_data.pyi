def decrypt_track(key: bytes, track: bytes) -> bytes:
    """Decipher a track: the eight bytes before its last one, of packed digits.

    Args:
        key: Of DES or 3DES.
        track: As it stands in field 35 or 36, two digits in a byte.

    Raises:
        ValueError: The key is none of DES, or what comes out is no track.
    """
