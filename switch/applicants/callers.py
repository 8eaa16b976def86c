"""Who asks, where nobody is known: an address, which has so much and no more."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

from starlette.requests import Request

NETWORK_BITS = 64
"""Of an IPv6 address: so much of it is one household's or company's."""

CALLERS_MAX = 10_000
LOCAL = "this machine"
UNKNOWN = "unknown"
FORWARDED = "X-Forwarded-For"


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from.

    Attributes:
        address: As it is.
        network: By which it is limited.
        is_local: Whether it comes from this machine, and through no proxy.
    """

    address: str
    network: str
    is_local: bool = False


def caller_of(request: Request, *, behind_proxy: bool) -> Caller:
    """Where a request comes from; a proxy's word is taken where there is to be one."""
    peer = None if request.client is None else request.client.host
    said = request.headers.getlist(FORWARDED)
    if behind_proxy and said:
        return _caller(said[-1].rpartition(",")[2].strip())
    if peer in (None, ""):  # a Unix socket
        return Caller(LOCAL, LOCAL, is_local=not said)
    found = _caller(str(peer))
    return Caller(found.address, found.network, _is_loopback(found.address) and not said)


def _caller(text: str) -> Caller:
    try:
        address = ip_address(text)
    except ValueError:
        return Caller(UNKNOWN, UNKNOWN)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return Caller(str(address.ipv4_mapped), str(address.ipv4_mapped))
        return Caller(str(address), str(ip_network((address.packed, NETWORK_BITS), strict=False)))
    return Caller(str(address), str(address))


def _is_loopback(text: str) -> bool:
    return text != UNKNOWN and ip_address(text).is_loopback


class Counts:
    """How often each has done something of late.

    Args:
        most: So often within the time.
        seconds: The time.
        clock: Monotonic seconds.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._at: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def is_full(self, who: str) -> bool:
        """Whether it was so often."""
        with self._lock:
            return len(self._of(who)) >= self._most

    def takes(self, who: str) -> bool:
        """Count one more; False where it was so often already."""
        with self._lock:
            times = self._of(who)
            if len(times) >= self._most:
                return False
            times.append(self._clock())
            return True

    def gives_back(self, who: str) -> None:
        """Count one less: nothing came of it."""
        with self._lock:
            times = self._of(who)
            if times:
                times.pop()

    def _of(self, who: str) -> deque[float]:
        times = self._at.setdefault(who, deque())
        self._at.move_to_end(who)
        while times and self._clock() - times[0] >= self._seconds:
            times.popleft()
        if len(self._at) > CALLERS_MAX:
            self._at.popitem(last=False)
        return times


class AtOnce:
    """How many requests of each are under way.

    Args:
        most: So many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count: dict[str, int] = {}

    @contextmanager
    def one(self, who: str) -> Iterator[bool]:
        """One more, as long as the block lasts; whether there is room for it."""
        if self._count.get(who, 0) >= self._most:
            yield False
            return
        self._count[who] = self._count.get(who, 0) + 1
        try:
            yield True
        finally:
            self._count[who] -= 1
            if not self._count[who]:
                del self._count[who]
