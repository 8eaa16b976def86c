"""The working keys of a sign-in answer, under the terminal's master key."""

from libc.string cimport memcpy, memset
from switch.crypto.des cimport des_crypt
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.crypto.mac cimport MAC_CUP_ECB, MAC_CUP_SM4, MAC_X9_9, MAC_X9_19, MacKey
from switch.crypto.pin_block cimport (
    CIPHER_DES, CIPHER_SM4, PIN_FORMAT_ISO_0, PIN_FORMAT_SM4, PinKey, require_key, set_pin_key,
)
from switch.crypto.sm4 cimport sm4_crypt

cdef enum:
    KCV_SIZE = 4              # bytes of a check value
    HALF_SIZE = 8             # bytes of a single DES key
    SM4_SIZE = 16

MAC_KEY_FORMS = ("own", "whole", "half", "short")
ROOMS = (8, 16, 24)


cdef int put_key(const PinKey *master_key, const uint8_t *key, int size, int room, uint8_t *out) noexcept nogil:
    """One working key: encrypted, zero filled to ``room`` bytes, then its check value; the bytes written, or -1."""
    cdef uint8_t check[16]
    memset(out, 0, room)
    memset(check, 0, sizeof(check))
    if master_key.cipher == CIPHER_SM4:
        if sm4_crypt(master_key.key, key, out, 1, True) < 0 or sm4_crypt(key, check, check, 1, True) < 0:
            return -1
        memcpy(out + room, check, KCV_SIZE)
        return room + KCV_SIZE
    if des_crypt(master_key.key, master_key.size, key, out, size >> 3, True) < 0:
        return -1
    if des_crypt(key, size, check, check, 1, True) < 0:
        return -1
    memcpy(out + room, check, KCV_SIZE)
    return room + KCV_SIZE


cdef int mac_room(int form, const MacKey *key, int room) noexcept nogil:
    """Bytes that the MAC key takes beside a PIN key of ``room`` bytes; 0 where it has no place."""
    if key.algorithm != MAC_X9_9 and key.algorithm != MAC_X9_19 and key.algorithm != MAC_CUP_ECB:
        return 0
    if key.size == HALF_SIZE and form != MAC_KEY_WHOLE:
        return HALF_SIZE if form == MAC_KEY_SHORT else room
    return room if key.size == room and form <= MAC_KEY_WHOLE else 0


cdef bint are_of_sm4(const SignInKeys *keys) noexcept nogil:
    return (keys.master.cipher == CIPHER_SM4 and keys.pin.cipher == CIPHER_SM4
            and keys.mac.algorithm == MAC_CUP_SM4)


cdef int sign_in_keys(const SignInForm *form, const SignInKeys *keys, uint8_t *out) noexcept nogil:
    cdef int room = keys.pin.size
    cdef int behind, at, used
    if keys.master.size == 0:
        return -SIGN_IN_NO_MASTER_KEY
    if room == 0:
        return -SIGN_IN_NO_PIN_KEY
    if form.is_sm4:
        if not are_of_sm4(keys):
            return -SIGN_IN_NOT_SM4
    elif keys.master.cipher != CIPHER_DES or keys.pin.cipher != CIPHER_DES:
        return -SIGN_IN_PIN_KEY
    if not (form.room_mask >> (room >> 3)) & 1:
        return -SIGN_IN_PIN_KEY
    behind = room if form.is_sm4 else mac_room(form.mac_key, keys.mac, room)
    if behind == 0:
        return -SIGN_IN_MAC_KEY
    if form.has_track_key and keys.track.size != room:
        return -SIGN_IN_TRACK_KEY
    at = put_key(keys.master, keys.pin.key, room, room, out)
    if at < 0:
        return -SIGN_IN_CIPHER
    used = put_key(keys.master, keys.mac.key, keys.mac.size, behind, out + at)
    if used < 0:
        return -SIGN_IN_CIPHER
    at += used
    if form.has_track_key:
        used = put_key(keys.master, keys.track.key, room, room, out + at)
        if used < 0:
            return -SIGN_IN_CIPHER
        at += used
    return at


def build_sign_in_keys(bytes master_key not None, bytes pin_key not None, bytes mac_key not None,
                       bytes track_key=b"", *, str mac_key_form="own", bint is_sm4=False):
    cdef uint8_t out[SIGN_IN_KEYS_MAX]
    cdef PinKey master, pin, track
    cdef MacKey mac
    cdef SignInForm form
    cdef SignInKeys keys
    cdef int size
    cdef int sort = PIN_FORMAT_SM4 if is_sm4 else PIN_FORMAT_ISO_0
    form.is_sm4 = is_sm4
    form.room_mask = sum(1 << (room >> 3) for room in ROOMS)
    form.mac_key = MAC_KEY_FORMS.index(mac_key_form)
    form.has_track_key = len(track_key) > 0
    require_key(&master, master_key, sort)
    require_key(&pin, pin_key, sort)
    set_pin_key(&track, track_key, sort)
    if len(mac_key) not in ROOMS or (is_sm4 and len(mac_key) != SM4_SIZE):
        raise ValueError(f"the MAC key of a sign-in answer has 8, 16 or 24 bytes, not {len(mac_key)}")
    memset(&mac, 0, sizeof(mac))
    mac.algorithm = MAC_CUP_SM4 if is_sm4 else MAC_CUP_ECB
    mac.size = len(mac_key)
    memcpy(mac.key, <const uint8_t *>mac_key, len(mac_key))
    keys.master, keys.pin, keys.mac, keys.track = &master, &pin, &mac, &track
    size = sign_in_keys(&form, &keys, out)
    OPENSSL_cleanse(&master, sizeof(master))
    OPENSSL_cleanse(&pin, sizeof(pin))
    OPENSSL_cleanse(&mac, sizeof(mac))
    OPENSSL_cleanse(&track, sizeof(track))
    if size == -SIGN_IN_TRACK_KEY:
        raise ValueError(f"the track key has {len(track_key)} bytes, and the PIN key {len(pin_key)}")
    if size < 0:
        raise ValueError(f"a sign-in answer of the form {mac_key_form!r} has no place for a MAC key of {len(mac_key)} "
                         f"bytes beside a PIN key of {len(pin_key)}")
    return out[:size]
