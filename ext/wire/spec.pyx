"""Compiles a pyiso8583 specification dictionary into C tables.

Every option of pyiso8583 4.0 is taken, with the same meaning. One key is ours: ``content`` names the class of
characters that a field may hold (ISO 8583-1, clause 4.2: n, a, an, ans, z, x+n), which a scan then checks.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

cimport cython
from libc.stdint cimport uint32_t
from libc.string cimport memset

KNOWN_KEYS = frozenset(
    ("data_enc", "len_enc", "len_type", "max_len", "len_count", "left_pad", "right_pad", "content", "desc")
)
CONTENT_CLASSES = {
    "any": CONTENT_ANY,
    "n": CONTENT_N,
    "a": CONTENT_A,
    "an": CONTENT_AN,
    "ans": CONTENT_ANS,
    "z": CONTENT_Z,
    "x+n": CONTENT_XN,
    "hex": CONTENT_HEX,
}
TEXT_ONLY_CONTENT = frozenset(("a", "an", "ans"))
SUBSTITUTE = 0x1A
SPECS_REMEMBERED_MAX = 32

# Interned, as the keys of a document written in a program are: equal keys are then found to be one at a glance.
FIELD_KEYS = ("h", *(sys.intern(str(number)) for number in range(1, FIELD_SLOTS)))

# Every character that a one-byte encoding can hold lies in the basic plane; surrogates are no characters.
_BASIC_PLANE = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x10000))))
_code_pages = {}
cdef dict remembered_specs = {}


class SpecProblem(NamedTuple):
    """One thing that is wrong with a specification.

    Attributes:
        field: Key of the field (``"2"``, ``"h"``), or ``""`` for the specification as a whole.
        key: Key inside the field's dictionary, or ``""`` for the field as a whole.
        reason: What is wrong, in words.
    """

    field: str
    key: str
    reason: str

    def __str__(self):
        place = f"field {self.field}" if self.field else "specification"
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"


class SpecError(ValueError):
    """A specification that cannot be compiled. It lists all that is wrong, not only the first.

    Attributes:
        problems: Tuple of ``SpecProblem``.
    """

    def __init__(self, problems):
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))

    def __reduce__(self):
        return type(self), (self.problems,)


@cython.final
cdef class CodePage:
    """A one-byte text encoding as tables. Made once for each encoding of Python."""

    def __init__(self, str name):
        """Build the tables.

        Raises:
            LookupError: Python does not know the encoding, or it is not one for text.
            ValueError: The encoding takes more than one byte for some characters, or keeps a state.
        """
        cdef int byte
        self.name = name
        if "\u4e2d\u6587".encode(name, "ignore") or len(_BASIC_PLANE.encode(name, "ignore")) > 256:
            raise ValueError(f"{name!r} is not a one-byte encoding")
        self.agrees_with_ascii = True
        self.holds_ascii = True
        for byte in range(256):
            character = bytes((byte,)).decode(name, "ignore")
            if len(character) > 1:
                raise ValueError(f"{name!r} is not a one-byte encoding")
            code = ord(character) if character else 0x100
            self.to_ascii[byte] = code if code < 0x100 else SUBSTITUTE
            encoded = chr(byte).encode(name, "ignore")
            if not encoded:
                encoded = chr(SUBSTITUTE).encode(name, "ignore") or b"?"
                self.holds_ascii = self.holds_ascii and byte > 0x7F
            self.from_ascii[byte] = encoded[0]
            if byte < 0x80 and (code != byte or encoded[0] != byte):
                self.agrees_with_ascii = False


def code_page(name):
    """Give the tables of an encoding, from a cache where they were made before; errors as ``CodePage``."""
    page = _code_pages.get(name)
    if page is None:
        page = _code_pages[name] = CodePage(name)
    return page


class _Compiler:
    """Reads one specification and notes every problem on the way."""

    def __init__(self, source):
        self.source = source
        self.problems = []

    def problem(self, field, key, reason):
        self.problems.append(SpecProblem(field, key, reason))

    def page(self, field, key):
        """CodePage of a text encoding; a string for ``"b"`` and ``"bcd"``; None after a problem."""
        entry = self.source[field]
        name = entry.get(key)
        if not isinstance(name, str):
            self.problem(field, key, "is missing" if key not in entry else f"must be text, not {_kind(name)}")
            return None
        if name == "b" or (name == "bcd" and key == "len_enc"):
            return name
        try:
            return code_page(name)
        except LookupError:
            self.problem(field, key, f"unknown encoding {name!r}")
        except ValueError:
            self.problem(field, key, f"{name!r} is not a one-byte encoding")
        return None

    def number(self, field, key, highest):
        """A whole number from 0 to ``highest``; 0 after a problem."""
        entry = self.source[field]
        value = entry.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(field, key, "is missing" if key not in entry else f"must be a number, not {_kind(value)}")
            return 0
        if not 0 <= value <= highest:
            self.problem(field, key, f"must be from 0 to {highest}, not {value}")
            return 0
        return value

    def choice(self, field, key, choices, default):
        """One of the words in ``choices``; the default when absent or after a problem."""
        value = self.source[field].get(key, default)
        if not isinstance(value, str) or value not in choices:
            shown = repr(value) if isinstance(value, str) else _kind(value)
            self.problem(field, key, f"must be one of {', '.join(choices)}, not {shown}")
            return default
        return value

    def pad(self, field, key):
        """A pad nibble; PAD_NIBBLE_NONE when there is none or after a problem."""
        value = self.source[field].get(key, "")
        if not isinstance(value, str) or len(value) > 1 or value not in "0123456789ABCDEFabcdef":
            shown = repr(value) if isinstance(value, str) else _kind(value)
            self.problem(field, key, f"must be one hex digit, not {shown}")
            return PAD_NIBBLE_NONE
        return int(value, 16) if value else PAD_NIBBLE_NONE


def _kind(value):
    return type(value).__name__


cdef int _compile_field(object compiler, str field, FieldSpec *table, list data_pages, list length_pages,
                        int slot) except -1:
    """Fill the table of one field that has data: "h" and 2 to 192."""
    data = compiler.page(field, "data_enc")
    width = compiler.number(field, "len_type", LENGTH_WIDTH_MAX)
    maximum = compiler.number(field, "max_len", LENGTH_MAX)
    nibbles = compiler.choice(field, "len_count", ("bytes", "nibbles"), "bytes") == "nibbles"
    content = compiler.choice(field, "content", tuple(CONTENT_CLASSES), "any")
    left = compiler.pad(field, "left_pad")
    right = compiler.pad(field, "right_pad")
    length = compiler.page(field, "len_enc") if width else None
    binary = isinstance(data, str)
    if binary and content in TEXT_ONLY_CONTENT:
        compiler.problem(field, "content", f"{content!r} needs text, but data_enc is binary")
    if binary and nibbles and not width and maximum & 1 and left == right == PAD_NIBBLE_NONE:
        compiler.problem(field, "max_len", f"{maximum} nibbles are no whole bytes: left_pad or right_pad is missing")

    table.defined = 1
    _set_data(table, data)
    table.length_width = width
    table.counts_nibbles = nibbles
    table.content = CONTENT_CLASSES[content]
    table.max_length = maximum
    table.fixed_bytes = (maximum + 1) // 2 if nibbles else maximum
    table.right_pad_nibble = PAD_NIBBLE_NONE
    if binary and nibbles:
        if left != PAD_NIBBLE_NONE:
            table.pad_side, table.pad_nibble, table.right_pad_nibble = PAD_LEFT, left, right
        elif right != PAD_NIBBLE_NONE:
            table.pad_side, table.pad_nibble = PAD_RIGHT, right
    table.check = _content_check(table)
    if isinstance(length, CodePage):
        _set_length_page(table, length)
        length_pages[slot] = length
    elif length == "bcd":
        table.length_encoding = LENGTH_BCD
    if isinstance(data, CodePage):
        data_pages[slot] = data
    return 0


cdef void _set_data(FieldSpec *table, object data):
    cdef CodePage page
    if not isinstance(data, CodePage):
        table.data_encoding = DATA_BINARY
        return
    page = data
    if page.agrees_with_ascii:
        table.data_encoding = DATA_ASCII
        return
    table.data_encoding = DATA_CODE_PAGE
    table.to_ascii = page.to_ascii
    table.from_ascii = page.from_ascii


cdef ContentCheck _content_check(const FieldSpec *table):
    """The quickest check that proves a field's content."""
    cdef int digit
    if table.data_encoding == DATA_BINARY:
        if table.content == CONTENT_N:
            return CHECK_BCD
        if table.content == CONTENT_Z:
            return CHECK_BCD_Z
        if table.content == CONTENT_XN:
            return CHECK_THOROUGHLY
        return CHECK_PAD if table.counts_nibbles else CHECK_NOTHING
    if table.content == CONTENT_ANY:
        return CHECK_NOTHING
    if table.content == CONTENT_XN:
        return CHECK_THOROUGHLY
    if table.data_encoding == DATA_CODE_PAGE:
        if table.content == CONTENT_N and all([table.from_ascii[0x30 + digit] == 0xF0 + digit for digit in range(10)]):
            return CHECK_EBCDIC_N
        return CHECK_CODE_PAGE
    if table.content == CONTENT_N:
        return CHECK_ASCII_N
    if table.content == CONTENT_A:
        return CHECK_ASCII_A
    if table.content == CONTENT_AN:
        return CHECK_ASCII_AN
    if table.content == CONTENT_ANS:
        return CHECK_ASCII_ANS
    return CHECK_ASCII_Z if table.content == CONTENT_Z else CHECK_ASCII_HEX


cdef void _set_length_page(FieldSpec *table, CodePage page):
    if page.agrees_with_ascii:
        table.length_encoding = LENGTH_ASCII
        return
    table.length_encoding = LENGTH_CODE_PAGE
    table.length_to_ascii = page.to_ascii
    table.length_from_ascii = page.from_ascii


cdef CodePage _compile_fixed_part(object compiler, str field, FieldSpec *table, uint32_t binary_size):
    """Fill the table of "t", "p" or "1": of known size, twice as long in text as in binary."""
    data = compiler.page(field, "data_enc")
    table.defined = 1
    table.content = CONTENT_N if field == "t" else CONTENT_HEX
    table.right_pad_nibble = PAD_NIBBLE_NONE
    _set_data(table, data)
    table.max_length = table.fixed_bytes = binary_size if isinstance(data, str) else 2 * binary_size
    return data if isinstance(data, CodePage) else None


def _read_source(spec):
    """Copy the specification into plain dictionaries; what is no field's dictionary becomes a problem."""
    problems = []
    source = {}
    for field, entry in spec.items():
        if not isinstance(field, str) or not _is_field(field):
            problems.append(SpecProblem("", "", f"{field!r} is not a field: h, t, p and 1 to {FIELD_MAX} are"))
        elif not isinstance(entry, Mapping):
            problems.append(SpecProblem(field, "", f"must be a dictionary, not {_kind(entry)}"))
        else:
            source[field] = dict(entry)
            problems.extend(
                SpecProblem(field, str(key), "unknown key") for key in entry if key not in KNOWN_KEYS
            )
    problems.extend(SpecProblem(field, "", "is missing") for field in ("t", "p") if field not in spec)
    return source, problems


def _is_field(key):
    return key in ("h", "t", "p") or (
        key.isascii() and key.isdecimal() and key[0] != "0" and len(key) < 4 and int(key) <= FIELD_MAX
    )


@cython.final
cdef class Spec:
    """A compiled specification. Make one with ``compile_spec``; what it says never changes."""

    def __init__(self):
        raise TypeError("make a Spec with compile_spec")

    def __reduce__(self):
        return compile_spec, (self.source,)


cpdef Spec compile_spec(object spec):
    """Compile a pyiso8583 specification dictionary.

    Args:
        spec: The dictionary, or what was compiled before, which is given back as it is. "h" may be left out where
            there is no header; "1" may be left out where there is no secondary bitmap.

    Returns:
        The specification as C tables. It holds a copy of the dictionary: later changes to that do not reach it.

    Raises:
        SpecError: Something in it is wrong; the error lists all of it, by field and key.
        TypeError: It is no mapping at all.
    """
    cdef Spec compiled
    cdef int number
    if isinstance(spec, Spec):
        return spec
    if not isinstance(spec, Mapping):
        raise TypeError(f"a specification must be a mapping, not {_kind(spec)}")
    source, problems = _read_source(spec)
    compiler = _Compiler(source)
    compiler.problems = problems

    compiled = Spec.__new__(Spec)
    memset(compiled.fields, 0, sizeof(compiled.fields))
    memset(&compiled.type_spec, 0, sizeof(FieldSpec))
    memset(&compiled.bitmap_spec, 0, sizeof(FieldSpec))
    memset(compiled.entry_lengths, 0, sizeof(compiled.entry_lengths))
    memset(compiled.document_bitmaps, 0, sizeof(compiled.document_bitmaps))
    compiled.documents = [{} for _ in range(DOCUMENTS_REMEMBERED)]
    compiled.source = source
    compiled.data_pages = [None] * FIELD_SLOTS
    compiled.length_pages = [None] * FIELD_SLOTS
    for field in source:
        if field == "t":
            compiled.type_page = _compile_fixed_part(compiler, "t", &compiled.type_spec, 2)
        elif field == "p":
            compiled.bitmap_page = _compile_fixed_part(compiler, "p", &compiled.bitmap_spec, 8)
        elif field == "1":
            compiled.data_pages[1] = _compile_fixed_part(compiler, "1", &compiled.fields[1], 8)
        else:
            number = FIELD_HEADER if field == "h" else int(field)
            _compile_field(compiler, field, &compiled.fields[number], compiled.data_pages, compiled.length_pages,
                           number)
    if problems:
        raise SpecError(problems)
    compiled.has_header = compiled.fields[FIELD_HEADER].max_length > 0
    compiled.entries = [{"len": bytes(field.length_width), "data": b""} for field in compiled.fields]
    return compiled


cdef Spec known_spec(object spec):
    if isinstance(spec, Spec):
        return spec
    # A dictionary can change, its inner ones too, so identity alone proves nothing: it must still be equal to the
    # copy that was compiled. Holding the dictionary keeps its identity from being used again.
    known = remembered_specs.get(id(spec))
    if known is not None and known[0] is spec and spec == (<Spec>known[1]).source:
        return known[1]
    compiled = compile_spec(spec)
    if len(remembered_specs) >= SPECS_REMEMBERED_MAX:
        remembered_specs.clear()
    remembered_specs[id(spec)] = (spec, compiled)
    return compiled
