"""The simulated world: two kinds of terminals, three issuers, keys and routes. Made once, used by all runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from switch.check.parts import Parts
from switch.config.models import Config
from switch.dialect import load_dialect
from switch.machine.partitioning import partition_of
from switch.simulators.dialect_profile import MacSetting, Profile
from switch.tables.route_files import load_routes
from tests.registry_files import load_registry

from .speed import hurry

if TYPE_CHECKING:
    from switch.dialect import Dialect

MERCHANT = "898000000000001"
LISTENERS = ("pos", "shop")
LISTENER_DIALECTS = (("cup", "iso87-ascii"), ("iso87-binary", "iso93-ascii"))
LISTENER_MACS = {"cup": "cup-ecb"}
LISTENER_MAC = "aes-cmac"
LINKS = ("bank-a", "bank-b", "bank-c")
LINK_DIALECTS = (("iso87-ascii", "iso93-ascii", "cup"), ("iso87-binary", "iso93-binary", "iso87-ebcdic"))
"""Two families of dialects; a run has one of them."""

ARRANGEMENTS = (("bank-a", "bank-b", "bank-c"), ("bank-c", "bank-a", "bank-b"), ("bank-c", "bank-a"))
"""In which order a configuration may have the links; the last one has lost one. All runs end with the first."""

LINK_MACS = ("aes-cmac", "", "x9.19")
TERMINALS = 8
SPREAD = {1: (0,), 2: (0, 1, 1, 0), 3: (0, 1, 2), 4: (0, 1, 2, 3)}
"""By the number of partitions: to which of them terminals belong, one after the other; on each listener to several."""

CURRENCY = "156"
STANS = 999_999
RRN_DAY_SIZE = 5
STAND_IN_LINKS = {"bank-a": ("purchase", "preauthorization"), "bank-c": ("purchase",)}
"""In whose stead the switch may approve what."""

STAND_IN_PREFIXES = ("6", "5")
"""Of those that are routed to one of them."""

STAND_IN_OUTSTANDING, STAND_IN_CARD_COUNT = 60_000, 2
"""How much may be outstanding, and how often with one card, where limits are to be met."""

MATCHED_BY_RRN = 1
"""Which link finds the requests of its answers by field 37."""

TELLS_PARTS = frozenset({"bank-a", "bank-c"})
"""Of which issuers the approval of a part of the amount may be told."""

TAKES_PARTS = "shop"
"""On which listener all terminals take one; on the other they say so, where their dialect has a place for that."""

WINDOW_SECONDS = 7 * 24 * 3600
SHORT_WINDOW_SECONDS = 20
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


class Setting(NamedTuple):
    """What tells worlds apart.

    Attributes:
        is_tight: Whether limits are to be met.
        stands_in: Whether the switch may approve payments in the stead of issuers.
        is_binary: Which family of dialects is spoken.
        is_forgetful: Whether finished requests are remembered for a short time only.
    """

    is_tight: bool
    stands_in: bool
    is_binary: bool = False
    is_forgetful: bool = False

    @property
    def window_seconds(self) -> int:
        """How long a finished request is remembered."""
        return SHORT_WINDOW_SECONDS if self.is_forgetful else WINDOW_SECONDS


@dataclass(frozen=True)
class World:
    """What all runs share; nothing in it changes.

    Attributes:
        setting: Which world.
        arrangements: The configuration with its links and listeners in this order and that.
        profiles: By dialect.
    """

    setting: Setting
    arrangements: tuple[tuple[Config, Parts], ...]
    profiles: dict[str, Profile]

    @property
    def config(self) -> Config:
        """As it is at first, and in the end."""
        return self.arrangements[0][0]

    def listener_profile(self, listener: int) -> Profile:
        """What is spoken with terminals."""
        return self.profiles[LISTENER_DIALECTS[self.setting.is_binary][listener]]

    def link_profile(self, link: int) -> Profile:
        """What is spoken with an issuer."""
        return self.profiles[LINK_DIALECTS[self.setting.is_binary][link]]

    def terminal_mac(self, terminal_id: str, listener: int) -> MacSetting:
        """With what a terminal signs."""
        return MacSetting(_listener_mac(self.setting, listener), Keys().get(f"terminal/{terminal_id}/tak"))

    def terminal_pin_key(self, terminal_id: str) -> bytes:
        """Under what a terminal enciphers PINs."""
        return Keys().get(f"terminal/{terminal_id}/tpk")

    def link_pin_key(self, link: int) -> bytes:
        """Under what an issuer gets PINs."""
        return Keys().get(f"link/{LINKS[link]}/zpk")

    def link_mac(self, link: int) -> MacSetting | None:
        """With what an issuer signs."""
        return MacSetting(LINK_MACS[link], Keys().get(f"link/{LINKS[link]}/zak")) if LINK_MACS[link] else None


@cache
def terminal_ids(partitions: int) -> tuple[str, ...]:
    """Field 41 of each terminal, where there are so many partitions."""
    if partitions == 1:
        return tuple(f"{10_000_001 + number}" for number in range(TERMINALS))
    spread = SPREAD[partitions]
    free = (f"{number}" for number in count(10_000_000 + 1_000 * partitions))
    return tuple(
        next(one for one in free if partition_of(one, partitions) == spread[number % len(spread)])
        for number in range(TERMINALS)
    )


def a_million_later(rrn: str) -> str:
    """The reference number that goes with the same STAN when the sequence of those has come round once more."""
    value = int(rrn[RRN_DAY_SIZE:], 36) + STANS
    digits = ""
    while len(rrn) > RRN_DAY_SIZE + len(digits):
        value, digit = divmod(value, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit] + digits
    return rrn[:RRN_DAY_SIZE] + digits


def listener_of(number: int) -> int:
    """On which listener a terminal calls."""
    return number % len(LISTENERS)


def _listener_mac(setting: Setting, listener: int) -> str:
    return LISTENER_MACS.get(LISTENER_DIALECTS[setting.is_binary][listener], LISTENER_MAC)


@cache
def the_world(setting: Setting) -> World:
    """Load the dialects, tables and keys."""
    hurry()
    names = LISTENER_DIALECTS[setting.is_binary] + LINK_DIALECTS[setting.is_binary]
    dialects = {name: _dialect(name) for name in dict.fromkeys(names)}
    arrangements = tuple(_arranged(setting, links, dialects) for links in ARRANGEMENTS)
    return World(setting, arrangements, {name: Profile(dialect) for name, dialect in dialects.items()})


_dialect = cache(load_dialect)


def _arranged(setting: Setting, links: tuple[str, ...], dialects: dict[str, Dialect]) -> tuple[Config, Parts]:
    """The configuration with these links in this order; the listeners change their order, too."""
    listeners = LISTENERS if links == LINKS else LISTENERS[::-1]
    config = Config.model_validate(_configuration(setting, links, listeners))
    # Smaller than a configuration may ask for: runs are short, and memory is touched.
    journal = config.journal.model_copy(update={"segment_bytes": SEGMENT_BYTES, "buffer_bytes": BUFFER_BYTES})
    config = config.model_copy(update={"journal": journal})
    keys = Keys()
    with TemporaryDirectory() as folder:
        merchants, terminals, routes = (Path(folder, name) for name in ("merchants.csv", "terminals.csv", "routes.csv"))
        merchants.write_text(f"id,name,state,category,kinds\n{MERCHANT},Harbour Bookshop,active,5942,\n")
        rows = [
            f"{terminal},{MERCHANT},active,,,{_listener_mac(setting, listener_of(number))},iso-0,"
            for partitions in SPREAD
            for number, terminal in enumerate(terminal_ids(partitions))
        ]
        header = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate"
        terminals.write_text("\n".join([header, *rows, ""]))
        targets = (("62", "bank-a:1|bank-b:2"), ("4", "bank-b:1"), ("5", "bank-c:1"))
        there = [(low, "|".join(one for one in to.split("|") if one[:-2] in links)) for low, to in targets]
        lines = [f"{low},,,,,,{to}" for low, to in there if to]
        routes.write_text("\n".join(["low,high,kinds,currencies,amount_min,amount_max,links", *lines, ""]))
        parts = Parts(
            dialects,
            keys,  # type: ignore[arg-type]
            load_registry(merchants, terminals, keys, listeners),
            load_routes(routes, list(links)),
            None,
        )
    return config, parts


def _configuration(setting: Setting, links: tuple[str, ...], listeners: tuple[str, ...]) -> dict[str, object]:
    is_tight = setting.is_tight
    return {
        "switch": {"name": "switch-1", "acquirer_id": "10000001"},
        "limits": {
            "transactions_in_flight_max": 6 if is_tight else 256,
            "duplicate_window_count_max": 8192,
            # Long where clocks jump.
            "duplicate_window_seconds": setting.window_seconds,
            "reversals_max": 8 if is_tight else 512,
            "statistics_bytes": 262_144,
        },
        "registry": {"merchants": "merchants.csv", "terminals": "terminals.csv"},
        "routes": {"file": "routes.csv"},
        "listener": [
            {
                "name": name,
                "bind": "127.0.0.1:5830",
                "dialect": LISTENER_DIALECTS[setting.is_binary][LISTENERS.index(name)],
                "idle_timeout_ms": 20_000,
                "partial_frame_timeout_ms": 5_000,
                "requests_in_flight_max": 1 if is_tight else 2,
                "partial_approval": "always" if name == TAKES_PARTS else "marked",
            }
            for name in listeners
        ],
        "link": [_link(LINKS.index(name), setting) for name in links],
    }


def _link(number: int, setting: Setting) -> dict[str, object]:
    is_tight = setting.is_tight
    link: dict[str, object] = {
        "name": LINKS[number],
        "dialect": LINK_DIALECTS[setting.is_binary][number],
        "endpoints": ["127.0.0.1:7001"],
        "connections": 2 if number == 0 else 1,
        "timeout_ms": LINK_TIMEOUT_MS,
        "timeouts_to_unhealthy": 3,
        "in_flight_max": 2 if is_tight else 1_000,
        "partial_approval": LINKS[number] in TELLS_PARTS,
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
        "match": {"by": "rrn" if number == MATCHED_BY_RRN else "stan"},
    }
    if setting.stands_in and LINKS[number] in STAND_IN_LINKS:
        link["stand_in"] = {
            "kinds": list(STAND_IN_LINKS[LINKS[number]]),
            "cards_max": 64,
            "limits": [
                {
                    "currency": CURRENCY,
                    "amount_max": 1_000_000,
                    "outstanding_max": STAND_IN_OUTSTANDING if is_tight else 100_000_000,
                    "card_count_max": STAND_IN_CARD_COUNT if is_tight else None,
                }
            ],
        }
    if LINK_MACS[number]:
        link["mac"] = {"algorithm": LINK_MACS[number], "key": f"link/{LINKS[number]}/zak"}
    return link
