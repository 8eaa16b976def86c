"""The states of an application, and every step from one to another, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from switch.store.problems import RefusedError

ENTERING: Final = "registry.change"
REVIEWING: Final = "applications.review"
APPROVING: Final = "registry.approve"


class Step(NamedTuple):
    """What somebody does.

    Attributes:
        before: The states in which it can be done.
        after: The state that it leads to.
        right: What somebody of the staff needs for it.
        is_applicants: Whether the applicant may take it with his own application.
    """

    before: tuple[str, ...]
    after: str
    right: str
    is_applicants: bool = False


UNDECIDED: Final = ("draft", "submitted", "returned", "in_review", "reviewed")
OPEN: Final = (*UNDECIDED, "approved", "contract_offered", "accepted")
"""From which an application can be given up."""

STEPS: Final[Mapping[str, Step]] = {
    "submit": Step(("draft", "returned"), "submitted", ENTERING, is_applicants=True),
    "begin_checks": Step(("submitted",), "checking", ENTERING, is_applicants=True),
    "pass_checks": Step(("checking",), "in_review", ENTERING, is_applicants=True),
    "fail_checks": Step(("checking",), "returned", ENTERING, is_applicants=True),
    "return": Step(("in_review",), "returned", REVIEWING),
    "review": Step(("in_review",), "reviewed", REVIEWING),
    "reopen": Step(("reviewed",), "in_review", APPROVING),
    "approve": Step(("reviewed",), "approved", APPROVING),
    "refuse": Step(("in_review", "reviewed"), "refused", APPROVING),
    "offer": Step(("approved",), "contract_offered", ENTERING),
    "accept": Step(("contract_offered",), "accepted", ENTERING, is_applicants=True),
    "assign": Step(("accepted",), "terminals_assigned", ENTERING),
    "activate": Step(("terminals_assigned",), "active", ENTERING),
    "withdraw": Step(OPEN, "withdrawn", ENTERING, is_applicants=True),
    "expire": Step(OPEN, "expired", ENTERING),
}
"""All there are."""

AFTER: Final = frozenset(step.after for step in STEPS.values())
"""The states that something leads to."""


def next_state(name: str, state: str) -> str:
    """The state that a step leads to.

    Raises:
        RefusedError: It cannot be done in this state.
    """
    step = STEPS[name]
    if state not in step.before:
        raise RefusedError(f"it is {words(state)}: {words(name)} needs {' or '.join(map(words, step.before))}")
    return step.after


def words(name: str) -> str:
    """A state or step as people read it."""
    return name.replace("_", " ")


def table() -> str:
    """The steps as Markdown."""
    lines = ["| step | from | to | right |", "| --- | --- | --- | --- |"]
    for name, step in STEPS.items():
        before = ", ".join(map(words, step.before))
        who = f"`{step.right}`" + (", or the applicant" if step.is_applicants else "")
        lines.append(f"| {words(name)} | {before} | {words(step.after)} | {who} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
