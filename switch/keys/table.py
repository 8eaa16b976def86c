"""The table of an opened key file: very many keys in one piece of memory, found by name without unpacking them.

Its layout is told in ``switch.keys.file``. The memory is left out of core dumps, and wiped when it is given back.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from copy import copy
from zlib import crc32

from switch.keys.key import Key
from switch.keys.names import ALGORITHMS, USAGES, Usage
from switch.keys.problems import KeyFileError

TABLE_BYTES_MAX = 2**31 - 256
TABLE_HEAD_BYTES = 8
RECORD_HEAD_BYTES = 4
NOT_EXPORTABLE = 0x80
_WIPE_CHUNK = bytes(65_536)
_USAGES: tuple[Usage, ...] = tuple(USAGES)
_ALGORITHMS = tuple(ALGORITHMS)
_USAGE_NUMBERS = {usage: number for number, usage in enumerate(_USAGES)}
_ALGORITHM_NUMBERS = {algorithm: number for number, algorithm in enumerate(_ALGORITHMS)}


class KeyTable:
    """Keys that are looked up in place.

    Args:
        size: Of the memory, which is to be filled; then ``opened`` is called.
    """

    def __init__(self, size: int) -> None:
        self.memory = mmap.mmap(-1, max(size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory.madvise(mmap.MADV_DONTDUMP)
        self.size = size
        self._is_lent = False
        self.count = 0
        self._mask = 0

    def opened(self) -> None:
        """Take note of what stands in the table, once it is filled."""
        self.count = int.from_bytes(self.memory[:4], "big")
        self._mask = int.from_bytes(self.memory[4:8], "big") - 1

    def lent(self) -> KeyTable:
        """The same keys, in the same memory, which only the owner of this one wipes."""
        lent = copy(self)
        lent._is_lent = True
        return lent

    def find(self, name: bytes) -> int | None:
        """Where the record of a name begins."""
        memory, mask = self.memory, self._mask
        slot = crc32(name) & mask
        while True:
            place = TABLE_HEAD_BYTES + 4 * slot
            record = int.from_bytes(memory[place : place + 4], "big")
            if record == 0:
                return None
            begin = record + RECORD_HEAD_BYTES
            if memory[begin : begin + memory[record]] == name and memory[record] == len(name):
                return record
            slot = (slot + 1) & mask

    def value(self, record: int) -> bytes:
        """The clear key of a record."""
        begin = record + RECORD_HEAD_BYTES + self.memory[record]
        return self.memory[begin : begin + self.memory[record + 3]]

    def algorithm(self, record: int) -> str:
        """The algorithm of a record's key."""
        return _ALGORITHMS[self.memory[record + 2]]

    def key(self, record: int) -> Key:
        """A record with all that belongs to it."""
        begin = record + RECORD_HEAD_BYTES
        name = self.memory[begin : begin + self.memory[record]].decode("ascii")
        told, algorithm = self.memory[record + 1], _ALGORITHMS[self.memory[record + 2]]
        exportable = not told & NOT_EXPORTABLE
        return Key(name, _USAGES[told & ~NOT_EXPORTABLE], algorithm, self.value(record), exportable)

    def records(self) -> Iterator[tuple[str, int]]:
        """Names, in ascending order, and where their records begin."""
        memory = self.memory
        record = TABLE_HEAD_BYTES + 4 * (self._mask + 1)
        for _ in range(self.count):
            begin = record + RECORD_HEAD_BYTES
            end = begin + memory[record]
            yield memory[begin:end].decode("ascii"), record
            record = end + memory[record + 3]

    def wipe(self) -> None:
        """Overwrite the table with zeros and give its memory back."""
        if self._is_lent or self.memory.closed:
            return
        self.memory.seek(0)
        for begin in range(0, len(self.memory), len(_WIPE_CHUNK)):
            self.memory.write(_WIPE_CHUNK[: len(self.memory) - begin])
        self.memory.close()


def packed(keys: Sequence[Key]) -> KeyTable:
    """A table of keys, which come in ascending order of their names.

    Raises:
        KeyFileError: They are more than a file can hold.
    """
    slots = 1 << max(1, (2 * len(keys)).bit_length())
    size = TABLE_HEAD_BYTES + 4 * slots + sum(RECORD_HEAD_BYTES + len(key.name) + len(key.value) for key in keys)
    if size > TABLE_BYTES_MAX:
        raise KeyFileError("", "", f"{len(keys):,} keys are more than {TABLE_BYTES_MAX:,} bytes can hold")
    table = KeyTable(size)
    memory = table.memory
    memory[:TABLE_HEAD_BYTES] = len(keys).to_bytes(4, "big") + slots.to_bytes(4, "big")
    at = TABLE_HEAD_BYTES + 4 * slots
    for key in keys:
        name = key.name.encode("ascii")
        slot = crc32(name) & (slots - 1)
        while memory[TABLE_HEAD_BYTES + 4 * slot : TABLE_HEAD_BYTES + 4 * slot + 4] != b"\0\0\0\0":
            slot = (slot + 1) & (slots - 1)
        memory[TABLE_HEAD_BYTES + 4 * slot : TABLE_HEAD_BYTES + 4 * slot + 4] = at.to_bytes(4, "big")
        usage = _USAGE_NUMBERS[key.usage] | (0 if key.exportable else NOT_EXPORTABLE)
        head = bytes((len(name), usage, _ALGORITHM_NUMBERS[key.algorithm], len(key.value)))
        end = at + RECORD_HEAD_BYTES + len(name) + len(key.value)
        memory[at:end] = head + name + key.value
        at = end
    table.opened()
    return table
