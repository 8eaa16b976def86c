"""The verdict on one transaction: what became of it, and where the money is now, each in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from switch.dialect.kinds import Kind, Money
from switch.dialect.reasons import Reason
from switch.tracing.references import effect, origin, title
from switch.tracing.story import ACCEPTING, SafEntry, Story
from switch.wire.faults import count_of

Shown = Callable[[int | None], str]
"""Shows a time in microseconds since 1970."""


class Code(StrEnum):
    """What became of a transaction, for programs."""

    UNDER_WAY = "under_way"
    APPROVED_AND_DELIVERED = "approved_and_delivered"
    APPROVED_PERHAPS_DELIVERED = "approved_perhaps_delivered"
    DECLINED = "declined"
    REFUSED = "refused"
    NOT_ANSWERED = "not_answered"
    REVERSED = "reversed"
    REVERSAL_UNDER_WAY = "reversal_under_way"
    REVERSAL_CLOSED = "reversal_closed"
    REVERSAL_MISSING = "reversal_missing"
    REVERSAL_REQUEST = "reversal_request"
    STAND_IN_CANCELLED = "stand_in_cancelled"
    VOIDED = "voided"
    REFUNDED = "refunded"
    PARTLY_REFUNDED = "partly_refunded"
    COMPLETED = "completed"
    PERHAPS_UNDONE = "perhaps_undone"
    ORIGINAL_FOUND = "original_found"
    REVERSAL_WITHHELD = "reversal_withheld"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a transaction.

    Attributes:
        code: For programs.
        words: For people.
        money: Where the money is now.
    """

    code: Code
    words: str
    money: str


UNANSWERED = (Reason.TIMEOUT, Reason.ANSWER_MISMATCHED)
"""Reasons with which nobody knows what the issuer did."""

CAUSE_WORDS = {
    None: "it had to be taken back",
    "timeout": "the issuer did not answer in time",
    "untold": "the terminal could not be told of the approval",
    "terminal": "the terminal took it back",
    "restart": "the switch stopped before it knew the outcome",
    "late_approval": "the issuer approved after its time-out",
    "partial_approval": "the issuer approved only a part",
    "unusable_answer": "the issuer's approval could not be carried through",
    "mismatched_answer": "the issuer's answer did not agree with the request",
    "settled": "its original was found, and is taken back by itself where it stands",
    "withheld": "its original was found, and a void, refund or completion that stands forbids it",
}


FORBIDDEN = {
    Reason.INVALID_TRANSACTION: "a void, refund or completion of its original stands, or may yet stand",
    Reason.INVALID_AMOUNT: "its amount is not that of its original, or without that void more would be refunded or "
    "completed than was paid or held",
}
"""Why a terminal's reversal of what is known is refused."""


def verdict(story: Story, shown: Shown, response_code: str | None) -> Verdict:
    """Judge a transaction by its records.

    Args:
        story: The transaction.
        shown: How times are shown.
        response_code: What the terminal was told in field 39, where that is known.
    """
    if story.kind == Kind.REVERSAL:
        return _of_reversal_request(story, shown, response_code)
    if story.is_unknown:
        return _of_reversal_alone(story, shown)
    if story.reversals:
        return _of_reversals(story, shown, _ending(story, shown, response_code))
    if story.outcome is None:
        return _of_no_outcome(story)
    if story.is_approved:
        return _of_approval(story, shown)
    return _of_decline(story, shown, response_code)


def _of_reversal_alone(story: Story, shown: Shown) -> Verdict:
    """A terminal's reversal whose original was not known when it was accepted."""
    if story.settled_by is None:
        return _with_number(story, _of_reversals(story, shown, _promise(story, shown)))
    what = "" if story.original is None else f": the {title(story.original)}"
    if story.is_withheld:
        return Verdict(
            Code.REVERSAL_WITHHELD,
            f"a terminal's own reversal, accepted, but never sent to the issuer; its original was found{what}: a void, "
            "refund or completion that stands forbids to take it back as well",
            "nothing has changed by this, though the terminal was told that it is taken back: look at its original, "
            "and settle what is left of it by hand",
        )
    return Verdict(
        Code.ORIGINAL_FOUND,
        f"a terminal's own reversal, accepted; its original was found{what}",
        "look at its original, which is taken back where it stands",
    )


def _promise(story: Story, shown: Shown) -> str:
    """What a terminal was told of the reversal of a payment that is not known, and what its issuer is owed for it."""
    if not story.is_promised:
        return "reversal of a payment that is not known here"
    told = f", delivered at {shown(story.told_us)}" if story.told_us is not None else ""
    owed = f"; link {story.link} is told of it under RRN {story.rrn_owed}" if story.rrn_owed else ""
    return f"a terminal's own reversal, accepted{told}, of a payment that is not known here{owed}"


def _with_number(story: Story, judged: Verdict) -> Verdict:
    """The same, with what to do while an issuer is still owed it."""
    entry = story.saf_entries[-1]
    if not entry.is_open or entry.written is None:
        return judged
    rrn = entry.written["rrn"]
    todo = (
        f"`authswitch reversals list --rrn {rrn}` shows it, and the issuer of link {entry.link} can be asked about it"
    )
    return Verdict(judged.code, judged.words, f"{judged.money}; {todo}")


def _of_no_outcome(story: Story) -> Verdict:
    if story.intent is None:
        return Verdict(
            Code.NOT_ANSWERED,
            "an advice was stored, but the switch stopped before the terminal was told anything",
            "nothing was charged, because an advice without an outcome is never sent",
        )
    return Verdict(
        Code.UNDER_WAY,
        f"under way: the issuer of link {story.link} was asked, and nothing is known yet",
        f"not known yet; if no answer comes, the {story.noun} is reversed, after a crash at the next start",
    )


def _ending(story: Story, shown: Shown, response_code: str | None) -> str:
    """How the request itself ended."""
    if story.outcome is None:
        return "no outcome is written down, and nothing was told"
    told = f", delivered at {shown(story.told_us)}" if story.told_us is not None else ""
    if story.is_approved:
        return f"{story.approval}{told}"
    return f"not approved{_because(story, response_code)}{told}"


def _because(story: Story, response_code: str | None) -> str:
    reason = Reason.OTHER_DECLINE if story.reason is None else story.reason
    code = f"code {response_code}, " if response_code else ""
    return f" ({code}{reason.label}: {reason.description}{story.mismatch}{story.detail(response_code)})"


def _of_reversal_request(story: Story, shown: Shown, response_code: str | None) -> Verdict:
    if story.overtakes:
        told = "one came, and was refused" if story.told_us is not None else "one that still comes is refused"
        return Verdict(
            Code.REVERSAL_REQUEST,
            f"a terminal's own reversal of a payment that had not come: {told}",
            f"nothing was charged by this; {_own_record(story, shown)}",
        )
    if story.saf_entries:
        return _of_reversal_alone(story, shown)
    if story.reason == Reason.APPROVED:
        return Verdict(
            Code.REVERSAL_REQUEST,
            "a terminal's own reversal, accepted",
            "look for the payment that it takes back, which has the same terminal, by the STAN that the slip shows",
        )
    return Verdict(
        Code.REVERSAL_REQUEST,
        f"a terminal's own reversal, refused{_because(story, response_code)}{_forbidden(story)}",
        "nothing has changed by this request",
    )


def _own_record(story: Story, shown: Shown) -> str:
    """Where the reversal is that has overtaken its payment, and what has become of it."""
    promise = story.promise
    if promise is None:
        return "nothing is owed for it in the part of the journal that was read"
    judged = verdict(promise, shown, None)
    stan = f", STAN {promise.first['stan']:06d}" if "stan" in promise.first else ""
    return f"the reversal itself is RRN {promise.rrn}{stan}: {judged.words}; {judged.money}"


def _forbidden(story: Story) -> str:
    """What a reason means that the switch gives to a reversal."""
    return f": {FORBIDDEN[story.reason]}" if story.reason in FORBIDDEN else ""


def _of_approval(story: Story, shown: Shown) -> Verdict:
    where = _where_approved(story)
    who = story.approval
    advice = story.advice
    if advice is not None and advice.cancelled is not None:
        return Verdict(
            Code.STAND_IN_CANCELLED,
            f"{who}, and taken back before its issuer heard of it, since {CAUSE_WORDS.get(advice.cancelled)}",
            "nothing was charged, because the advice of it was never sent",
        )
    told_of = "" if advice is None else f"; advice {_state_of_advice(advice, shown)}"
    if advice is not None and advice.closed_by is not None:
        where = f"the issuer was never made to take note of it: {_unnoted(story, 'the money must be cleared by hand')}"
    elif advice is not None and advice.reason is not None and advice.reason not in ACCEPTING:
        bearer = _unnoted(story, "the acquirer bears the amount")
        where = f"the issuer declined the advice ({advice.reason.label}): {bearer}"
    elif advice is not None and advice.is_open:
        where = f"the issuer has not taken note yet; {_when_noted(story)}"
    after = effect(story, shown)
    told_of += f"; {after.words}" if after.words else ""
    where = after.money or where
    who = f"{who} {of}" if (of := origin(story)) else who
    if story.told_us is None:
        return Verdict(
            Code(after.code or Code.APPROVED_PERHAPS_DELIVERED),
            f"{who}; whether the terminal was told is not known{told_of}",
            f"{where}, unless the terminal takes it back; ask what its slip says",
        )
    return Verdict(
        Code(after.code or Code.APPROVED_AND_DELIVERED),
        f"{who}, and delivered to the terminal at {shown(story.told_us)}{told_of}",
        where,
    )


def _unnoted(story: Story, money: str) -> str:
    """What follows from an advice that its issuer does not take note of: ``money`` where it moves any."""
    return "nothing is held, and no money has moved" if story.is_hold else money


def _when_noted(story: Story) -> str:
    if story.traits.money == Money.DEBIT:
        return f"when it does it charges the cardholder {story.amount}, which is the merchant's at settlement"
    return "no money has moved"


def _where_approved(story: Story) -> str:
    match story.traits.money:
        case Money.DEBIT:
            return f"the cardholder was charged {story.amount}, and it is the merchant's at settlement"
        case Money.CREDIT:
            return f"the cardholder gets {story.amount} back, which the merchant bears at settlement"
    if story.is_hold:
        return "the issuer holds, or has let go of, the amount; no money has moved"
    return "no money moves in a transaction of this kind"


def _of_decline(story: Story, shown: Shown, response_code: str | None) -> Verdict:
    because = _because(story, response_code)
    told = f"; the terminal was told at {shown(story.told_us)}" if story.told_us is not None else ""
    if story.intent is None:
        return Verdict(
            Code.REFUSED, f"refused by the switch{because}{told}", f"{story.nothing}, because no issuer was asked"
        )
    if story.is_reversed or (story.reason in UNANSWERED and story.traits.reversible):
        return Verdict(
            Code.REVERSAL_MISSING,
            f"not approved{because}{told}; no reversal of it is in the part of the journal that was read",
            "not certain: ask the issuer",
        )
    if story.reason in UNANSWERED:
        what = "the issuer did not answer in time"
        if story.reason == Reason.ANSWER_MISMATCHED:
            what = f"the issuer's answer did not agree with the request{story.mismatch}"
        return Verdict(
            Code.NOT_ANSWERED,
            f"{what}{told}",
            "no money moves in a transaction of this kind",
        )
    if story.reason in (Reason.ISSUER_UNAVAILABLE, Reason.SYSTEM_MALFUNCTION):
        return Verdict(
            Code.NOT_ANSWERED,
            f"not approved{because}{told}",
            f"{story.nothing}, because the request never left to the issuer, or the issuer did not approve it",
        )
    return Verdict(Code.DECLINED, f"declined{because}{told}", f"{story.nothing}, because the issuer declined")


def _of_reversals(story: Story, shown: Shown, ending: str) -> Verdict:
    """The latest reversal tells; an earlier one that was given up stays given up."""
    still_owed = next((entry for entry in story.reversals if entry.is_open), None)
    entry = still_owed or story.given_up or story.reversals[-1]
    cause = CAUSE_WORDS.get(entry.cause, CAUSE_WORDS[None])
    late = "; the issuer approved after that" if story.was_charged_late and entry.cause != "late_approval" else ""
    if entry.is_open:
        if entry.fault is not None:
            return Verdict(
                Code.REVERSAL_UNDER_WAY,
                f"{ending}{late}; the reversal is owed since {cause}, but it cannot be sent: {entry.fault} cannot be "
                f"written in the dialect of link {entry.link}",
                f"the {story.noun} may stand at the issuer, and nothing is sent until the dialect is mended",
            )
        goes_first = story.advice is not None and story.advice.is_open
        waits_for = "its advice goes first" if goes_first else "the link is down or busy"
        attempts = (
            f"attempt {entry.attempts} at {shown(entry.attempted_us)}"
            if entry.attempts
            else f"not sent yet, since {waits_for}"
        )
        if entry.is_promised_in_vain:
            return Verdict(
                Code.REVERSAL_UNDER_WAY,
                f"{ending}{late}; reversal under way since {cause}: {attempts}, which the issuer does not find (25), "
                f"{count_of(entry.not_found, 'time')} so far, though the terminal was told that it is taken back",
                f"not certain: ask the issuer whether the {story.noun} stands; the reversal is sent until the issuer "
                f"acknowledges it or an operator closes it{_until_horizon(story)}; the merchant is not credited",
            )
        unfound = (
            ", which the issuer did not find yet: it is asked again as long as it may still book it"
            if entry.not_found
            else ""
        )
        return Verdict(
            Code.REVERSAL_UNDER_WAY,
            f"{ending}{late}; reversal under way since {cause}: {attempts}{unfound}",
            f"the {story.noun} may stand at the issuer until the reversal is acknowledged; it is sent until then, and "
            "the merchant is not credited",
        )
    if entry.closed_by is not None:
        return Verdict(
            Code.REVERSAL_CLOSED,
            f"{ending}{late}; the reversal was closed by {entry.closed_by} at {shown(entry.ended_us)} because "
            f"{entry.why}; the issuer {'did not find it (25)' if entry.is_promised_in_vain else 'never acknowledged'}",
            "at the issuer, if it was charged there: the money must be cleared by hand",
        )
    unknown = entry.reason == Reason.ORIGINAL_NOT_FOUND
    if unknown and entry.cause == "terminal" and not entry.unbooked:
        return Verdict(
            Code.REVERSED,
            f"{ending}{late}; reversed since {cause}, which was told yes; ended at {shown(entry.ended_us)} after "
            f"{count_of(entry.attempts, 'attempt')}, since the issuer does not find it (25)",
            f"not certain: the issuer knows of no such payment; if the card was charged, the {story.noun} stands: ask "
            "the issuer",
        )
    return Verdict(
        Code.REVERSED,
        f"{ending}{late}; reversed since {cause}, acknowledged at {shown(entry.ended_us)} after "
        f"{count_of(entry.attempts, 'attempt')}",
        f"{story.nothing}, because the issuer knows of no such payment"
        if unknown
        else f"the issuer has taken the {story.noun} back: the cardholder is not charged, the merchant not credited"
        if story.traits.money == Money.DEBIT
        else f"the issuer has taken the {story.noun} back: it is as if nothing had been asked",
    )


def _until_horizon(story: Story) -> str:
    """What else ends a reversal that a terminal was promised: of an approval that is known here, nothing."""
    return ", or until the issuer can no longer book it" if story.is_unknown else ""


def _state_of_advice(advice: SafEntry, shown: Shown) -> str:
    if advice.closed_by is not None:
        return f"closed by {advice.closed_by} at {shown(advice.ended_us)} because {advice.why}"
    if advice.is_open and advice.fault is not None:
        return f"cannot be sent: {advice.fault} cannot be written in the dialect of link {advice.link}"
    if advice.is_open:
        return f"under way, attempt {advice.attempts}" if advice.attempts else "not sent yet"
    if advice.reason in ACCEPTING:
        return f"acknowledged at {shown(advice.ended_us)}"
    label = "without a reason" if advice.reason is None else advice.reason.label
    return f"declined by the issuer at {shown(advice.ended_us)} ({label})"
