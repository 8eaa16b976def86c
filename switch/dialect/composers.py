"""Every composer of the switch, made of field policies: for a terminal's and a link's dialect, or one of the two.

Each is compiled when it is first asked for, and kept.
"""

from __future__ import annotations

from functools import cached_property

from switch.dialect.kinds import Kind
from switch.dialect.loader import Dialect
from switch.dialect.policy import (
    advice_attempt_steps,
    advice_steps,
    answer_steps,
    network_answer_steps,
    network_steps,
    reference_steps,
    request_steps,
    request_unkept,
    reversal_steps,
    tainted_fields,
    unknown_reversal_steps,
    with_mac,
    without_mac,
)
from switch.wire.translate import Composer, Step

NETWORK_KINDS = (Kind.SIGN_ON, Kind.SIGN_OFF, Kind.ECHO_TEST, Kind.KEY_EXCHANGE)
"""Network management messages that we begin."""


class PairComposers:
    """What passes between terminals of one dialect and issuers of another.

    Args:
        terminal: The listener's dialect.
        link: The link's dialect.
        signed: Whether the link's messages carry a MAC.
    """

    def __init__(self, terminal: Dialect, link: Dialect, *, signed: bool) -> None:
        self.terminal = terminal
        self.link = link
        self.signed = signed

    @cached_property
    def request(self) -> Composer:
        """A request to the issuer."""
        return self._to_link(request_steps(self.terminal, self.link))

    @cached_property
    def reference(self) -> Composer:
        """A request that names its original."""
        return self._to_link(reference_steps(self.terminal, self.link))

    @cached_property
    def advice(self) -> Composer:
        """What tells the issuer of a payment that was approved without it, from the request."""
        return self._to_link(advice_steps(self.terminal, self.link))

    @cached_property
    def unknown_reversal(self) -> Composer:
        """A terminal's own reversal whose original is not known."""
        return self._to_link(unknown_reversal_steps(self.terminal, self.link))

    @cached_property
    def answer(self) -> Composer:
        """The issuer's answer to the terminal."""
        return _to_terminal(self.terminal, self.link, signed=True)

    @cached_property
    def unsigned_answer(self) -> Composer:
        """The same without a MAC, for terminals without a MAC key."""
        return _to_terminal(self.terminal, self.link, signed=False)

    @cached_property
    def request_unkept(self) -> list[int]:
        """Fields of a request to the issuer that no copy of it may keep."""
        return self._unkept(request_steps(self.terminal, self.link))

    def _to_link(self, steps: list[Step]) -> Composer:
        written = _written(steps, signed=self.signed)
        return Composer(self.link.spec, self.terminal.spec, None, written, self._unkept(steps))

    def _unkept(self, steps: list[Step]) -> list[int]:
        return tainted_fields(self.link.unkept, steps, {"request": self.terminal.unkept})


class LinkComposers:
    """What goes to issuers of a dialect, whatever terminals speak.

    Args:
        dialect: The link's.
        signed: Whether its messages carry a MAC.
    """

    def __init__(self, dialect: Dialect, *, signed: bool) -> None:
        self.dialect = dialect
        self.signed = signed

    @cached_property
    def reversal(self) -> Composer:
        """A reversal, from the request as it was sent."""
        return self._from_kept(reversal_steps(self.dialect))

    @cached_property
    def advice_attempt(self) -> Composer:
        """One attempt to deliver an advice, from the advice as it is kept."""
        return self._from_kept(advice_attempt_steps(self.dialect))

    @cached_property
    def network(self) -> dict[int, Composer]:
        """Our own network management messages, by kind; only those that the dialect has.

        What brings keys, or asks for them, carries a MAC, whatever the dialect says.
        """
        steps = {
            kind: network_steps(self.dialect, kind.label)
            for kind in NETWORK_KINDS
            if kind.label in self.dialect.file.network
        }
        if self.signed and Kind.KEY_EXCHANGE in steps:
            steps[Kind.KEY_EXCHANGE] = with_mac(self.dialect, steps[Kind.KEY_EXCHANGE])
        return {int(kind): Composer(self.dialect.spec, None, None, written) for kind, written in steps.items()}

    @cached_property
    def network_answer(self) -> Composer:
        """Our answers to the issuer's network management messages."""
        return _network_answer(self.dialect)

    @cached_property
    def key_answer(self) -> Composer:
        """Our answers to those of them that bring keys."""
        spec, steps = self.dialect.spec, network_answer_steps(self.dialect)
        return Composer(spec, spec, None, with_mac(self.dialect, steps) if self.signed else steps)

    def _from_kept(self, steps: list[Step]) -> Composer:
        spec = self.dialect.spec
        return Composer(spec, spec, None, _written(steps, signed=self.signed))


class ListenerComposers:
    """What goes to terminals of a dialect without an issuer's part in it.

    Args:
        dialect: The listener's.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    @cached_property
    def answer(self) -> Composer:
        """An answer that the switch gives on its own."""
        return _to_terminal(self.dialect, None, signed=True)

    @cached_property
    def unsigned_answer(self) -> Composer:
        """The same without a MAC, for those whom no key belongs to."""
        return _to_terminal(self.dialect, None, signed=False)

    @cached_property
    def network_answer(self) -> Composer:
        """An answer to sign-on, echo test and their like."""
        return _network_answer(self.dialect)

    @cached_property
    def request_unkept(self) -> list[int]:
        """Fields of a terminal's request that are not even kept until it is answered."""
        return request_unkept(self.dialect)


def _to_terminal(terminal: Dialect, link: Dialect | None, *, signed: bool) -> Composer:
    steps = answer_steps(terminal, link)
    sources = {"request": terminal.unkept, "answer": frozenset() if link is None else link.unkept}
    unkept = tainted_fields(terminal.unkept, steps, sources)
    written = _written(steps, signed=signed)
    return Composer(terminal.spec, terminal.spec, None if link is None else link.spec, written, unkept)


def _network_answer(dialect: Dialect) -> Composer:
    return Composer(dialect.spec, dialect.spec, None, network_answer_steps(dialect))


def _written(steps: list[Step], *, signed: bool) -> list[Step]:
    return steps if signed else without_mac(steps)
