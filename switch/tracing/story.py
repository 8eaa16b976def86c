"""All that the journal holds of one transaction: how it ended, what is owed for it, whether its terminal was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from switch.base.currencies import amount_words
from switch.dialect.kinds import Kind, KindTraits, Money, kind_traits
from switch.dialect.reasons import Reason
from switch.wire.faults import fault_words, of_dialect

Record = Mapping[str, Any]
ACCEPTING = frozenset({Reason.APPROVED, Reason.DUPLICATE})
"""Answers to an advice with which an issuer takes note of it."""


def rule_words(rule: Mapping[str, str]) -> str:
    """Which rule of risk control has refused a request, why it is there, and where a legal limit is laid down."""
    why = f": {rule['reason']}" if rule["reason"] else ""
    source = f" (source: {rule['source']})" if rule["source"] else ""
    return f"rule {rule['id']}{why}{source}"


@dataclass(slots=True)
class SafEntry:
    """A reversal or an advice that an issuer is owed.

    Attributes:
        is_advice: It tells of a payment; else it takes one back.
        link: Whom it is owed.
        stored_us: When it was written down first.
        cause: Of a reversal, as ``switch.machine.saf_store.CAUSES`` says it.
        attempts: How often it was sent.
        attempted_us: When it was sent last; None when it never was.
        not_found: How often its issuer did not know the original, which did not end it.
        unbooked: What it takes back was approved here, and its issuer has not taken note of that.
        ended_us: When it was acknowledged, closed or cancelled; None while it is owed.
        reason: The issuer's, when it was acknowledged.
        closed_by: The operator who gave it up.
        why: The operator's reason.
        cancelled: Why an advice was never sent.
        written: The record that attempts are composed from.
        fault: Why none can be; None while nothing is known against it.
    """

    is_advice: bool
    link: str
    stored_us: int
    cause: str | None = None
    attempts: int = 0
    attempted_us: int | None = None
    not_found: int = 0
    unbooked: bool = False
    ended_us: int | None = None
    reason: Reason | None = None
    closed_by: str | None = None
    why: str | None = None
    cancelled: str | None = None
    written: Record | None = None
    fault: str | None = None

    @property
    def is_promised_in_vain(self) -> bool:
        """Whether a terminal was told that it is taken back, and the issuer does not know it."""
        return self.cause == "terminal" and self.not_found > 0 and not self.unbooked

    @property
    def is_open(self) -> bool:
        """Whether it is still owed."""
        return self.ended_us is None


@dataclass(slots=True)
class Claim:
    """A request of another partition that refers to a transaction, as this one's partition knows it.

    Attributes:
        record: Its CLAIM.
        state: ``open``, ``stands`` or ``gone``.
        told_us: When that was written down.
        approved_minor: The part of it that was approved; 0: all, or nothing.
    """

    record: Record
    state: str = "open"
    told_us: int | None = None
    approved_minor: int = 0

    @property
    def kind(self) -> Kind:
        """What is asked for."""
        return Kind(self.record["kind"])

    @property
    def amount_minor(self) -> int:
        """What counts of it."""
        return self.approved_minor or max(self.record["amount_minor"], 0)


@dataclass(slots=True, eq=False)
class Story:
    """One transaction.

    Args:
        records: What was written of it, in order, as ``switch.journal.search`` gives it.
        dialects: Of listeners and links by their place, such as ``link bank-a``; where it is not known it is not told.

    Attributes:
        saf_entries: What is or was owed for it, oldest first.
        owed: The same by the position of each record that it was written down with.
        original: The transaction that it refers to, where that was found.
        references: What refers to it, oldest first.
        claims: What refers to it in other partitions, by position.
        claimed: The record that says what it was granted in another partition when it had gone on without; None: none.
        promise: Where it keeps a payment from being charged that its reversal has overtaken: that reversal.
        partition: In whose journal it is.
    """

    records: Sequence[Record]
    dialects: Mapping[str, str] = field(default_factory=dict)
    first: Record = field(init=False)
    intent: Record | None = field(init=False, default=None)
    outcome: Record | None = field(init=False, default=None)
    taken_back: Record | None = field(init=False, default=None)
    late: Record | None = field(init=False, default=None)
    saf_entries: list[SafEntry] = field(init=False, default_factory=list)
    owed: dict[int, SafEntry] = field(init=False, default_factory=dict)
    told_us: int | None = field(init=False, default=None)
    settled_by: Record | None = field(init=False, default=None)
    original: Story | None = field(init=False, default=None, repr=False, compare=False)
    references: list[Story] = field(init=False, default_factory=list, repr=False, compare=False)
    claims: dict[int, Claim] = field(init=False, default_factory=dict)
    claimed: Record | None = field(init=False, default=None)
    promise: Story | None = field(init=False, default=None, repr=False, compare=False)
    partition: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Read the records."""
        self.first = self.records[0]
        for record in self.records:
            READERS.get(record["type"], Story._skip)(self, record)

    def _skip(self, record: Record) -> None:
        """A record that says nothing for the verdict."""

    def _take_intent(self, record: Record) -> None:
        self.intent = record

    def _take_outcome(self, record: Record) -> None:
        if record is not self.first and not record["intent"]:
            self.taken_back = record
        else:
            self.outcome = record

    def _take_entry(self, record: Record) -> None:
        entry = self.owed.get(record["replaces"])
        if entry is None:
            entry = SafEntry(record["type"] == "ADVICE", record["link"], record["wall_us"], record.get("cause"))
            self.saf_entries.append(entry)
        entry.written, entry.unbooked = record, record.get("unbooked", False)
        self.owed[record["position"]] = entry

    def _take_attempt(self, record: Record) -> None:
        if (entry := self.owed.get(record["reversal"])) is not None:
            entry.attempts, entry.attempted_us = record["attempts"], record["wall_us"]

    def _take_end(self, record: Record) -> None:
        if (entry := self.owed.get(record["reversal"])) is not None:
            entry.ended_us = record["wall_us"]
            entry.reason = reason_of(record) if "reason" in record else None
            entry.closed_by, entry.why = record.get("operator"), record.get("why")
            if entry.is_advice and entry.reason in ACCEPTING:
                for other in self.saf_entries:
                    other.unbooked = False

    def _take_unfound(self, record: Record) -> None:
        if (entry := self.owed.get(record["reversal"])) is not None:
            entry.not_found = record["times"]

    def _take_cancellation(self, record: Record) -> None:
        if (entry := self.owed.get(record["advice"])) is not None:
            entry.ended_us, entry.cancelled = record["wall_us"], record["cause"]
            if record["cause"] in ("settled", "withheld"):
                self.settled_by = record

    def _take_delivery(self, record: Record) -> None:
        is_answer = self.outcome is not None and record["answer"] == self.outcome["position"]
        if is_answer and self.told_us is None:
            self.told_us = record["wall_us"]

    def _take_claim(self, record: Record) -> None:
        self.claims[record["position"]] = Claim(record)

    def _take_claim_state(self, record: Record) -> None:
        if (claim := self.claims.get(record["claimed_at"])) is not None:
            claim.state, claim.told_us = record["state"], record["wall_us"]
            claim.approved_minor = record.get("approved_minor", 0)

    def _take_refers(self, record: Record) -> None:
        self.claimed = record

    def _take_late(self, record: Record) -> None:
        self.late = record

    @property
    def refers_to(self) -> int:
        """Position of what it refers to; 0 when that is nothing, or not known."""
        if self.settled_by is not None:
            return int(self.settled_by["original"])
        return int(self.first.get("refers_to", 0))

    @property
    def is_withheld(self) -> bool:
        """Whether it is a reversal that is never sent, though its terminal was told that it would be."""
        return self.settled_by is not None and self.settled_by["cause"] == "withheld"

    @property
    def stands(self) -> bool:
        """Whether it was approved, and nothing has taken it back."""
        return self.is_approved and not self.reversals and not (self.advice is not None and self.advice.cancelled)

    @property
    def kind(self) -> Kind:
        """What was asked for."""
        return Kind(self.first.get("kind", Kind.UNKNOWN))

    @property
    def overtakes(self) -> bool:
        """Whether it is no more than what keeps a payment that its reversal has overtaken from being charged."""
        return self.kind == Kind.REVERSAL and self.outcome is self.first and self.reason == Reason.TIMEOUT

    @property
    def is_promised(self) -> bool:
        """Whether it is a terminal's own reversal that was accepted."""
        return self.kind == Kind.REVERSAL and self.reason == Reason.APPROVED

    @property
    def is_unknown(self) -> bool:
        """Whether it is a terminal's reversal of a payment that was not known when it was accepted."""
        return self.first["type"] == "REVERSAL" or (self.is_promised and bool(self.saf_entries))

    @property
    def traits(self) -> KindTraits:
        """What is true of its kind."""
        return kind_traits(self.kind)

    @property
    def rrn(self) -> str | None:
        """Its retrieval reference number."""
        return next((record["rrn"] for record in self.records if record.get("rrn")), None)

    @property
    def rrn_owed(self) -> str | None:
        """The number under which an issuer knows, or is owed, it; None where that is the only one."""
        owed = next((entry.written["rrn"] for entry in self.saf_entries if entry.written is not None), None)
        return owed if self.is_promised and owed != self.rrn else None

    @property
    def link(self) -> str | None:
        """The link whose issuer was asked."""
        return next((record["link"] for record in self.records if record.get("link")), None)

    @property
    def reason(self) -> Reason | None:
        """Why it ended as it did; None while it has not ended."""
        return None if self.outcome is None else reason_of(self.outcome)

    def detail(self, response_code: str | None) -> str:
        """More on why it was not approved, behind a semicolon where there is something.

        That is the issuer's own code where it is not what the terminal was told, the rule of risk control that refused
        it, and what was wrong with a message.
        """
        outcome = self.outcome or {}
        told = []
        code = outcome.get("issuer_code")
        if code and code != response_code:
            unlisted = ", which its dialect does not list" if self.reason == Reason.OTHER_DECLINE else ""
            told.append(f"the issuer's code is {code}{unlisted}")
        if rule := outcome.get("rule"):
            told.append(rule_words(rule))
        if fault := outcome.get("fault"):
            place = f"link {self.link}" if fault["of_link"] else f"listener {self.first.get('listener')}"
            words = fault_words(*(fault[key] for key in ("fault", "field", "byte", "needed", "available")))
            told.append(f"{place}, {of_dialect(self.dialects.get(place, ''), words)}")
        return "".join(f"; {words}" for words in told)

    @property
    def is_approved(self) -> bool:
        """Whether its outcome is an approval."""
        return self.outcome is not None and bool(self.outcome["approved"])

    @property
    def is_reversed(self) -> bool:
        """Whether its outcome says that a reversal of it was stored."""
        return self.outcome is not None and bool(self.outcome["reversed"])

    @property
    def stood_in(self) -> bool:
        """Whether the switch approved it in the issuer's place."""
        return self.outcome is not None and bool(self.outcome.get("stand_in"))

    @property
    def is_hold(self) -> bool:
        """Whether it holds an amount, or lets go of one, and moves no money."""
        return self.kind in (Kind.PREAUTHORIZATION, Kind.PREAUTHORIZATION_VOID, Kind.PREAUTHORIZATION_ADVICE)

    @property
    def told_by_advice(self) -> bool:
        """Whether the issuer was not asked, but is told of it."""
        return self.stood_in or self.traits.is_advice

    @property
    def approval(self) -> str:
        """Who approved it, in words."""
        if self.stood_in:
            return "approved by stand-in"
        if self.outcome is not None and self.outcome.get("approved_minor"):
            return f"approved in part, {self.amount} of {self.amount_asked},"
        return "approved by the terminal" if self.traits.is_advice else "approved"

    @property
    def reversals(self) -> list[SafEntry]:
        """What was or is owed to take it back."""
        return [entry for entry in self.saf_entries if not entry.is_advice]

    @property
    def given_up(self) -> SafEntry | None:
        """The reversal that an operator has given up, where no other one is owed: whether it stands, only he knows."""
        if any(entry.is_open for entry in self.reversals):
            return None
        return next((entry for entry in self.reversals if entry.closed_by is not None), None)

    @property
    def advice(self) -> SafEntry | None:
        """What was or is owed to tell the issuer of it."""
        return next((entry for entry in self.saf_entries if entry.is_advice), None)

    @property
    def was_charged_late(self) -> bool:
        """Whether the issuer approved after the request had ended."""
        return self.late is not None and reason_of(self.late) in (Reason.APPROVED, Reason.PARTIALLY_APPROVED)

    @property
    def is_open(self) -> bool:
        """Whether more is certain to follow: it has no outcome, or something is owed."""
        has_ended = self.outcome is not None or (self.intent is None and self.is_unknown)
        return not has_ended or any(entry.is_open for entry in self.saf_entries)

    @property
    def ends(self) -> datetime:
        """When the last of its records was written."""
        return moment(self.records[-1]["wall_us"])

    @property
    def amount_minor(self) -> int | None:
        """What was asked for, or the part of it that was approved."""
        approved: int | None = None if self.outcome is None else self.outcome.get("approved_minor")
        return approved or self.first.get("amount_minor")

    @property
    def amount(self) -> str:
        """Amount and currency for people: what was asked for, or the part of it that was approved."""
        return amount_words(self.amount_minor, self.first.get("currency"))

    @property
    def amount_asked(self) -> str:
        """The amount that was asked for."""
        return amount_words(self.first.get("amount_minor"), self.first.get("currency"))

    @property
    def mismatch(self) -> str:
        """By which field the issuer's answers were not to this request, in words that follow a reason."""
        field = None if self.outcome is None else self.outcome.get("mismatch")
        if not field:
            return ""
        return ", repeated none of the fields that are verified" if field == NOTHING_REPEATED else f", field {field}"

    @property
    def noun(self) -> str:
        """What an approval of its kind does to the cardholder's account."""
        if self.kind in UNSAID:
            return "charge"
        return {Money.DEBIT: "charge", Money.CREDIT: "credit"}.get(self.traits.money, "hold")

    @property
    def nothing(self) -> str:
        """What it means for the cardholder's account that its issuer did not do it."""
        if self.traits.money == Money.CREDIT:
            return "nothing was given back, and what was charged before stands"
        is_payment = self.traits.money == Money.DEBIT or self.kind in UNSAID
        return "nothing was charged" if is_payment else "no money has moved"


UNSAID = (Kind.UNKNOWN, Kind.REVERSAL)
"""Kinds that do not say what would be taken back: most likely a payment."""

NOTHING_REPEATED = 255
"""In place of a field's number."""

READERS = {
    "INTENT": Story._take_intent,
    "OUTCOME": Story._take_outcome,
    "REVERSAL": Story._take_entry,
    "ADVICE": Story._take_entry,
    "ATTEMPT": Story._take_attempt,
    "REVERSED": Story._take_end,
    "UNFOUND": Story._take_unfound,
    "CLOSED": Story._take_end,
    "CANCELLED": Story._take_cancellation,
    "DELIVERED": Story._take_delivery,
    "LATE": Story._take_late,
    "CLAIM": Story._take_claim,
    "CLAIM_STATE": Story._take_claim_state,
    "REFERS": Story._take_refers,
}
"""What is done with a record of each type."""


def reason_of(record: Record) -> Reason:
    """The reason that a record names; a number that this program does not know is a decline without one."""
    number = record["reason"]
    return Reason(number) if number in Reason.__members__.values() else Reason.OTHER_DECLINE


def moment(wall_us: int) -> datetime:
    """A record's time."""
    return datetime.fromtimestamp(wall_us / 1_000_000, UTC)
