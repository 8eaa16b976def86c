"""Tracks of cards that a terminal has enciphered in part, as China UnionPay's POS dialect has it.

Of the track, without its sentinels and packed two digits in a byte, the eight bytes before the last one are enciphered
as a block: of a track 2 of 37 digits these are the service code and what the issuer has put behind it, and the card
number stays as it was.
"""

from libc.string cimport memcpy
from switch.crypto.des cimport des_crypt
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.crypto.pin_block cimport CIPHER_DES, PIN_FORMAT_ISO_0, require_key

cdef enum:
    BLOCK = 8
    BEHIND = 1                # bytes of the track behind the block


cdef inline bint _is_of_track(uint8_t nibble) noexcept nogil:
    """A digit, the separator D, or F as filler."""
    return nibble < 10 or nibble == 0xD or nibble == 0xF


cdef int open_track(const PinKey *key, uint8_t *track, uint32_t size) noexcept nogil:
    cdef uint8_t clear[BLOCK]
    cdef bint is_track = True
    cdef uint32_t at, i
    if key.size == 0 or key.cipher != CIPHER_DES:
        return TRACK_NO_KEY
    if size < BLOCK + BEHIND:
        return TRACK_MALFORMED
    at = size - BLOCK - BEHIND
    if des_crypt(key.key, key.size, track + at, clear, 1, False) < 0:
        return TRACK_NO_KEY
    for i in range(BLOCK):
        is_track = is_track and _is_of_track(clear[i] >> 4) and _is_of_track(clear[i] & 0xF)
    for i in range(size):
        if not at <= i < at + BLOCK:
            is_track = is_track and _is_of_track(track[i] >> 4) and _is_of_track(track[i] & 0xF)
    if is_track:
        memcpy(track + at, clear, BLOCK)
    OPENSSL_cleanse(clear, sizeof(clear))
    return TRACK_OPENED if is_track else TRACK_MALFORMED


def decrypt_track(bytes key not None, bytes track not None):
    cdef bytearray opened = bytearray(track)
    cdef PinKey made
    cdef int result
    require_key(&made, key, PIN_FORMAT_ISO_0)
    result = open_track(&made, opened, <uint32_t>len(opened))
    OPENSSL_cleanse(&made, sizeof(made))
    if result != TRACK_OPENED:
        raise ValueError("the track does not open under this key")
    return bytes(opened)
