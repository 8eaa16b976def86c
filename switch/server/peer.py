"""Who is at the other end of a connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from switch.base.ip_addresses import address_of


@dataclass(frozen=True, slots=True)
class Peer:
    """Who called.

    Attributes:
        address: Its IP address: of the terminal, or of the issuer.
        via: Address of the load balancer that says so; None: nobody is in between.
    """

    address: str
    via: str | None = None

    def details(self) -> dict[str, str]:
        """For a line of the log."""
        return {"peer": self.address} if self.via is None else {"peer": self.address, "via": self.via}


def is_among(host: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an IP address is in one of these networks."""
    address = address_of(host)
    return any(address.version == network.version and address in network for network in networks)
