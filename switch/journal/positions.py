"""A place in the journals, as people write it: ``partition:position``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from switch.machine.partitioning import PARTITIONS_MAX

WRITTEN = re.compile(r"(?:([0-9]{1,2}):)?([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Position:
    """One record's place.

    Attributes:
        partition: Of the journal.
        number: The record's position in it.
    """

    partition: int
    number: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.number}"


def parse_position(text: str, partitions: int) -> Position:
    """Read one; of a single partition its position is enough.

    Args:
        text: As a person wrote it.
        partitions: How many there are.

    Raises:
        ValueError: It is none, or of a partition that there is not.
    """
    match = _match(text)
    if match[1] is None and partitions > 1:
        raise ValueError(
            f"needed to know of which of {partitions} partitions: 0:{int(match[2])} to "
            f'{partitions - 1}:{int(match[2])}, got "{text}"'
        )
    partition = int(match[1] or 0)
    if partition >= min(partitions, PARTITIONS_MAX):
        known = "there is only partition 0" if partitions == 1 else f"there are partitions 0 to {partitions - 1}"
        raise ValueError(f'{known}, got "{text}"')
    return Position(partition, int(match[2]))


def check_position(text: str) -> str:
    """See that it is written as one, whatever partitions there are; the same text.

    Raises:
        ValueError: It is not.
    """
    _match(text)
    return text


def _match(text: str) -> re.Match[str]:
    match = WRITTEN.fullmatch(text)
    if match is None or not int(match[2]):
        raise ValueError(f'needed PARTITION:POSITION, such as 0:1234, positions from 1 on, got "{text}"')
    return match
