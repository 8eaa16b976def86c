"""The working keys of a sign-in answer, under the terminal's master key."""

from libc.stdint cimport uint8_t
from switch.crypto.mac cimport MacKey
from switch.crypto.pin_block cimport PinKey

cdef enum:
    SIGN_IN_KEYS_MAX = 84     # bytes that sign_in_keys writes at most: three keys of 24, each with its check value

cdef enum SignInFault:        # why a sign-in answer cannot carry a terminal's keys, in the order of SIGN_IN_FAULTS
    SIGN_IN_FITS
    SIGN_IN_NO_MASTER_KEY
    SIGN_IN_NO_PIN_KEY
    SIGN_IN_PIN_KEY
    SIGN_IN_MAC_KEY
    SIGN_IN_TRACK_KEY
    SIGN_IN_FORM
    SIGN_IN_CIPHER
    SIGN_IN_NOT_SM4

cdef enum MacKeyForm:         # how the MAC key stands, in the order of MAC_KEY_FORMS; room: the PIN key's size
    MAC_KEY_OWN               # as long as it is: of the whole room, or of 8 bytes and zero filled
    MAC_KEY_WHOLE             # of the whole room
    MAC_KEY_HALF              # 8 bytes, zero filled to the room; its check value is that of single DES
    MAC_KEY_SHORT             # 8 bytes straight behind the PIN key, with no zeros

cdef struct SignInForm:       # what an answer is made of
    uint8_t room_mask         # bit n: PIN keys of 8 * n bytes
    uint8_t mac_key           # MacKeyForm
    uint8_t has_track_key     # the track key follows the MAC key
    uint8_t is_sm4            # all keys are of SM4, and under a master key of SM4

cdef struct SignInKeys:       # a terminal's keys, borrowed
    const PinKey *master
    const PinKey *pin
    const MacKey *mac
    const PinKey *track


cdef int sign_in_keys(const SignInForm *form, const SignInKeys *keys, uint8_t *out) noexcept nogil
"""The content of field 62 in the China UnionPay POS dialect: encrypted PIN key, its check value, encrypted MAC key, its
check value, and the track key likewise where the form has one; of DES, or all of SM4; written into ``out`` of
SIGN_IN_KEYS_MAX bytes. Their number, or minus a SignInFault when a key is missing or not of a size or algorithm that
the form can carry."""
