"""DUKPT for PIN keys: two calls of 3DES and at most 20 of DES; or at most 18 steps of AES, of one or two blocks."""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from switch.crypto.aes cimport AES_BLOCK_SIZE, aes_encrypt, is_aes_key_size
from switch.crypto.des cimport des_crypt
from switch.crypto.device_counters cimport AES_COUNTER_BITS, DES_COUNTER_BITS, SERIAL_SIZE_AES, SERIAL_SIZE_DES
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.crypto.pin_block cimport CIPHER_AES, CIPHER_DES, PIN_FORMAT_ISO_0, PIN_FORMAT_ISO_4, PinKey, require_key
from switch.wire.cursor cimport store_be64
from switch.wire.hexadecimal cimport hex_value

cdef enum:
    DES_KEY_SIZE = 16
    DES_ONES_MAX = 10
    DES_DIGITS_SHORT = 16     # of a KSN without its filler
    AES_ONES_MAX = 16
    USAGE_INITIAL = 0x8001    # ANSI X9.24-3:2017, key usage indicators
    USAGE_DERIVATION = 0x8000
    USAGE_PIN = 0x1000
    DEVICES_FEW = 256         # that are counted where nobody gives a table


cdef extern from *:
    int __builtin_popcount(unsigned int word) noexcept nogil


cdef int read_serial(const uint8_t *text, int digits, bint is_aes, Serial *serial) noexcept nogil:
    cdef uint64_t upper = 0, lower = 0
    cdef int digit, i, ones
    if digits != (2 * SERIAL_SIZE_AES if is_aes else 2 * SERIAL_SIZE_DES) and (is_aes or digits != DES_DIGITS_SHORT):
        return -1
    for i in range(digits):
        digit = hex_value(text[i])
        if digit < 0:
            return -1
        upper = upper << 4 | lower >> 60
        lower = lower << 4 | <uint64_t>digit
    if is_aes:
        serial.device = upper << 32 | lower >> 32
        serial.counter = <uint32_t>lower
    else:
        if digits == DES_DIGITS_SHORT:
            upper = 0xFFFF
        serial.device = upper << (64 - DES_COUNTER_BITS) | lower >> DES_COUNTER_BITS
        serial.counter = lower & ((<uint32_t>1 << DES_COUNTER_BITS) - 1)
    ones = __builtin_popcount(serial.counter)
    return 0 if 1 <= ones <= (AES_ONES_MAX if is_aes else DES_ONES_MAX) else -1


# --- DES ------------------------------------------------------------------------------------------------------------


cdef inline void mix_half_variant(uint8_t *key) noexcept nogil:
    """The constant C0C0C0C000000000 into both halves of a key."""
    cdef int i
    for i in range(4):
        key[i] ^= 0xC0
        key[8 + i] ^= 0xC0


cdef void half_step(const uint8_t *key, const uint8_t *register, uint8_t *out) noexcept nogil:
    """The register under the left half, the right half mixed in before and after."""
    cdef int i
    for i in range(8):
        out[i] = register[i] ^ key[8 + i]
    des_crypt(key, 8, out, out, 1, True)
    for i in range(8):
        out[i] ^= key[8 + i]


cdef void step_des(uint8_t *key, uint64_t register) noexcept nogil:
    """The next key by the non-reversible key generation process (clause A.2)."""
    cdef uint8_t block[8]
    cdef uint8_t next_key[DES_KEY_SIZE]
    store_be64(block, register)
    half_step(key, block, next_key + 8)
    mix_half_variant(key)
    half_step(key, block, next_key)
    memcpy(key, next_key, DES_KEY_SIZE)
    OPENSSL_cleanse(next_key, DES_KEY_SIZE)


cdef int derive_des(const uint8_t *base, const Serial *serial, uint8_t *key) noexcept nogil:
    cdef uint8_t varied[DES_KEY_SIZE]
    cdef uint8_t block[8]
    cdef uint64_t register = serial.device << DES_COUNTER_BITS
    cdef int bit, i
    store_be64(block, serial.device << 5)          # the leftmost 64 bits of the KSN, its counter set to zero
    memcpy(varied, base, DES_KEY_SIZE)
    mix_half_variant(varied)
    des_crypt(base, DES_KEY_SIZE, block, key, 1, True)
    des_crypt(varied, DES_KEY_SIZE, block, key + 8, 1, True)
    OPENSSL_cleanse(varied, DES_KEY_SIZE)
    for i in range(DES_COUNTER_BITS):
        bit = DES_COUNTER_BITS - 1 - i
        if serial.counter >> bit & 1:
            register |= <uint64_t>1 << bit
            step_des(key, register)
    key[7] ^= 0xFF            # the variant of PIN keys
    key[15] ^= 0xFF
    return 0


# --- AES ------------------------------------------------------------------------------------------------------------


cdef int step_aes(uint8_t *key, int size, int usage, uint64_t context) noexcept nogil:
    """The key that is derived from another for a usage; ``context``: the last 8 bytes of the derivation data."""
    cdef uint8_t data[AES_BLOCK_SIZE]
    cdef uint8_t next_key[2 * AES_BLOCK_SIZE]
    cdef int blocks = (size + AES_BLOCK_SIZE - 1) // AES_BLOCK_SIZE
    cdef int status = 0
    cdef int i
    # Version 1, the block's number (below), the usage, the key's algorithm (2, 3 and 4: AES-128, 192, 256), its bits.
    store_be64(data, <uint64_t>1 << 56 | <uint64_t>usage << 32 | <uint64_t>(size // 8) << 16 | <uint64_t>(8 * size))
    store_be64(data + 8, context)
    for i in range(blocks):
        data[1] = <uint8_t>(i + 1)
        status |= aes_encrypt(key, size, data, next_key + i * AES_BLOCK_SIZE)
    memcpy(key, next_key, size)
    OPENSSL_cleanse(next_key, sizeof(next_key))
    return status


cdef int derive_aes(const uint8_t *base, int size, const Serial *serial, uint8_t *key) noexcept nogil:
    cdef uint64_t device = serial.device << 32    # of the initial key ID its rightmost half
    cdef uint32_t counter = 0
    cdef int status, bit, i
    memcpy(key, base, size)
    status = step_aes(key, size, USAGE_INITIAL, serial.device)
    for i in range(AES_COUNTER_BITS):
        bit = AES_COUNTER_BITS - 1 - i
        if serial.counter >> bit & 1:
            counter |= <uint32_t>1 << bit
            status |= step_aes(key, size, USAGE_DERIVATION, device | counter)
    return status | step_aes(key, size, USAGE_PIN, device | counter)


cdef int derive_pin_key(const PinKey *base, const Serial *serial, PinKey *out) noexcept nogil:
    cdef int status = -1
    memset(out, 0, sizeof(PinKey))
    if base.cipher == CIPHER_AES and is_aes_key_size(base.size):
        status = derive_aes(base.key, base.size, serial, out.key)
    elif base.cipher == CIPHER_DES and base.size == DES_KEY_SIZE:
        status = derive_des(base.key, serial, out.key)
    if status < 0:
        OPENSSL_cleanse(out, sizeof(PinKey))
        return -1
    out.size = base.size
    out.cipher = base.cipher
    return 0


cdef bint begins(const BaseKey *base, const uint8_t *text, int digits) noexcept nogil:
    """Whether a serial number begins as those of a base key do; a short one has its filler left out."""
    cdef int skipped = 2 * SERIAL_SIZE_DES - digits if digits == DES_DIGITS_SHORT else 0
    cdef int i
    if base.prefix_digits > skipped + digits:
        return False
    for i in range(base.prefix_digits):
        if hex_value(base.prefix[i]) != (15 if i < skipped else hex_value(text[i - skipped])):
            return False
    return True


@cython.final
cdef class BaseKeys:

    def __init__(self, rows=(), DeviceCounters counters=None):
        self.counters = DeviceCounters(DEVICES_FEW) if counters is None else counters
        if len(rows) > BASE_KEYS_MAX:
            raise ValueError(f"more than {BASE_KEYS_MAX} base derivation keys")
        # The longest prefix first, so that it is found first.
        for prefix, key, is_aes in sorted(rows, key=lambda row: -len(row[0])):
            self._add(&self._of[self.count], prefix.encode("ascii"), key, is_aes)

    def __dealloc__(self):
        OPENSSL_cleanse(self._of, sizeof(self._of))

    cdef int _add(self, BaseKey *base, bytes prefix, bytes key, bint is_aes) except -1:
        if len(prefix) > SERIAL_DIGITS_MAX:
            raise ValueError(f"a key serial number has at most {SERIAL_DIGITS_MAX} digits")
        require_key(&base.key, key, PIN_FORMAT_ISO_4 if is_aes else PIN_FORMAT_ISO_0)
        base.prefix_digits = <int>len(prefix)
        memcpy(base.prefix, <const uint8_t *>prefix, len(prefix))
        self.count += 1
        return 0

    cdef const PinKey *find(self, const uint8_t *text, int digits, bint is_aes) noexcept nogil:
        cdef int i
        for i in range(self.count):
            if self._of[i].key.cipher == (CIPHER_AES if is_aes else CIPHER_DES) and begins(&self._of[i], text, digits):
                return &self._of[i].key
        return NULL


def derive_key(bytes base_key not None, str serial_number not None, *, bint is_aes):
    cdef bytes text = serial_number.encode("ascii", "replace")
    cdef Serial serial
    cdef PinKey base, key
    cdef int status
    require_key(&base, base_key, PIN_FORMAT_ISO_4 if is_aes else PIN_FORMAT_ISO_0)
    if read_serial(text, <int>len(text), is_aes, &serial) < 0:
        raise ValueError("not a key serial number whose counter a terminal sends")
    status = derive_pin_key(&base, &serial, &key)
    OPENSSL_cleanse(&base, sizeof(base))
    if status < 0:
        raise ValueError(f"a base derivation key of DES has {DES_KEY_SIZE} bytes, not {len(base_key)}")
    derived = key.key[:key.size]
    OPENSSL_cleanse(&key, sizeof(key))
    return derived
