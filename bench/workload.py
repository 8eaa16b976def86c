"""What a whole-switch measurement works on: purchases of many terminals, their keys, and a configuration for them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.guards import NO_GUARDS, Guards, fields_of, keys_of, write_guards
from switch.keys import Key, KeyFile
from switch.keys.master import create_master_key
from switch.samples.certificates import LOOPBACK_NAMES, Authority

MERCHANT = "898000000000001"
KEY_ALGORITHMS = {"aes-cmac": "aes-128", "x9.19": "3des-2key"}
KEY_BYTES = 16
LINK_KEY = "link/issuer/zak"
MAC_DIGITS = 16
SEED = 8583
NO_FIELDS: Mapping[int, str] = {}
FIRST_BIN = 622588000
"""Nine digits of which all cards of the first million terminals begin."""

BUSY_WINDOW_SECONDS = 5
"""Of the duplicate window: at full speed it holds what the default number of places has room for."""


@dataclass(frozen=True)
class Ports:
    """Ports of the loopback address."""

    terminals: int
    issuer: int
    admin: int


@dataclass(frozen=True)
class Workload:
    """Files in one folder, all made by ``prepare``.

    Attributes:
        requests: One frame for each terminal, a purchase of 18 fields, 222 bytes without its MAC.
        keys: One line of hex digits for each terminal; None without MACs.
        link_key: The key of the MACs between switch and issuer, in hex digits.
        stan_offset: Where field 11 begins in each request, in bytes.
        config: For ``authswitch serve``.
    """

    requests: Path
    keys: Path | None
    link_key: str
    stan_offset: int
    config: Path

    def part(self, name: str, places: Iterable[int]) -> Workload:
        """The same of some of the terminals, by their places among all that speak; its files have that name."""
        places = list(places)
        data = self.requests.read_bytes()
        size = 2 + int.from_bytes(data[:2], "big")
        requests = self.requests.with_name(f"{name}.bin")
        requests.write_bytes(b"".join(data[size * place : size * (place + 1)] for place in places))
        keys = None
        if self.keys is not None:
            lines = self.keys.read_text().split()
            keys = self.keys.with_name(f"{name}_keys.txt")
            keys.write_text("".join(f"{lines[place]}\n" for place in places))
        return replace(self, requests=requests, keys=keys)

    def terminal_keys(self) -> list[bytes]:
        """The keys of the terminals' MACs; none without MACs."""
        return [] if self.keys is None else [bytes.fromhex(line) for line in self.keys.read_text().split()]


def luhn_digit(digits: str) -> str:
    """The check digit of a card number (ISO/IEC 7812-1, annex B)."""
    doubled = (int(digit) * (2 - index % 2) for index, digit in enumerate(reversed(digits)))
    return str(-sum(value // 10 + value % 10 for value in doubled) % 10)


def card_of(terminal: int) -> str:
    """The card with which a terminal pays."""
    pan = f"622588{terminal:09d}"
    return pan + luhn_digit(pan)


def purchase(terminal: int, more: Mapping[int, str] = NO_FIELDS, *, with_mac: bool) -> bytes:
    """A purchase in the ``iso87-ascii`` dialect, with more fields behind its own; its MAC, if any, is zeros."""
    pan = card_of(terminal)
    fields = {
        2: f"{len(pan):02d}{pan}",
        3: "000000",
        4: f"{100 * terminal + 1999:012d}",
        7: "1123031500",
        11: "000001",
        12: "111500",
        13: "1123",
        14: "2812",
        18: "5942",
        22: "021",
        25: "00",
        32: "0810000001",
        35: f"37{pan}=28122011000012300000",
        37: f"{terminal:012d}",
        41: terminal_id(terminal),
        42: MERCHANT,
        43: f"{'Harbour Bookshop, 1 Quay Street':<38}CN",
        49: "156",
        **more,
    }
    bitmap = sum(1 << 64 - number for number in fields) | with_mac
    return f"0200{bitmap:016X}{''.join(fields.values())}{'0' * MAC_DIGITS * with_mac}".encode("ascii")


def terminal_id(terminal: int) -> str:
    """Field 41 of a terminal."""
    return f"{10_000_000 + terminal}"


def prepare(
    folder: Path,
    ports: Ports,
    terminals: int,
    mac: str | None,
    *,
    tls: bool,
    journal: bool = False,
    speakers: Sequence[int] | None = None,
    ranges: int = 1,
    guards: Guards = NO_GUARDS,
) -> Workload:
    """Write all files of a workload.

    Args:
        folder: An empty folder.
        ports: Where the switch listens and where the issuer does.
        terminals: How many terminals there are.
        mac: Algorithm on both legs, a key of ``KEY_ALGORITHMS``; None for no MACs.
        tls: Whether terminals speak TLS.
        journal: Whether the switch keeps its journal; needs a MAC, for its keys.
        speakers: The terminals that have a request and a key; all when None.
        ranges: BIN ranges in the table of routes.
        guards: What is asked of requests beside their MAC.
    """
    draw = random.Random(SEED)
    speaking = range(terminals) if speakers is None else speakers
    values = {terminal: draw.randbytes(KEY_BYTES) for terminal in speaking}
    link_key = draw.randbytes(KEY_BYTES)
    pin_keys = {terminal: draw.randbytes(KEY_BYTES) for terminal in speaking} if guards.pin else {}
    messages = [
        purchase(terminal, fields_of(guards, card_of(terminal), pin_keys.get(terminal)), with_mac=mac is not None)
        for terminal in speaking
    ]
    requests = folder / "requests.bin"
    requests.write_bytes(b"".join(len(message).to_bytes(2, "big") + message for message in messages))
    keys = None
    if mac:
        keys = folder / "terminal_keys.txt"
        keys.write_text("".join(f"{value.hex()}\n" for value in values.values()))
    macs = mac_keys(KEY_ALGORITHMS[mac], values, link_key) if mac else []
    others = keys_of(guards, ((terminal_id(terminal), value) for terminal, value in pin_keys.items()), link_key[::-1])
    if sealed := [*macs, *others]:
        seal_keys(folder, sealed)
    write_registry(folder, [mac if mac and terminal in values else "none" for terminal in range(terminals)])
    write_routes(folder, ranges)
    if tls:
        Authority(folder, "authority").issue("switch", "localhost", LOOPBACK_NAMES)
    config = folder / "switch.toml"
    config.write_text(configuration(ports, terminals, mac, tls=tls, journal=journal, has_keys=bool(sealed)))
    if guards != NO_GUARDS:
        write_guards(folder, guards, MERCHANT)
    return Workload(requests, keys, link_key.hex(), messages[0].index(b"000001111500"), config)


def mac_keys(algorithm: str, values: dict[int, bytes], link_key: bytes) -> list[Key]:
    """The keys of MACs, of the link and of terminals."""
    of_terminals = (
        Key(f"terminal/{terminal_id(terminal)}/tak", "tak", algorithm, value) for terminal, value in values.items()
    )
    return [Key(LINK_KEY, "zak", algorithm, link_key), *of_terminals]


def seal_keys(folder: Path, keys: Iterable[Key]) -> None:
    """Write the sealed key file and the master key that opens it."""
    master_key = create_master_key(folder / "master.key")
    with KeyFile.create(folder / "keys.sealed", master_key) as file:
        for key in keys:
            file.put(key)
        file.save()


def write_registry(folder: Path, macs: list[str]) -> None:
    """Write one merchant and all its terminals, each with its MAC algorithm."""
    (folder / "merchants.csv").write_text(f"id,name,state,category,kinds\n{MERCHANT},Harbour Bookshop,active,5942,\n")
    rows = [f"{terminal_id(number)},{MERCHANT},active,,,{mac},none," for number, mac in enumerate(macs)]
    header = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate"
    (folder / "terminals.csv").write_text("\n".join([header, *rows, ""]))


def write_routes(folder: Path, ranges: int) -> None:
    """Write one range for all cards, or many of which one holds them."""
    lows = ["62"] if ranges == 1 else [str(FIRST_BIN + number) for number in range(ranges)]
    header = "low,high,kinds,currencies,amount_min,amount_max,links"
    (folder / "routes.csv").write_text("\n".join([header, *(f"{low},,,,,,issuer:1" for low in lows), ""]))


def configuration(ports: Ports, terminals: int, mac: str | None, *, tls: bool, journal: bool, has_keys: bool) -> str:
    """A configuration with one listener and one link, both plain but for what is measured."""
    keys = '[keys]\nfile = "keys.sealed"\nmaster_key_file = "master.key"\n' if has_keys else ""
    keys += '\n[journal]\nmode = "files"\ndirectory = "journal"\n' if journal else ""
    link_mac = f'mac = {{ algorithm = "{mac}", key = "{LINK_KEY}" }}\n' if mac else ""
    listener_tls = '[listener.tls]\ncertificate = "switch.pem"\nprivate_key = "switch.key"\n' if tls else ""
    return f"""\
[switch]
name = "bench"
acquirer_id = "10000001"

[admin]
bind = "127.0.0.1:{ports.admin}"

[log]
level = "warning"

[limits]
connections_max = {min(terminals + 100, 1_000_000)}
duplicate_window_seconds = {BUSY_WINDOW_SECONDS}
terminal_share_percent = 100

{keys}
[registry]
merchants = "merchants.csv"
terminals = "terminals.csv"

[routes]
file = "routes.csv"

[[listener]]
name = "pos"
bind = "127.0.0.1:{ports.terminals}"
dialect = "iso87-ascii"
mac = "{"required" if mac else "none"}"
connections_max = {min(terminals + 100, 1_000_000)}

{listener_tls}
[[link]]
name = "issuer"
dialect = "iso87-ascii"
endpoints = ["127.0.0.1:{ports.issuer}"]
in_flight_max = 100_000
timeout_ms = 4_000
{link_mac}"""
