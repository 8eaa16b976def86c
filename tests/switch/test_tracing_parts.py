"""What trace says of an approval of a part, and of an answer that was to another request."""

from __future__ import annotations

from typing import Any

import pytest

from switch.kinds import Kind
from switch.reasons import Reason
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
