"""What moves money, out of the journal: payments that were approved, and what was taken back of them.

An event is told once, at the record that makes it so: an OUTCOME that approves, the first REVERSAL or CANCELLED of an
approval, a REVERSED with which an issuer declines an advice, or a CLOSED. What came to nothing before anybody was told
is no event. Of a payment that was taken back more may be told, when its reversal ends otherwise than it should: that
changes nothing.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.base.position_table cimport PositionTable
from switch.crypto.keyed_hash cimport KeyedHash
from switch.journal.records cimport Record
from switch.journal.replay cimport Visitor
from switch.machine.request_record cimport RequestPart

cdef enum:
    CARD_HASH_BYTES = 16


cdef packed struct Asked:     # an INTENT or ADVICE, until its outcome is known
    RequestPart request
    uint16_t link
    uint8_t rrn[12]
    uint8_t is_advice


cdef class PaymentEvents(Visitor):
    cdef KeyedHash _card_key
    cdef dict _asked                          # position -> bytes of Asked
    cdef PositionTable _gone                  # requests that were taken back before their OUTCOME was read
    cdef dict _links
    cdef int64_t _first                       # earlier records are read for what refers to them, and tell no event
    cdef list _events

    cdef int _tell_approved(self, const Record *record, int64_t payment, const Asked *asked) except -1
    cdef int _tell(self, const Record *record, str event, int64_t payment, int number) except -1
    cdef bytes _card_hash(self, const RequestPart *request)
