"""The steps of one transaction in words: when, where, what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from switch.dialect.reasons import Reason
from switch.tracing.references import claimed
from switch.tracing.story import ACCEPTING, Record, Story, reason_of, rule_words
from switch.tracing.verdict import CAUSE_WORDS

UNACKNOWLEDGED = "the issuer never acknowledged: money must be cleared by hand"
ATTEMPTS_SHOWN = 2
"""First and last attempts of a reversal that are shown one by one to people."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        wall_us: When, in microseconds since 1970.
        position: Of the record in the journal.
        record: Its type.
        place: Listener or link.
        words: What happened.
    """

    wall_us: int
    position: int
    record: str
    place: str
    words: str


def steps(story: Story, response_code: str | None) -> list[Step]:
    """All steps, oldest first.

    Args:
        story: The transaction.
        response_code: What the terminal was told in field 39, where that is known.
    """
    return [
        Step(record["wall_us"], record["position"], record["type"], place, words)
        for record in story.records
        for place, words in _told(story, record, response_code)
    ]


def shortened(found: Sequence[Step]) -> list[Step]:
    """For people: of many attempts, only the first and the last ones."""
    attempts = [step for step in found if step.record == "ATTEMPT"]
    if len(attempts) <= 2 * ATTEMPTS_SHOWN + 1:
        return list(found)
    left_out = attempts[ATTEMPTS_SHOWN:-ATTEMPTS_SHOWN]
    first = left_out[0]
    instead = Step(first.wall_us, first.position, first.record, first.place, f"... {len(left_out):,} more attempts")
    kept = [instead if step is first else step for step in found]
    return [step for step in kept if step not in left_out[1:]]


def _told(story: Story, record: Record, response_code: str | None) -> Iterator[tuple[str, str]]:
    """Place and words of each step that a record tells."""
    listener = f"listener {story.first.get('listener')}"
    link = f"link {record.get('link') or story.link}"
    sort = record["type"]
    if record.get("replaces"):
        return  # written down once more, for a shorter replay: nothing has happened
    if story.overtakes and record is story.first:
        yield listener, "its payment is not known: one that still comes is refused"
        return
    if record is story.first and "terminal" in record:
        yield listener, _request(story, record)
    if sort == "OUTCOME":
        yield from _outcome(story, record, response_code, listener, link)
    elif sort in ("CLAIM", "CLAIM_STATE"):
        claim = story.claims[record.get("claimed_at", record["position"])].record
        yield f"partition {claim['claimant']}", f"{claimed(claim)} {CLAIM_WORDS[record.get('state', '')]}"
    elif sort == "REFERS":
        yield f"partition {record['keeper']}", "has granted it a claim when it had gone on without"
    elif sort == "RULED":
        yield "risk control", f"lets it go on and raises a case: {rule_words(record['rule'])}"
    elif sort == "DELIVERED":
        yield listener, f"{_left(story, record)} left to the terminal"
    else:
        entry = story.owed.get(record.get("reversal") or record.get("advice", 0))
        yield link, WORDS[sort](record, "advice" if entry is not None and entry.is_advice else "reversal")


WORDS: Mapping[str, Callable[[Record, str], str]] = {
    "INTENT": lambda r, _: f"written down, and sent to the issuer as STAN {r['link_stan']:06d}, RRN {r['rrn']}",
    "ADVICE": lambda *_: "advice stored, to be sent when the link is there",
    "REVERSAL": lambda r, _: f"reversal stored: {CAUSE_WORDS.get(r.get('cause'), CAUSE_WORDS[None])}",
    "ATTEMPT": lambda r, what: f"{what} sent to the issuer, attempt {r['attempts']}",
    "REVERSED": lambda r, what: f"{what} {_taken(r, what)} by the issuer: {reason_of(r).label}",
    "UNFOUND": lambda r, what: f"the issuer does not know the original{_asked_again(r, what)}",
    "CANCELLED": lambda r, what: f"{what} cancelled before it was sent: {CAUSE_WORDS.get(r['cause'])}",
    "CLOSED": lambda r, what: f"{what} closed by {r['operator']} because {r['why']}; {UNACKNOWLEDGED}",
    "LATE": lambda r, _: (
        f"the issuer answered after the end: {reason_of(r).label}{_authorization(r)}; the terminal is not told"
    ),
}
"""What happened, by record and what it speaks of, reversal or advice; for types that need nothing else for it."""


CLAIM_WORDS: Mapping[str, str] = {
    "": "refers to it",
    "open": "may stand, or be taken back yet",
    "stands": "stands",
    "gone": "does not stand: it was declined, never sent, taken back or undone",
}
"""What a keeper was told of a claim."""


def _taken(record: Record, what: str) -> str:
    return "declined" if what == "advice" and reason_of(record) not in ACCEPTING else "acknowledged"


def _asked_again(record: Record, what: str) -> str:
    left = record["left_seconds"]
    until = f", which it may still book for {left:,} s" if left else ""
    return f"{until}: the {what} is sent again"


def _authorization(record: Record) -> str:
    code = record["authorization_code"]
    return f", authorization code {code}" if code else ""


def _left(story: Story, record: Record) -> str:
    """Which answer has left."""
    if story.overtakes:
        return "answer to the payment, that it was not approved,"
    if story.taken_back is not None and record["answer"] == story.taken_back["position"]:
        return "answer to its reversal"
    if story.outcome is not None and record["answer"] == story.outcome["position"]:
        return "answer"
    return "answer to the same request again, that it was not approved,"


def _request(story: Story, record: Record) -> str:
    asked = f"{story.kind.label} of {story.amount_asked}"
    return f"{asked} accepted from terminal {record['terminal']}, STAN {record['stan']:06d}"


def _outcome(
    story: Story, record: Record, response_code: str | None, listener: str, link: str
) -> Iterator[tuple[str, str]]:
    if record is story.taken_back:
        accepted = reason_of(record) == Reason.APPROVED
        yield listener, f"the terminal asked to take it back: {'accepted' if accepted else reason_of(record).label}"
        return
    code = f", code {response_code}" if response_code else ""
    reason = reason_of(record)
    detail = story.detail(response_code)
    if record["approved"]:
        # Where an advice is owed the issuer has not been asked.
        yield listener if story.told_by_advice else link, f"{story.approval}{_authorization(record)}"
    elif record is story.first:
        yield listener, f"answered by the switch itself{code}: {reason.label}{detail}"
    else:
        yield link, f"not approved{code}: {reason.label} ({reason.description}{story.mismatch}){detail}"
