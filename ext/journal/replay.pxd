"""Reads the journal back: checks every byte of it, and hands each record to a visitor."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.crypto.sealing cimport Sealer
from switch.journal.disk cimport Disk
from switch.journal.file_heads cimport BatchHead
from switch.journal.records cimport Record


cdef class Visitor:
    """What is done with what is read."""
    cdef int take(self, const Record *record) except -1
    cdef int take_clock(self, str boot, int64_t offset_ns, int64_t elapsed_ns) except -1
    """Before ``take_names``, where the segment has it: what the journal's own time goes by, as ``write_names`` says."""
    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1
    """At the beginning of each segment, before its records: names of links and of listeners by their numbers, and
    what is known of numbers, as ``switch.journal.party_names.read_names`` gives it."""


cdef class Listing(Visitor):
    cdef object _callback
    cdef dict _links
    cdef dict _listeners


cdef class Segment:
    """The head of one segment file."""
    cdef readonly str name
    cdef readonly uint64_t size
    cdef readonly int64_t first_position
    cdef readonly int64_t low_water
    cdef readonly int64_t created_us
    cdef readonly bytes journal_id
    cdef readonly bytes key_id                # of the key that opened it; None: nobody has tried yet
    cdef bytes _key_id                        # that its head names; zeros: none
    cdef bytes _head


cdef class Tail:
    """Where the journal ends, and what was found on the way."""
    cdef readonly int64_t next_position
    cdef readonly int64_t wall_us             # of the last batch; 0: there is none
    cdef readonly uint64_t records
    cdef readonly uint64_t batches
    cdef readonly uint64_t bytes_read
    cdef readonly str segment                 # the last one; None: there is none
    cdef readonly uint64_t end                # of what is whole in it
    cdef readonly uint64_t torn_bytes         # behind that: of a batch that was being written when power was lost
    cdef readonly bint is_empty               # the last segment holds no record


cdef class JournalReader:
    cdef readonly Disk disk
    cdef readonly list segments
    cdef readonly bytes index_secret          # under which an index of a segment hashes what it holds
    cdef readonly int reading                 # number of the segment that a replay has come to
    cdef public bint stop_wanted              # another thread wants a replay to stop at the next batch
    cdef readonly uint64_t batch_offset       # of the record that a visitor is given: where its batch stands
    cdef readonly uint32_t batch_record       # and which record of that it is
    cdef str _unwrapped                       # the segment whose key the sealer has
    cdef dict _wrappers                       # by the ids of their keys
    cdef Sealer _sealer
    cdef uint8_t *_data
    cdef uint64_t _data_room
    cdef uint64_t _size
    cdef uint8_t *_clear
    cdef uint64_t _clear_room
    cdef uint8_t *_unpacked
    cdef uint64_t _unpacked_room

    cdef int _load(self, Segment segment, uint64_t most=*) except -1
    cdef bytes _names_of(self, Segment segment)
    cdef const uint8_t *_content(self, Segment segment, const uint8_t *batch, uint64_t offset, const BatchHead *head,
                                 int64_t position) except NULL
    cdef int _read_segment(self, Segment segment, bint is_last, Visitor visitor, Tail tail) except -1
    cdef int _unwrap(self, Segment segment) except -1
    cdef int _load_batch(self, Segment segment, int file, uint64_t offset, BatchHead *head) except -1
    cdef bint _is_begun(self, Segment segment, int file, uint64_t offset) except -1
    cdef int _read_batch(self, Segment segment, const uint8_t *batch, uint64_t offset, const BatchHead *head,
                         Visitor visitor, Tail tail) except -1
    cdef bint _is_followed(self, uint64_t offset, int64_t position) noexcept nogil
    cdef uint64_t _last_written(self, uint64_t offset) noexcept nogil
