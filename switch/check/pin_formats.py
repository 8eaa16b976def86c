"""Formats of PIN blocks: whether dialects can carry them, and whether a terminal's may become a link's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from switch.check.terminal_keys import PIN_FORMAT, terminal_rows
from switch.config import Config
from switch.crypto.pin_block import PIN_KEY_SIZES
from switch.dialect import Dialect
from switch.dialect.layout import characters_max, is_fixed
from switch.files.problems import Problem, Severity

PIN_FIELD = "52"
DERIVED = "+dukpt"
WITHOUT_PAN = "iso-1"
BLOCK_BYTES = {"iso-4": 16, "sm4": 16}
BLOCK_BYTES_DEFAULT = 8


def pin_field_fault(dialect: Dialect, pin_format: str) -> str:
    """Why a dialect's field cannot carry blocks of a format; empty when it can."""
    entry = dialect.layout.get(PIN_FIELD)
    if entry is None:
        return f"dialect {dialect.name} has no field {PIN_FIELD}"
    needed, room = BLOCK_BYTES.get(pin_format, BLOCK_BYTES_DEFAULT), characters_max(entry) // 2
    if room < needed or (is_fixed(entry) and room != needed):
        return f"field {PIN_FIELD} of dialect {dialect.name} is for {room} bytes; a block of {pin_format} has {needed}"
    return ""


def check_pin_formats(
    config: Config, dialects: Mapping[str, Dialect], terminal_formats: Collection[str]
) -> Iterator[Problem]:
    """Formats of terminals that no listener can read, or that must not become those of a link.

    Args:
        config: The configuration.
        dialects: By name, those that could be loaded.
        terminal_formats: All that terminals have.
    """
    table = config.registry.terminals_place
    derived = sorted(one for one in terminal_formats if one.endswith(DERIVED))
    used = sorted({one.removesuffix(DERIVED) for one in terminal_formats if one.removesuffix(DERIVED) in PIN_KEY_SIZES})
    spoken = [dialects[listener.dialect] for listener in config.listeners if listener.dialect in dialects]
    for pin_format in used:
        faults = [pin_field_fault(dialect, pin_format) for dialect in spoken]
        if faults and all(faults):
            yield Problem(table, "", f"pin_format {pin_format}: {faults[0]}", "warning")
    # A row of the store was refused when it came, or was right then: PINs of its terminal are refused, nothing else is.
    severity: Severity = "error" if config.registry.terminals is not None else "warning"
    for pin_format in derived:
        if fault := _base_key_fault(config, pin_format):
            yield Problem(table, "", fault, severity)
        if not any(dialect.tables.serial_number_field for dialect in spoken):
            reason = "no listener's dialect has a field key_serial_number, by which the key of a PIN block is known"
            yield Problem(table, "", f"pin_format {pin_format}: {reason}", "warning")
    bound = ", ".join(one for one in used if one != WITHOUT_PAN)
    for link in config.links:
        if bound and link.pin is not None and link.pin.format == WITHOUT_PAN:
            reason = f"PINs of terminals with {bound} are refused there: none may become {WITHOUT_PAN} (ISO 9564-1)"
            yield Problem(str(config.file), f"link[{link.name}].pin.format", reason, "warning")


def base_key_faults(config: Config, table: str, data: bytes) -> list[Problem]:
    """Rows of terminals whose PIN keys come of no base key that the configuration has.

    Args:
        config: The configuration.
        table: Name of the terminals' file.
        data: What stands in it.
    """
    if DERIVED.encode() not in data:
        return []
    return [
        Problem(table, f"line {line}", fault)
        for line, cells in terminal_rows(data)
        if cells[PIN_FORMAT].endswith(DERIVED) and (fault := _base_key_fault(config, cells[PIN_FORMAT]))
    ]


def _base_key_fault(config: Config, pin_format: str) -> str:
    """What is missing for a format whose keys are derived; empty when it is there."""
    cipher = "aes" if pin_format.removesuffix(DERIVED) in BLOCK_BYTES else "des"
    if any(section.cipher == cipher for section in config.base_keys):
        return ""
    return f"pin_format {pin_format}: needed is a [[base_key]] with cipher {cipher}"
