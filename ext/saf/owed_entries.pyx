"""What the switch owes issuers, for the operator: listed, sent at once, or given up by name and with a reason."""

import heapq

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.dialect.tables cimport DialectTables
from switch.machine.claims cimport is_claim
from switch.machine.duplicate cimport OUTCOME_NONE
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport Link
from switch.machine.link_connections cimport HOLD_ALL, LINK_UP
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NOTE_REVERSAL_OVERDUE
from switch.machine.originals cimport ANY_ORIGINAL
from switch.machine.request_record cimport MERCHANT_BYTES, TERMINAL_BYTES, RequestPart, unpack_digits
from switch.saf.reversal cimport drop_entry
from switch.wire.fields cimport FIELD_AMOUNT, FIELD_CURRENCY, FIELD_MERCHANT, FIELD_TERMINAL, PAN_MAX
from switch.machine.saf_store import CAUSES
from switch.wire.faults import place_words
from switch.base.stats cimport stats_add
from switch.machine.saf_store cimport (
    NO_LISTENER, SAF_AT_ISSUER, SAF_BEHIND, SAF_DEFERRED, SAF_FREE, SAF_PAUSED, SAF_SOUGHT, SafEntry,
)
from switch.machine.state cimport State
from switch.wire.scan cimport fault_key, read_number, read_text, scan_message


class NotOwed(Exception):  # noqa: N818
    """Nothing that is owed has this reference number; or it cannot be given up just now. The text says which."""


cdef str name_of_state(Link link, const SafEntry *entry):
    if entry.state == SAF_AT_ISSUER:
        return "in flight"
    if entry.state == SAF_BEHIND:
        return "behind its advice"
    if entry.state == SAF_DEFERRED:
        return "behind what refers to it"
    if entry.unsendable:
        return "not composable"
    if entry.state == SAF_SOUGHT:
        return "original looked up"
    if link.connections.state != LINK_UP:
        return "link down"
    if link.connections.hold == HOLD_ALL:
        return "link held"
    if entry.state == SAF_PAUSED:
        return "not found yet" if entry.unfound else "paused"
    return "waiting"


cdef bint is_overdue(Link link, const SafEntry *entry, int64_t now_ns) noexcept nogil:
    """Whether it is owed for longer than the link allows. What the issuer has looked for and did not find is not, as
    long as it is asked again only because the original may still be booked."""
    if entry.unfound and now_ns < entry.bookable_until_ns:
        return False
    return now_ns - entry.stored_ns > link.saf.alert_ns


cdef str text_of(State state, DialectTables tables, int field, int size):
    cdef unsigned char text[32]
    cdef int count = read_text(tables.spec, &state.sent, field, text, size)
    return text[:count].decode("ascii", "replace").strip() if count > 0 else None


cdef dict describe_entry(State state, const SafEntry *entry):
    """One entry of the store; its card number whole, for callers who mask it."""
    cdef Link link = <Link>state.links[entry.link]
    cdef DialectTables tables = link.tables
    cdef const RequestPart *request = <const RequestPart *>entry.request
    cdef int64_t now_ns = state.calendar.now_ns
    cdef uint8_t pan[PAN_MAX + 1]
    cdef dict parts = {
        "what": "advice" if entry.is_advice else "reversal",
        "rrn": entry.rrn[:12].decode("ascii", "replace"),
        "link": link.name,
        "state": name_of_state(link, entry),
        "age_seconds": (now_ns - entry.stored_ns) / 1e9,
        "attempts": entry.attempts,
        "next_attempt_seconds": None,
        "not_found": entry.unfound,
        "unbooked": bool(entry.is_unbooked),
        "bookable_seconds": max(entry.bookable_until_ns - now_ns, 0) / 1e9,
        "overdue": is_overdue(link, entry, now_ns),
        "fault": place_words(fault_key(entry.fault_field)) if entry.unsendable else None,
        "cause": CAUSES.get(entry.cause),
        "stand_in": bool(entry.stood_in),
        "pan": entry.pan[:entry.pan_digits].decode("ascii", "replace"),
        "partition": state.partition,
        "position": entry.position,
        "terminal": None,
        "merchant": None,
        "amount_minor": None,
        "currency": None,
    }
    if entry.state == SAF_PAUSED and link.connections.takes_owed():
        parts["next_attempt_seconds"] = max(entry.due_ns - now_ns, 0) / 1e9
    if request != NULL:
        unpack_digits(request.pan, request.pan_digits, pan)
        parts["pan"] = pan[:request.pan_digits].decode("ascii", "replace")
        parts["terminal"] = request.terminal[:TERMINAL_BYTES].decode("ascii", "replace").strip()
        parts["merchant"] = request.merchant[:MERCHANT_BYTES].decode("ascii", "replace").strip()
        parts["amount_minor"] = request.amount_minor
        parts["currency"] = request.currency
        return parts
    if entry.listener != NO_LISTENER:
        tables = (<Listener>state.listeners[entry.listener]).tables
    if scan_message(tables.spec, entry.source, entry.source_size, &state.sent, &state.fault) == 0:
        parts["terminal"] = text_of(state, tables, FIELD_TERMINAL, TERMINAL_BYTES)
        parts["merchant"] = text_of(state, tables, FIELD_MERCHANT, MERCHANT_BYTES)
        parts["amount_minor"] = max(read_number(tables.spec, &state.sent, FIELD_AMOUNT), 0)
        parts["currency"] = max(read_number(tables.spec, &state.sent, FIELD_CURRENCY), 0)
    return parts


def _owed(State state, str link=None):
    """Numbers of what is owed, to one link or to all."""
    cdef uint32_t number
    cdef const SafEntry *entry
    for number in range(state.saf.top):
        entry = state.saf.at(number)
        if entry.state != SAF_FREE and (link is None or (<Link>state.links[entry.link]).name == link):
            yield number


def list_entries(State state not None, *, str link=None, str what=None, str rrn=None, bint overdue=False,
                 int64_t most=1000):
    """What is owed, oldest first.

    Args:
        state: The state machine; its calendar tells ages.
        link: Only to this link.
        what: Only ``reversal`` or ``advice``.
        rrn: Only with this reference number.
        overdue: Only what is older than the link allows.
        most: Entries, at most.

    Returns:
        How many there are, and the oldest of them as dicts with whole card numbers.
    """
    cdef uint32_t number
    cdef const SafEntry *entry
    cdef Link owner
    found = []
    for number in _owed(state, link):
        entry = state.saf.at(number)
        owner = <Link>state.links[entry.link]
        if what is not None and (what == "advice") != bool(entry.is_advice):
            continue
        if overdue and not is_overdue(owner, entry, state.calendar.now_ns):
            continue
        if rrn is not None and entry.rrn[:12] != rrn.encode("ascii", "replace"):
            continue
        found.append((entry.stored_ns, number))
    oldest = heapq.nsmallest(most, found)
    return len(found), [describe_entry(state, state.saf.at(number)) for _, number in oldest]


cdef list numbers_of(State state, str rrn, str what, str link):
    """The entries with a reference number, all of one link.

    A reference number comes back: with the same hour of the same day ten years later, and when a clock that was ahead
    is set back. So it may stand on two links, and only their operator can say which of these entries is meant.

    Raises:
        NotOwed: there is none, or there are some on several links.
    """
    cdef uint32_t number
    cdef const SafEntry *entry
    cdef Link owner
    cdef bytes wanted = rrn.encode("ascii", "replace")
    found = []
    links = set()
    for number in _owed(state, link):
        entry = state.saf.at(number)
        owner = <Link>state.links[entry.link]
        if entry.rrn[:12] == wanted and bool(entry.is_advice) == (what == "advice"):
            found.append(number)
            links.add(owner.name)
    if not found:
        raise NotOwed(f"no {what} with RRN {rrn} is owed{'' if link is None else f' to {link}'}")
    if len(links) > 1:
        raise NotOwed(f"{len(found)} {what}s with RRN {rrn} are owed, to {' and '.join(sorted(links))}: "
                      "say which with --link")
    return found


def retry_entry(State state not None, *, str rrn=None, str what="reversal", str link=None):
    """Let what is paused be sent as soon as the link's window allows: one entry, or all of a link.

    Args:
        state: The state machine.
        rrn: Only with this reference number.
        what: ``reversal`` or ``advice``; with ``rrn``.
        link: Only of this link; needed without ``rrn``, and where that stands on several links.

    Returns:
        How many were paused and are not any more.

    Raises:
        NotOwed: there is no entry with this reference number, or there are some on several links.
    """
    cdef uint32_t number
    cdef int64_t hastened = 0
    cdef Link owner
    if rrn is not None:
        numbers = numbers_of(state, rrn, what, link)
    else:
        numbers = [] if link is None else _owed(state, link)
    for number in numbers:
        owner = <Link>state.links[state.saf.at(number).link]
        hastened += state.saf.hasten(owner.saf, number)
    return hastened


def close_entry(State state not None, *, str rrn not None, str name not None, str reason not None,
                str what="reversal", str link=None):
    """Give up what an issuer has not acknowledged: CLOSED is written down, and nothing more is sent.

    Args:
        state: The state machine.
        rrn: Which one.
        name: Of the operator; up to 255 bytes.
        reason: The operator's, up to 255 bytes.
        what: ``reversal`` or ``advice``.
        link: Only of this link; needed where the reference number stands on several.

    Returns:
        The position of its record in the journal, and what was given up.

    Raises:
        NotOwed: there is no such entry, or not one alone; it is at the issuer just now, or the journal cannot take the
            record.
        ValueError: name or reason is missing or too long.
    """
    cdef uint32_t number, outcome
    cdef bytes name_text = name.encode()
    cdef bytes reason_text = reason.encode()
    cdef SafEntry *entry
    cdef Link owner
    cdef int64_t position
    if not 1 <= len(name_text) <= 255 or not 1 <= len(reason_text) <= 255:
        raise ValueError("an operator's name and a reason are required, of at most 255 bytes each")
    found = numbers_of(state, rrn, what, link)
    number = found[0]
    entry = state.saf.at(number)
    owner = <Link>state.links[entry.link]
    if len(found) > 1:
        raise NotOwed(f"{len(found)} {what}s with RRN {rrn} are owed to {owner.name}, and nothing tells them apart: "
                      "one can be closed when the others are acknowledged")
    if entry.state == SAF_AT_ISSUER:
        raise NotOwed(f"the {what} with RRN {rrn} is at the issuer just now, who may acknowledge it: try again later")
    described = describe_entry(state, entry)
    position = state.journal.closed(entry, name_text, reason_text)
    if position == POSITION_FAILED:
        raise NotOwed("the journal cannot be written, so nothing is given up")
    state.inquiries.note_reference(position, ANY_ORIGINAL)
    outcome = OUTCOME_NONE if entry.is_advice else state.duplicates.begun_at(entry.original)
    if outcome != OUTCOME_NONE:
        state.duplicates.at(outcome).closed_by_operator = True
    if is_claim(entry.refers_to):
        state.claims.note_closed(entry.refers_to)
    drop_entry(state, number)
    stats_add(state.meters.stats, state.meters.link[owner.number].reversals_closed, 1)
    return position, described


def note_overdue(State state not None):
    """How long the oldest entry of each link waits, how many are older than the link allows, of which an operator is
    told once each, and of how many no attempt can be composed. Call every few seconds.

    Returns:
        For each link, in order of their numbers: seconds, how many are overdue, and how many not composable.
    """
    cdef uint32_t number
    cdef int64_t now_ns = state.calendar.now_ns
    cdef SafEntry *entry
    cdef Link link
    oldest = [0.0] * len(state.links)
    overdue = [0] * len(state.links)
    unsendable = [0] * len(state.links)
    for number in _owed(state):
        entry = state.saf.at(number)
        link = <Link>state.links[entry.link]
        unsendable[link.number] += entry.unsendable
        oldest[link.number] = max(oldest[link.number], (now_ns - entry.stored_ns) / 1e9)
        if not is_overdue(link, entry, now_ns):
            continue
        overdue[link.number] += 1
        if not entry.raised:
            entry.raised = True
            state.tell_of(NOTE_REVERSAL_OVERDUE, link.number, entry.rrn, entry.is_advice,
                          (now_ns - entry.stored_ns) // 1_000_000_000, entry.attempts)
    state.deliver_notes()
    return list(zip(oldest, overdue, unsendable))
