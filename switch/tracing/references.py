"""What refers to a transaction, and to what it refers itself: voids, refunds and completions, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from switch.base.currencies import amount_words
from switch.dialect.kinds import Kind
from switch.tracing.story import Claim, Record, Story

VOIDS = (Kind.VOID, Kind.REFUND_VOID, Kind.PREAUTHORIZATION_VOID, Kind.COMPLETION_VOID)
Shown = Callable[[int | None], str]


@dataclass(frozen=True, slots=True)
class Effect:
    """What has become of an approved transaction by what refers to it.

    Attributes:
        code: ``voided``, ``refunded``, ``partly_refunded``, ``completed``, or ``perhaps_undone``, where only an
            operator knows it; empty where nothing changes it.
        words: For people; empty when nothing refers to it.
        money: Where the money is now, where that is otherwise than without it.
    """

    code: str = ""
    words: str = ""
    money: str = ""


def title(story: Story) -> str:
    """A transaction in a few words."""
    return f"{story.kind.label.replace('_', ' ')} of {story.amount}, RRN {story.rrn or 'unknown'}"


def claimed(claim: Record) -> str:
    """A request of another partition that refers to a transaction, in a few words."""
    amount = amount_words(max(claim["amount_minor"], 0), claim["currency"])
    what = Kind(claim["kind"]).label.replace("_", " ")
    return f"{what} of {amount} at terminal {claim['terminal']}, STAN {claim['stan']:06d}"


def _claim_fate(claim: Claim, shown: Shown) -> str:
    if claim.told_us is None or claim.state == "open":
        return f"whose end partition {claim.record['claimant']} has not told"
    fate = "approved" if claim.state == "stands" else "not approved, or taken back"
    return f"{fate}, as partition {claim.record['claimant']} told at {shown(claim.told_us)}"


def _is_undone(story: Story) -> bool:
    is_voided_elsewhere = any(one.kind in VOIDS and one.state == "stands" for one in story.claims.values())
    return is_voided_elsewhere or any(one.kind in VOIDS and one.stands for one in story.references)


def _fate(story: Story, shown: Shown) -> str:
    """What has become of what refers to a transaction, and when."""
    if (given_up := story.given_up) is not None:
        return (
            f"whose reversal {given_up.closed_by} gave up at {shown(given_up.ended_us)} because {given_up.why}, so "
            "that whether it stands is for the operator to know"
        )
    if story.reversals:
        last = story.reversals[-1]
        return (
            f"whose reversal is owed since {shown(last.stored_us)}"
            if last.is_open
            else (f"reversed at {shown(last.ended_us)}")
        )
    if story.outcome is None:
        return "under way"
    ended = f" at {shown(story.outcome['wall_us'])}"
    if not story.is_approved:
        return f"not approved{ended}"
    return ("voided" if _is_undone(story) else "approved") + ended


def effect(story: Story, shown: Shown) -> Effect:
    """What refers to a transaction has done to it.

    Args:
        story: The transaction, approved and not reversed.
        shown: How times are shown.
    """
    if not story.references and not story.claims:
        return Effect()
    claims = list(story.claims.values())
    words = "; ".join(
        [f"{title(one)}, {_fate(one, shown)}" for one in story.references]
        + [f"{claimed(one.record)}, {_claim_fate(one, shown)}" for one in claims]
    )
    standing: list[Story | Claim] = [one for one in story.references if one.stands and not _is_undone(one)]
    standing += [one for one in claims if one.state == "stands"]
    void = next((one for one in standing if one.kind in VOIDS), None)
    if void is not None:
        return Effect("voided", words, _voided(story, void))
    unsure = next((one for one in story.references if one.given_up is not None and not _is_undone(one)), None)
    if unsure is not None:
        return Effect("perhaps_undone", words, _unsure(unsure))
    refunded = sum(one.amount_minor or 0 for one in standing if one.kind == Kind.REFUND)
    completed = sum(one.amount_minor or 0 for one in standing if one.kind == Kind.COMPLETION)
    currency = story.first.get("currency")
    if refunded:
        return _given_back(story, refunded, words)
    if completed:
        return Effect(
            "completed",
            words,
            f"the hold was completed: the cardholder was charged {amount_words(completed, currency)}, and it is the "
            "merchant's at settlement",
        )
    return Effect("", words)


def _given_back(story: Story, refunded: int, words: str) -> Effect:
    charged = story.amount_minor or 0
    if refunded >= charged > 0:
        return Effect(
            "refunded",
            words,
            f"it was refunded: the cardholder gets all of {story.amount} back, and the merchant bears it",
        )
    currency = story.first.get("currency")
    left = amount_words(charged - refunded, currency)
    return Effect(
        "partly_refunded",
        words,
        f"the cardholder was charged {story.amount} and gets {amount_words(refunded, currency)} back; {left} is "
        "the merchant's at settlement",
    )


def _unsure(reference: Story) -> str:
    given_up = reference.given_up
    name = "an operator" if given_up is None else given_up.closed_by
    return (
        f"not certain: its issuer has not acknowledged that the {title(reference)}, is taken back; ask {name}, who "
        "gave that up, or the issuer, whether it stands, and settle by hand what follows"
    )


def _voided(story: Story, void: Story | Claim) -> str:
    if story.is_hold:
        return "the hold was voided: nothing is held any more, and no money has moved"
    if story.kind == Kind.REFUND:
        return "the refund was voided: the cardholder does not get it, and what was charged before stands"
    currency = story.first.get("currency")
    if 0 < (void.amount_minor or 0) < (story.amount_minor or 0):
        return (
            f"it was voided by {amount_words(void.amount_minor or 0, currency)} of {story.amount}: whether the "
            "cardholder gets the one or the other back, its issuer decided"
        )
    return f"it was voided: the cardholder gets {story.amount} back, and the merchant is not credited"


def origin(story: Story) -> str:
    """To what a transaction refers, in words; empty when that is nothing, or not known."""
    return "" if story.original is None else f"of the {title(story.original)}"
