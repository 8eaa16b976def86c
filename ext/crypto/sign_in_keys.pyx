"""The working keys of a sign-in answer, under the terminal's master key."""

from libc.string cimport memcpy, memset
from switch.crypto.des cimport des_crypt
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.crypto.mac cimport MAC_CUP_ECB, MAC_X9_9, MAC_X9_19, MacKey
from switch.crypto.pin_block cimport PIN_FORMAT_ISO_0, PinKey, require_key

cdef enum:
    KCV_SIZE = 4              # bytes of a check value


cdef int wrap_key(const PinKey *master_key, const uint8_t *key, int size, int room, uint8_t *out) noexcept nogil:
    """One working key: encrypted, zero filled to ``room`` bytes, then its check value; 0 or -1."""
    cdef uint8_t check[8]
    if size > room:
        return -1
    memset(out, 0, room)
    memset(check, 0, 8)
    if des_crypt(master_key.key, master_key.size, key, out, size >> 3, True) < 0:
        return -1
    if des_crypt(key, size, check, check, 1, True) < 0:
        return -1
    memcpy(out + room, check, KCV_SIZE)
    return 0


cdef int sign_in_keys(const PinKey *master_key, const PinKey *pin_key, const MacKey *mac_key,
                      uint8_t *out) noexcept nogil:
    cdef int room = pin_key.size
    if master_key.size == 0:
        return -SIGN_IN_NO_MASTER_KEY
    if room == 0:
        return -SIGN_IN_NO_PIN_KEY
    if pin_key.is_aes or (room != 8 and room != 16):
        return -SIGN_IN_PIN_KEY
    if mac_key.algorithm != MAC_X9_9 and mac_key.algorithm != MAC_X9_19 and mac_key.algorithm != MAC_CUP_ECB:
        return -SIGN_IN_MAC_KEY
    if mac_key.size > room:
        return -SIGN_IN_MAC_KEY
    if wrap_key(master_key, pin_key.key, pin_key.size, room, out) < 0:
        return -SIGN_IN_CIPHER
    if wrap_key(master_key, mac_key.key, mac_key.size, room, out + room + KCV_SIZE) < 0:
        return -SIGN_IN_CIPHER
    return 2 * (room + KCV_SIZE)


def build_sign_in_keys(bytes master_key not None, bytes pin_key not None, bytes mac_key not None):
    cdef uint8_t out[SIGN_IN_KEYS_MAX]
    cdef PinKey master, pin
    cdef MacKey mac
    cdef int size
    require_key(&master, master_key, PIN_FORMAT_ISO_0)
    require_key(&pin, pin_key, PIN_FORMAT_ISO_0)
    if len(mac_key) not in (8, 16):
        raise ValueError(f"the MAC key of a sign-in answer has 8 or 16 bytes, not {len(mac_key)}")
    memset(&mac, 0, sizeof(mac))
    mac.algorithm = MAC_CUP_ECB
    mac.size = len(mac_key)
    memcpy(mac.key, <const uint8_t *>mac_key, len(mac_key))
    size = sign_in_keys(&master, &pin, &mac, out)
    OPENSSL_cleanse(&master, sizeof(master))
    OPENSSL_cleanse(&pin, sizeof(pin))
    OPENSSL_cleanse(&mac, sizeof(mac))
    if size < 0:
        raise ValueError("a sign-in answer carries a PIN key of 16 bytes with a MAC key of 8 or 16, or two keys of 8, "
                         f"not a PIN key of {len(pin_key)} with a MAC key of {len(mac_key)}")
    return out[:size]
