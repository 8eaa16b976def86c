"""The working keys of a sign-in answer, under the terminal's master key."""

def build_sign_in_keys(master_key: bytes, pin_key: bytes, mac_key: bytes) -> bytes:
    """Field 62 of a China UnionPay sign-in answer: the working keys under the terminal's master key.

    Encrypted PIN key, 4 bytes of check value, encrypted MAC key, 4 bytes of check value; 40 bytes with a PIN key of 16
    (a MAC key of 8 is zero filled to 16), 24 bytes with one of 8.

    Raises:
        ValueError: key sizes that the layout can't carry.
    """
