"""Connections that several terminals share, as those behind a merchant's own gateway do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from switch.wire.framing import Deframer
from switch.wire.scan import ScanError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .acquirer import Acquirer
    from .network import Wire
    from .options import Options
    from .terminal import Terminal

HANGS_UP = 0.3
"""How likely a terminal that hangs up does so for all that share its connection."""


class Line:
    """One terminal's part of a shared connection; to it, it is a connection."""

    def __init__(self, concentrator: Concentrator, wire: Wire, terminal: Terminal) -> None:
        self._concentrator = concentrator
        self._wire = wire
        self.terminal = terminal
        self.is_used = True
        self.witness: Callable[[bytes], None] | None = None

    def to_switch(self, data: bytes, then: Callable[[Wire], None] | None = None) -> None:
        """Send bytes among those of the others."""
        self._wire.to_switch(data, then)

    def close_by_peer(self) -> None:
        """The terminal hangs up; the connection may stay, with what still comes for it."""
        self.is_used = False
        self._concentrator.left(self._wire)


class Concentrator:
    """Carries what all terminals of one listener say on one connection, and brings each its answers.

    Args:
        acquirer: Who is called.
        options: The run.
        terminals: Those that share it.
    """

    def __init__(self, acquirer: Acquirer, options: Options, terminals: list[Terminal]) -> None:
        self._acquirer = acquirer
        self._listener = terminals[0].listener
        self._profile = terminals[0].profile
        self._checker = acquirer.checker
        self._draw = options.stream(f"concentrator/{self._listener}")
        self._wire: Wire | None = None
        self._lines: dict[str, Line] = {}
        self._deframer = Deframer(self._profile.framing)
        for terminal in terminals:
            terminal.concentrator = self

    def call(self, terminal: Terminal) -> Line | None:
        """A terminal's part of the connection, which is made when there is none; None when nobody answers."""
        if self._wire is None:
            self._wire = self._acquirer.accept(self, self._listener)
            if self._wire is None:
                return None
            self._lines = {}
            self._deframer = Deframer(self._profile.framing)
            self._wire.witness = partial(self._see, Deframer(self._profile.framing), self._lines)
        line = self._lines.setdefault(terminal.id, Line(self, self._wire, terminal))
        line.is_used = True
        return line

    def left(self, wire: Wire) -> None:
        """One of the terminals has hung up."""
        if wire is self._wire and self._draw.random() < HANGS_UP:
            wire.close_by_peer()
            self.lost(wire)

    def lost(self, wire: Wire) -> None:
        """The connection is gone, for all."""
        if wire is self._wire:
            self._wire = None
            for line in self._lines.values():
                if line.is_used:
                    line.is_used = False
                    line.terminal.lost(line)

    def received(self, wire: Wire, data: bytes) -> None:
        """Answers came in: each is its terminal's; that of one which has hung up is not read."""
        if wire is not self._wire:
            return
        for headers, message in self._deframer.feed(data):
            line = self._line_of(message, self._lines)
            if line is not None and line.is_used:
                line.terminal.received(line, self._profile.framing.wrap(message, headers))

    def _see(self, deframer: Deframer, lines: dict[str, Line], data: bytes) -> None:
        """What leaves the switch on a connection, whether it arrives or not, and whether that is still the one."""
        for headers, message in deframer.feed(data):
            line = self._line_of(message, lines)
            if line is not None and line.witness is not None:
                line.witness(self._profile.framing.wrap(message, headers))

    def _line_of(self, message: bytes, lines: dict[str, Line]) -> Line | None:
        try:
            name = self._profile.text(self._profile.scan(message), 41).rstrip()
        except ScanError as error:
            self._checker.report("format", f"a message on a shared connection cannot be read: {error}")
            return None
        if name not in lines:
            self._checker.misled(f"an answer for terminal {name} came on a connection that it does not share")
        return lines.get(name)


def share_connections(acquirer: Acquirer, options: Options, terminals: list[Terminal]) -> None:
    """Let the terminals of each listener have one connection in common, in the runs in which they do."""
    if options.shares_connections:
        for listener in sorted({terminal.listener for terminal in terminals}):
            Concentrator(acquirer, options, [one for one in terminals if one.listener == listener])
