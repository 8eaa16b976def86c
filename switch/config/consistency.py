"""Whether the parts of a configuration make sense together."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address

from switch.config.addresses import Address, UnixAddress, is_loopback
from switch.config.file_descriptors import descriptors_of_worker
from switch.config.mesh_checks import check_nodes, mesh_addresses, own_node, workers_here
from switch.config.models import (
    AdminSection,
    JournalSection,
    LimitsSection,
    LinkSection,
    ListenerSection,
    SwitchSection,
)
from switch.config.partial_config import PartialConfig
from switch.config.sections import (
    ApplicantsSection,
    ApplicationsSection,
    BackofficeSection,
    EndpointsSection,
    HoldsSection,
    HttpSection,
    KeysSection,
    OriginalsSection,
    RegistrySection,
    RiskSection,
    RoutesSection,
    StoreSection,
)
from switch.config.stand_in_sections import LinkStandIn
from switch.machine.numbering import INSTANCES_MAX

STANS = 999_999
STANS_A_REVERSAL = 2


def check_consistency(draft: PartialConfig) -> None:
    """Check what no model can check by itself, among those parts of the draft that are valid."""
    _check_names(draft)
    _check_instance(draft)
    _check_addresses(draft)
    _check_admin(draft)
    _check_backoffice(draft)
    _check_keys(draft)
    _check_base_keys(draft)
    _check_registry(draft)
    _check_rulebooks(draft)
    _check_limits(draft)
    for listener in draft.listeners:
        _check_listener(draft, listener, f"listener[{listener.name}]")
    for link in draft.links:
        key = f"link[{link.name}]"
        _check_link_side(draft, link, key)
        _check_link_times(draft, link, key)
        _check_key_exchange(draft, link, f"{key}.key_exchange")
        if link.stand_in is not None:
            _check_stand_in(draft, link.stand_in, f"{key}.stand_in")
    _check_journal(draft)
    check_nodes(draft)
    if draft.knows("risk") and draft.get("risk", RiskSection) is None:
        draft.warning("risk", "is absent: no amount or count is limited and no card is blocked")


def _check_instance(draft: PartialConfig) -> None:
    switch = draft.get("switch", SwitchSection)
    if switch is None:
        return
    if switch.instance >= switch.instances:
        draft.error(
            "switch.instance", f"{switch.instance:,} is not below switch.instances, which is {switch.instances}"
        )
    journal = draft.get("journal", JournalSection)
    partitions = 1 if journal is None else journal.partitions or 1
    if switch.instances * partitions > INSTANCES_MAX:
        draft.error("journal.partitions", too_many_numberings(switch.instances, partitions))
    wanted = None if journal is None else journal.partitions
    workers = workers_here(draft)
    if wanted is not None and not draft.nodes and wanted < workers:
        draft.error("switch.workers", f"{workers} is above journal.partitions, {wanted}: each worker needs one")
    if switch.instances > 1:
        draft.warning(
            "switch.instances",
            f"{switch.instances}: each switch knows the requests of its own journal only. If a terminal that one "
            "of them serves can reach another one, through a balancer or by itself, its repeats are charged twice; "
            "machines behind one balancer are [[node]] of one switch",
        )
    stans = STANS // switch.instances
    limits = draft.get("limits", LimitsSection)
    if limits is not None:
        needed = limits.transactions_in_flight_max + STANS_A_REVERSAL * limits.reversals_max
        if needed > stans:
            draft.error(
                "limits.reversals_max",
                f"{limits.reversals_max:,} is too much: a reversal holds up to {STANS_A_REVERSAL} STANs, its own and "
                f"its original's, and each of transactions_in_flight_max, {limits.transactions_in_flight_max:,}, one: "
                f"together {needed:,}, above the {stans:,} of each of {switch.instances} instance(s)",
            )
    for link in draft.links:
        if link.in_flight_max > stans:
            draft.error(
                f"link[{link.name}].in_flight_max",
                f"{link.in_flight_max:,} is above the {stans:,} STANs that each of {switch.instances} instances has",
            )


def too_many_numberings(instances: int, partitions: int) -> str:
    """What is wrong where more count reference numbers than can be told apart in them."""
    return (
        f"{partitions} for each of {instances} instances is too much: each counts reference numbers of its own, and "
        f"{INSTANCES_MAX} can be told apart"
    )


def _check_journal(draft: PartialConfig) -> None:
    journal = draft.get("journal", JournalSection)
    if journal is None:
        return
    if journal.mode == "off":
        draft.warning(
            "journal.mode",
            "off: what is in flight and not yet reversed is lost in a crash; without switch.numbers_file a restart may "
            "give reference numbers again",
        )
        return
    if journal.directory is None:
        draft.error("journal.directory", 'is required with mode "files"')
    if draft.knows("keys") and draft.get("keys", KeysSection) is None:
        draft.error("keys", "is required, since the journal is sealed under the master key")
    if journal.retention_days < journal.originals_days:
        draft.error("journal.retention_days", f"{journal.retention_days:,} is below originals_days")
    elif journal.retention_bytes is not None and journal.retention_days == journal.originals_days:
        draft.warning(
            "journal.retention_bytes",
            "has no effect: retention_days equals originals_days, so what is older goes and what is younger stays",
        )
    if journal.segment_bytes < 4 * journal.buffer_bytes:
        draft.error(
            "journal.segment_bytes",
            f"{journal.segment_bytes:,} is below four times buffer_bytes, which is {journal.buffer_bytes:,}",
        )


def _check_stand_in(draft: PartialConfig, rule: LinkStandIn, key: str) -> None:
    journal = draft.get("journal", JournalSection)
    if journal is not None and journal.mode == "off":
        draft.error(key, 'needs journal.mode = "files": what was approved would be lost in a crash')
    for currency, times in Counter(limit.currency for limit in rule.limits).items():
        if times > 1:
            draft.error(f"{key}.limits", f"currency {currency} has {times} tables; each needs one")
    for limit in rule.limits:
        place = f"{key}.limits[{limit.currency}]"
        if limit.amount_max > limit.outstanding_max:
            draft.error(f"{place}.amount_max", f"{limit.amount_max:,} is above outstanding_max")
        if limit.card_amount_max is not None and limit.amount_max > limit.card_amount_max:
            draft.warning(f"{place}.amount_max", f"{limit.amount_max:,} is above card_amount_max, which is met first")
        if limit.card_amount_max is None and limit.card_count_max is None:
            draft.warning(place, "neither card_amount_max nor card_count_max: one stolen card may take all of it")
    if rule.pin:
        draft.warning(f"{key}.pin", "true: payments are approved with a PIN that nobody has verified")


def _check_names(draft: PartialConfig) -> None:
    for sort, names in (("listener", [s.name for s in draft.listeners]), ("link", [s.name for s in draft.links])):
        for name, times in Counter(names).items():
            if times > 1:
                draft.error(f"{sort}[{name}].name", f"is used {times} times; each {sort} needs a name of its own")


def _bound(draft: PartialConfig) -> Iterator[tuple[str, Address]]:
    admin = draft.get("admin", AdminSection)
    if admin is not None:
        yield from _admin_addresses(admin)
    for listener in draft.listeners:
        yield f"listener[{listener.name}].bind", listener.bind
    for link in draft.links:
        if link.bind is not None:
            yield f"link[{link.name}].bind", link.bind
    yield from mesh_addresses(draft)


def _admin_addresses(admin: AdminSection) -> Iterator[tuple[str, Address]]:
    """Where the admin side listens on TCP."""
    if isinstance(admin.bind, Address):
        yield "admin.bind", admin.bind
    if admin.scrape_bind is not None:
        yield "admin.scrape_bind", admin.scrape_bind


def _is_any(host: str) -> bool:
    """Whether the address stands for all addresses of this machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _check_addresses(draft: PartialConfig) -> None:
    taken: dict[int, list[tuple[str, str]]] = {}
    for key, address in _bound(draft):
        if address.port == 0:
            continue
        for other_key, other_host in taken.get(address.port, []):
            if address.host == other_host or _is_any(address.host) or _is_any(other_host):
                draft.error(key, f"{address} is already taken by {other_key}")
                break
        taken.setdefault(address.port, []).append((key, address.host))


def _check_admin(draft: PartialConfig) -> None:
    admin = draft.get("admin", AdminSection)
    for key, address in [] if admin is None or admin.allow_remote else _admin_addresses(admin):
        if not is_loopback(address.host):
            draft.error(key, f"{address} is not loopback; set admin.allow_remote = true if that is meant")
    if admin is not None and admin.group is not None and not isinstance(admin.bind, UnixAddress):
        draft.error("admin.group", "is for a Unix socket, and admin.bind is none")


def _check_backoffice(draft: PartialConfig) -> None:
    for name, model in (("backoffice", BackofficeSection), ("applicants", ApplicantsSection)):
        section = draft.get(name, model)
        if section is not None:
            _check_served(draft, name, section)
    if not draft.knows("applicants") or draft.get("applicants", ApplicantsSection) is None:
        return
    if draft.knows("applications") and draft.get("applications", ApplicationsSection) is None:
        draft.error("applicants", "needs [applications], with the rules by which merchants are taken on")


def _check_served(draft: PartialConfig, name: str, section: HttpSection) -> None:
    if (section.certificate is None) != (section.private_key is None):
        draft.error(f"{name}.certificate", f"{name}.certificate and {name}.private_key go together")
    if isinstance(section.bind, UnixAddress):
        return
    if section.group is not None:
        draft.error(f"{name}.group", f"is for a Unix socket, and {name}.bind is none")
    if section.certificate is None and not is_loopback(section.bind.host):
        draft.error(f"{name}.bind", f"{section.bind} is not loopback: needed {name}.certificate and its key")


def _check_keys(draft: PartialConfig) -> None:
    if not draft.knows("keys"):
        return
    keys = draft.get("keys", KeysSection)
    if keys is None:
        users = [f"listener[{s.name}].mac" for s in draft.listeners if s.mac != "none"]
        users += [f"link[{s.name}].mac" for s in draft.links if s.mac is not None]
        users += [f"link[{s.name}].pin" for s in draft.links if s.pin is not None]
        users += [f"base_key[{number}]" for number, _ in enumerate(draft.base_keys)]
        if users:
            draft.error("keys", f"is required, since {users[0]} needs keys")
        return
    token = keys.master_key_token
    sources = [keys.master_key_file, keys.master_key_env, keys.master_key_credential, token]
    if sum(source is not None for source in sources) != 1:
        draft.error(
            "keys",
            "needed exactly one of master_key_file, master_key_env, master_key_credential and master_key_token",
        )
    if token is not None and (token.pin_file is None) == (token.pin_credential is None):
        draft.error("keys.master_key_token", "needed exactly one of pin_file and pin_credential")


def _check_base_keys(draft: PartialConfig) -> None:
    """Each beginning belongs to one key of a cipher."""
    seen: set[tuple[str, str]] = set()
    for number, section in enumerate(draft.base_keys):
        if (section.serial_numbers, section.cipher) in seen:
            draft.error(f"base_key[{number}].serial_numbers", f"{section.serial_numbers} is another one's already")
        seen.add((section.serial_numbers, section.cipher))


def _check_registry(draft: PartialConfig) -> None:
    registry = draft.get("registry", RegistrySection)
    if registry is None:
        return
    files = (registry.merchants, registry.terminals)
    if registry.store_copy is None:
        if None in files:
            draft.error("registry", "needed merchants and terminals, or store_copy")
        if registry.binding == "demanded":
            draft.error("registry.binding", "files say of no terminal what it is bound to: needed store_copy")
    elif files != (None, None):
        draft.error("registry.store_copy", "needed either merchants and terminals, or store_copy: not both")
    elif draft.knows("store") and draft.get("store", StoreSection) is None:
        draft.error("store", "is required, since registry.store_copy is a copy of it")


def _check_rulebooks(draft: PartialConfig) -> None:
    for name, section in (("routes", draft.get("routes", RoutesSection)), ("risk", draft.get("risk", RiskSection))):
        if section is None:
            continue
        if (section.file is None) == (section.store_copy is None):
            draft.error(name, "needed either file or store_copy")
        elif section.store_copy is not None and draft.knows("store") and draft.get("store", StoreSection) is None:
            draft.error("store", f"is required, since {name}.store_copy is a copy of it")
    for name, copied in (
        ("holds", draft.get("holds", HoldsSection)),
        ("endpoints", draft.get("endpoints", EndpointsSection)),
    ):
        if copied is not None and draft.knows("store") and draft.get("store", StoreSection) is None:
            draft.error("store", f"is required, since {name}.store_copy is a copy of it")


def _check_limits(draft: PartialConfig) -> None:
    limits = draft.get("limits", LimitsSection)
    if limits is None:
        return
    held_seconds = limits.duplicate_window_count_max // max(limits.requests_per_second, 1)
    if limits.requests_per_second and held_seconds < limits.duplicate_window_seconds:
        draft.warning(
            "limits.duplicate_window_count_max",
            f"{limits.duplicate_window_count_max:,} are reached after {held_seconds:,} s of "
            f"{limits.requests_per_second:,} requests a second; for the {limits.duplicate_window_seconds:,} s of "
            f"duplicate_window_seconds needed {limits.requests_per_second * limits.duplicate_window_seconds:,}",
        )
    _check_shares(draft, limits)
    for listener in draft.listeners:
        if listener.connections_max > limits.connections_max:
            draft.error(
                f"listener[{listener.name}].connections_max",
                f"{listener.connections_max:,} is above limits.connections_max, {limits.connections_max:,}",
            )
    for link in draft.links:
        key = f"link[{link.name}]"
        if link.in_flight_max > limits.transactions_in_flight_max:
            draft.error(
                f"{key}.in_flight_max",
                f"{link.in_flight_max:,} is above limits.transactions_in_flight_max, "
                f"{limits.transactions_in_flight_max:,}",
            )
        if link.timeout_ms > limits.duplicate_window_seconds * 1000:
            draft.error(
                "limits.duplicate_window_seconds",
                f"{limits.duplicate_window_seconds:,} s is shorter than {key}.timeout_ms, {link.timeout_ms:,} ms: "
                "a repeated request would be sent again",
            )
        if link.timeout_ms > limits.drain_seconds * 1000:
            draft.warning(
                "limits.drain_seconds",
                f"{limits.drain_seconds:,} s is shorter than {key}.timeout_ms, {link.timeout_ms:,} ms: "
                "a drain may cut off what is in flight",
            )
    _check_descriptors(draft, limits)


def _check_descriptors(draft: PartialConfig, limits: LimitsSection) -> None:
    """Each worker is a process of its own, with a share of the connections."""
    workers = workers_here(draft)
    far = sum(section.workers for section in draft.nodes if section is not own_node(draft))
    moves = draft.get("endpoints", EndpointsSection) is not None
    descriptors = descriptors_of_worker(limits, draft.links, workers, far, moves=moves)
    _, available = resource.getrlimit(resource.RLIMIT_NOFILE)
    if available != resource.RLIM_INFINITY and descriptors.needed > available:
        served = workers * descriptors.terminals_served(available)
        each = f" for each of {workers} workers" if workers > 1 else ""
        draft.warning(
            "limits.connections_max",
            f"{limits.connections_max:,} needs {descriptors.needed:,} file descriptors{each}, {available:,} are "
            f"allowed here (ulimit -Hn): at most {served:,} terminals will be served",
        )


def _shared_limits(draft: PartialConfig, limits: LimitsSection) -> Iterator[tuple[str, int]]:
    """What partitions divide, by key."""
    yield "limits.transactions_in_flight_max", limits.transactions_in_flight_max
    yield "limits.duplicate_window_count_max", limits.duplicate_window_count_max
    yield "limits.refusals_kept_max", limits.refusals_kept_max
    yield "limits.reversals_max", limits.reversals_max
    originals = draft.get("originals", OriginalsSection)
    if originals is not None:
        yield "originals.waiting_max", originals.waiting_max
    for link in draft.links:
        yield f"link[{link.name}].in_flight_max", link.in_flight_max
        yield f"link[{link.name}].reversal.window", link.reversal.window


def _check_shares(draft: PartialConfig, limits: LimitsSection) -> None:
    """Refuse what cannot be divided: each partition has one at least, and they would be more together."""
    journal = draft.get("journal", JournalSection)
    if journal is None:
        return
    partitions = journal.partitions or workers_here(draft)
    for key, limit in _shared_limits(draft, limits):
        if limit < partitions:
            draft.error(key, f"{limit:,} is below the number of partitions, {partitions:,}, which divide it")


def _check_listener(draft: PartialConfig, listener: ListenerSection, key: str) -> None:
    if listener.mac == "none":
        draft.warning(f"{key}.mac", "none: whoever reaches the port can send requests in a terminal's name")
    if listener.tls is None:
        if not is_loopback(listener.bind.host):
            draft.warning(f"{key}.tls", f"is absent: card data crosses the network in clear to {listener.bind}")
    elif listener.tls.client_certificate == "required":
        if listener.tls.client_ca is None:
            draft.error(f"{key}.tls.client_ca", 'is required, since client_certificate = "required"')
    elif listener.tls.client_ca is not None:
        draft.warning(f"{key}.tls.client_ca", 'has no effect, since client_certificate = "none"')

    switch = draft.get("switch", SwitchSection)
    if listener.proxy_trusted and switch is not None and not draft.nodes and not switch.alone:
        draft.warning(
            f"{key}.proxy_trusted",
            "a load balancer is in front, and there is no [[node]]: where it sends terminals to another switch at the "
            "same time, their repeats are charged twice. Set switch.alone = true where it never does",
        )
    if covers_everybody(listener.proxy_trusted or ()):
        draft.warning(
            f"{key}.proxy_trusted",
            "covers all addresses: whoever reaches the port may claim any address; needed those of the load balancers",
        )


def covers_everybody(networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether all addresses of a version are in some networks together."""
    listed = list(networks)
    together: list[IPv4Network | IPv6Network] = [
        *collapse_addresses(one for one in listed if isinstance(one, IPv4Network)),
        *collapse_addresses(one for one in listed if isinstance(one, IPv6Network)),
    ]
    return any(network.prefixlen == 0 for network in together)


def _check_link_side(draft: PartialConfig, link: LinkSection, key: str) -> None:
    if link.mac is None:
        draft.warning(f"{key}.mac", "is absent: whoever is in between can forge approvals")
    if link.mode == "connect":
        _check_connecting(draft, link, key)
    else:
        _check_accepting(draft, link, key)
    if link.tls is not None and (link.tls.certificate is None) != (link.tls.private_key is None):
        draft.error(f"{key}.tls", "needed both certificate and private_key, or neither")


def _check_connecting(draft: PartialConfig, link: LinkSection, key: str) -> None:
    if not link.endpoints:
        draft.error(f"{key}.endpoints", 'is required, since mode = "connect"')
    if len(set(link.endpoints)) != len(link.endpoints):
        draft.error(f"{key}.endpoints", "names an address twice; raise connections instead")
    for name, value in (("bind", link.bind), ("peers", link.peers)):
        if value:
            draft.error(f"{key}.{name}", 'belongs to mode = "accept"')
    if link.tls is None:
        if not all(is_loopback(endpoint.host) for endpoint in link.endpoints):
            draft.warning(f"{key}.tls", "is absent: card data crosses the network in clear")
        return
    if link.tls.peer_name is not None:
        draft.error(f"{key}.tls.peer_name", 'belongs to mode = "accept"')
    if link.tls.ca is None:
        draft.error(f"{key}.tls.ca", 'is required, since mode = "connect": it tells the issuer from an impostor')


def _check_accepting(draft: PartialConfig, link: LinkSection, key: str) -> None:
    if link.bind is None:
        draft.error(f"{key}.bind", 'is required, since mode = "accept"')
    elif link.tls is None and not is_loopback(link.bind.host):
        draft.warning(f"{key}.tls", "is absent: card data crosses the network in clear")
    if link.endpoints:
        draft.error(f"{key}.endpoints", 'belongs to mode = "connect"')
    if not link.peers and (link.tls is None or link.tls.ca is None):
        draft.error(f"{key}.peers", "is required, unless tls.ca makes the issuer show a certificate")
    if link.tls is not None and link.tls.certificate is None:
        draft.error(f"{key}.tls.certificate", 'is required, since mode = "accept"')
    if link.tls is not None and link.tls.server_name is not None:
        draft.error(f"{key}.tls.server_name", 'belongs to mode = "connect"')
    if link.tls is not None and (link.tls.ca is None) != (link.tls.peer_name is None):
        missing, present = ("peer_name", "ca") if link.tls.peer_name is None else ("ca", "peer_name")
        draft.error(f"{key}.tls.{missing}", f"is required with {present}: the authority vouches for others too")


def _check_key_exchange(draft: PartialConfig, link: LinkSection, key: str) -> None:
    if link.key_exchange is None:
        return
    if link.mac is None and link.pin is None:
        draft.error(key, "needed a key to be exchanged: mac, pin or both")
    if draft.nodes:
        draft.error(key, "each node has a key file of its own, and the others would not learn of a new key")


def _check_link_times(draft: PartialConfig, link: LinkSection, key: str) -> None:
    if link.reconnect_min_ms > link.reconnect_max_ms:
        draft.error(f"{key}.reconnect_min_ms", f"{link.reconnect_min_ms:,} is above reconnect_max_ms")
    if link.reversal.interval_ms > link.reversal.backoff_max_ms:
        draft.error(f"{key}.reversal.interval_ms", f"{link.reversal.interval_ms:,} is above backoff_max_ms")
    if link.reversal.booking_horizon_seconds * 1000 < link.timeout_ms:
        draft.warning(
            f"{key}.reversal.booking_horizon_seconds",
            f"{link.reversal.booking_horizon_seconds:,} s is shorter than timeout_ms: a charge that the "
            'issuer books after it has answered a reversal with "original not found" stands',
        )
    if link.reversal.window > link.in_flight_max:
        draft.error(f"{key}.reversal.window", f"{link.reversal.window:,} is above in_flight_max")
    quiet_ms = link.echo_interval_ms + link.echo_timeout_ms
    if link.echo_interval_ms and 0 < link.idle_timeout_ms <= quiet_ms:
        draft.error(
            f"{key}.idle_timeout_ms",
            f"{link.idle_timeout_ms:,} leaves no time for an echo test: needed more than echo_interval_ms + "
            f"echo_timeout_ms, {quiet_ms:,}",
        )
    if not link.echo_interval_ms and not link.idle_timeout_ms:
        draft.warning(f"{key}.idle_timeout_ms", "neither echo tests nor an idle limit: a dead peer is noticed late")
