"""Addresses as a configuration writes them: ``host:port``, ``[IPv6]:port``, and the path of a Unix socket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from pydantic import ValidationInfo


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP address) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a Unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"{UNIX}{self.path}"


UNIX = "unix:"
UNIX_PATH_BYTES_MAX = 107
"""That a socket's address has room for."""

ADDRESS = re.compile(r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<plain>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


def parse_address(value: object) -> Address:
    """Read ``host:port`` or ``[IPv6]:port``; port 0 lets the kernel choose.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, Address):
        return value
    match = ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f'needed "host:port" or "[IPv6]:port", got {value!r}')
    return Address(match["bracketed"] or match["plain"], int(match["port"]))


def parse_endpoint(value: object) -> Address:
    """Read an address to connect to: as ``parse_address``, but port 0 makes no sense."""
    address = parse_address(value)
    if address.port == 0:
        raise ValueError("needed a port to connect to, got port 0")
    return address


def parse_admin(value: object, info: ValidationInfo | None) -> Address | UnixAddress:
    """Read ``unix:PATH``, relative to the folder of the configuration file, or an address as ``parse_address`` does.

    Raises:
        ValueError: it is something else, or the path is too long for a socket.
    """
    if isinstance(value, UnixAddress) or not (isinstance(value, str) and value.startswith(UNIX)):
        return value if isinstance(value, UnixAddress) else parse_address(value)
    folder = {} if info is None else info.context or {}
    path = Path(folder.get("folder", Path()), value.removeprefix(UNIX))
    if value == UNIX or "\0" in value or len(str(path).encode()) > UNIX_PATH_BYTES_MAX:
        raise ValueError(f"needed the path of a socket, of at most {UNIX_PATH_BYTES_MAX} bytes, got {value!r}")
    return UnixAddress(path)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_every(host: str) -> bool:
    """Whether it stands for all addresses of a machine, and for none that another one could call."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
