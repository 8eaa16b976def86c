"""What a configuration names: dialects, keys, merchants and terminals, routes and risk rules, loaded and checked.

The daemon and ``authswitch check`` load it the same way, so that a configuration which passes the check also starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from switch.check.key_fit import fits_derivation, fits_mac, fits_pin
from switch.check.pin_formats import check_pin_formats, pin_field_fault
from switch.check.registry import RegistryFiles, binding_rule, read_registry_files
from switch.check.rulebooks import load_config_endpoints, load_config_holds, load_config_risk, load_config_routes
from switch.check.terminal_keys import TOLD_MAX, TerminalKeys
from switch.config.key_file import open_key_file
from switch.config.models import Config, LinkSection
from switch.config.sections import BaseKeySection
from switch.dialect import Dialect, load_dialect
from switch.dialect.kinds import Kind, kind_traits
from switch.dialect.model import ANSWERS_OWN
from switch.dialect.policy import has_mac, network_answer_steps, network_steps, with_mac
from switch.dialect.trial_composition import TrialComposition
from switch.files.problems import ConfigError, Problem, Severity, errors_among
from switch.journal.problems import JournalError
from switch.keys import Key, KeyFile, KeyFileError, KeySource
from switch.keys.journal_keys import journal_keys
from switch.keys.names import former_name
from switch.keys.wrapping import check_wrapping
from switch.tables.registry import Registry
from switch.tables.registry_files import build_registry
from switch.tables.risk import Risk
from switch.tables.routes import RouteTable

if TYPE_CHECKING:
    from switch.merchants.leaving_out import LeftOut
    from switch.rulebooks.rulebooks import InForce
    from switch.store.audit import Head

Read = TypeVar("Read")

MAC_FIELDS = ("64", "128")
MATCH_FIELDS = {"stan": "11", "rrn": "37"}
MS_A_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Parts:
    """All that the daemon needs beside the configuration itself.

    Attributes:
        dialects: by the name or path that listeners and links give.
        key_file: the opened key file; None when the configuration needs no keys.
        registry: merchants and terminals, with their keys.
        routes: BIN ranges; targets name links by their place in the configuration.
        risk: limits and blocks; None when there are none.
        registry_head: the change of the store that the registry is of; None where it was read from files.
        rulebooks: what of the store is in force, by kind: of routes, risk rules, held links and endpoints.
        left_out: terminals of the store that are not served, since their rows cannot be taken; None: there are none.
    """

    dialects: Mapping[str, Dialect]
    key_file: KeyFile | None
    registry: Registry
    routes: RouteTable
    risk: Risk | None
    registry_head: Head | None = None
    rulebooks: Mapping[str, InForce] = field(default_factory=dict)
    left_out: LeftOut | None = None

    @property
    def keys(self) -> KeySource:
        """Clear keys by name; without a key file there are none."""
        return NoKeys() if self.key_file is None else self.key_file.source()

    @property
    def journal_keys(self) -> bytes:
        """The keys of the journal, as they were when the key file was opened.

        Raises:
            JournalError: There is no key file.
        """
        if self.key_file is None:
            raise JournalError("the journal is sealed under keys of the key file: section [keys] is required")
        return journal_keys(self.key_file)


class NoKeys:
    """The keys of a configuration without a key file."""

    def get(self, _name: str, /) -> bytes | None:
        """None, whatever is asked for."""
        return None


def load_parts(config: Config, *, keeps_copy: bool = False) -> Parts:
    """Load all that a configuration names.

    Args:
        config: The configuration.
        keeps_copy: Whether the registry's copy of the store is written: that is the daemon's alone.

    Raises:
        ConfigError: Something cannot be used; ``problems`` lists all that is wrong.
    """
    parts, problems = read_parts(config, keeps_copy=keeps_copy)
    if parts is None:
        raise ConfigError(problems)
    return parts


def read_parts(config: Config, *, keeps_copy: bool = False) -> tuple[Parts | None, list[Problem]]:
    """As ``load_parts``, but give the problems; no parts when one of them is an error."""
    problems: list[Problem] = []
    dialects = _load_dialects(config, problems)
    problems += _check_dialects(config, dialects)
    problems += _check_kinds(config, dialects)
    problems += _check_attempts(config, dialects)
    problems += _check_exchanges(config, dialects)
    routes = _attempt(problems, partial(load_config_routes, config, keeps_copy=keeps_copy))
    if routes is not None:
        problems += [*routes.problems, *_check_routes(config, routes.value)]
    holds = _attempt(problems, partial(load_config_holds, config, keeps_copy=keeps_copy))
    endpoints = _attempt(problems, partial(load_config_endpoints, config, keeps_copy=keeps_copy))
    problems += [] if holds is None else holds.problems
    problems += [] if endpoints is None else endpoints.problems
    keys = _attempt(problems, lambda: open_keys(config))
    registry = risk = files = left_out = None
    if keys is not None or config.keys is None:
        source = NoKeys() if keys is None else keys.source()
        terminal_keys = None if keys is None else TerminalKeys(keys)
        if keys is not None:
            problems += check_link_keys(config, keys)
        files = _attempt(problems, lambda: read_registry_files(config, keeps_copy=keeps_copy))
        if files is not None:
            problems += files.problems
            registry, left_out = _read_registry(config, files, keys, terminal_keys, problems)
            if config.keys is not None and terminal_keys is not None:
                problems += terminal_keys.warnings(str(config.keys.file))
                problems += check_pin_formats(config, dialects, terminal_keys.pin_formats)
    if registry is not None:
        problems += _check_registry(config, registry)
        risk = _attempt(problems, partial(load_config_risk, config, source, registry, keeps_copy=keeps_copy))
        problems += () if risk is None else [*risk.problems, *_check_memory(config, risk.value)]
    if errors_among(problems) or routes is None or registry is None:
        if keys is not None:
            keys.close()
        return None, problems
    loaded = (routes, risk, holds, endpoints)
    rulebooks = {one.in_force.kind: one.in_force for one in loaded if one is not None and one.in_force}
    head = None if files is None else files.head
    rules = None if risk is None else risk.value
    return Parts(dialects, keys, registry, routes.value, rules, head, rulebooks, left_out), problems


def _attempt(problems: list[Problem], load: Callable[[], Read]) -> Read | None:
    """What was loaded; None, and the problems noted, when it cannot be used."""
    try:
        return load()
    except ConfigError as error:
        problems += error.problems
    except KeyFileError as error:
        problems.append(Problem(error.file, error.key, error.reason))
    return None


def _load_dialects(config: Config, problems: list[Problem]) -> dict[str, Dialect]:
    names = [listener.dialect for listener in config.listeners] + [link.dialect for link in config.links]
    found = {name: _attempt(problems, partial(load_dialect, name)) for name in dict.fromkeys(names)}
    return {name: dialect for name, dialect in found.items() if dialect is not None}


def open_keys(config: Config) -> KeyFile | None:
    """The key file; None when the configuration needs no keys.

    Raises:
        KeyFileError: It, or its master key, cannot be read.
    """
    if config.keys is None:
        return None
    return open_key_file(config.keys)


def _build_registry(config: Config, files: RegistryFiles, source: KeySource) -> Registry:
    return build_registry(
        files.merchants,
        files.terminals,
        source,
        [listener.name for listener in config.listeners],
        names=(files.merchants_name, files.terminals_name),
        rule=binding_rule(config),
    )


def _check_memory(config: Config, risk: Risk | None) -> Iterator[Problem]:
    """Rules that look back further than the journal does."""
    reach_days = 0 if risk is None else -(-risk.window_max_ms // MS_A_DAY)
    if config.journal.mode != "off" and config.journal.retention_days < reach_days:
        reason = f"is below the {reach_days} days that rules of risk look back: after a start they count too little"
        yield Problem(str(config.file), "journal.retention_days", reason, "warning")


def _read_registry(
    config: Config,
    files: RegistryFiles,
    keys: KeyFile | None,
    terminal_keys: TerminalKeys | None,
    problems: list[Problem],
) -> tuple[Registry | None, LeftOut | None]:
    """The registry, None where it cannot be read; and who of the store is left out, since that row cannot be taken."""
    found: list[Problem] = []
    registry = _attempt(found, partial(_build_registry, config, files, terminal_keys or NoKeys()))
    left_out = None
    if terminal_keys is not None:
        found += terminal_keys.misfits(files.terminals_name, files.terminals)
    if errors_among(found) and keys is not None and files.head is not None:
        left_out = _left_out(config, files, files.head, keys)
    if left_out is None:
        problems += found
        return registry, None
    problems += (
        Problem(files.terminals_name, terminal, f"{reason}: this terminal is not served", "warning")
        for terminal, reason in left_out.reasons.items()
    )
    return left_out.registry, left_out


def _left_out(config: Config, files: RegistryFiles, head: Head, keys: KeyFile) -> LeftOut | None:
    from switch.merchants.leaving_out import leave_out
    from switch.merchants.rows import Compiler
    from switch.merchants.source import Files

    terminal_keys = TerminalKeys(keys)
    listeners = [listener.name for listener in config.listeners]
    compiler = Compiler(terminal_keys, listeners, terminal_keys.misfits, binding_rule(config))
    names = (files.merchants_name, files.terminals_name)
    return leave_out(Files(head, files.merchants, files.terminals), compiler, names)


def _check_registry(config: Config, registry: Registry) -> Iterator[Problem]:
    """Files that nobody stands in, or whose terminals are not served."""
    place = config.registry.terminals_place
    if registry.unbound_count:
        yield Problem(place, "", f"{registry.unbound_count:,} terminals are bound to nothing: refused", "warning")
    if registry.altered:
        named = ", ".join(registry.altered[:TOLD_MAX])
        yield Problem(place, "", f"{len(registry.altered):,} rows are not as they were bound: {named}", "warning")
    if not registry.merchant_count:
        yield Problem(config.registry.merchants_place, "", "has no merchant: every request is refused (03)", "warning")
    if not registry.terminal_count:
        yield Problem(config.registry.terminals_place, "", "has no terminal: every request is refused", "warning")


def _check_dialects(config: Config, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    """Whether the dialects have the fields that listeners and links use."""
    file = str(config.file)
    for listener in config.listeners:
        dialect = dialects.get(listener.dialect)
        if dialect is not None and listener.mac == "required" and not _has_mac(dialect):
            yield Problem(file, f"listener[{listener.name}].mac", f"dialect {dialect.name} has no MAC field")
    for link in config.links:
        dialect = dialects.get(link.dialect)
        if dialect is None:
            continue
        if link.mac is not None and not _has_mac(dialect):
            yield Problem(file, f"link[{link.name}].mac", f"dialect {dialect.name} has no MAC field")
        if link.pin is not None and (fault := pin_field_fault(dialect, link.pin.format)):
            yield Problem(file, f"link[{link.name}].pin", fault)
        for kind in () if link.stand_in is None else link.stand_in.kinds:
            told_as = kind_traits(kind).told_as.label
            if told_as not in dialect.kinds:
                reason = f"dialect {dialect.name} has no {told_as} by which the issuer would be told of a {kind}"
                yield Problem(file, f"link[{link.name}].stand_in.kinds", reason)
        yield from (
            Problem(file, f"link[{link.name}].match.{key}", reason) for key, reason in _match_faults(link, dialect)
        )


def _check_kinds(config: Config, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    """Whether what terminals may ask of issuers can be said on each link: one problem for each listener and link."""
    for link in config.links:
        for listener in config.listeners:
            if link.dialect not in dialects or listener.dialect not in dialects:
                continue
            taken = [kind for kind in Kind if kind.label in dialects[listener.dialect].kinds and _is_sent_on(kind)]
            lacking = [kind.label for kind in taken if kind.label not in dialects[link.dialect].kinds]
            if lacking:
                reason = f"dialect {dialects[link.dialect].name} has no {', '.join(lacking)}: listener {listener.name} "
                reason += "refuses what would go to this link as such"
                severity: Severity = "error" if len(lacking) == len(taken) else "warning"
                yield Problem(str(config.file), f"link[{link.name}].dialect", reason, severity)


def _is_sent_on(kind: Kind) -> bool:
    """Whether an issuer is asked for, or told of, what a terminal sends of this kind."""
    return kind_traits(kind).forwarded or kind_traits(kind).is_advice


def _check_attempts(config: Config, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    """Whether what terminals may ask of each link can be reversed, and told of afterwards."""
    for link in config.links:
        if link.dialect not in dialects:
            continue
        trial = TrialComposition(dialects[link.dialect], int(link.reversal.mti), config.switch.acquirer_id)
        for listener in config.listeners:
            if listener.dialect not in dialects:
                continue
            for fault in trial.faults_of(dialects[listener.dialect]):
                reason = f"dialect {trial.link.name}, for requests of listener {listener.name}: {fault}"
                yield Problem(str(config.file), f"link[{link.name}].dialect", reason)


def _match_faults(link: LinkSection, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Fields that answers are matched by and are not there: key in ``match``, and reason."""
    field = MATCH_FIELDS[link.match.by]
    for policy, rules in (("request", dialect.file.policy.request), ("reversal", dialect.file.policy.reversal)):
        if field not in rules:
            yield "by", f"answers are matched by field {field}, and policy.{policy} of {dialect.name} does not send it"
    for place, number in enumerate(link.match.verify or ()):
        if str(number) not in dialect.layout:
            yield f"verify[{place}]", f"dialect {dialect.name} has no field {number}"
        elif number in ANSWERS_OWN:
            yield f"verify[{place}]", f"field {number} is {ANSWERS_OWN[number]}"
        elif str(number) not in dialect.file.policy.request:
            reason = f"policy.request of {dialect.name} does not send field {number}, so no answer can repeat it"
            yield f"verify[{place}]", reason
        elif number in dialect.unkept:
            yield f"verify[{place}]", f"field {number} is not kept until the answer comes (see sensitive and harmless)"
    verified = dialect.file.verify if link.match.verify is None else link.match.verify
    for place, number in enumerate(link.match.required):
        if number not in verified:
            yield f"required[{place}]", f"field {number} is not among those that are verified"


def _has_mac(dialect: Dialect) -> bool:
    return any(field in dialect.layout for field in MAC_FIELDS)


def _check_routes(config: Config, routes: RouteTable) -> Iterator[Problem]:
    if not routes.range_count:
        reason = "has no BIN range: every payment is refused (15)"
        yield Problem(config.routes.place, "", reason, "warning")
    used = {target[0] for route in range(routes.route_count) for target in routes.targets(route)}
    for number, link in enumerate(config.links):
        if number not in used:
            reason = f"no route in {config.routes.place} leads to it"
            yield Problem(str(config.file), f"link[{link.name}]", reason, "warning")


def check_link_keys(config: Config, keys: KeyFile) -> Iterator[Problem]:
    """Keys of links that are not there, or of another sort than is needed."""
    for link in config.links:
        yield from (Problem(str(config.file), key, reason) for key, reason in _link_key_faults(link, keys))
        place = f"link[{link.name}].key_exchange.under"
        yield from (Problem(str(config.file), place, reason) for reason in _exchange_faults(link, keys))
        if link.key_exchange is None and link.mac is not None and (former := former_name(link.mac.key)) in keys:
            reason = f"{former} is still accepted for a while after each start: remove it when the issuer has changed"
            yield Problem(str(config.file), f"link[{link.name}].mac.key", reason, "warning")
    for number, section in enumerate(config.base_keys):
        reason = _base_key_fault(section, _find_key(keys, section.key))
        if reason:
            yield Problem(str(config.file), f"base_key[{number}].key", reason)


def _link_key_faults(link: LinkSection, keys: KeyFile) -> Iterator[tuple[str, str]]:
    """Keys that are not there, or of another sort than the link needs: place in the configuration, and reason."""
    if link.mac is not None:
        place = f"link[{link.name}].mac.key"
        key = _find_key(keys, link.mac.key)
        if key is None:
            yield place, f"the key file has no key {link.mac.key}"
        elif key.usage != "zak":
            yield place, f"needed a zak, but {key.name} is a {key.usage}"
        elif not fits_mac(key.algorithm, link.mac.algorithm):
            yield place, f"{key.name} is a key for {key.algorithm}, which {link.mac.algorithm} cannot use"
        former = _find_key(keys, former_name(link.mac.key))
        if former is not None and not fits_mac(former.algorithm, link.mac.algorithm):
            yield place, f"{former.name} is a key for {former.algorithm}, which {link.mac.algorithm} cannot use"
    if link.pin is not None:
        place = f"link[{link.name}].pin.key"
        key = _find_key(keys, link.pin.key)
        if key is None:
            yield place, f"the key file has no key {link.pin.key}"
        elif key.usage != "zpk":
            yield place, f"needed a zpk, but {key.name} is a {key.usage}"
        elif not fits_pin(key.algorithm, link.pin.format):
            yield place, f"{key.name} is a key for {key.algorithm}, which PIN blocks of {link.pin.format} cannot use"


def _exchange_faults(link: LinkSection, keys: KeyFile) -> Iterator[str]:
    """What keeps a link's keys from travelling under its ZMK."""
    if link.key_exchange is None:
        return
    under = _find_key(keys, link.key_exchange.under)
    if under is None:
        yield f"the key file has no key {link.key_exchange.under}"
    elif under.usage != "zmk":
        yield f"needed a zmk, but {under.name} is a {under.usage}"
    else:
        for part in (link.mac, link.pin):
            key = None if part is None else _find_key(keys, part.key)
            try:
                if key is not None:
                    check_wrapping(under, key.algorithm)
            except ValueError as error:
                yield str(error)


def _check_exchanges(config: Config, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    """Links that exchange keys in a dialect that does not say how."""
    for link in config.links:
        dialect = dialects.get(link.dialect)
        if link.key_exchange is not None and dialect is not None and dialect.file.key_exchange is None:
            reason = f"dialect {dialect.name} has no table key_exchange, which says how keys are exchanged"
            yield Problem(str(config.file), f"link[{link.name}].key_exchange", reason)
        elif link.key_exchange is not None and dialect is not None and link.mac is not None:
            messages = (network_steps(dialect, "key_exchange"), network_answer_steps(dialect))
            if not all(has_mac(with_mac(dialect, steps)) for steps in messages):
                reason = f"dialect {dialect.name} has no field for the MAC behind those of its messages of keys"
                yield Problem(str(config.file), f"link[{link.name}].key_exchange", reason)


def _base_key_fault(section: BaseKeySection, key: Key | None) -> str:
    """Why no PIN key can come of a base key; empty when they can."""
    if key is None:
        return f"the key file has no key {section.key}"
    if key.usage != "bdk":
        return f"needed a bdk, but {key.name} is a {key.usage}"
    if not fits_derivation(key.algorithm, section.cipher):
        return f"{key.name} is a key for {key.algorithm}, of which no keys of {section.cipher} come"
    return ""


def _find_key(keys: KeyFile, name: str) -> Key | None:
    return keys.get(name) if name in keys else None
