class BindingProof:
    """Proves bindings under one key.

    Args:
        key: That of bindings, 32 bytes.
    """

    def __init__(self, key: bytes) -> None: ...
