"""Where the records of originals stand: an index of each segment of the journal, by what may be asked for.

An index has an entry for each of: terminal and STAN of a request; its reference number; terminal, card and amount;
the position of a transaction, for each record that says what became of it; and the same for each request that refers
to it. Keys are hashes under a key of the journal. A sealed segment's index is a file beside it, sorted; that of the
segment which is being written is in memory.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.base.siphash cimport SipKey
from switch.journal.disk cimport Disk
from switch.journal.records cimport Record
from switch.journal.replay cimport JournalReader, Segment, Visitor
from switch.machine.request_record cimport RequestPart

cdef packed struct Place:
    uint64_t key
    uint32_t batch            # offset in the segment, in units of BATCH_ALIGNMENT
    uint32_t record           # which of the batch

cdef enum:
    PAGE_PLACES = 255

cdef packed struct Page:
    Place places[PAGE_PLACES]
    uint64_t number
    uint32_t reserved
    uint32_t checksum         # of all before, begun with the head's: a page of another index is none of this one


cdef uint64_t key_of_number(const SipKey *secret, const uint8_t *terminal, uint32_t stan) noexcept nogil
cdef uint64_t key_of_rrn(const SipKey *secret, const uint8_t *rrn) noexcept nogil
cdef uint64_t key_of_card(const SipKey *secret, const uint8_t *terminal, const uint8_t *pan, int pan_digits,
                          int64_t amount_minor) noexcept nogil
"""``pan`` in ASCII digits."""
cdef uint64_t key_of_position(const SipKey *secret, int64_t position) noexcept nogil
cdef uint64_t key_of_reference(const SipKey *secret, int64_t position) noexcept nogil


cdef class SegmentIndex(Visitor):
    """The index of one segment, filled as it is read."""
    cdef readonly Segment segment
    cdef Disk disk
    cdef JournalReader reader
    cdef SipKey _secret
    cdef readonly uint64_t count
    cdef readonly bint is_filed           # its places are in the file, not in memory
    cdef uint32_t _seal                   # checksum of the file's head, with which those of its pages begin
    cdef readonly uint64_t read_to        # offset in the segment up to which it was read
    cdef readonly int64_t next_position   # of the next record that it will read
    cdef Place *_places                   # in the order of the records
    cdef uint32_t *_next                  # of the same bucket, counted from 1
    cdef uint32_t *_heads
    cdef uint64_t _room
    cdef uint64_t _mask

    cdef int _put(self, uint64_t key) except -1
    cdef int _put_request(self, const RequestPart *request, const uint8_t *rrn) except -1
    cdef int _grow(self) except -1
    cdef int _give_back(self) noexcept
    cdef int _fill(self, Page *pages, uint32_t seal) except -1
    cdef int _read_page(self, int file, Page *page, uint64_t number) except -1
    cdef list places_of(self, uint64_t key)
    """(batch offset, record number) of each record with this key, oldest first."""
