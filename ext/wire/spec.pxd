"""A message specification as C tables: how each field of one dialect is laid out on the wire."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    FIELD_HEADER = 0          # pyiso8583's "h" lives at index 0 of the tables
    FIELD_MAX = 192           # the tertiary bitmap ends here
    FIELD_SLOTS = 193
    FIELD_TYPE = -1           # names for faults: the "t" and "p" keys of pyiso8583
    FIELD_BITMAP = -2

cdef tuple FIELD_KEYS         # pyiso8583's key for each index of the tables

cdef enum DataEncoding:
    DATA_BINARY               # pyiso8583 "b": bytes, or BCD digits
    DATA_ASCII                # ASCII and every code page that agrees with it on 0x00..0x7F
    DATA_CODE_PAGE            # any other one-byte code page (EBCDIC): by table

cdef enum LengthEncoding:
    LENGTH_BINARY             # big-endian unsigned integer
    LENGTH_BCD
    LENGTH_ASCII
    LENGTH_CODE_PAGE

cdef enum PadSide:
    PAD_NONE
    PAD_LEFT
    PAD_RIGHT

cdef enum:
    PAD_NIBBLE_NONE = 0xFF
    LENGTH_WIDTH_MAX = 8      # bytes of a length
    LENGTH_MAX = 0xFFFF       # bytes or nibbles of a field: what MessageIndex.count holds

cdef enum Content:            # our own extension key "content" of a field's dictionary; absent means any
    CONTENT_ANY
    CONTENT_N                 # decimal digits (BCD digits where the data is binary)
    CONTENT_A                 # letters and blanks
    CONTENT_AN                # letters, digits and blanks
    CONTENT_ANS               # printable
    CONTENT_Z                 # track 2: digits and the separators = D, F as filler
    CONTENT_XN                # C or D, then digits
    CONTENT_HEX               # hex digits, either case

cdef enum ContentCheck:       # the quickest way in which a scan can check a field's bytes
    CHECK_NOTHING
    CHECK_ASCII_N
    CHECK_ASCII_A
    CHECK_ASCII_AN
    CHECK_ASCII_ANS
    CHECK_ASCII_Z
    CHECK_ASCII_HEX
    CHECK_EBCDIC_N            # digits at 0xF0..0xF9
    CHECK_CODE_PAGE           # by table
    CHECK_BCD                 # packed digits
    CHECK_BCD_Z               # packed track 2
    CHECK_PAD                 # any nibbles, with a pad when they are odd
    CHECK_THOROUGHLY          # byte by byte: what the checks above do not know

cdef struct FieldSpec:
    uint8_t defined
    uint8_t data_encoding
    uint8_t length_encoding
    uint8_t length_width      # bytes of the length; 0 for a fixed field
    uint8_t counts_nibbles
    uint8_t pad_side
    uint8_t pad_nibble        # 0x0..0xF
    uint8_t right_pad_nibble  # when both pads are given: the second that a reader tries; else PAD_NIBBLE_NONE
    uint8_t content
    uint8_t check             # ContentCheck
    uint32_t max_length       # bytes, or nibbles where counts_nibbles
    uint32_t fixed_bytes      # bytes on the wire of a fixed field
    # The tables below are Latin-1 where ASCII ends, so that nothing of an EBCDIC page is lost on the way; SUB (0x1A)
    # or a question mark stand for a character that the other side lacks.
    const uint8_t *to_ascii   # 256 entries for DATA_CODE_PAGE, else NULL
    const uint8_t *from_ascii
    const uint8_t *length_to_ascii     # the same for LENGTH_CODE_PAGE
    const uint8_t *length_from_ascii


cdef enum:
    DOCUMENTS_REMEMBERED = 8  # of a specification; a power of two


cdef struct RawBitmap:        # a primary bitmap as it stands on the wire; a binary one fills only the first half
    uint64_t first
    uint64_t last


cdef class CodePage:
    """A one-byte text encoding as tables. Made once for each encoding of Python."""
    cdef readonly str name
    cdef readonly bint agrees_with_ascii    # on 0x00..0x7F, both ways
    cdef readonly bint holds_ascii          # every character of 0x00..0x7F has a byte
    cdef uint8_t to_ascii[256]
    cdef uint8_t from_ascii[256]


cdef class Spec:
    """A compiled specification. Make one with ``compile_spec``; it never changes."""
    cdef FieldSpec fields[FIELD_SLOTS]      # index 0: header "h"; 1: secondary bitmap; 2..192
    cdef FieldSpec type_spec                # "t"
    cdef FieldSpec bitmap_spec              # "p"
    cdef bint has_header
    cdef list data_pages                    # CodePage of each field's data, by index; None where it is binary
    cdef list length_pages                  # CodePage of each field's length; None where it has none or it is binary
    cdef CodePage type_page                 # of "t" and "p"; None where they are binary
    cdef CodePage bitmap_page
    cdef readonly dict source               # the pyiso8583 dictionary that it was compiled from
    # What decode and encode remember of messages, so that dictionaries are copied and not built key by key: keys and
    # lengths, never data.
    cdef list entries                       # of doc_enc, by field, with the length that came last
    cdef uint64_t entry_lengths[FIELD_SLOTS]     # the bytes of that length
    cdef list documents                     # keys of messages with one bitmap, with None for each value
    cdef RawBitmap document_bitmaps[DOCUMENTS_REMEMBERED]


cpdef Spec compile_spec(object spec)

cdef Spec known_spec(object spec)
"""The compiled form of a specification: itself, or a dictionary's, remembered while the dictionary does not change."""
