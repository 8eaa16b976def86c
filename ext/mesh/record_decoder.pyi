class MeshRecordError(ValueError):
    """Bytes that are no record of the mesh. Its text holds no byte of any message.

    Attributes:
        what: ``too-short``, ``too-long``, ``alignment``, ``type``, ``version``, ``too-small``,
            ``too-large``, ``not-zero``, ``sum``, ``text`` or ``order``.
        position: byte from the start of the record.
        needed: what the rule asks for: a size in bytes, a limit, a value.
        available: what was there.
    """

    what: str
    position: int
    needed: int
    available: int
    def __init__(self, what: str, position: int, needed: int, available: int, text: str) -> None: ...
