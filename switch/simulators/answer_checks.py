"""What a simulated terminal looks at in every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from switch.simulators.messages import answer_mti
from switch.simulators.rules import APPROVALS, APPROVED_IN_PART

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.simulators.dialect_profile import MacSetting, Profile
    from switch.simulators.receipts import FleetCounters
    from switch.wire.scan import Message


class Question(NamedTuple):
    """A request, as far as its answer must agree with it."""

    mti: str
    stan: str
    kind: str
    terminal: str
    merchant: str
    amount_minor: int
    mac: MacSetting | None
    """With what the answer is signed; None: it is not."""
    expected: frozenset[str]
    """Reasons that are right."""
    flaw: str = "none"


def examine(
    profile: Profile,
    question: Question,
    answer: tuple[Message, bytes],
    counters: FleetCounters,
    note: Callable[[str], None],
) -> tuple[str, str]:
    """Compare an answer with its request, and count what is wrong with it.

    Args:
        profile: The dialect of both.
        question: What was asked.
        answer: What came, scanned and as bytes.
        counters: Where it is counted.
        note: Takes what is wrong, in words.

    Returns:
        The response code and its reason.
    """
    message, data = answer
    text = profile.text
    stan = question.stan
    code = text(message, 39)
    reason = profile.reason(code)
    counters.by_code[code, reason] += 1
    counters.by_reason[reason] += 1
    if text(message, 41).rstrip() != question.terminal:
        counters.wrong_terminal += 1
        note(f"STAN {stan} was answered for terminal {text(message, 41)!r}")
    wrong_echo = _wrong_echo(profile, question, message, reason)
    if wrong_echo:
        counters.wrong_echo += 1
        note(f"STAN {stan} was answered with another {wrong_echo}")
    if question.mac is not None:
        if profile.mac_field(message):
            if not profile.mac_is_right(message, data, question.mac):
                counters.wrong_mac += 1
                note(f"STAN {stan} was answered with a wrong MAC, response code {code}")
        elif reason in APPROVALS:
            counters.unsigned += 1
            note(f"STAN {stan} was approved without a MAC")
    if code not in profile.codes(question.expected):
        counters.unexpected_outcome += 1
        note(
            f"{question.kind} of {question.amount_minor} (flaw: {question.flaw}) with STAN {stan} was answered {code} "
            f"({reason}); expected {' or '.join(sorted(question.expected))}"
        )
    return code, reason


def _wrong_echo(profile: Profile, question: Question, message: Message, reason: str) -> str:
    """What an answer repeats wrongly; empty when all is well."""
    text = profile.text
    if message.mti != answer_mti(question.mti):
        return "MTI"
    told_minor = int(text(message, 4) or "0") if 4 in message else None
    if reason == APPROVED_IN_PART:
        # A part must be named, and be one.
        if told_minor is None or not 0 < told_minor < question.amount_minor:
            return "amount"
    elif told_minor is not None and question.amount_minor and told_minor != question.amount_minor:
        return "amount"
    if 3 in message and text(message, 3)[:2] != profile.processing_code(question.kind)[:2]:
        return "processing code"
    if 42 in message and text(message, 42).rstrip() != question.merchant:
        return "merchant"
    return ""
