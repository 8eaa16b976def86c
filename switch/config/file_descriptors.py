"""File descriptors: how many a configuration needs, and for how many terminals those that there are will do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from switch.base.shares import share
from switch.config.models import LimitsSection, LinkSection

OWN_DESCRIPTORS = 256
"""Standard streams, event loop, listeners, the journal's files, the admin side's connections, one to refuse with."""

ARRIVING_MAX = 64
"""Connections of an issuer, or of other nodes, that may be in their TLS handshake at once."""

STORE_CONNECTIONS_MAX = 16
"""Of a worker on a link that the store may ask for, unless the configuration has more."""

MATE_DESCRIPTORS = 5
"""For each other worker of the machine: a socket, two rings, and two events by which both sides wake each other."""


class Descriptors(NamedTuple):
    """What one worker needs.

    Attributes:
        terminals: For as many connections of terminals as it may have.
        reserved: Those that terminals may not take: the worker's own, and those of links and of other workers.
    """

    terminals: int
    reserved: int

    @property
    def needed(self) -> int:
        """For all."""
        return self.terminals + self.reserved

    def terminals_served(self, available: int) -> int:
        """How many connections of terminals there can be with so many; 0 when all else alone needs more."""
        return max(0, min(self.terminals, available - self.reserved))


def descriptors_of_worker(
    limits: LimitsSection, links: Iterable[LinkSection], workers: int, far_workers: int, *, moves: bool = False
) -> Descriptors:
    """What each of so many workers of a machine needs.

    Args:
        limits: Of the configuration.
        links: All of them.
        workers: Of this machine.
        far_workers: Of all other machines together.
        moves: Whether the store may say other endpoints: for a while a link then has former and new connections.
    """
    all_workers = workers + far_workers
    others = MATE_DESCRIPTORS * (workers - 1) + (far_workers + ARRIVING_MAX if far_workers else 0)
    return Descriptors(
        share(limits.connections_max, workers),
        OWN_DESCRIPTORS + others + sum(_of_link(link, all_workers, moves=moves) for link in links),
    )


def connections_of(link: LinkSection) -> int:
    """How many connections a link may have where we call: all of a worker, or all together where that is said."""
    return link.connections_total or link.connections * len(link.endpoints)


def _of_link(link: LinkSection, workers: int, *, moves: bool) -> int:
    if moves and link.mode == "connect":
        return 2 * max(STORE_CONNECTIONS_MAX, connections_of(link))
    if link.connections_total is not None:
        return -(-link.connections_total // workers)
    if link.mode == "accept":
        return link.connections + ARRIVING_MAX
    return link.connections * len(link.endpoints)
