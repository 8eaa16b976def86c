"""What trace says of a part, of an answer that was to another request, and of a rule that refused one."""

from __future__ import annotations

from typing import Any

import pytest

from switch.dialect.kinds import Kind
from switch.dialect.reasons import Reason
from switch.tracing.references import effect
from switch.tracing.story import Story
from switch.tracing.verdict import Code, verdict

INTENT = {
    "type": "INTENT",
    "position": 1,
    "wall_us": 0,
    "kind": int(Kind.PURCHASE),
    "amount_minor": 10_000,
    "currency": 156,
    "link": "bank-a",
}


def outcome(reason: Reason, **changes: Any) -> dict[str, Any]:
    approved = reason in (Reason.APPROVED, Reason.PARTIALLY_APPROVED)
    record = {"type": "OUTCOME", "position": 2, "wall_us": 0, "intent": 1, "reason": int(reason), "approved": approved}
    return record | {"reversed": False, "stand_in": False} | changes


def shown(wall_us: int | None) -> str:
    return f"{wall_us}"


def test_a_part_is_told_with_both_amounts():
    found = verdict(Story([INTENT, outcome(Reason.PARTIALLY_APPROVED, approved_minor=4_000)]), shown, "10")
    assert found.code == Code.APPROVED_PERHAPS_DELIVERED
    assert "approved in part, 40.00 (currency 156) of 100.00 (currency 156)" in found.words
    assert "the cardholder was charged 40.00" in found.money


@pytest.mark.parametrize(("field", "words"), [(41, ", field 41"), (255, ", repeated none of the fields")])
def test_a_mismatch_names_its_field(field: int, words: str):
    story = Story([INTENT, outcome(Reason.ANSWER_MISMATCHED, mismatch=field, reversed=True)])
    found = verdict(story, shown, "98")
    assert found.code == Code.REVERSAL_MISSING
    assert words in found.words


def test_a_part_that_was_not_accepted_says_so():
    story = Story([INTENT, outcome(Reason.PARTIAL_NOT_ACCEPTED, approved_minor=4_000, reversed=True)])
    assert "partial_not_accepted" in verdict(story, shown, "05").words


def referring(kind: Kind, amount_minor: int, **changes: Any) -> Story:
    intent = INTENT | {"kind": int(kind), "amount_minor": amount_minor}
    reason = Reason.PARTIALLY_APPROVED if changes else Reason.APPROVED
    return Story([intent, outcome(reason, **changes)])


@pytest.mark.parametrize(
    ("amount_minor", "code", "words"),
    [
        (4_000, "refunded", "the cardholder gets all of 40.00 (currency 156) back"),
        (1_000, "partly_refunded", "gets 10.00 (currency 156) back; 30.00 (currency 156) is the merchant's"),
    ],
)
def test_what_is_refunded_of_a_part_is_told_of_the_part(amount_minor: int, code: str, words: str):
    story = Story([INTENT, outcome(Reason.PARTIALLY_APPROVED, approved_minor=4_000)])
    story.references.append(referring(Kind.REFUND, amount_minor))
    found = effect(story, shown)
    assert found.code == code
    assert words in found.money


def test_what_a_completion_was_approved_of_is_charged():
    story = Story([INTENT | {"kind": int(Kind.PREAUTHORIZATION)}, outcome(Reason.APPROVED)])
    story.references.append(referring(Kind.COMPLETION, 10_000, approved_minor=7_000))
    assert "the cardholder was charged 70.00" in effect(story, shown).money


def test_a_void_of_less_does_not_say_that_all_comes_back():
    story = Story([INTENT, outcome(Reason.APPROVED)])
    story.references.append(referring(Kind.VOID, 6_000))
    found = effect(story, shown)
    assert found.code == "voided"
    assert "by 60.00 (currency 156) of 100.00 (currency 156)" in found.money


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"id": "day@3", "reason": "too much", "source": "art. 5"}, "; rule day@3: too much (source: art. 5))"),
        ({"id": "day@3", "reason": "", "source": ""}, "; rule day@3)"),
    ],
)
def test_a_refusal_by_risk_control_names_its_rule(rule: dict[str, str], words: str):
    refused = INTENT | outcome(Reason.AMOUNT_LIMIT, rule=rule)
    found = verdict(Story([refused]), shown, "61")
    assert found.code == Code.REFUSED
    assert found.words.endswith(words)
