"""PIN blocks of ISO 9564-1, re-encrypted from one key and format to another without keeping the clear PIN anywhere.

A clear block is handled as one 64-bit word, its control nibble on top: control, PIN length, PIN digits and fill, 4 bits
each; that of format 4 has 8 random bytes behind it. It is checked without a branch on its content, and a malformed one
goes the whole way with the rest, so the time that a refusal takes tells nothing about why it was refused. That of SM4
is the block of format 0 with the PAN not in it, but in 8 further bytes of fill.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from switch.crypto.aes cimport aes_twice
from switch.crypto.des cimport des_crypt
from switch.crypto.libcrypto cimport OPENSSL_cleanse, RAND_bytes
from switch.crypto.sm4 cimport sm4_crypt
from switch.wire.cursor cimport load_be64, store_be64

PIN_FORMATS = ("none", "iso-0", "iso-1", "iso-3", "iso-4", "sm4")
PIN_KEY_SIZES = {"iso-0": (8, 16, 24), "iso-1": (8, 16, 24), "iso-3": (8, 16, 24), "iso-4": (16, 24, 32),
                 "sm4": (16,)}

cdef enum:
    PIN_DIGITS_MIN = 4
    PIN_DIGITS_MAX = 12
    PAN_DIGITS_MIN = 2        # one and the check digit
    PAN_DIGITS_MAX = 19
    PAN_DIGITS_WHOLE = 12     # so many at least has the PAN in format 4, zeros before it where it is shorter

cdef struct ClearPin:
    uint64_t digits           # where they stand in the block: below the control and length nibbles
    uint64_t length

cdef struct PanPart:          # what is mixed into a block: formats 0 and 3 the first half alone
    uint8_t bytes[PIN_BLOCK_SIZE_MAX]


cdef inline uint64_t low_bits_of_nibbles() noexcept nogil:
    return <uint64_t>0x1111111111111111


cdef inline uint64_t letters_a() noexcept nogil:
    return <uint64_t>0xAAAAAAAAAAAAAAAA


cdef inline uint64_t above_nine(uint64_t word) noexcept nogil:
    """The lowest bit of each nibble that holds 10 to 15."""
    return (word >> 3) & ((word >> 2) | (word >> 1)) & low_bits_of_nibbles()


cdef inline uint64_t fill_mask(uint64_t length) noexcept nogil:
    """All bits of a block behind a PIN of ``length`` digits."""
    return ((<uint64_t>1 << (56 - 4 * length)) - 1)


cdef inline uint64_t digits_mask(uint64_t length) noexcept nogil:
    return ((<uint64_t>1 << 56) - 1) ^ fill_mask(length)


cdef int pin_block_size(int pin_format) noexcept nogil:
    return 16 if pin_format == PIN_FORMAT_ISO_4 or pin_format == PIN_FORMAT_SM4 else 8


cdef bint may_translate(int source, int target) noexcept nogil:
    return target != PIN_FORMAT_ISO_1 or source == PIN_FORMAT_ISO_1


cdef inline void put_nibble(uint8_t *data, int place, int nibble) noexcept nogil:
    data[place >> 1] |= <uint8_t>(nibble << (0 if place & 1 else 4))


cdef int pan_part(int pin_format, const uint8_t *pan, int pan_digits, PanPart *part) noexcept nogil:
    """What a format mixes into its block: of formats 0 and 3 the rightmost 12 digits of the PAN without its check
    digit, of format 4 the whole of it behind the number of digits above 12; 0, or -1."""
    cdef bint whole = pin_format == PIN_FORMAT_ISO_4
    cdef int i, place
    memset(part, 0, sizeof(PanPart))
    if pin_format == PIN_FORMAT_ISO_1:
        return 0
    if pan_digits < PAN_DIGITS_MIN or pan_digits > PAN_DIGITS_MAX:
        return -1
    if whole and pan_digits > PAN_DIGITS_WHOLE:
        put_nibble(part.bytes, 0, pan_digits - PAN_DIGITS_WHOLE)
    for i in range(pan_digits):
        if pan[i] < c'0' or pan[i] > c'9':
            return -1
        if whole:
            place = 1 + i + max(PAN_DIGITS_WHOLE - pan_digits, 0)
            put_nibble(part.bytes, place, pan[i] - c'0')
        elif pan_digits - 13 <= i < pan_digits - 1:
            put_nibble(part.bytes, 17 - pan_digits + i, pan[i] - c'0')
    return 0


cdef uint64_t open_block(int pin_format, uint64_t word, ClearPin *pin) noexcept nogil:
    """Take the PIN out of a clear block, the PAN already taken off; not zero when the block is malformed, and then
    ``pin`` is some PIN of allowed length."""
    cdef uint64_t control = 0
    cdef uint64_t length = (word >> 56) & 15
    cdef uint64_t bad, fill
    if pin_format == PIN_FORMAT_ISO_1:
        control = 1
    elif pin_format == PIN_FORMAT_ISO_3:
        control = 3
    elif pin_format == PIN_FORMAT_ISO_4:
        control = 4
    bad = (word >> 60) ^ control
    bad |= (length < PIN_DIGITS_MIN) | (length > PIN_DIGITS_MAX)
    length = min(max(length, <uint64_t>PIN_DIGITS_MIN), <uint64_t>PIN_DIGITS_MAX)
    bad |= above_nine(word) & digits_mask(length)
    fill = fill_mask(length)
    if pin_format == PIN_FORMAT_ISO_0 or pin_format == PIN_FORMAT_SM4:
        bad |= ~word & fill
    elif pin_format == PIN_FORMAT_ISO_3:
        bad |= ~above_nine(word) & low_bits_of_nibbles() & fill
    elif pin_format == PIN_FORMAT_ISO_4:
        bad |= (word ^ letters_a()) & fill
    pin.digits = word & digits_mask(length)
    pin.length = length
    return bad


cdef int build_block(int pin_format, const ClearPin *pin, uint64_t *word) noexcept nogil:
    """The clear block of a PIN, the PAN not yet mixed in; 0, or -1 when libcrypto has no random bytes for the fill."""
    cdef uint64_t control = 0
    cdef uint64_t fill = ~<uint64_t>0
    cdef uint8_t random[14]
    cdef int i
    if pin_format == PIN_FORMAT_ISO_4:
        control = 4
        fill = letters_a()
    elif pin_format != PIN_FORMAT_ISO_0 and pin_format != PIN_FORMAT_SM4:
        if RAND_bytes(random, sizeof(random)) != 1:
            return -1
        fill = 0
        if pin_format == PIN_FORMAT_ISO_1:
            control = 1
            for i in range(14):
                fill = (fill << 4) | (random[i] & 15)
        else:
            control = 3
            for i in range(14):
                fill = (fill << 4) | (10 + ((<uint64_t>random[i] * 6) >> 8))
    word[0] = (control << 60) | (pin.length << 56) | pin.digits | (fill & fill_mask(pin.length))
    return 0


cdef inline bint known_format(int pin_format) noexcept nogil:
    return PIN_FORMAT_NONE < pin_format < PIN_FORMAT_COUNT


cdef inline int cipher_of(int pin_format) noexcept nogil:
    """The ``KeyCipher`` that a format is enciphered with."""
    if pin_format == PIN_FORMAT_ISO_4:
        return CIPHER_AES
    return CIPHER_SM4 if pin_format == PIN_FORMAT_SM4 else CIPHER_DES


cdef inline bint is_key_of(const PinKey *key, int pin_format) noexcept nogil:
    return key.cipher == cipher_of(pin_format)


cdef int seal_pin(const ClearPin *pin, const PinKey *key, int pin_format, const PanPart *pan,
                  uint8_t *out) noexcept nogil:
    """Build the clear block and encrypt it; 0 or -2."""
    cdef uint64_t word
    cdef int size = pin_block_size(pin_format)
    cdef int status = -2
    if is_key_of(key, pin_format) and build_block(pin_format, pin, &word) == 0:
        if pin_format == PIN_FORMAT_ISO_4:
            store_be64(out, word)
            if (RAND_bytes(out + 8, 8) == 1
                    and aes_twice(key.key, key.size, out, out, pan.bytes, True) == 0):
                status = 0
        elif pin_format == PIN_FORMAT_SM4:
            store_be64(out, word)
            store_be64(out + 8, ~load_be64(pan.bytes))
            status = 0 if sm4_crypt(key.key, out, out, 1, True) == 0 else -2
        else:
            store_be64(out, word ^ load_be64(pan.bytes))
            status = 0 if des_crypt(key.key, key.size, out, out, 1, True) == 0 else -2
        OPENSSL_cleanse(&word, sizeof(word))
    if status < 0:
        OPENSSL_cleanse(out, size)
    return status


cdef int unseal_pin(const uint8_t *block, const PinKey *key, int pin_format, const PanPart *pan,
                    ClearPin *pin) noexcept nogil:
    """Decrypt a block and take the PIN out; 0, -1 or -2. After -1 there is some PIN to go on with."""
    cdef uint8_t clear[PIN_BLOCK_SIZE_MAX]
    cdef uint64_t bad
    if not is_key_of(key, pin_format):
        return -2
    if pin_format == PIN_FORMAT_ISO_4:
        if aes_twice(key.key, key.size, block, clear, pan.bytes, False) < 0:
            return -2
        bad = open_block(pin_format, load_be64(clear), pin)
    elif pin_format == PIN_FORMAT_SM4:
        if sm4_crypt(key.key, block, clear, 1, False) < 0:
            return -2
        bad = open_block(pin_format, load_be64(clear), pin) | (load_be64(clear + 8) ^ ~load_be64(pan.bytes))
    else:
        if des_crypt(key.key, key.size, block, clear, 1, False) < 0:
            return -2
        bad = open_block(pin_format, load_be64(clear) ^ load_be64(pan.bytes), pin)
    OPENSSL_cleanse(clear, sizeof(clear))
    return -1 if bad else 0


cdef int translate_pin(const uint8_t *block, const PinSide *source, const PinSide *target, const uint8_t *pan,
                       int pan_digits, uint8_t *out) noexcept nogil:
    cdef ClearPin pin
    cdef PanPart source_pan, target_pan
    cdef int opened, sealed
    if not known_format(source.format) or not known_format(target.format):
        return -2
    if not may_translate(source.format, target.format):
        return -2
    if pan_part(source.format, pan, pan_digits, &source_pan) < 0:
        return -1
    if pan_part(target.format, pan, pan_digits, &target_pan) < 0:
        return -1
    opened = unseal_pin(block, source.key, source.format, &source_pan, &pin)
    if opened == -2:
        return -2
    sealed = seal_pin(&pin, target.key, target.format, &target_pan, out)
    OPENSSL_cleanse(&pin, sizeof(pin))
    if opened < 0:
        OPENSSL_cleanse(out, pin_block_size(target.format))
        return -1
    return sealed


# --- for Python -----------------------------------------------------------------------------------------------------


cdef int set_pin_key(PinKey *target, bytes key, int pin_format) except -1:
    cdef tuple sizes = PIN_KEY_SIZES[PIN_FORMATS[pin_format]]
    if len(key) != 0 and len(key) not in sizes:
        raise ValueError(f"a key of {PIN_FORMATS[pin_format]} has {', '.join(map(str, sizes[:-1]))}"
                         f"{' or ' if sizes[1:] else ''}{sizes[-1]} bytes, not {len(key)}")
    memset(target, 0, sizeof(PinKey))
    target.size = len(key)
    target.cipher = cipher_of(pin_format)
    memcpy(target.key, <const uint8_t *>key, len(key))
    return 0


cdef int format_number(str name) except -1:
    if name not in PIN_FORMATS[1:]:
        raise ValueError(f"unknown PIN block format {name!r}; known are {', '.join(PIN_FORMATS[1:])}")
    return PIN_FORMATS.index(name)


cdef int python_pan_part(int pin_format, str pan, PanPart *part) except -1:
    cdef bytes text = pan.encode("ascii", "replace")
    if pan_part(pin_format, text, <int>len(text), part) < 0:
        raise ValueError(f"a PAN has {PAN_DIGITS_MIN} to {PAN_DIGITS_MAX} digits")
    return 0


cdef int require_key(PinKey *target, bytes key, int pin_format) except -1:
    if not key:
        raise ValueError("a PIN key has 8 bytes or more, not 0")
    return set_pin_key(target, key, pin_format)


cdef int require_block(bytes block, int pin_format) except -1:
    cdef int size = pin_block_size(pin_format)
    if len(block) != size:
        raise ValueError(f"a PIN block of {PIN_FORMATS[pin_format]} has {size} bytes, not {len(block)}")
    return 0


def encrypt_pin_block(str pin not None, str pan not None, bytes key not None, str format not None="iso-0"):
    cdef uint8_t out[PIN_BLOCK_SIZE_MAX]
    cdef ClearPin clear
    cdef PinKey pin_key
    cdef PanPart part
    cdef int number = format_number(format)
    cdef int status
    python_pan_part(number, pan, &part)
    if not PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX or not (pin.isascii() and pin.isdigit()):
        raise ValueError(f"a PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")
    require_key(&pin_key, key, number)
    clear.length = len(pin)
    clear.digits = <uint64_t>int(pin, 16) << (56 - 4 * len(pin))
    status = seal_pin(&clear, &pin_key, number, &part, out)
    OPENSSL_cleanse(&clear, sizeof(clear))
    OPENSSL_cleanse(&pin_key, sizeof(pin_key))
    if status < 0:
        raise RuntimeError("libcrypto refused to encrypt a PIN block")
    return out[:pin_block_size(number)]


def decrypt_pin_block(bytes block not None, str pan not None, bytes key not None, str format not None="iso-0"):
    cdef ClearPin clear
    cdef PinKey pin_key
    cdef PanPart part
    cdef int number = format_number(format)
    cdef int status
    python_pan_part(number, pan, &part)
    require_block(block, number)
    require_key(&pin_key, key, number)
    status = unseal_pin(block, &pin_key, number, &part, &clear)
    OPENSSL_cleanse(&pin_key, sizeof(pin_key))
    pin = f"{clear.digits >> (56 - 4 * clear.length):0{clear.length}x}" if status == 0 else ""
    OPENSSL_cleanse(&clear, sizeof(clear))
    if status < 0:
        raise ValueError(f"malformed PIN block, not of format {format} under this key and PAN")
    return pin


def translate_pin_block(bytes block not None, bytes source_key not None, str source_format not None,
                        bytes target_key not None, str target_format not None, str pan not None):
    cdef uint8_t out[PIN_BLOCK_SIZE_MAX]
    cdef PinKey source, target
    cdef PinSide opened = PinSide(&source, format_number(source_format))
    cdef PinSide sealed = PinSide(&target, format_number(target_format))
    cdef bytes text = pan.encode("ascii", "replace")
    cdef int status
    if not may_translate(opened.format, sealed.format):
        raise ValueError(f"a PIN block of {source_format} must not become one of {target_format} (ISO 9564-1)")
    require_block(block, opened.format)
    require_key(&source, source_key, opened.format)
    require_key(&target, target_key, sealed.format)
    status = translate_pin(block, &opened, &sealed, text, <int>len(text), out)
    OPENSSL_cleanse(&source, sizeof(source))
    OPENSSL_cleanse(&target, sizeof(target))
    if status == -1:
        raise ValueError(f"malformed PIN block, not of format {source_format} under this key and PAN")
    if status < 0:
        raise RuntimeError("libcrypto refused to translate a PIN block")
    return out[:pin_block_size(sealed.format)]
