"""The simulated world: two kinds of terminals, three issuers, keys and routes. Made once, used by all runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from switch.config.models import Config
from switch.config.parts import Parts
from switch.dialects import load_dialect
from switch.registrar import load_registry
from switch.routing import load_routes
from switch.simulators.profile import MacSetting, Profile

from .speed import hurry

MERCHANT = "898000000000001"
LISTENERS = ("pos", "shop")
LISTENER_DIALECTS = ("cup", "iso87-ascii")
LISTENER_MACS = ("cup-ecb", "aes-cmac")
LINKS = ("bank-a", "bank-b", "bank-c")
LINK_DIALECTS = ("iso87-ascii", "iso93-ascii", "cup")
LINK_MACS = ("aes-cmac", "", "x9.19")
TERMINALS = 8
CURRENCY = "156"
STAND_IN_LINKS = {"bank-a": ("purchase", "preauthorization"), "bank-c": ("purchase",)}
"""In whose stead the switch may approve what."""

STAND_IN_PREFIXES = ("6", "5")
"""Of those that are routed to one of them."""

LINK_TIMEOUT_MS = 2_000
BOOKING_HORIZON_S = 10
"""Longer than any issuer of this world lets a request wait before it books it."""

BUFFER_BYTES = 16 << 10
SEGMENT_BYTES = 3 * BUFFER_BYTES + (4 << 10)


class Keys:
    """Every key that is asked for, made from its name."""

    def get(self, name: str, /) -> bytes:
        """Sixteen bytes."""
        return sha256(name.encode()).digest()[:16]

    def source(self) -> Keys:
        """As a key file has it."""
        return self


@dataclass(frozen=True)
class World:
    """What all runs share; nothing in it changes."""

    config: Config
    parts: Parts
    profiles: dict[str, Profile]

    def terminal_mac(self, terminal_id: str, listener: int) -> MacSetting:
        """With what a terminal signs."""
        return MacSetting(LISTENER_MACS[listener], Keys().get(f"terminal/{terminal_id}/tak"))

    def terminal_pin_key(self, terminal_id: str) -> bytes:
        """Under what a terminal enciphers PINs."""
        return Keys().get(f"terminal/{terminal_id}/tpk")

    def link_pin_key(self, link: int) -> bytes:
        """Under what an issuer gets PINs."""
        return Keys().get(f"link/{LINKS[link]}/zpk")

    def link_mac(self, link: int) -> MacSetting | None:
        """With what an issuer signs."""
        return MacSetting(LINK_MACS[link], Keys().get(f"link/{LINKS[link]}/zak")) if LINK_MACS[link] else None


def terminal_id(number: int) -> str:
    """Field 41 of a terminal."""
    return f"{10_000_001 + number}"


def listener_of(number: int) -> int:
    """On which listener a terminal calls."""
    return number % len(LISTENERS)


@cache
def the_world(is_tight: bool, stands_in: bool) -> World:
    """Load the dialects, tables and keys; ``is_tight`` where limits are to be met."""
    hurry()
    config = Config.model_validate(_configuration(is_tight, stands_in))
    # Smaller than a configuration may ask for: runs are short, and memory is touched.
    journal = config.journal.model_copy(update={"segment_bytes": SEGMENT_BYTES, "buffer_bytes": BUFFER_BYTES})
    config = config.model_copy(update={"journal": journal})
    dialects = {name: load_dialect(name) for name in dict.fromkeys(LISTENER_DIALECTS + LINK_DIALECTS)}
    keys = Keys()
    with TemporaryDirectory() as folder:
        merchants, terminals, routes = (Path(folder, name) for name in ("merchants.csv", "terminals.csv", "routes.csv"))
        merchants.write_text(f"id,name,state,category,kinds\n{MERCHANT},Harbour Bookshop,active,5942,\n")
        rows = [
            f"{terminal_id(number)},{MERCHANT},active,,,{LISTENER_MACS[listener_of(number)]},iso-0,"
            for number in range(TERMINALS)
        ]
        header = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate"
        terminals.write_text("\n".join([header, *rows, ""]))
        routes.write_text(
            "low,high,kinds,currencies,amount_min,amount_max,links\n"
            "62,,,,,,bank-a:1|bank-b:2\n4,,,,,,bank-b:1\n5,,,,,,bank-c:1\n"
        )
        parts = Parts(
            dialects,
            keys,  # type: ignore[arg-type]
            load_registry(merchants, terminals, keys, LISTENERS),
            load_routes(routes, list(LINKS)),
            None,
        )
    return World(config, parts, {name: Profile(dialect) for name, dialect in dialects.items()})


def _configuration(is_tight: bool, stands_in: bool) -> dict[str, object]:
    return {
        "switch": {"name": "switch-1", "acquirer_id": "10000001"},
        "limits": {
            "transactions_in_flight_max": 6 if is_tight else 256,
            "duplicate_window_count_max": 8192,
            "duplicate_window_seconds": 7 * 24 * 3600,  # clocks jump, and what matters here is not its age
            "reversals_max": 8 if is_tight else 512,
            "statistics_bytes": 262_144,
        },
        "registry": {"merchants": "merchants.csv", "terminals": "terminals.csv"},
        "routes": {"file": "routes.csv"},
        "listener": [
            {
                "name": name,
                "bind": "127.0.0.1:5830",
                "dialect": dialect,
                "idle_timeout_ms": 20_000,
                "partial_frame_timeout_ms": 5_000,
                "requests_in_flight_max": 2,
            }
            for name, dialect in zip(LISTENERS, LISTENER_DIALECTS, strict=True)
        ],
        "link": [_link(number, is_tight, stands_in) for number in range(len(LINKS))],
    }


def _link(number: int, is_tight: bool, stands_in: bool) -> dict[str, object]:
    link: dict[str, object] = {
        "name": LINKS[number],
        "dialect": LINK_DIALECTS[number],
        "endpoints": ["127.0.0.1:7001"],
        "connections": 2 if number == 0 else 1,
        "timeout_ms": LINK_TIMEOUT_MS,
        "timeouts_to_unhealthy": 3,
        "in_flight_max": 2 if is_tight else 1_000,
        "echo_interval_ms": 1_000,
        "echo_timeout_ms": 1_000,
        "partial_frame_timeout_ms": 3_000,
        "idle_timeout_ms": 5_000,
        "reconnect_min_ms": 200,
        "reconnect_max_ms": 2_000,
        "reversal": {
            "interval_ms": 500,
            "backoff_max_ms": 4_000,
            "window": 4,
            "booking_horizon_seconds": BOOKING_HORIZON_S,
            "mti": "0420" if number != 2 else "0400",
        },
        "pin": {"format": "iso-0", "key": f"link/{LINKS[number]}/zpk"},
        "match": {"by": "rrn" if number == 1 else "stan"},
    }
    if stands_in and LINKS[number] in STAND_IN_LINKS:
        link["stand_in"] = {
            "kinds": list(STAND_IN_LINKS[LINKS[number]]),
            "cards_max": 64,
            "limits": [
                {
                    "currency": CURRENCY,
                    "amount_max": 1_000_000,
                    "outstanding_max": 60_000 if is_tight else 100_000_000,
                    "card_count_max": 2 if is_tight else None,
                }
            ],
        }
    if LINK_MACS[number]:
        link["mac"] = {"algorithm": LINK_MACS[number], "key": f"link/{LINKS[number]}/zak"}
    return link
