"""The working keys of a sign-in answer, under the terminal's master key."""

MAC_KEY_FORMS: tuple[str, ...]
"""How the MAC key stands behind a PIN key of 8, 16 or 24 bytes, its room: ``own``, as long as it is, either of the whole
room, or of 8 bytes and zero filled; ``whole``, of the whole room; ``half``, 8 bytes and zero filled; ``short``, 8 bytes
and no zeros."""

ROOMS: tuple[int, ...]
"""Bytes that a PIN key may have."""

def build_sign_in_keys(
    master_key: bytes,
    pin_key: bytes,
    mac_key: bytes,
    track_key: bytes = b"",
    *,
    mac_key_form: str = "own",
    is_sm4: bool = False,
) -> bytes:
    """Field 62 of a China UnionPay sign-in answer: the working keys under the terminal's master key.

    Encrypted PIN key, 4 bytes of check value, encrypted MAC key, 4 bytes of check value, and the track key with its own
    where there is one.

    Args:
        master_key: 8, 16 or 24 bytes.
        pin_key: One of ``ROOMS`` in bytes.
        mac_key: 8 bytes, or as many as the PIN key, as the form says.
        track_key: As many bytes as the PIN key; empty for none.
        mac_key_form: One of ``MAC_KEY_FORMS``.
        is_sm4: Whether all keys are of SM4, with 16 bytes each.

    Raises:
        ValueError: key sizes that the form can't carry.
    """
