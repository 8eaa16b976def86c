"""What a switch may ask of a request before it goes to an issuer, and what a workload's files say for it.

Each guard is there or not: the binding of the terminal to who its merchant is, to its machine and to its place, which
each request says; MACs on both legs; rules of risk control; and a PIN, which is put under the link's key.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from switch.crypto.pin_block import encrypt_pin_block
from switch.keys import Key
from switch.tables.binding import BINDING_KEY, binding_of, elements_of, secret_hash
from switch.tables.registry import BOUND_MERCHANT_COLUMNS, BOUND_TERMINAL_COLUMNS

ACQUIRER = "10000001"
SERIAL_NUMBER = "00000302A1B2C3"
POSITION = "+31.230400+121.473700/"
PLACE = "Quay Street 1"
PIN_FORMAT = "iso-4"
PIN = "1234"
KEY_BYTES = 16
BINDING_KEY_VALUE = bytes(range(32))
ZPK = "link/issuer/zpk"
DIALECT = "guarded.toml"
"""Of the listener and the link, beside the configuration."""


@dataclass(frozen=True)
class Guards:
    """Which guards there are, beside MACs.

    Attributes:
        binding: Every terminal is bound, and says its serial number and its position in each request.
        rules: So many rules look at each request, or find that it is not theirs.
        pin: Each request has a PIN block of ISO format 4, under a key of AES-128; so has what goes to the issuer.
    """

    binding: bool = False
    rules: int = 0
    pin: bool = False


NO_GUARDS = Guards()


def fields_of(guards: Guards, pan: str, pin_key: bytes | None) -> dict[int, str]:
    """What the guards need in a terminal's request, by field."""
    fields = {}
    if pin_key is not None:
        fields[52] = encrypt_pin_block(PIN, pan, pin_key, PIN_FORMAT).hex().upper()
    if guards.binding:
        said = f"02{len(SERIAL_NUMBER):03d}{SERIAL_NUMBER}06{len(POSITION):03d}{POSITION}"
        said = f"A2{len(said):03d}{said}"
        fields[59] = f"{len(said):03d}{said}"
    return fields


def keys_of(guards: Guards, pin_keys: Iterable[tuple[str, bytes]], link_pin_key: bytes) -> Iterator[Key]:
    """Keys of terminals, by their numbers, and of the link."""
    if guards.binding:
        yield Key(BINDING_KEY, "rbk", "aes-256", BINDING_KEY_VALUE)
    if guards.pin:
        yield Key(ZPK, "zpk", "aes-128", link_pin_key)
        for terminal, value in pin_keys:
            yield Key(f"terminal/{terminal}/tpk", "tpk", "aes-128", value)


def write_guards(folder: Path, guards: Guards, merchant: str) -> None:
    """Put what the guards need into the files of a workload: registry, dialect, rules, configuration."""
    if guards.binding:
        _bind(folder, merchant)
    if guards.pin:
        _alter(folder / "terminals.csv", lambda row: row | {"pin_format": PIN_FORMAT})
    dialect = ['extends = "iso87-ascii"', 'fields.52 = { format = "b128" }', 'fields.59 = { format = "ans...600" }']
    if guards.binding:
        dialect += ["[terminal_says]", 'source = "as dialect cup has it"', 'kinds = ["purchase"]']
        dialect += [f'{name} = {{ field = "59", tags = ["A2", "{tag}"] }}' for name, tag in _SAID]
    (folder / DIALECT).write_text("\n".join([*dialect, ""]))
    config = (folder / "switch.toml").read_text().replace('"iso87-ascii"', f'"{DIALECT}"')
    if guards.binding:
        config = config.replace("[routes]", 'serial_number = "demanded"\nposition = "demanded"\n\n[routes]')
    if guards.rules:
        (folder / "risk.toml").write_text("\n".join(_rules(guards.rules)))
        config = config.replace("[routes]", '[risk]\nfile = "risk.toml"\n\n[routes]')
    if guards.pin:
        config += f'pin = {{ format = "{PIN_FORMAT}", key = "{ZPK}" }}\n'
    (folder / "switch.toml").write_text(config)


RowChange: TypeAlias = Callable[[dict[str, str]], dict[str, str]]

_SAID = ("serial_number", "02"), ("position", "06")


def _bind(folder: Path, merchant: str) -> None:
    secrets = {
        name: secret_hash(BINDING_KEY_VALUE, name, merchant, clear)
        for name, clear in (("identity", "91310000MA1FL0XX0X"), ("account", "6222020000000001"))
    }
    elements = elements_of(BINDING_KEY_VALUE, ACQUIRER, merchant, **secrets).hex()
    _alter(folder / "merchants.csv", lambda row: row | secrets, BOUND_MERCHANT_COLUMNS)

    def bound(row: dict[str, str]) -> dict[str, str]:
        row |= {"serial_number": SERIAL_NUMBER, "place": PLACE, "position": POSITION, "bound_to": elements}
        return row | {"binding": binding_of(BINDING_KEY_VALUE, row).hex()}

    _alter(folder / "terminals.csv", bound, BOUND_TERMINAL_COLUMNS)


def _alter(path: Path, change: RowChange, columns: Sequence[str] | None = None) -> None:
    """Change each row of a table, which gets other columns if these are given."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns or rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(change, rows))


_PURCHASES = 'currency = "156"', "amount_max = 1_000_000_000_00"
_KINDS_OF_RULE = (
    ('per = "card"', *_PURCHASES),
    ('per = "terminal"', *_PURCHASES),
    ('per = "merchant"', *_PURCHASES),
    ('per = "card"', "count_max = 1_000_000_000"),
    ('per = "card"', "merchants_max = 7"),
    ('per = "card"', "declines_max = 1_000_000"),
    ('per = "terminal"', 'entry_modes = ["manual", "fallback"]', "count_max = 3"),
    ('per = "terminal"', 'currency = "156"', "amount_to = 1_00", "count_max = 10"),
    ('per = "merchant"', 'currency = "156"', "refund_excess_max = 500_00"),
    ('per = "card"', "amount_from = 1_000_000_00", *_PURCHASES),
)
"""What rules are about: an ordinary purchase is counted by seven of these ten, and is not what the others look at."""

_WINDOWS_SECONDS = 60, 600, 3_600, 86_400, 604_800


def _rules(count: int) -> Iterator[str]:
    for number, (seconds, terms) in enumerate(
        itertools.islice(itertools.product(_WINDOWS_SECONDS, _KINDS_OF_RULE), count)
    ):
        yield from ("[[rules]]", f'name = "rule-{number}"', f"window_seconds = {seconds}", *terms, "")
