"""IP addresses, each in one form."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def address_of(host: str | bytes) -> IPv4Address | IPv6Address:
    """An IP address of its text or its bytes; one of IPv4 also where IPv6 writes it (``::ffff:10.0.0.1``).

    Raises:
        ValueError: it is none.
    """
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
