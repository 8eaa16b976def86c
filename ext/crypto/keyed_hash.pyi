class KeyedHash:
    """HMAC-SHA-256 under one key.

    Args:
        key: At least one byte.

    Raises:
        ValueError: The key is empty.
    """

    def __init__(self, key: bytes) -> None: ...
