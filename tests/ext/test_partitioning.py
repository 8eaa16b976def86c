"""Which partition a terminal belongs to: what is on disks is laid out by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.machine.partitioning import PARTITIONS_MAX, partition_of

IDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=16)


def crc32c(data: bytes) -> int:
    """By long division of polynomials over GF(2), as RFC 3720 (appendix B.4) and ISO 3309 define it, bit by bit."""
    remainder = 0xFFFFFFFF
    for byte in data:
        for place in range(8):
            feedback = (remainder ^ (byte >> place)) & 1
            remainder >>= 1
            if feedback:
                remainder ^= int(f"{0x1EDC6F41:032b}"[::-1], 2)
    return remainder ^ 0xFFFFFFFF


def test_the_oracle_gives_what_the_standard_says():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4: 32 bytes of zeros


@pytest.mark.parametrize(
    ("terminal", "crc"),
    [("10000001", 0x2656EE7A), ("10000002", 0x3FF9E253), ("POS-7", 0x3A57CF44), ("", 0xBFFC3FEA)],
)
def test_known_answers(terminal, crc):
    assert crc32c(terminal.ljust(16).encode()) == crc
    for partitions in range(1, PARTITIONS_MAX + 1):
        assert partition_of(terminal, partitions) == crc % partitions


@given(IDS, st.integers(1, PARTITIONS_MAX))
def test_every_id_belongs_where_the_definition_says(terminal, partitions):
    assert partition_of(terminal, partitions) == crc32c(terminal.ljust(16).encode()) % partitions


@given(IDS.map(lambda text: text[:8]), st.integers(1, PARTITIONS_MAX))
def test_blanks_behind_an_id_change_nothing(terminal, partitions):
    assert partition_of(terminal.ljust(8), partitions) == partition_of(terminal.rstrip(" "), partitions)


def test_what_is_no_id_is_refused():
    for terminal, partitions in (("1" * 17, 2), ("1", 0), ("\u00e9", 2)):
        with pytest.raises(ValueError, match=r"needed|codec"):
            partition_of(terminal, partitions)
