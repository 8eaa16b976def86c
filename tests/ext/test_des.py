"""DES and 3DES of single blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psec.des import decrypt_tdes_ecb, encrypt_tdes_ecb

from switch.crypto.des import decrypt_blocks, encrypt_blocks

# The oracle psec uses 3DES of `cryptography` in ways that the latter wants to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

keys = st.sampled_from((8, 16, 24)).flatmap(lambda size: st.binary(min_size=size, max_size=size))
blocks = st.integers(1, 6).flatmap(lambda count: st.binary(min_size=8 * count, max_size=8 * count))


@given(keys, blocks)
def test_blocks_agree_with_psec(key, data):
    tdes = key * 2 if len(key) == 8 else key
    assert encrypt_blocks(key, data) == encrypt_tdes_ecb(tdes, data)
    assert decrypt_blocks(key, data) == decrypt_tdes_ecb(tdes, data)
    assert decrypt_blocks(key, encrypt_blocks(key, data)) == data


def test_single_des_of_the_standard():
    assert (
        encrypt_blocks(bytes.fromhex("133457799BBCDFF1"), bytes.fromhex("0123456789ABCDEF")).hex() == "85e813540f0ab405"
    )


def test_nothing_to_do():
    assert encrypt_blocks(bytes(8), b"") == b""


@pytest.mark.parametrize("size", [0, 7, 9, 15, 17, 23, 25, 32])
def test_key_of_another_size_is_refused(size):
    with pytest.raises(ValueError, match=f"a DES key has 8, 16 or 24 bytes, not {size}"):
        encrypt_blocks(bytes(size), bytes(8))


def test_part_of_a_block_is_refused():
    with pytest.raises(ValueError, match="DES works on blocks of 8 bytes, not on 9 bytes"):
        decrypt_blocks(bytes(8), bytes(9))
