"""Who asks, where nobody is known: an address, which has so much and no more."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

from starlette.requests import Request

from switch.backoffice.limits import Share

NETWORKS = ((64, 1), (56, 2), (48, 4))
"""Bits of an IPv6 address that are one network's, and how many times what is one network's it has.

Providers give one household or company all of a /64, a /56 or a /48.
"""

CALLERS_MAX = 10_000
LOCAL = "this machine"
UNKNOWN = "unknown"
FORWARDED = "X-Forwarded-For"


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from.

    Attributes:
        address: As it is.
        shares: By which it is limited: of its own network first, then of wider ones.
        is_local: Whether it comes from this machine, and through no proxy.
    """

    address: str
    shares: tuple[Share, ...]
    is_local: bool = False


def caller_of(request: Request, *, behind_proxy: bool) -> Caller:
    """Where a request comes from; a proxy's word is taken where there is to be one."""
    peer = None if request.client is None else request.client.host
    said = request.headers.getlist(FORWARDED)
    if behind_proxy and said:
        return _caller(said[-1].rpartition(",")[2].strip())
    if peer in (None, ""):  # a Unix socket
        return _alone(LOCAL, is_local=not said)
    found = _caller(str(peer))
    return Caller(found.address, found.shares, _is_loopback(found.address) and not said)


def _caller(text: str) -> Caller:
    try:
        address = ip_address(text)
    except ValueError:
        return _alone(UNKNOWN)
    if not isinstance(address, IPv6Address):
        return _alone(str(address))
    if address.ipv4_mapped is not None:
        return _alone(str(address.ipv4_mapped))
    networks = ((str(ip_network((address.packed, bits), strict=False)), times) for bits, times in NETWORKS)
    return Caller(str(address), tuple(Share(*one) for one in networks))


def _alone(address: str, *, is_local: bool = False) -> Caller:
    return Caller(address, (Share(address),), is_local)


def _is_loopback(text: str) -> bool:
    return text != UNKNOWN and ip_address(text).is_loopback


class Counts:
    """How often each has done something of late. Nothing is kept of who has done nothing.

    Args:
        most: So often within the time, for a share of one.
        seconds: The time.
        clock: Monotonic seconds.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._at: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def is_full(self, shares: tuple[Share, ...]) -> bool:
        """Whether it was so often, by any of them."""
        with self._lock:
            return self._is_full(shares)

    def takes(self, shares: tuple[Share, ...]) -> bool:
        """Count one more in all of them; False, and none counted, where it was so often already."""
        with self._lock:
            if self._is_full(shares):
                return False
            for one in shares:
                self._at.setdefault(one.name, deque()).append(self._clock())
                self._at.move_to_end(one.name)
            while len(self._at) > CALLERS_MAX:
                self._at.popitem(last=False)
            return True

    def gives_back(self, shares: tuple[Share, ...]) -> None:
        """Count one less: nothing came of it."""
        with self._lock:
            for one in shares:
                if self._count(one.name):
                    self._at[one.name].pop()
                    self._count(one.name)

    def _is_full(self, shares: tuple[Share, ...]) -> bool:
        return any(self._count(one.name) >= self._most * one.times for one in shares)

    def _count(self, name: str) -> int:
        """How often it was within the time; what is over is forgotten."""
        times = self._at.get(name)
        while times and self._clock() - times[0] >= self._seconds:
            times.popleft()
        if not times:
            self._at.pop(name, None)
            return 0
        return len(times)


class AtOnce:
    """How many requests of each are under way.

    Args:
        most: So many, for a share of one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count: dict[str, int] = {}

    @contextmanager
    def one(self, shares: tuple[Share, ...]) -> Iterator[bool]:
        """One more in all of them, as long as the block lasts; whether there is room for it."""
        if any(self._count.get(one.name, 0) >= self._most * one.times for one in shares):
            yield False
            return
        for one in shares:
            self._count[one.name] = self._count.get(one.name, 0) + 1
        try:
            yield True
        finally:
            for one in shares:
                self._count[one.name] -= 1
                if not self._count[one.name]:
                    del self._count[one.name]


class Awaited:
    """Bodies that have not come yet. Where there are too many, the one that is awaited for longest is given up.

    Args:
        most: So many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._until: deque[asyncio.Timeout] = deque()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """One more, as long as the block lasts.

        Raises:
            TimeoutError: It was given up.
        """
        async with asyncio.timeout(None) as until:
            self._until.append(until)
            if len(self._until) > self._most:
                self._until.popleft().reschedule(asyncio.get_running_loop().time())
            try:
                yield
            finally:
                if until in self._until:
                    self._until.remove(until)
