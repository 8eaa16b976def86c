"""All that the demo needs on disk: keys, certificates, registry, routes and the switch's configuration."""

from __future__ import annotations

import csv
import math
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from switch.dialect import load_dialect
from switch.keys import Key, KeyFile
from switch.keys.book_keys import make_card_index_key
from switch.keys.master import create_master_key
from switch.samples.certificates import LOOPBACK_NAMES, Authority
from switch.simulators.dialect_profile import MacSetting, Profile
from switch.simulators.rules import Card, PartRule, Rules
from switch.simulators.scenario import Flaw, PaymentCard, Scenario, Share
from switch.simulators.terminals import TerminalIdentity
from switch.simulators.tls import client_tls, server_tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MERCHANTS = (
    ("898000000000001", "Harbour Bookshop", "5942"),
    ("898000000000002", "North Gate Pharmacy", "5912"),
    ("898000000000003", "Lotus Hotel", "7011"),
    ("898000000000004", "Old Town Bakery", "5462"),
    ("898000000000005", "Green Valley Groceries", "5411"),
)

SHARES = (
    Share(kind="purchase", weight=60),
    Share(kind="balance_inquiry", weight=12),
    Share(kind="void", weight=8),
    Share(kind="refund", weight=4),
    Share(kind="preauthorization", weight=4),
    Share(kind="completion", weight=2),
    Share(kind="reversal", weight=3),
    Share(kind="purchase", weight=3, flaw=Flaw.WRONG_MAC),
    Share(kind="purchase", weight=3, flaw=Flaw.UNKNOWN_CARD),
)
STRANGER = Share(kind="purchase", weight=2, flaw=Flaw.UNKNOWN_TERMINAL)

PARTS = (PartRule(ending="10", percent=40),)
"""Of amounts that end so, both issuers approve two fifths."""

_KEY_ALGORITHMS = {"x9.19": "3des-2key", "cup-ecb": "3des-2key", "aes-cmac": "aes-128"}


def sample_pan(prefix: str, number: int) -> str:
    """A card number of 16 digits with its check digit (ISO/IEC 7812-1, the Luhn formula)."""
    body = prefix + f"{number:0{15 - len(prefix)}d}"
    total = sum(
        doubled - 9 if (doubled := int(digit) * (2 - place % 2)) > 9 else doubled
        for place, digit in enumerate(reversed(body))
    )
    return body + str(-total % 10)


@dataclass(frozen=True, slots=True)
class IssuerPlan:
    """One issuer of the demo."""

    name: str
    dialect: str
    algorithm: str
    prefixes: tuple[str, ...]
    tls: bool
    passes_parts: bool
    """The switch passes its approvals of a part on; it takes those of the other issuer back."""
    clock_offset_seconds: int | None

    @property
    def cards(self) -> tuple[PaymentCard, ...]:
        """Its cards: ten good ones of each range, and one reported lost."""
        good = [PaymentCard(pan=sample_pan(prefix, number)) for prefix in self.prefixes for number in range(1, 11)]
        return (*good, PaymentCard(pan=sample_pan(self.prefixes[0], 99), expect="lost_card"))

    @property
    def rules(self) -> Rules:
        """What it decides by; a card that it does not know is no card of it."""
        cards = tuple(Card(pan=card.pan, refusal=card.expect) for card in self.cards)
        return Rules(
            cards=cards, unknown_card="invalid_card", parts=PARTS, clock_offset_seconds=self.clock_offset_seconds
        )


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """One group of terminals, and the listener that they call."""

    name: str
    dialect: str
    algorithm: str
    first_id: int
    tls: bool
    mutual: bool
    takes_parts: str
    """``marked``: its terminals say so themselves; ``always``: the configuration says so of them; ``never``."""

    @property
    def signs_in(self) -> bool:
        """CUP terminals take their working keys from the answer to their sign-in."""
        return self.dialect == "cup"


ISSUERS = (
    IssuerPlan(
        "bank-a", "iso87-ascii", "x9.19", ("622500", "411111"), False, passes_parts=True, clock_offset_seconds=None
    ),
    IssuerPlan(
        "bank-b", "iso87-binary", "aes-cmac", ("622600", "545454"), True, passes_parts=False, clock_offset_seconds=7
    ),
)
FLEETS = (
    FleetPlan("cup-plain", "cup", "cup-ecb", 10_000_001, tls=False, mutual=False, takes_parts="marked"),
    FleetPlan("cup-tls", "cup", "cup-ecb", 20_000_001, tls=True, mutual=False, takes_parts="never"),
    FleetPlan("iso-mtls", "iso87-ascii", "x9.19", 30_000_001, tls=True, mutual=True, takes_parts="always"),
)


@dataclass(slots=True)
class World:
    """The demo's folder and what the simulators need to know of it."""

    folder: Path
    identities: dict[str, list[TerminalIdentity]] = field(default_factory=dict)
    """Terminals by fleet."""
    fleet_tls: dict[str, ssl.SSLContext] = field(default_factory=dict)
    """For fleets whose terminals share one context."""
    issuer_macs: dict[str, MacSetting] = field(default_factory=dict)
    issuer_tls: dict[str, ssl.SSLContext] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The switch's configuration file."""
        return self.folder / "switch.toml"

    def profile(self, dialect: str) -> Profile:
        """A dialect as simulators use it."""
        return Profile(load_dialect(dialect))

    def scenario(self, fleet: FleetPlan, tolerate: tuple[str, ...] = (), *, strangers: bool = True) -> Scenario:
        """What a fleet does. With a certificate a terminal cannot pass for another one, so it does not try."""
        return Scenario(
            shares=(*SHARES, STRANGER) if strangers and not fleet.mutual else SHARES,
            cards=tuple(card for issuer in ISSUERS for card in issuer.cards),
            parts=PARTS,
            takes_parts=fleet.takes_parts == "marked",
            tolerate=tolerate,
            unknown_cards=(PaymentCard(pan=sample_pan("999999", 1)), PaymentCard(pan=sample_pan("300000", 1))),
        )


def build_world(folder: Path, terminals: int) -> World:
    """Make keys, certificates, registry and routes for so many terminals, divided among the fleets."""
    world = World(folder)
    master_key = create_master_key(folder / "master.key")
    authority = Authority(folder, "demo-ca")
    authority.issue("switch", "switch", LOOPBACK_NAMES)
    with KeyFile.create(folder / "keys.sealed", master_key) as keys:
        make_card_index_key(keys)
        for plan in ISSUERS:
            mac = _new_mac(keys, f"link/{plan.name}/zak", "zak", plan.algorithm)
            world.issuer_macs[plan.name] = mac
            if plan.tls:
                pair = authority.issue(plan.name, plan.name, LOOPBACK_NAMES)
                world.issuer_tls[plan.name] = server_tls(pair.certificate, pair.private_key)
        rows = []
        for number, fleet in enumerate(FLEETS):
            share = (terminals + number) // len(FLEETS)
            world.identities[fleet.name] = [_new_terminal(keys, fleet, place, authority) for place in range(share)]
            rows += [_registry_row(fleet, identity) for identity in world.identities[fleet.name]]
            if fleet.tls and not fleet.mutual:
                world.fleet_tls[fleet.name] = client_tls(authority.certificate)
        keys.save()
    _write_csv(
        folder / "merchants.csv",
        ("id", "name", "state", "category", "kinds"),
        [(merchant, name, "active", category, "") for merchant, name, category in MERCHANTS],
    )
    _write_csv(
        folder / "terminals.csv",
        ("id", "merchant", "state", "listeners", "kinds", "mac_algorithm", "pin_format", "certificate"),
        rows,
    )
    _write_csv(
        folder / "routes.csv",
        ("low", "high", "kinds", "currencies", "amount_min", "amount_max", "links"),
        [(prefix, "", "", "", "", "", plan.name) for plan in ISSUERS for prefix in plan.prefixes],
    )
    return world


def write_config(world: World, issuer_ports: Mapping[str, int], link_timeout_ms: int = 5_000) -> None:
    """Write the switch's configuration; its own ports are left to the kernel."""
    parts = [_SWITCH]
    # No queue stands between the switch and these issuers: what is not booked by then never will be.
    horizon_seconds = math.ceil(2 * link_timeout_ms / 1000)
    for fleet in FLEETS:
        parts.append(
            f'[[listener]]\nname = "{fleet.name}"\nbind = "127.0.0.1:0"\ndialect = "{fleet.dialect}"\n'
            f'partial_approval = "{fleet.takes_parts}"\nconnections_max = 6_000\n'
        )
        if fleet.tls:
            parts.append('[listener.tls]\ncertificate = "switch.pem"\nprivate_key = "switch.key"\n')
        if fleet.mutual:
            parts[-1] += 'client_ca = "demo-ca.pem"\nclient_certificate = "required"\nclient_identity = "terminal"\n'
    for plan in ISSUERS:
        parts.append(
            f'[[link]]\nname = "{plan.name}"\ndialect = "{plan.dialect}"\n'
            f'endpoints = ["127.0.0.1:{issuer_ports[plan.name]}"]\nconnections = 2\ntimeout_ms = {link_timeout_ms}\n'
            f"reconnect_min_ms = 100\npartial_approval = {str(plan.passes_parts).lower()}\n"
            f"reversal = {{ interval_ms = {2 * link_timeout_ms}, booking_horizon_seconds = {horizon_seconds} }}\n"
            f'mac = {{ algorithm = "{plan.algorithm}", key = "link/{plan.name}/zak" }}\n'
        )
        if plan.tls:
            parts.append('[link.tls]\nca = "demo-ca.pem"\n')
    world.config.write_text("\n".join(parts))


_SWITCH = """\
[switch]
name = "demo"
acquirer_id = "10000001"

[admin]
bind = "127.0.0.1:0"

[log]
format = "json"

[limits]
connections_max = 6_000
drain_seconds = 20

[journal]
mode = "files"
directory = "journal"

[keys]
file = "keys.sealed"
master_key_file = "master.key"

[registry]
merchants = "merchants.csv"
terminals = "terminals.csv"

[routes]
file = "routes.csv"

[books]
url = "sqlite:books.db"
"""


def _new_mac(keys: KeyFile, name: str, usage: str, algorithm: str) -> MacSetting:
    value = secrets.token_bytes(16)
    keys.put(Key(name, usage, _KEY_ALGORITHMS[algorithm], value))  # type: ignore[arg-type]
    return MacSetting(algorithm, value)


def _new_terminal(keys: KeyFile, fleet: FleetPlan, place: int, authority: Authority) -> TerminalIdentity:
    terminal = str(fleet.first_id + place)
    mac = _new_mac(keys, f"terminal/{terminal}/tak", "tak", fleet.algorithm)
    merchant = MERCHANTS[place % len(MERCHANTS)][0]
    tls = None
    master_key = None
    if fleet.mutual:
        pair = authority.issue(terminal, terminal)
        tls = client_tls(authority.certificate, pair.certificate, pair.private_key)
    if fleet.signs_in:
        master_key = secrets.token_bytes(16)
        keys.put(Key(f"terminal/{terminal}/tmk", "tmk", "3des-2key", master_key))
        keys.put(Key(f"terminal/{terminal}/tpk", "tpk", "3des-2key", secrets.token_bytes(16)))
        # The terminal knows its master key only: what it signs with is right from its sign-in on.
        mac = mac.with_key(secrets.token_bytes(16))
    return TerminalIdentity(terminal, merchant, mac, master_key, tls)


def _registry_row(fleet: FleetPlan, identity: TerminalIdentity) -> Sequence[str]:
    pin_format = "iso-0" if fleet.signs_in else "none"
    return (identity.terminal, identity.merchant, "active", fleet.name, "", fleet.algorithm, pin_format, "")


def _write_csv(path: Path, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(heading)
        writer.writerows(rows)
