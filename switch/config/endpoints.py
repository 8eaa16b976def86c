"""Endpoints and limits of links as a version in the store says them, over what the configuration says."""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field, ValidationError

from switch.base.ip_addresses import address_of
from switch.config.addresses import Address
from switch.config.file_descriptors import STORE_CONNECTIONS_MAX, connections_of
from switch.config.models import LINKS_MAX, Config, LinkSection
from switch.config.value_types import EndpointAddress, Name, Network
from switch.files.model_errors import problems_of
from switch.files.problems import ConfigError, ProblemList, raise_if_any
from switch.files.sections import Section
from switch.files.texts import Texts, texts_of

NOT_ALLOWED = (
    "is neither one of the configuration nor in endpoints.networks, and the link has no tls.server_name, by which its "
    "issuer would be known anywhere"
)


class LinkEndpoints(Section):
    """What is another one than in the configuration."""

    name: Name
    endpoints: tuple[EndpointAddress, ...] = Field((), strict=False, max_length=16)
    connections: int | None = Field(None, ge=1, le=64)
    connections_total: int | None = Field(None, ge=1, le=1_024)
    in_flight_max: int | None = Field(None, ge=1, le=900_000)


class EndpointsFile(Section):
    """The whole text."""

    links: tuple[LinkEndpoints, ...] = Field((), alias="link", strict=False, max_length=LINKS_MAX)


def load_endpoints(source: Texts, config: Config) -> Sequence[LinkSection]:
    """The links of a configuration as such a text says them, in their order.

    Args:
        source: The text.
        config: The configuration.

    Raises:
        ConfigError: It cannot be used; tells every problem.
    """
    texts = texts_of(source)
    problems = ProblemList(texts.place)
    said = _read(texts, problems)
    raise_if_any(problems)
    links = {link.name: link for link in config.links}
    for place, one in enumerate(said.links):
        link = links.get(one.name)
        key = f"link[{one.name}]"
        if link is None:
            problems.add(key, f"there is no such link; configured are {', '.join(links)}")
        elif any(other.name == one.name for other in said.links[:place]):
            problems.add(key, "stands here twice")
        else:
            for name, reason in _faults(one, link, config):
                problems.add(f"{key}.{name}", reason)
            links[one.name] = _over(link, one)
    raise_if_any(problems)
    return list(links.values())


def _read(texts: Texts, problems: ProblemList) -> EndpointsFile:
    try:
        table = tomllib.loads(texts.main().removeprefix(codecs.BOM_UTF8).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.add("", f"is not TOML: {error}")
        return EndpointsFile()
    for key in _fixed_keys(table):
        problems.add(key, "stays in the configuration: another one needs a drain and a start")
    raise_if_any(problems)
    try:
        return EndpointsFile.model_validate(table)
    except ValidationError as error:
        raise ConfigError(problems_of(error, EndpointsFile, texts.place, "")) from error


def _fixed_keys(table: dict[str, Any]) -> Iterator[str]:
    """What a link has in the configuration, and may have nowhere else."""
    entries = table.get("link")
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        for name in entry if isinstance(entry, dict) else ():
            if name in LinkSection.model_fields and name not in LinkEndpoints.model_fields:
                yield f"link[{entry.get('name', number)}].{name}"


def _over(link: LinkSection, one: LinkEndpoints) -> LinkSection:
    """A link with what a version says of it."""
    update: dict[str, object] = {}
    if one.endpoints:
        update["endpoints"] = one.endpoints
    if one.connections is not None:
        update |= {"connections": one.connections, "connections_total": None}
    if one.connections_total is not None:
        update["connections_total"] = one.connections_total
    if one.in_flight_max is not None:
        update["in_flight_max"] = one.in_flight_max
    return link.model_copy(update=update)


def _faults(one: LinkEndpoints, link: LinkSection, config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong with what is said of a link: key and reason."""
    if link.mode == "accept":
        for name in ("endpoints", "connections", "connections_total"):
            if getattr(one, name):
                yield name, "its issuer calls us: what it may reach stays in the configuration"
    else:
        yield from _faults_of_calls(one, link, config)
    most, least = link.in_flight_max, link.reversal.window
    if one.in_flight_max is not None and one.in_flight_max > most:
        yield "in_flight_max", f"{one.in_flight_max:,} is above that of the configuration, {most:,}"
    if one.in_flight_max is not None and one.in_flight_max < least:
        yield "in_flight_max", f"{one.in_flight_max:,} is below reversal.window, {least:,}"


def _faults_of_calls(one: LinkEndpoints, link: LinkSection, config: Config) -> Iterator[tuple[str, str]]:
    if one.connections is not None and one.connections_total is not None:
        yield "connections", "needed either connections or connections_total"
    if len(set(one.endpoints)) != len(one.endpoints):
        yield "endpoints", "names an address twice; raise connections instead"
    for endpoint in one.endpoints:
        if endpoint not in link.endpoints and not _may_be_called(endpoint, link, config):
            yield "endpoints", f"{endpoint} {NOT_ALLOWED}"
    most, wanted = max(STORE_CONNECTIONS_MAX, connections_of(link)), connections_of(_over(link, one))
    if wanted > most:
        yield "connections", f"are {wanted} of a worker, and at most {most} may be"


def _may_be_called(endpoint: Address, link: LinkSection, config: Config) -> bool:
    """Whether the configuration allows the store to send a link's messages there."""
    if link.tls is not None and link.tls.server_name is not None:
        return True
    networks: Sequence[Network] = () if config.endpoints is None else config.endpoints.networks
    try:
        address = address_of(endpoint.host)
    except ValueError:
        return False
    return any(address in network for network in networks)
