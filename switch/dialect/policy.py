"""Field policies as steps for the composer: which field of which message each field of a composed one comes from.

A policy names fields by what they mean. ``forward`` in the policy of a link asks for the field of the same key in the
terminal's dialect; where that has none, or one that may not fit, the field is left out. So private fields pass within
a family and never from one family to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from switch.dialect.layout import Entry, characters_max, holds_bytes
from switch.dialect.loader import Dialect
from switch.dialect.model import FieldRules
from switch.dialect.rules import Origin, parse_rule
from switch.wire.translate import Step

MAC = Origin("slot", "mac")
KEY_SERIAL_NUMBER = "key_serial_number"
"""Key of a field that tells how the terminal enciphered its PIN: an issuer gets the PIN under the link's key."""

TO_TERMINALS = ("answer", "network_answer")
"""Policies of what goes back to who asked."""


def request_steps(terminal: Dialect, link: Dialect) -> list[Step]:
    """What goes to an issuer: for ``Composer(link.spec, terminal.spec, None, steps)``."""
    return _steps(link, link.file.policy.request, "request", {"request": terminal})


def advice_steps(terminal: Dialect, link: Dialect) -> list[Step]:
    """What tells an issuer of a payment that was approved without it, composed as ``request_steps``.

    Nothing of it comes from a field that may not be kept: it is kept itself until the issuer has taken note.
    """
    return [
        step
        for step in _steps(link, _advice_rules(link), "advice", {"request": terminal})
        if step.source != "request" or not (step.field in link.unkept or step.argument in terminal.unkept)
    ]


def reference_steps(terminal: Dialect, link: Dialect) -> list[Step]:
    """A request that refers to an original (void, refund, completion), composed as ``request_steps``."""
    rules = {**link.file.policy.request, **link.file.policy.reference}
    return _steps(link, rules, "reference", {"request": terminal})


def unknown_reversal_steps(terminal: Dialect, link: Dialect) -> list[Step]:
    """A terminal's own reversal whose original is not known, with all that it says: composed as ``request_steps``.

    Nothing of it is sensitive: it is kept until the issuer has acknowledged it.
    """
    rules = {**link.file.policy.request, **link.file.policy.unknown_reversal}
    rules = {number: rule for number, rule in rules.items() if int(number) not in link.sensitive}
    return _steps(link, rules, "unknown_reversal", {"request": terminal})


def advice_attempt_steps(link: Dialect) -> list[Step]:
    """One attempt to deliver an advice: for ``Composer(link.spec, link.spec, None, steps)``, from the advice as kept.

    Only MTI and MAC differ from one attempt to the next.
    """
    steps = []
    for number, rule in sorted((int(number), rule) for number, rule in _advice_rules(link).items()):
        origins = parse_rule(rule, "advice")
        if MAC in origins:
            steps.append(Step(number, MAC.source, MAC.argument))
        elif origins:
            steps.append(Step(number, "request", number))
    return steps


def _advice_rules(link: Dialect) -> FieldRules:
    rules = {**link.file.policy.request, **link.file.policy.advice}
    return {number: rule for number, rule in rules.items() if int(number) not in link.sensitive}


def answer_steps(terminal: Dialect, link: Dialect | None) -> list[Step]:
    """What goes back to a terminal: for ``Composer(terminal.spec, terminal.spec, link.spec, steps)``.

    Args:
        terminal: The dialect of the request and of its answer.
        link: The dialect of the issuer's answer; None for answers that the switch gives on its own.
    """
    messages = {"request": terminal} if link is None else {"request": terminal, "answer": link}
    return _steps(terminal, terminal.file.policy.answer, "answer", messages)


def reversal_steps(link: Dialect) -> list[Step]:
    """A reversal of a request: for ``Composer(link.spec, link.spec, None, steps)``, the original being the request."""
    return _steps(link, link.file.policy.reversal, "reversal", {"request": link})


def tainted_fields(
    destination: frozenset[int], steps: Iterable[Step], sources: Mapping[str, frozenset[int]]
) -> list[int]:
    """Fields of what a policy composes that no copy may keep: its own, and those that may come from such a field.

    Args:
        destination: Unkept fields of the dialect that is composed.
        steps: Of the policy.
        sources: Unkept fields of the messages that values come from, by the steps' name of the message.
    """
    carried = {step.field for step in steps if step.argument in sources.get(step.source, ())}
    return sorted(destination | carried)


def without_mac(steps: Iterable[Step]) -> list[Step]:
    """The same steps for messages that carry no MAC."""
    return [step for step in steps if (step.source, step.argument) != MAC]


def with_mac(dialect: Dialect, steps: list[Step]) -> list[Step]:
    """The same steps for messages that carry a MAC though their policy says nothing of it.

    They stay as they are where the dialect has no field for one behind theirs.
    """
    field = 128 if max(step.field for step in steps) > 64 else 64
    if has_mac(steps) or str(field) not in dialect.layout:
        return steps
    return [*steps, Step(field, MAC.source, MAC.argument)]


def has_mac(steps: Iterable[Step]) -> bool:
    """Whether messages of these steps carry a MAC."""
    return any((step.source, step.argument) == MAC for step in steps)


def request_unkept(dialect: Dialect) -> list[int]:
    """Fields of a request that are not even kept until it is answered: sensitive ones, and what no answer repeats."""
    repeated = {step.argument for step in answer_steps(dialect, None) if step.source == "request"}
    return sorted(dialect.sensitive | {number for number in dialect.unkept if number not in repeated})


def network_steps(dialect: Dialect, kind: str) -> list[Step]:
    """A network management message that we begin: for ``Composer(dialect.spec, None, None, steps)``.

    Args:
        dialect: That of the link.
        kind: ``sign_on``, ``sign_off``, ``echo_test``, ``key_exchange`` or ``cut_over``.

    Raises:
        KeyError: The dialect has no such message.
    """
    return _steps(dialect, dialect.file.network[kind].fields, "network", {})  # type: ignore[index]


def network_answer_steps(dialect: Dialect) -> list[Step]:
    """Our answer to a network management request: for ``Composer(dialect.spec, dialect.spec, None, steps)``."""
    return _steps(dialect, dialect.file.policy.network_answer, "network_answer", {"request": dialect})


def _steps(destination: Dialect, rules: FieldRules, policy: str, messages: dict[str, Dialect]) -> list[Step]:
    """The steps of one policy, by number of the destination's field."""
    steps: list[Step] = []
    for number in sorted(int(number) for number in rules):
        for origin in parse_rule(rules[str(number)], policy):
            steps.extend(_step(destination, number, origin, messages))
    return steps if policy in TO_TERMINALS else [step for step in steps if not _is_serial_number(step, messages)]


def _is_serial_number(step: Step, messages: Mapping[str, Dialect]) -> bool:
    """Whether a step carries the serial number of a terminal's PIN key."""
    source = messages.get(step.source)
    return source is not None and source.numbers.get(KEY_SERIAL_NUMBER) == step.argument


def _step(destination: Dialect, number: int, origin: Origin, messages: dict[str, Dialect]) -> Iterator[Step]:
    """The step of one origin; none where no message has such a field."""
    if origin.source in ("slot", "constant"):
        yield Step(number, origin.source, origin.argument)
        return
    source = messages.get(origin.source)
    if source is None:
        return
    field = source.numbers.get(origin.argument or destination.meanings[number].key)
    if field is not None and _fits(source.layout[str(field)], destination.layout[str(number)]):
        yield Step(number, origin.source, field)


def _fits(source: Entry, destination: Entry) -> bool:
    """Whether every value of one field can stand in the other: bytes with bytes, and no longer than there is room."""
    return holds_bytes(source) == holds_bytes(destination) and characters_max(source) <= characters_max(destination)
