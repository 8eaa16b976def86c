from typing import final

@final
class DeviceCounters:
    """How far devices with derived PIN keys have counted, and at which terminal each is.

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
    def learn(
        self, device: int, is_aes: bool, counter: int, terminal: str = "", request: int = 0, counted_s: int = 0
    ) -> None:
        """A device has come so far at least, as somebody remembers.

        Args:
            device: Its initial key ID.
            is_aes: Whether its keys are of AES.
            counter: The last one.
            terminal: At which it is; empty: at none that is known.
            request: What names the request that brought the counter among those of its terminal.
            counted_s: When that came, in seconds since 1970.

        Raises:
            ValueError: No terminal has such a number.
        """

    def serial_numbers(self) -> bytes:
        """What is known of each device, in ASCII, each with an end of line; with a blank between them:

        - its last key serial number in hex digits, 20 (DES) or 24 (AES),
        - ``request`` (16 hex digits) and ``counted_s`` (8), as ``learn`` takes them,
        - its terminal (8 characters, blanks behind it).

        Nobody waits for it: places are copied a few at a time, and written down without the interpreter's lock.
        """
