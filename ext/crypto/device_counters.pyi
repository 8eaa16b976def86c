from typing import final

@final
class DeviceCounters:
    """How far devices with derived PIN keys have counted.

    Args:
        room: Places for so many devices, at least. When there are more, those that were heard least lately are forgotten.
        is_shared: Whether processes, forked later, share it.

    Raises:
        MemoryError: There is not that much.
        ValueError: No room at all.
    """

    room: int
    is_shared: bool

    def __init__(self, room: int, is_shared: bool = False) -> None: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def used(self) -> int: ...
    @property
    def evicted(self) -> int: ...
    @property
    def heard(self) -> int: ...
    def learn(self, device: int, is_aes: bool, counter: int) -> None:
        """A device has come so far at least, as somebody remembers."""

    def serial_numbers(self) -> bytes:
        """The last key serial number of each device, in hex digits, 20 (DES) or 24 (AES), each with an end of line.

        Nobody waits for it: places are copied a few at a time, and written down without the interpreter's lock.
        """
