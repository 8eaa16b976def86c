"""Connections between the switch and its peers: bytes in order, but cut, held up, lost or swallowed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from .clock import MS, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .clock import Clock
    from .tally import Tally

FRAGMENTS_MAX = 8
SILENCE_NS_MAX = 8 * SECOND


class End(Protocol):
    """One side of a connection."""

    def received(self, wire: Wire, data: bytes) -> None:
        """Bytes came in."""

    def lost(self, wire: Wire) -> None:
        """The connection is gone."""


class SwitchEnd(End, Protocol):
    """The switch's side."""

    @property
    def is_reading(self) -> bool:
        """Whether what comes in is read."""


class Weather:
    """How bad the network is: shared by all connections of a run, until it clears up."""

    def __init__(self, clock: Clock, draw: Random, rates: dict[str, float], tally: Tally) -> None:
        self.clock = clock
        self.draw = draw
        self.tally = tally
        self.fragment = rates["fragment"]
        self.delay = rates["delay"]
        self.reset = rates["reset"]
        self.half_open = rates["half_open"]
        self.short_send = rates["short_send"]
        self.failed_send = rates["failed_send"]
        self.latency_ns = draw.choice((0, 1, 5, 40)) * MS

    def taken(self, size: int) -> int:
        """How many of so many bytes the kernel takes; -1: it says that the peer is gone."""
        if self.failed_send and self.draw.random() < self.failed_send * 0.3:
            self.tally.fault("failed_send")
            return -1
        if self.short_send and self.draw.random() < self.short_send:
            self.tally.fault("short_send")
            return self.draw.randrange(size)
        return size

    def clear_up(self) -> None:
        """From now on nothing goes wrong."""
        self.fragment = self.delay = self.reset = self.half_open = self.short_send = self.failed_send = 0.0


class Wire:
    """One connection. The caller's side is the peer, the other the switch, whoever dialled.

    Args:
        weather: What may go wrong.
        peer: The terminal's or issuer's side.
        switch: The switch's side.
        life: Which of the switch's processes it belongs to: its worker, and how often that had ended.
    """

    def __init__(self, weather: Weather, peer: End, switch: SwitchEnd, life: tuple[int, int]) -> None:
        self._weather = weather
        self._peer = peer
        self._switch = switch
        self.life = life
        self._free_ns = [0, 0]
        self.is_open = True
        self.is_broken = False
        self.is_swallowing = False
        self.witness: Callable[[bytes], None] | None = None

    def to_switch(self, data: bytes, then: Callable[[Wire], None] | None = None) -> None:
        """Send bytes from the peer; ``then`` is called when the switch has read all of them."""
        self._send(data, self._switch, 0, then)

    def to_peer(self, data: bytes) -> None:
        """Send bytes from the switch; whoever watches the wire sees them, even if nobody else does."""
        if self.witness is not None:
            self.witness(data)
        self._send(data, self._peer, 1)

    def break_off(self) -> None:
        """The connection is reset: what is under way is lost, and each side learns of it when it does."""
        if self.is_open:
            self.is_open = False
            self.is_broken = True
            after, draw = self._weather.clock.after, self._weather.draw
            after(draw.randrange(20) * MS, self._switch.lost, self)
            after(draw.randrange(20) * MS, self._peer.lost, self)

    def vanish(self) -> None:
        """The peer is gone without a word; the switch goes on speaking to nobody."""
        if self.is_open and not self.is_swallowing:
            self.is_swallowing = True
            self._weather.clock.after(self._weather.draw.randrange(100) * MS, self._peer.lost, self)

    def fall_silent(self) -> None:
        """The switch is gone without a word; its peer learns of it seconds later."""
        if self.is_open:
            self.is_open = False
            self.is_broken = True
            self._weather.clock.after(int(self._weather.draw.random() ** 2 * SILENCE_NS_MAX), self._peer.lost, self)

    def close_by_peer(self) -> None:
        """The peer closes: what it has sent still arrives; what the switch sends any more does not."""
        if self.is_swallowing:
            return
        self._finish(self._switch, 0)

    def close_by_switch(self) -> None:
        """The switch closes: what it has sent still arrives."""
        if self.is_swallowing:
            self.is_open = False
            return
        self._finish(self._peer, 1)

    def _finish(self, end: End, direction: int) -> None:
        if self.is_open:
            self.is_open = False
            clock = self._weather.clock
            clock.after(max(self._free_ns[direction] - clock.now_ns, 0), end.lost, self)

    def _send(self, data: bytes, end: End, direction: int, then: Callable[[Wire], None] | None = None) -> None:
        weather = self._weather
        if not self.is_open or self.is_swallowing:
            return
        draw = weather.draw.random
        if weather.half_open and draw() < weather.half_open * 0.3:
            weather.tally.fault("half_open")
            self.vanish()
            return
        if weather.delay and draw() < weather.delay:
            weather.tally.fault("delay")
            self._free_ns[direction] = max(self._free_ns[direction], weather.clock.now_ns) + int(draw() * 6 * SECOND)
        if weather.fragment and draw() < weather.fragment:
            weather.tally.fault("fragment")
            *pieces, data = self._cut(data)
            for piece in pieces:
                self._deliver(piece, end, direction)
        self._deliver(data, end, direction, then)
        if weather.reset and draw() < weather.reset:
            weather.tally.fault("reset")
            weather.clock.after(int(draw() * draw() * 4 * SECOND), self.break_off)
        if weather.half_open and draw() < weather.half_open * 0.3:
            weather.tally.fault("half_open")
            weather.clock.after(int(draw() * draw() * 4 * SECOND), self.vanish)

    def _cut(self, data: bytes) -> list[bytes]:
        draw = self._weather.draw
        if len(data) < FRAGMENTS_MAX:
            return [data[i : i + 1] for i in range(len(data))]
        places = sorted({0, len(data), *(draw.randrange(len(data)) for _ in range(draw.randrange(1, FRAGMENTS_MAX)))})
        return [data[start:end] for start, end in pairwise(places)]

    def _deliver(self, data: bytes, end: End, direction: int, then: Callable[[Wire], None] | None = None) -> None:
        weather = self._weather
        clock = weather.clock
        arrival_ns = clock.now_ns + int(weather.latency_ns * (0.5 + weather.draw.random()))
        arrival_ns = max(arrival_ns, self._free_ns[direction])
        self._free_ns[direction] = arrival_ns
        clock.errand(arrival_ns - clock.now_ns, self._arrive, data, end, then)

    def _arrive(self, data: bytes, end: End, then: Callable[[Wire], None] | None) -> None:
        # A connection that was reset loses what was under way; one that was closed in order delivers it.
        if not self.is_broken:
            is_read = self._switch.is_reading
            end.received(self, data)
            if then is not None and is_read:
                then(self)
