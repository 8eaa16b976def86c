"""The records of one TCP connection: walks each chunk that was read, keeps only the incomplete end of it."""

from typing import Any, final

from typing_extensions import Buffer

@final
class RecordStream:
    """The records of one connection.

    Args:
        record_bytes_max: the longest that is taken; 65,632 at most, and by default.
    """

    record_bytes_max: int
    def __init__(self, record_bytes_max: int = ...) -> None: ...
    @property
    def kept(self) -> int:
        """Bytes of a record that is not complete yet."""

    def feed(self, data: Buffer) -> list[tuple[str, dict[str, Any], int]]:
        """The records that a chunk completes, as ``decode_record`` gives them.

        Raises:
            MeshRecordError: the stream has what is no record; it must not be fed any more.
            MemoryError: the end of the chunk could not be kept.
        """
