"""CRC32C (Castagnoli), the checksum of journal batches: by the processor's own instruction where it has one.

Polynomial 0x1EDC6F41, reflected, first and last inverted, as in RFC 3720, appendix B.4.
"""

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    #define CHECKSUM_HAS_HARDWARE() __builtin_cpu_supports("sse4.2")
    __attribute__((target("sse4.2")))
    static uint32_t checksum_hardware(uint32_t crc, const uint8_t *data, size_t size) {
        unsigned long long wide = crc;
        unsigned long long word;
        for (; size >= 8; data += 8, size -= 8) {
            __builtin_memcpy(&word, data, 8);
            wide = __builtin_ia32_crc32di(wide, word);
        }
        crc = (uint32_t)wide;
        for (; size; data++, size--)
            crc = __builtin_ia32_crc32qi(crc, *data);
        return crc;
    }
    #else
    #define CHECKSUM_HAS_HARDWARE() 0
    static uint32_t checksum_hardware(uint32_t crc, const uint8_t *data, size_t size) {
        (void)data; (void)size;
        return crc;
    }
    #endif
    """
    bint CHECKSUM_HAS_HARDWARE() noexcept nogil
    uint32_t checksum_hardware(uint32_t crc, const uint8_t *data, size_t size) noexcept nogil

cdef enum:
    POLYNOMIAL = 0x82F63B78

cdef uint32_t table[256]
cdef bint has_hardware = CHECKSUM_HAS_HARDWARE()


cdef void fill_table() noexcept nogil:
    cdef uint32_t byte, crc
    cdef int _bit
    for byte in range(256):
        crc = byte
        for _bit in range(8):
            crc = (crc >> 1) ^ (<uint32_t>POLYNOMIAL if crc & 1 else 0)
        table[byte] = crc


fill_table()


cdef uint32_t by_table(uint32_t crc, const uint8_t *data, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size):
        crc = (crc >> 8) ^ table[(crc ^ data[i]) & 0xFF]
    return crc


cdef uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t size) noexcept nogil:
    crc = ~crc
    crc = checksum_hardware(crc, data, size) if has_hardware else by_table(crc, data, size)
    return ~crc


def checksum(bytes data not None, bint hardware=True):
    """The CRC32C of bytes; by the table when ``hardware`` is false."""
    cdef const uint8_t *start = data
    if hardware:
        return crc32c(0, start, len(data))
    return <uint32_t>(~by_table(0xFFFFFFFF, start, len(data)))
