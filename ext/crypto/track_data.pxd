"""Tracks of cards that a terminal has enciphered in part, as China UnionPay's POS dialect has it."""

from libc.stdint cimport uint8_t, uint32_t
from switch.crypto.pin_block cimport PinKey

cdef enum:
    TRACK_OPENED = 0
    TRACK_NO_KEY = -1         # no key, or none of DES
    TRACK_MALFORMED = -2      # too short, or no track under this key


cdef int open_track(const PinKey *key, uint8_t *track, uint32_t size) noexcept nogil
"""Decipher a track in place: the eight bytes before its last one, of packed digits. ``TRACK_OPENED``, or why not."""
