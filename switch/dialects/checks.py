"""What one table of a dialect says about another, and whether the two agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from switch.config.problems import Problem
from switch.dialects.layout import Entry, characters_max, holds_bytes, is_fixed
from switch.dialects.model import DialectFile, FieldRules
from switch.dialects.references import place
from switch.dialects.rules import Origin, parse_rule
from switch.dialects.source import Source
from switch.reasons import REASONS
from switch.slots import SLOTS

CONDITION_FIELD_ROOM = 128
"""Characters that a field may have at most for conditions to look into it; as in ``ext/dialect.pxd``."""

Found = Iterator[tuple[tuple[str, ...], str]]
"""Keys, and what is wrong with their values."""

CONTENT_PATTERNS = {
    "n": r"[0-9]*",
    "a": r"[A-Za-z ]*",
    "an": r"[A-Za-z0-9 ]*",
    "z": r"[0-9D=F]*",
    "x+n": r"[CD][0-9]*",
    "hex": r"[0-9A-Fa-f]*",
}


def check(source: Source, file: DialectFile, layout: Mapping[str, Entry], keys: Mapping[int, str]) -> list[Problem]:
    """All that does not fit together.

    Args:
        source: The files, for the places of problems.
        file: The tables, each well formed in itself.
        layout: The fields as they lie on the wire.
        keys: Key of each field, by number.
    """
    found = [
        *_field_keys(keys),
        *_response_codes(file, layout),
        *_kinds(file, layout),
        *_natural_key(file, layout),
        *_mac(file, layout),
        *_subfields(file, layout),
        *_original_data(file, layout),
        *_policies(file, layout, set(keys.values())),
    ]
    return [source.problem(key, reason) for key, reason in found]


def _field_keys(keys: Mapping[int, str]) -> Found:
    for key, count in Counter(keys.values()).items():
        if count > 1:
            numbers = ", ".join(str(number) for number, other in keys.items() if other == key)
            yield ("fields",), f"the key {key!r} stands for more than one field: {numbers}"


def _response_codes(file: DialectFile, layout: Mapping[str, Entry]) -> Found:
    codes = file.response_codes
    for name in REASONS:
        if name not in codes.write:
            yield ("response_codes", "write", name), "is required"
    size = layout["39"]["max_len"] if "39" in layout else 0
    if not size:
        yield ("fields", "39"), "is required: answers need a response code"
        return
    for code in codes.read:
        if len(code) != size:
            yield ("response_codes", "read", code), f"needed {size} characters as field 39 has, got {len(code)}"
    for table, written in (("write", codes.write), ("accepted", codes.accepted)):
        for name, code in written.items():
            if code not in codes.read:
                yield ("response_codes", table, name), f"{code} is not among the codes of response_codes.read"


def _kinds(file: DialectFile, layout: Mapping[str, Entry]) -> Found:
    if file.kind_code is not None:
        yield from _reference(file, layout, file.kind_code.field, ("kind_code", "field"))
    for kind, entries in file.kinds.items():
        for entry in entries:
            key = ("kinds", kind)
            if int(entry.mti[0]) != file.mti_version:
                yield key, f"the MTI {entry.mti} does not begin with mti_version {file.mti_version}"
            if int(entry.mti[2]) % 2 or int(entry.mti[3]) % 2:
                yield key, f"the MTI {entry.mti} is that of an answer or a repeat"
            if entry.processing_code and "3" not in layout:
                yield key, "processing_code: this dialect has no field 3"
            for reference, text in entry.where.items():
                yield from _condition(file, layout, key, reference, text)


def _condition(
    file: DialectFile, layout: Mapping[str, Entry], key: tuple[str, ...], reference: str, text: str
) -> Found:
    problems = list(_reference(file, layout, reference, key))
    yield from problems
    if problems:
        return
    at = place(file, reference)
    entry = layout[str(at.field)]
    if characters_max(entry) > CONDITION_FIELD_ROOM:
        yield key, f"field {at.field} is too long for a condition: at most {CONDITION_FIELD_ROOM} characters"
    if not text or (at.size and len(text) > at.size) or len(text) > characters_max(entry):
        yield key, f"{reference} cannot begin with {text!r}"


def _natural_key(file: DialectFile, layout: Mapping[str, Entry]) -> Found:
    for reference in file.natural_key.fields:
        yield from _reference(file, layout, reference, ("natural_key", "fields"))


def _mac(file: DialectFile, layout: Mapping[str, Entry]) -> Found:
    if file.mac.kinds and "64" not in layout:
        yield ("mac", "kinds"), "needed a field 64 for the MAC"
    if file.mac.coverage != "up-to-mac":
        for name in file.mac.coverage:
            if name != "mti" and ("." in name or name not in layout):
                yield ("mac", "coverage"), f"this dialect has no field {name}"
    if "64" in layout and "128" in layout and layout["64"]["max_len"] != layout["128"]["max_len"]:
        yield ("fields", "128"), "needed the size of field 64"
    if "64" in layout and file.mac.form == "hex" and layout["64"]["data_enc"] == "b":
        yield ("mac", "form"), "hex needs text, but field 64 is binary"


def _subfields(file: DialectFile, layout: Mapping[str, Entry]) -> Found:
    for number, parts in file.subfields.items():
        key = ("subfields", number)
        if number not in layout:
            yield key, f"this dialect has no field {number}"
            continue
        if sum(part.size for part in parts) > characters_max(layout[number]):
            yield key, f"the parts are longer than the {characters_max(layout[number])} characters of the field"
        for part in parts:
            if not part.name.startswith(f"{number}."):
                yield key, f"needed a name such as {number}.1, got {part.name!r}"
        if any(part.size == 0 for part in parts[:-1]):
            yield key, "only the last part may reach to the end"
    for number, variants in file.variants.items():
        if number not in layout:
            yield ("variants", number), f"this dialect has no field {number}"
        for variant in variants:
            for reference in variant.where:
                yield from _reference(file, layout, reference, ("variants", number))


def _original_data(file: DialectFile, layout: Mapping[str, Entry]) -> Found:
    if file.original_data is None:
        return
    if str(file.original_data.field) not in layout:
        yield ("original_data", "field"), f"this dialect has no field {file.original_data.field}"
    for part in file.original_data.parts:
        if part.field != "mti" and part.field not in layout:
            yield ("original_data", "parts"), f"this dialect has no field {part.field}"


def _reference(file: DialectFile, layout: Mapping[str, Entry], reference: str, key: tuple[str, ...]) -> Found:
    try:
        at = place(file, reference)
    except ValueError as error:
        yield key, str(error)
    else:
        if str(at.field) not in layout:
            yield key, f"this dialect has no field {at.field}"


def _policies(file: DialectFile, layout: Mapping[str, Entry], keys: set[str]) -> Found:
    policies: dict[str, FieldRules] = {
        "request": file.policy.request,
        "answer": file.policy.answer,
        "reversal": file.policy.reversal,
        "network_answer": file.policy.network_answer,
    }
    for name, rules in policies.items():
        yield from _rules(file, layout, keys, name, rules, ("policy", name))
    for name, message in file.network.items():
        yield from _rules(file, layout, keys, "network", message.fields, ("network", name, "fields"))


def _rules(
    file: DialectFile,
    layout: Mapping[str, Entry],
    keys: set[str],
    policy: str,
    rules: FieldRules,
    key: tuple[str, ...],
) -> Found:
    for number, rule in rules.items():
        here = (*key, number)
        try:
            origins = parse_rule(rule, policy)
        except ValueError as error:
            yield here, str(error)
            continue
        if number not in layout or number == "1":
            yield here, f"this dialect has no field {number}"
            continue
        for origin in origins:
            yield from _origin(file, layout, keys, policy, number, origin, here)
    used = [int(number) for number, rule in rules.items() if rule != "drop"]
    mac = 128 if any(number > 64 for number in used) else 64
    for number in used:
        if "compute:mac" in rules[str(number)] and number != mac:
            yield (*key, str(number)), f"the MAC of this message belongs in field {mac}"


def _origin(
    file: DialectFile,
    layout: Mapping[str, Entry],
    keys: set[str],
    policy: str,
    number: str,
    origin: Origin,
    key: tuple[str, ...],
) -> Found:
    if origin.source == "constant":
        yield from _constant(layout[number], origin.argument, key)
    elif origin.source == "slot":
        if origin.argument == SLOTS[0]:
            yield key, "the MTI is no field"
    elif policy in ("reversal", "network_answer"):
        if origin.argument and origin.argument not in keys:
            yield key, f"this dialect has no field of the key {origin.argument!r}"
        if policy == "reversal" and int(number) in file.sensitive:
            yield key, "is sensitive and never kept, so no reversal can have it"


def _constant(entry: Entry, text: str, key: tuple[str, ...]) -> Found:
    most = characters_max(entry)
    if len(text) > most or (is_fixed(entry) and len(text) != most):
        yield key, f"needed {'' if is_fixed(entry) else 'at most '}{most} characters, got {len(text)}"
    pattern = CONTENT_PATTERNS["hex"] if holds_bytes(entry) else CONTENT_PATTERNS.get(entry.get("content", "any"))
    if pattern is not None and not re.fullmatch(pattern, text):
        yield key, f"needed content of class {entry.get('content', 'hex')}, got {text!r}"
