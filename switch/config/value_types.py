"""The sorts of values that a configuration has: paths, addresses, names, as they are written and what they become."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, ValidationInfo

from switch.config.addresses import Address, UnixAddress, parse_address, parse_admin, parse_endpoint


def _resolve(value: object, info: ValidationInfo) -> Path:
    """Make a path of a string, relative to the folder of the configuration file."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"needed the path of a file, got {value!r}")
    if "\0" in value:
        raise ValueError("needed the path of a file, got one with a NUL character")
    folder = (info.context or {}).get("folder", Path())
    return Path(folder, value)


def _resolve_dialect(value: object, info: ValidationInfo) -> str:
    """Leave the name of a built-in dialect; a path (with a slash or .toml) is resolved as other files are."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"needed the name or the file of a dialect, got {value!r}")
    return str(_resolve(value, info)) if "/" in value or "\0" in value or value.endswith(".toml") else value


def known_timezone(name: str) -> str:
    """Refuse a time zone that the IANA database does not have."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'needed a time zone of the IANA database, got "{name}"') from error
    return name


def _parse_network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ValueError(f'needed an IP address or network such as "10.1.0.0/16", got {value!r}') from error


def _ordered(bins: str) -> str:
    low, dash, high = bins.partition("-")
    if dash and (len(low) != len(high) or high < low):
        raise ValueError(f"needed a high end of as many digits as the low one, and not below it, got {bins!r}")
    return bins


BindAddress = Annotated[InstanceOf[Address], BeforeValidator(parse_address)]
AdminAddress = Annotated[InstanceOf[Address] | InstanceOf[UnixAddress], BeforeValidator(parse_admin)]
EndpointAddress = Annotated[InstanceOf[Address], BeforeValidator(parse_endpoint)]
FilePath = Annotated[Path, BeforeValidator(_resolve)]
DialectName = Annotated[str, BeforeValidator(_resolve_dialect)]
Network = Annotated[InstanceOf[IPv4Network] | InstanceOf[IPv6Network], BeforeValidator(_parse_network)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$")]
InstitutionId = Annotated[str, Field(pattern=r"^[0-9]{1,11}$")]
BinRange = Annotated[str, Field(pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$"), AfterValidator(_ordered)]
Currency = Annotated[str, Field(pattern=r"^[0-9]{3}$")]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
TlsVersion = Literal["1.2", "1.3"]

WORKERS_MAX = 64
"""Of one node."""

WorkerCount = Annotated[int, Field(ge=1, le=WORKERS_MAX)] | Literal["cores"]
