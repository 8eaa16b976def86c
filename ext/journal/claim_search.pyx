"""Looks up what is asked of the journal: originals, and what became of requests that keepers ask for."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp
from switch.journal.original_index cimport SegmentIndex, key_of_number
from switch.journal.original_search cimport Finder
from switch.machine.claims cimport CLAIM_GONE, CLAIM_STANDS, ClaimPart, SoughtClaim, is_same_claim
from switch.machine.originals cimport Original, Wanted
from switch.machine.request_record cimport TERMINAL_BYTES, RequestPart

cdef enum:
    OPENED_MAX = 1_024        # requests of one key that are read, the newest: STANs begin anew, daily or more often
    NS_A_SECOND = 1_000_000_000
    US_A_SECOND = 1_000_000
    NOT_KNOWN = -1


def look_up(Finder finder not None, Wanted wanted not None, int64_t local_offset_s=0):
    """The original that is wanted, or None, and whether None means that there is none: all was read in which it may
    stand. Where a keeper asks what became of a request, ``wanted`` knows that afterwards.

    Args:
        finder: Has read the journal up to ``wanted.asked_at``.
        wanted: What is asked.
        local_offset_s: Of the acquirer's time zone, for dates without a time.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A record that is wanted cannot be read.
    """
    cdef SoughtClaim sought = <SoughtClaim>wanted.sought
    cdef bint reaches = True
    original = None
    if sought is None:
        original = finder.find(wanted, local_offset_s)
    else:
        finder._index_from(finder._first)
        _find_request(finder, sought)
        reaches = _reaches(finder, wanted, sought)
    return original, (finder.position >= wanted.asked_at and not finder.damaged and not finder.is_cut_off and reaches)


cdef bint _reaches(Finder finder, Wanted wanted, SoughtClaim sought) except -1:
    """Whether the journal was begun before the claim was granted: else its request may have stood in what is gone."""
    cdef SegmentIndex index
    cdef int64_t begun_ns, age_s
    if not finder._indexes:
        return False
    index = finder._indexes[finder._first]
    begun_ns = finder._begun_ns(index)
    age_s = sought.body.age_s
    # By both clocks: one may have been set.
    return (begun_ns != NOT_KNOWN and wanted.naming.elapsed_ns - begun_ns > age_s * NS_A_SECOND
            and wanted.naming.wall_s - index.segment.created_us // US_A_SECOND > age_s)


cdef bint _is_of(const RequestPart *request, const ClaimPart *part) noexcept nogil:
    """Whether a request may be the one that claims, by its natural key and what it asked for."""
    return (memcmp(request.terminal, part.terminal, TERMINAL_BYTES) == 0 and request.occasion == part.occasion
            and request.stan == part.stan and request.message_class == part.message_class
            and request.kind == part.kind and request.amount_minor == part.amount_minor)


cdef int _find_request(Finder finder, SoughtClaim sought) except -1:
    """Find the request that refers to a claim, else one of its natural key that went on without; and its end."""
    cdef const ClaimPart *part = &sought.body.claim
    cdef uint64_t key = key_of_number(&finder._key, part.terminal, part.stan)
    cdef uint32_t left = OPENED_MAX
    cdef Original request
    cdef int number
    finder._begin_look_up()
    for number in range(len(finder._indexes) - 1, finder._first - 1, -1):
        for offset, record in reversed(finder._places_of(number, key)):
            if left == 0:
                finder.is_cut_off = True
                return 0
            left -= 1
            request = finder._open(finder._indexes[number], offset, record)
            if request is None or not _is_of(&request.request, part):
                continue
            finder._complete(request, number)
            if is_same_claim(request.request.refers_to, sought.refers_to):
                return _note_end(finder, sought, request)
            if sought.request == 0 and request.request.refers_to == 0:
                _note_end(finder, sought, request)
    return 0


cdef int _note_end(Finder finder, SoughtClaim sought, Original request) except -1:
    sought.request = request.position
    sought.known_as = request.request.refers_to
    sought.state, sought.approved_minor = finder.became_of(request.position, request.request.kind)
    if sought.state == CLAIM_GONE and finder._is_void_loose and request.stands():
        sought.state = CLAIM_STANDS           # nothing keeps that void from being taken back, and then it stands again
    return 0
