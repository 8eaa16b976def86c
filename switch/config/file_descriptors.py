"""File descriptors: how many a configuration needs, and for how many terminals those that there are will do."""

from __future__ import annotations

from collections.abc import Iterable

from switch.config.models import LimitsSection, LinkSection

OWN_DESCRIPTORS = 256
"""Standard streams, event loop, listeners, the journal's files, the admin side's connections, one to refuse with."""

ARRIVING_MAX = 64
"""Connections of an issuer that may be in their TLS handshake at once."""


def reserved_descriptors(links: Iterable[LinkSection]) -> int:
    """What terminals may not take: the daemon's own, and those of all links."""
    return OWN_DESCRIPTORS + sum(_of_link(link) for link in links)


def needed_descriptors(limits: LimitsSection, links: Iterable[LinkSection]) -> int:
    """What it takes to hold as many connections as the limits allow."""
    return limits.connections_max + reserved_descriptors(links)


def terminals_served(limits: LimitsSection, links: Iterable[LinkSection], available: int) -> int:
    """How many connections of terminals there can be with so many descriptors; 0 when links alone need more."""
    return max(0, min(limits.connections_max, available - reserved_descriptors(links)))


def _of_link(link: LinkSection) -> int:
    if link.mode == "accept":
        return link.connections + ARRIVING_MAX
    return link.connections * len(link.endpoints)
