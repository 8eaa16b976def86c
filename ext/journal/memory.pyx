"""A journal in memory, which becomes durable when its owner says so: for the simulator and for tests."""

cimport cython
from switch.machine.claims cimport ClaimPart
from switch.machine.duplicate cimport Outcome
from switch.machine.journal_interface cimport POSITION_FAILED, Detail, Journal
from switch.machine.numbering cimport NumberBlock
from switch.machine.saf_store cimport SafEntry
from switch.machine.transaction cimport Transaction
from switch.tables.rules cimport RuleWords

from switch.dialect.kinds import KINDS
from switch.dialect.reasons import REASONS
from switch.machine.claims import CLAIM_STATES
from switch.machine.saf_store import CAUSES


@cython.final
cdef class MemoryJournal(Journal):
    """Keeps every record as (what, details); the position of a record is its place in the list, counted from 1.

    ``sync`` makes what was written durable, as the disk of a real journal does; ``fail`` lets every later record fail.
    A real one may fail at any moment, for it is written by a thread of its own.
    """

    def __init__(self):
        self.records = []
        self.told = []

    @property
    def written(self):
        """Position of the newest record."""
        return len(self.records)

    def sync(self, int64_t position=-1):
        """Make the records up to a position durable; all of them without one."""
        self.durable = len(self.records) if position < 0 else position

    def fail(self, *, noticed=True):
        """From here on nothing can be written; when that is not ``noticed``, it shows by the next record."""
        self._fails = True
        self.failed = noticed

    cdef int64_t newest(self) noexcept:
        return len(self.records)

    cdef int64_t _note(self, str what, dict details) noexcept:
        if self._fails:
            self.failed = True
            return POSITION_FAILED
        self.records.append((what, details))
        return len(self.records)

    cdef int64_t intent(self, const Transaction *transaction, const Outcome *outcome) noexcept:
        return self._note("intent", {
            "link": transaction.link,
            "stan": transaction.stan,
            "amount_minor": transaction.amount_minor,
            "request": transaction.request[:transaction.request_size],
            "sent": transaction.sent[:transaction.sent_size],
        })

    cdef int64_t outcome(self, const Outcome *outcome, int reason, const uint8_t *answer, uint32_t size,
                         const Detail *detail) noexcept:
        cdef bytes rule = b"" if detail == NULL else detail.rule.text[:detail.rule.id_size]
        return self._note("outcome", {
            "stan": outcome.key.stan,
            "kind": KINDS[outcome.kind],
            "reason": REASONS[reason],
            "approved": bool(outcome.approved),
            "stand_in": bool(outcome.stood_in),
            "rule": rule.decode(),
            "answer": answer[:size],
        })

    cdef int64_t reversal(self, const SafEntry *reversal) noexcept:
        return self._note("reversal", {
            "link": reversal.link,
            "rrn": reversal.rrn[:12].decode("ascii", "replace"),
            "source": reversal.source[:reversal.source_size],
        })

    cdef int64_t attempt(self, const SafEntry *entry) noexcept:
        return self._note("attempt", {
            "link": entry.link,
            "rrn": entry.rrn[:12].decode("ascii", "replace"),
            "attempts": entry.attempts,
        })

    cdef int64_t reversed(self, const SafEntry *entry, int reason) noexcept:
        return self._note("reversed", {
            "link": entry.link,
            "rrn": entry.rrn[:12].decode("ascii", "replace"),
            "reason": REASONS[reason],
        })

    cdef void delivered(self, int64_t position) noexcept:
        self.told.append(position)

    cdef int64_t late(self, int64_t intent, int reason, const uint8_t *authorization_code,
                      int64_t approved_minor) noexcept:
        return self._note("late", {"intent": intent, "reason": REASONS[reason]})

    cdef int64_t closed(self, const SafEntry *entry, bytes name, bytes reason) noexcept:
        return self._note("closed", {
            "link": entry.link,
            "rrn": entry.rrn[:12].decode("ascii", "replace"),
            "operator": name.decode(),
            "why": reason.decode(),
        })
    cdef int64_t advice(self, const SafEntry *advice) noexcept:
        return self._note("advice", {
            "link": advice.link,
            "stan": advice.stan,
            "stand_in": bool(advice.stood_in),
            "source": advice.source[:advice.source_size],
        })

    cdef int64_t cancelled(self, int64_t advice, int64_t original, int cause) noexcept:
        return self._note("cancelled", {"advice": advice, "original": original, "cause": CAUSES[cause]})

    cdef int64_t unfound(self, const SafEntry *reversal) noexcept:
        return self._note("unfound", {
            "link": reversal.link,
            "rrn": reversal.rrn[:12].decode("ascii", "replace"),
            "times": reversal.unfound,
        })

    cdef int64_t claim(self, const ClaimPart *claim, int64_t original, int64_t undoes) noexcept:
        return self._note("claim", {
            "original": original,
            "terminal": claim.terminal[:sizeof(claim.terminal)].decode("ascii"),
            "partition": claim.partition,
            "kind": KINDS[claim.kind],
            "amount_minor": claim.amount_minor,
        })

    cdef int64_t claim_state(self, int64_t claim, int64_t original, int state, int64_t approved_minor) noexcept:
        return self._note("claim_state", {
            "claim": claim, "original": original, "state": CLAIM_STATES[state], "approved_minor": approved_minor})

    cdef int64_t refers(self, int64_t request, int64_t refers_to) noexcept:
        return self._note("refers", {"request": request, "refers_to": refers_to})

    cdef int64_t ruled(self, int64_t request, const RuleWords *words) noexcept:
        return self._note("ruled", {"request": request, "rule": words.text[:words.id_size].decode()})

    cdef int64_t numbers(self, const NumberBlock *block) noexcept:
        """Numbers are no record here: what is reserved may be given at once."""
        return POSITION_FAILED if self.failed else 0
