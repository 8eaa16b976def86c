"""Message authentication codes over libcrypto.

DES algorithms run on libcrypto's DES rounds, in the permuted domain (see ``ext/crypto/des.pxd``). AES-CMAC and the SM4
MAC run through EVP in CBC mode, as a rule a whole message to a call. A CBC context is never given a new start value,
which would cost as much as ten blocks: the last block that it put out is known, and is XORed into the first block of
the next message, where the context's own XOR takes it out again.
"""

cimport cython
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from switch.crypto.des cimport des_enter, des_leave
from switch.crypto.libcrypto cimport (
    CRYPTO_memcmp, DES_DECRYPT, DES_ENCRYPT, DES_cblock, DES_LONG, DES_encrypt2, DES_key_schedule,
    DES_set_key_unchecked, EVP_CIPHER_CTX_free, EVP_CIPHER_CTX_new, EVP_CIPHER_CTX_set_padding, EVP_CIPHER_fetch,
    EVP_CIPHER_free, EVP_EncryptInit_ex, EVP_EncryptUpdate, OPENSSL_cleanse, RAND_bytes,
)

cdef enum:
    SLOT_BITS_DEFAULT = 10
    SLOT_BITS_MAX = 20
    CHUNK = 1024              # bytes that one EVP call takes at most; a multiple of 16

ALGORITHMS = ("none", "x9.9", "x9.19", "cup-ecb", "cup-sm4", "aes-cmac")
KEY_SIZES = {
    "none": (0,),
    "x9.9": (8,),
    "x9.19": (8, 16, 24),
    "cup-ecb": (8, 16, 24),
    "cup-sm4": (16,),
    "aes-cmac": (16, 24, 32),
}
MAC_SIZES = {"none": 0, "x9.9": 8, "x9.19": 8, "cup-ecb": 8, "cup-sm4": 8, "aes-cmac": 16}

cdef const char *HEX_DIGITS = b"0123456789ABCDEF"
CIPHER_NAMES = (b"AES-128-CBC", b"AES-192-CBC", b"AES-256-CBC", b"SM4-CBC")     # of the families, in their order


cdef inline uint64_t load_word(const uint8_t *at) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word


# --- DES ----------------------------------------------------------------------------------------------------------


cdef inline void des_absorb(DES_LONG *chain, const uint8_t *block, DES_key_schedule *schedule) noexcept nogil:
    cdef DES_LONG half[2]
    des_enter(block, half)
    chain[0] ^= half[0]
    chain[1] ^= half[1]
    DES_encrypt2(chain, schedule, DES_ENCRYPT)


cdef void des_chain(DES_LONG *chain, DES_key_schedule *schedule, const MacPart *parts, int part_count,
                    int padding) noexcept nogil:
    """Single DES in CBC mode over the parts joined and padded; an empty message is one block of padding."""
    cdef uint8_t pending[8]
    cdef size_t filled = 0
    cdef size_t left, taken
    cdef size_t total = 0
    cdef const uint8_t *at
    cdef int i
    for i in range(part_count):
        at = parts[i].data
        left = parts[i].size
        total += left
        if filled and left:
            taken = min(8 - filled, left)
            memcpy(pending + filled, at, taken)
            filled += taken
            at += taken
            left -= taken
            if filled == 8:
                des_absorb(chain, pending, schedule)
                filled = 0
        while left >= 8:
            des_absorb(chain, at, schedule)
            at += 8
            left -= 8
        if left:
            memcpy(pending, at, left)
            filled = left
    if padding == MAC_PADDING_2:
        pending[filled] = 0x80
        filled += 1
    if filled or total == 0:
        memset(pending + filled, 0, 8 - filled)
        des_absorb(chain, pending, schedule)


cdef void des_encrypt_key(DES_LONG *half, DesSlot *slot) noexcept nogil:
    """One block under a whole key: DES, or 3DES with the first part again where there is no third."""
    DES_encrypt2(half, &slot.schedule[0], DES_ENCRYPT)
    if slot.size > 8:
        DES_encrypt2(half, &slot.schedule[1], DES_DECRYPT)
        DES_encrypt2(half, &slot.schedule[2], DES_ENCRYPT)


# --- the China UnionPay MACs --------------------------------------------------------------------------------------


cdef void fold_blocks(const MacPart *parts, int part_count, size_t block_size, uint8_t *folded) noexcept nogil:
    """XOR of all blocks of 8 or 16 bytes of the parts joined; the last one padded with zeros."""
    cdef uint64_t word[2]
    cdef uint64_t mask = block_size - 1
    cdef size_t position = 0
    cdef size_t left, lane
    cdef const uint8_t *at
    cdef uint8_t *bytes_of = <uint8_t *>word
    cdef int i
    word[0] = 0
    word[1] = 0
    for i in range(part_count):
        at = parts[i].data
        left = parts[i].size
        while left and position & 7:
            bytes_of[position & mask] ^= at[0]
            position += 1
            at += 1
            left -= 1
        while left >= 8:
            lane = (position & mask) >> 3
            word[lane] ^= load_word(at)
            position += 8
            at += 8
            left -= 8
        while left:
            bytes_of[position & mask] ^= at[0]
            position += 1
            at += 1
            left -= 1
    memcpy(folded, word, block_size)


cdef inline void write_hex(const uint8_t *data, size_t size, uint8_t *out) noexcept nogil:
    cdef size_t i
    for i in range(size):
        out[2 * i] = <uint8_t>HEX_DIGITS[data[i] >> 4]
        out[2 * i + 1] = <uint8_t>HEX_DIGITS[data[i] & 15]


# --- 16-byte blocks: AES and SM4 ----------------------------------------------------------------------------------


cdef inline void xor_16(uint8_t *target, const uint8_t *source) noexcept nogil:
    cdef uint64_t word[2]
    word[0] = load_word(target) ^ load_word(source)
    word[1] = load_word(target + 8) ^ load_word(source + 8)
    memcpy(target, word, 16)


cdef inline void double_block(const uint8_t *block, uint8_t *doubled) noexcept nogil:
    """Multiplication by x in GF(2^128), as NIST SP 800-38B 6.1 has it; without a branch on secret bits."""
    cdef int i
    cdef uint8_t carry = block[0] >> 7
    for i in range(15):
        doubled[i] = <uint8_t>((block[i] << 1) | (block[i + 1] >> 7))
    doubled[15] = <uint8_t>((block[15] << 1) ^ (0x87 & (0 - carry)))


cdef struct BlockChain:       # one message on its way through a context
    BlockSlot *slot
    size_t filled
    bint begun                # the context's old chain value is out of the way
    uint8_t buffer[CHUNK]


cdef int block_run(BlockChain *chain) noexcept nogil:
    """Encrypt the whole blocks that the buffer holds, in place, in CBC mode from zero at the message's first."""
    cdef int written
    cdef BlockSlot *slot = chain.slot
    if not chain.begun:
        xor_16(chain.buffer, slot.chain)
        chain.begun = True
    if not EVP_EncryptUpdate(slot.context, chain.buffer, &written, chain.buffer, <int>chain.filled):
        return -1
    memcpy(slot.chain, chain.buffer + chain.filled - 16, 16)
    chain.filled = 0
    return 0


cdef int block_absorb(BlockChain *chain, const uint8_t *data, size_t size) noexcept nogil:
    """Take more of the message; its last block always stays behind in the buffer, since it is treated apart."""
    cdef size_t taken
    while size:
        if chain.filled == CHUNK and block_run(chain) < 0:
            return -1
        taken = min(CHUNK - chain.filled, size)
        memcpy(chain.buffer + chain.filled, data, taken)
        chain.filled += taken
        data += taken
        size -= taken
    return 0


cdef int cmac_finish(BlockChain *chain) noexcept nogil:
    """Pad the last block and mix in the subkey that tells whether it was whole (NIST SP 800-38B, 6.2)."""
    cdef size_t partial = chain.filled & 15
    if chain.filled and partial == 0:
        xor_16(chain.buffer + chain.filled - 16, chain.slot.subkey_1)
    else:
        chain.buffer[chain.filled] = 0x80
        memset(chain.buffer + chain.filled + 1, 0, 15 - partial)
        chain.filled += 16 - partial
        xor_16(chain.buffer + chain.filled - 16, chain.slot.subkey_2)
    return block_run(chain)


# --- the engine ---------------------------------------------------------------------------------------------------


@cython.final
@cython.no_gc
cdef class MacEngine:
    def __cinit__(self, int slot_bits=SLOT_BITS_DEFAULT):
        cdef int family
        if not 0 <= slot_bits <= SLOT_BITS_MAX:
            raise ValueError(f"slot_bits must lie in 0..{SLOT_BITS_MAX}, not {slot_bits}")
        self.slot_bits = slot_bits
        if RAND_bytes(<unsigned char *>&self.salt, sizeof(self.salt)) != 1:
            raise RuntimeError("libcrypto gave no random bytes")
        self.salt |= 1
        self.des_slots = <DesSlot *>calloc(<size_t>1 << slot_bits, sizeof(DesSlot))
        if self.des_slots == NULL:
            raise MemoryError
        for family, name in enumerate(CIPHER_NAMES):
            self.ciphers[family] = EVP_CIPHER_fetch(NULL, name, NULL)
            if self.ciphers[family] == NULL:
                raise RuntimeError(f"libcrypto has no {name.decode()}")

    def __dealloc__(self):
        cdef size_t slots = <size_t>1 << self.slot_bits
        cdef size_t i
        cdef int family
        if self.des_slots != NULL:
            OPENSSL_cleanse(self.des_slots, slots * sizeof(DesSlot))
            free(self.des_slots)
        for family in range(FAMILY_COUNT):
            if self.block_slots[family] != NULL:
                for i in range(slots):
                    EVP_CIPHER_CTX_free(self.block_slots[family][i].context)
                OPENSSL_cleanse(self.block_slots[family], slots * sizeof(BlockSlot))
                free(self.block_slots[family])
            EVP_CIPHER_free(self.ciphers[family])

    cdef int compute(self, const MacKey *key, const MacPart *parts, int part_count, uint8_t *mac) noexcept nogil:
        if key.algorithm == MAC_NONE:
            return 0
        if key.algorithm == MAC_X9_9 or key.algorithm == MAC_X9_19 or key.algorithm == MAC_CUP_ECB:
            return self.compute_des(key, parts, part_count, mac)
        if key.algorithm == MAC_CUP_SM4 or key.algorithm == MAC_AES_CMAC:
            return self.compute_block(key, parts, part_count, mac)
        return -1

    cdef int verify(self, const MacKey *key, const MacPart *parts, int part_count,
                    const uint8_t *mac, int mac_size) noexcept nogil:
        cdef uint8_t right[MAC_SIZE_MAX]
        cdef int size = self.compute(key, parts, part_count, right)
        cdef int agrees
        if size < 0:
            return -1
        if mac_size < MAC_SIZE_MIN or mac_size > size:
            return 0
        agrees = CRYPTO_memcmp(right, mac, mac_size) == 0
        # The right MAC of a forged message must not stay where a later bug could send it.
        OPENSSL_cleanse(right, sizeof(right))
        return agrees

    cdef int compute_des(self, const MacKey *key, const MacPart *parts, int part_count, uint8_t *mac) noexcept nogil:
        cdef DES_LONG chain[2]
        cdef DES_LONG half[2]
        cdef uint8_t folded[8]
        cdef uint8_t text[16]
        cdef DesSlot *slot
        if key.size != 8 and (key.algorithm == MAC_X9_9 or key.size != 16 and key.size != 24):
            return -1
        slot = self.des_slot(key.key, key.size)
        if key.algorithm == MAC_CUP_ECB:
            fold_blocks(parts, part_count, 8, folded)
            write_hex(folded, 8, text)
            des_enter(text, chain)
            des_encrypt_key(chain, slot)
            des_enter(text + 8, half)
            chain[0] ^= half[0]
            chain[1] ^= half[1]
            des_encrypt_key(chain, slot)
            des_leave(chain, folded)
            write_hex(folded, 4, mac)
            return 8
        chain[0] = 0
        chain[1] = 0
        des_chain(chain, &slot.schedule[0], parts, part_count, key.padding)
        if slot.size > 8:
            DES_encrypt2(chain, &slot.schedule[1], DES_DECRYPT)
            DES_encrypt2(chain, &slot.schedule[2], DES_ENCRYPT)
        des_leave(chain, mac)
        return 8

    cdef int compute_block(self, const MacKey *key, const MacPart *parts, int part_count, uint8_t *mac) noexcept nogil:
        cdef BlockChain chain
        cdef uint8_t folded[16]
        cdef int family
        cdef int i
        cdef bint failed = False
        if key.algorithm == MAC_CUP_SM4 and key.size == 16:
            family = FAMILY_SM4
        elif key.algorithm == MAC_AES_CMAC and key.size == 16:
            family = FAMILY_AES_128
        elif key.algorithm == MAC_AES_CMAC and key.size == 24:
            family = FAMILY_AES_192
        elif key.algorithm == MAC_AES_CMAC and key.size == 32:
            family = FAMILY_AES_256
        else:
            return -1
        chain.slot = self.block_slot(family, key.key, key.size)
        if chain.slot == NULL:
            return -1
        chain.filled = 0
        chain.begun = False
        if family == FAMILY_SM4:
            # Encrypt the first half of the digits, XOR the second, encrypt: that is CBC over both.
            fold_blocks(parts, part_count, 16, folded)
            write_hex(folded, 16, chain.buffer)
            chain.filled = 32
            failed = block_run(&chain) < 0
        else:
            for i in range(part_count):
                failed |= block_absorb(&chain, parts[i].data, parts[i].size) < 0
            failed |= cmac_finish(&chain) < 0
        if failed:
            # What the context would mix into its next block is no longer known: its key is set anew next time.
            chain.slot.size = 0
            return -1
        if family == FAMILY_SM4:
            write_hex(chain.slot.chain, 4, mac)
            return 8
        memcpy(mac, chain.slot.chain, 16)
        return 16

    cdef DesSlot *des_slot(self, const uint8_t *key, int size) noexcept nogil:
        """The slot of a key of 8, 16 or 24 bytes, expanded."""
        cdef uint64_t mixed = load_word(key)
        cdef DesSlot *slot
        cdef int i
        for i in range(8, size, 8):
            mixed = ((mixed << 21) | (mixed >> 43)) ^ load_word(key + i)
        slot = &self.des_slots[((mixed * self.salt) >> 32) & ((<uint64_t>1 << self.slot_bits) - 1)]
        if slot.size != size or CRYPTO_memcmp(slot.key, key, size) != 0:
            memcpy(slot.key, key, size)
            slot.size = size
            for i in range(0, size, 8):
                DES_set_key_unchecked(<DES_cblock *>(slot.key + i), &slot.schedule[i >> 3])
            if size == 16:
                slot.schedule[2] = slot.schedule[0]
        return slot

    cdef BlockSlot *block_slot(self, int family, const uint8_t *key, int size) noexcept nogil:
        """The slot of a key of 16, 24 or 32 bytes, expanded; NULL when libcrypto or memory refuses."""
        cdef uint64_t mixed = load_word(key)
        cdef BlockSlot *slot
        cdef uint8_t block[16]
        cdef int written
        cdef int i
        if self.block_slots[family] == NULL:
            self.block_slots[family] = <BlockSlot *>calloc(<size_t>1 << self.slot_bits, sizeof(BlockSlot))
            if self.block_slots[family] == NULL:
                return NULL
        for i in range(8, size, 8):
            mixed = ((mixed << 21) | (mixed >> 43)) ^ load_word(key + i)
        slot = &self.block_slots[family][((mixed * self.salt) >> 32) & ((<uint64_t>1 << self.slot_bits) - 1)]
        if slot.size == size and CRYPTO_memcmp(slot.key, key, size) == 0:
            return slot
        slot.size = 0
        if slot.context == NULL:
            slot.context = EVP_CIPHER_CTX_new()
            if slot.context == NULL or not EVP_EncryptInit_ex(slot.context, self.ciphers[family], NULL, NULL, NULL):
                return NULL
            EVP_CIPHER_CTX_set_padding(slot.context, 0)
        memset(block, 0, 16)
        if not EVP_EncryptInit_ex(slot.context, NULL, NULL, key, block):
            return NULL
        if not EVP_EncryptUpdate(slot.context, slot.chain, &written, block, 16):
            return NULL
        double_block(slot.chain, slot.subkey_1)
        double_block(slot.subkey_1, slot.subkey_2)
        memcpy(slot.key, key, size)
        slot.size = size
        return slot


# --- for Python ---------------------------------------------------------------------------------------------------


cdef int set_mac_key(MacKey *target, str algorithm, bytes key, int padding) except -1:
    if algorithm not in KEY_SIZES:
        raise ValueError(f"unknown MAC algorithm {algorithm!r}; known are {', '.join(ALGORITHMS)}")
    if len(key) not in KEY_SIZES[algorithm]:
        needed = " or ".join(str(size) for size in KEY_SIZES[algorithm])
        raise ValueError(f"MAC algorithm {algorithm} needs a key of {needed} bytes, not {len(key)}")
    if padding not in (1, 2):
        raise ValueError(f"MAC padding must be 1 or 2, not {padding}")
    if padding == 2 and algorithm not in ("x9.9", "x9.19"):
        raise ValueError(f"MAC algorithm {algorithm} has no padding 2")
    memset(target, 0, sizeof(MacKey))
    target.algorithm = ALGORITHMS.index(algorithm)
    target.padding = MAC_PADDING_2 if padding == 2 else MAC_PADDING_1
    target.size = len(key)
    memcpy(target.key, <const uint8_t *>key, len(key))
    return 0


# Used only while the GIL is held.
cdef MacEngine shared_engine = MacEngine()


@cython.final
@cython.no_gc
cdef class Mac:
    """One algorithm with its key and padding, for Python callers. It never shows its key."""

    def __cinit__(self, str algorithm not None, bytes key not None, int padding=1):
        set_mac_key(&self.key, algorithm, key, padding)

    def __dealloc__(self):
        OPENSSL_cleanse(&self.key, sizeof(self.key))

    @property
    def algorithm(self):
        return ALGORITHMS[self.key.algorithm]

    @property
    def padding(self):
        return 2 if self.key.padding == MAC_PADDING_2 else 1

    @property
    def size(self):
        return MAC_SIZES[self.algorithm]

    def compute(self, *parts):
        cdef uint8_t mac[MAC_SIZE_MAX]
        cdef MacPart *views = part_views(parts)
        cdef int size
        try:
            size = shared_engine.compute(&self.key, views, <int>len(parts), mac)
        finally:
            free(views)
        if size < 0:
            raise RuntimeError(f"libcrypto refused a {self.algorithm} MAC")
        return mac[:size]

    def verify(self, bytes mac not None, *parts):
        cdef MacPart *views = part_views(parts)
        cdef int agrees
        try:
            agrees = shared_engine.verify(&self.key, views, <int>len(parts), mac, <int>len(mac))
        finally:
            free(views)
        if agrees < 0:
            raise RuntimeError(f"libcrypto refused a {self.algorithm} MAC")
        return agrees == 1

    def __repr__(self):
        return f"Mac({self.algorithm!r}, padding={self.padding})"

    def __reduce__(self):
        raise TypeError("a Mac holds a key and is not pickled")


cdef MacPart *part_views(tuple parts) except NULL:
    """The parts' own memory, which they keep alive; freed by the caller."""
    cdef MacPart *views = <MacPart *>calloc(len(parts) + 1, sizeof(MacPart))
    cdef Py_ssize_t i
    cdef bytes part
    if views == NULL:
        raise MemoryError
    try:
        for i in range(len(parts)):
            part = <bytes?>parts[i]
            views[i].data = <const uint8_t *>part
            views[i].size = len(part)
    except TypeError:
        free(views)
        raise
    return views


def compute_mac(str algorithm not None, bytes key not None, bytes data not None, int padding=1):
    return Mac(algorithm, key, padding).compute(data)


def verify_mac(str algorithm not None, bytes key not None, bytes data not None, bytes mac not None, int padding=1):
    return Mac(algorithm, key, padding).verify(mac, data)
