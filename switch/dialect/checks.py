"""What one table of a dialect says about another, and whether the two agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from switch.dialect.layout import Entry, characters_max, holds_bytes, is_fixed
from switch.dialect.model import ANSWERS_OWN, ENTRY_MODES, DialectFile, FieldRules, Rule, Subfield
from switch.dialect.reasons import FALLBACKS, REASONS
from switch.dialect.references import place
from switch.dialect.rules import Origin, parse_rule
from switch.dialect.unkept_fields import secret_fields

CONDITION_FIELD_ROOM = 1024
SIGN_IN_FORMS_MAX = 8
BATCH_DIGITS = 6
"""Characters that a field may have at most for conditions to look into it; as in ``ext/dialect/tables.pxd``."""

Key = tuple[str, ...]
Found = Iterator[tuple[Key, str]]
"""Keys, and what is wrong with their values."""

CONTENT_PATTERNS = {
    "n": r"[0-9]*",
    "a": r"[A-Za-z ]*",
    "an": r"[A-Za-z0-9 ]*",
    "z": r"[0-9D=F]*",
    "x+n": r"[CD][0-9]*",
    "hex": r"[0-9A-Fa-f]*",
}


def check(
    file: DialectFile, layout: Mapping[str, Entry], keys: Mapping[int, str], unkept: frozenset[int]
) -> list[tuple[Key, str]]:
    """All that does not fit together: keys, and what is wrong with their values.

    Args:
        file: The tables, each well formed in itself.
        layout: The fields as they lie on the wire.
        keys: Key of each field, by number.
        unkept: Fields that no copy has which is kept.
    """
    checks = _Checks(file, layout, keys, unkept)
    return [
        *checks.field_keys(),
        *checks.secrets(),
        *checks.response_codes(),
        *checks.kinds(),
        *checks.entry_modes(),
        *checks.natural_key(),
        *checks.partial_approval(),
        *checks.sign_in(),
        *checks.terminal_says(),
        *checks.downloads(),
        *checks.key_exchange(),
        *checks.track_encryption(),
        *checks.mac(),
        *checks.subfields(),
        *checks.variants(),
        *checks.original_data(),
        *checks.policies(),
        *checks.stand_in(),
    ]


class _Checks:
    """One dialect's tables, looked at from each side."""

    def __init__(
        self, file: DialectFile, layout: Mapping[str, Entry], keys: Mapping[int, str], unkept: frozenset[int]
    ) -> None:
        self.file = file
        self.unkept = unkept
        self.layout = layout
        self.keys = keys

    def field_keys(self) -> Found:
        for key, count in Counter(self.keys.values()).items():
            if count > 1:
                numbers = ", ".join(str(number) for number, other in self.keys.items() if other == key)
                yield ("fields",), f"the key {key!r} stands for more than one field: {numbers}"

    def secrets(self) -> Found:
        for number, what in secret_fields(self.keys).items():
            if number not in self.file.sensitive:
                yield ("sensitive",), f"field {number} is missing: it holds {what}"
            elif number in self.file.harmless:
                yield ("harmless",), f"field {number} cannot be harmless: it holds {what}"

    def response_codes(self) -> Found:
        codes = self.file.response_codes
        for name in REASONS:
            if name not in codes.write and name not in FALLBACKS:
                yield ("response_codes", "write", name), "is required"
        partly = codes.write.get("partially_approved", "")
        if codes.read.get(partly, ("partially_approved", ""))[0] != "partially_approved":
            yield (
                ("response_codes", "write", "partially_approved"),
                f"{partly} is no approval of a part: a terminal that is told so must know that it is charged",
            )
        if "39" not in self.layout:
            yield ("fields", "39"), "is required: answers need a response code"
            return
        size = characters_max(self.layout["39"])
        for code in codes.read:
            if len(code) != size:
                yield ("response_codes", "read", code), f"needed {size} characters as field 39 has, got {len(code)}"
        for table, written in (("write", codes.write), ("accepted", codes.accepted)):
            for name, code in written.items():
                if code not in codes.read:
                    yield ("response_codes", table, name), f"{code} is not among the codes of response_codes.read"

    def kinds(self) -> Found:
        if self.file.kind_code is not None:
            yield from self._reference(self.file.kind_code.field, ("kind_code", "field"))
        version = self.file.mti_version
        versions = {int(entry.mti[0]) for entries in self.file.kinds.values() for entry in entries}
        if versions and version not in versions:
            yield ("mti_version",), f"no MTI of kinds begins with {version}"
        for kind, entries in self.file.kinds.items():
            key = ("kinds", kind)
            for entry in entries:
                if int(entry.mti[0]) != version and version in versions:
                    yield key, f"the MTI {entry.mti} does not begin with mti_version {self.file.mti_version}"
                if int(entry.mti[2]) % 2 or int(entry.mti[3]) % 2:
                    yield key, f"the MTI {entry.mti} is that of an answer or a repeat"
                if entry.processing_code and "3" not in self.layout:
                    yield key, "processing_code: this dialect has no field 3"
                for reference, text in entry.where.items():
                    yield from self._condition(key, reference, text)

    def entry_modes(self) -> Found:
        modes = self.file.entry_modes
        if modes is None:
            return
        problems = list(self._whole_field(modes.field, ("entry_modes", "field")))
        yield from problems
        if problems:
            return
        size = characters_max(self.layout[modes.field])
        for mode in ENTRY_MODES:
            if mode not in modes.write:
                yield ("entry_modes", "write", mode), "is required"
        for mode, text in modes.write.items():
            yield from _constant(self.layout[modes.field], text, ("entry_modes", "write", mode))
        for pattern, _ in modes.read:
            if len(pattern) != size:
                yield ("entry_modes", "read"), f"needed {size} characters, got {pattern!r}"

    def natural_key(self) -> Found:
        for reference in self.file.natural_key.fields:
            yield from self._reference(reference, ("natural_key", "fields"))

    def partial_approval(self) -> Found:
        mark = self.file.partial_approval
        if mark.field is not None:
            yield from self._condition(("partial_approval", "field"), mark.field, mark.value)
            if len(mark.denial) != len(mark.value):
                yield ("partial_approval", "denial"), f"needed as many characters as value, {len(mark.value)}"
        for number in self.file.verify:
            if str(number) not in self.layout:
                yield ("verify",), f"this dialect has no field {number}"
            elif number in ANSWERS_OWN:
                yield ("verify",), f"field {number} is {ANSWERS_OWN[number]}"

    def sign_in(self) -> Found:
        rules = self.file.sign_in
        if (rules.form is None) != (not rules.forms):
            yield ("sign_in", "form"), "form and forms belong together"
        elif rules.form is not None and len(rules.forms) > SIGN_IN_FORMS_MAX:
            yield ("sign_in", "forms"), f"at most {SIGN_IN_FORMS_MAX} are allowed"
        elif rules.form is not None:
            yield from self._reference(rules.form, ("sign_in", "form"))
            for text in rules.forms:
                yield from self._condition(("sign_in", "forms", text), rules.form, text)
        if rules.batch is not None:
            problems = list(self._reference(rules.batch, ("sign_in", "batch")))
            yield from problems
            if not problems and place(self.file, rules.batch).size != BATCH_DIGITS:
                yield ("sign_in", "batch"), f"a batch number has {BATCH_DIGITS} digits"

    def downloads(self) -> Found:
        rules = self.file.downloads
        if rules.code is None:
            return
        yield from self._reference(rules.code, ("downloads", "code"))
        problems = list(self._whole_field(str(rules.field), ("downloads", "field")))
        yield from problems
        if not problems and not holds_bytes(self.layout[str(rules.field)]):
            yield ("downloads", "field"), f"field {rules.field} holds no bytes"
        for table, names in (
            ("ca_keys", [key.rid + key.index for key in rules.ca_keys]),
            ("applications", [one.aid for one in rules.applications]),
        ):
            if len(set(map(str.upper, names))) < len(names):
                yield ("downloads", table), "one of them is there twice"

    def key_exchange(self) -> Found:
        rules = self.file.key_exchange
        if rules is None:
            return
        yield from self._reference(rules.choice, ("key_exchange", "choice"))
        yield from self._whole_field(str(rules.key), ("key_exchange", "key"))
        if rules.pin_key.startswith(rules.mac_key) or rules.mac_key.startswith(rules.pin_key):
            yield ("key_exchange", "mac_key"), "does not tell the MAC key from the PIN key"
        if "key_exchange" not in self.file.kinds or "key_exchange" not in self.file.network:
            yield ("key_exchange",), "needed kinds.key_exchange and network.key_exchange, the messages that bring keys"

    def track_encryption(self) -> Found:
        rules = self.file.track_encryption
        if rules is None:
            return
        yield from self._condition(("track_encryption", "mark"), rules.mark, rules.value)
        entry = self.layout.get(rules.mark.partition(".")[0])
        if entry is not None and not is_fixed(entry):
            yield ("track_encryption", "mark"), "needed a field of fixed length"
        if len(rules.clear) != len(rules.value):
            yield ("track_encryption", "clear"), f"needed as many characters as value, {len(rules.value)}"
        for number in rules.fields:
            entry = self.layout.get(str(number))
            if entry is not None and (entry["data_enc"] != "b" or entry.get("content") != "any"):
                yield ("track_encryption", "fields"), f'field {number} must be packed, and its content "any"'

    def terminal_says(self) -> Found:
        table = self.file.terminal_says
        for name in ("serial_number", "position"):
            said = getattr(table, name, None)
            if said is not None:
                yield from self._reference(said.field, ("terminal_says", name, "field"))
                if len({len(tag) for tag in said.tags}) > 1:
                    yield ("terminal_says", name, "tags"), "needed tags of one length"

    def mac(self) -> Found:
        rules = self.file.mac
        if "64" not in self.layout:
            if rules.kinds:
                yield ("mac", "kinds"), "needed a field 64 for the MAC"
            return
        if rules.form == "hex" and self.layout["64"]["data_enc"] == "b":
            yield ("mac", "form"), "hex needs text, but field 64 is binary"
        if "128" in self.layout and self.layout["64"]["max_len"] != self.layout["128"]["max_len"]:
            yield ("fields", "128"), "needed the size of field 64"
        for name in () if rules.coverage == "up-to-mac" else rules.coverage:
            if name != "mti":
                yield from self._whole_field(name, ("mac", "coverage"))

    def subfields(self) -> Found:
        for number, parts in self.file.subfields.items():
            key = ("subfields", number)
            problems = list(self._whole_field(number, key))
            yield from problems or self._parts(number, parts, key)

    def _parts(self, number: str, parts: list[Subfield], key: Key) -> Found:
        room = characters_max(self.layout[number])
        if sum(part.size for part in parts) > room:
            yield key, f"the parts are longer than the {room} characters of the field"
        if any(part.size == 0 for part in parts[:-1]):
            yield key, "only the last part may reach to the end"
        for part in parts:
            if not part.name.startswith(f"{number}."):
                yield key, f"needed a name such as {number}.1, got {part.name!r}"

    def variants(self) -> Found:
        for number, variants in self.file.variants.items():
            yield from self._whole_field(number, ("variants", number))
            for variant in variants:
                for reference in variant.where:
                    yield from self._reference(reference, ("variants", number))

    def original_data(self) -> Found:
        for name, data in (("original_data", self.file.original_data), ("reference", self.file.reference)):
            if data is None:
                continue
            yield from self._whole_field(str(data.field), (name, "field"))
            for part in data.parts:
                if part.field != "mti":
                    yield from self._reference(part.field, (name, "parts"))

    def policies(self) -> Found:
        for name, rules in self.file.policy:
            yield from self._rules(name, rules, ("policy", name))
        is_well = _has_its_mac(self.file.policy.request)  # else that is told already
        for name in ("advice", "reference", "unknown_reversal"):
            rules = {**self.file.policy.request, **getattr(self.file.policy, name)}
            if is_well and not _has_its_mac(rules):
                yield (
                    ("policy", name),
                    f"with policy.request, the MAC of this message belongs in field {_last_field(rules)} alone",
                )
        if self.file.reference is None and self.file.original_data is None:
            for name in ("request", "reference"):
                for number, rule in getattr(self.file.policy, name).items():
                    if Origin("slot", "original_data") in _origins(rule, name):
                        yield (
                            ("policy", name, number),
                            "compute:original_data writes nothing: neither original_data nor reference says how",
                        )
        for name, message in self.file.network.items():
            yield from self._rules("network", message.fields, ("network", name, "fields"))

    def stand_in(self) -> Found:
        if self.file.stand_in_mark is None:
            return
        marked = [
            number
            for number, rule in self.file.policy.advice.items()
            if number in self.layout and Origin("slot", "stand_in") in _origins(rule)
        ]
        if not marked:
            yield ("stand_in_mark",), "no field of policy.advice is compute:stand_in"
        for number in marked:
            yield from _constant(self.layout[number], self.file.stand_in_mark, ("stand_in_mark",))

    def _rules(self, policy: str, rules: FieldRules, key: Key) -> Found:
        mac_fields = []
        for number, rule in rules.items():
            here = (*key, number)
            try:
                origins = parse_rule(rule, policy)
            except ValueError as error:
                yield here, str(error)
                continue
            problems = list(self._whole_field(number, here))
            yield from problems
            for origin in () if problems else origins:
                yield from self._origin(policy, number, origin, here)
            if Origin("slot", "mac") in origins:
                mac_fields.append(number)
        last = _last_field(rules)
        for number in mac_fields:
            if number != last:
                yield (*key, number), f"the MAC of this message belongs in field {last}"

    def _origin(self, policy: str, number: str, origin: Origin, key: Key) -> Found:
        if origin.source == "constant":
            yield from _constant(self.layout[number], origin.argument, key)
        elif origin == Origin("slot", "mti"):
            yield key, "the MTI is no field"
        elif origin.source == "request" and policy in ("reversal", "network_answer"):
            if origin.argument and origin.argument not in self.keys.values():
                yield key, f"this dialect has no field of the key {origin.argument!r}"
            source = next((field for field, name in self.keys.items() if name == origin.argument), int(number))
            if policy == "reversal" and source in self.file.sensitive:
                yield key, f"field {source} is sensitive and never kept, so no reversal can have it"
            elif policy == "reversal" and source in self.unkept:
                yield key, f"field {source} is private and not kept, so no reversal can have it; see harmless"
        elif origin.source == "request" and policy == "answer":
            source = next((field for field, name in self.keys.items() if name == origin.argument), int(number))
            if source in self.file.sensitive:
                yield key, f"field {source} is sensitive and not kept until the answer comes: no answer can repeat it"

    def _condition(self, key: Key, reference: str, text: str) -> Found:
        problems = list(self._reference(reference, key))
        yield from problems
        if problems:
            return
        at = place(self.file, reference)
        room = characters_max(self.layout[str(at.field)])
        if room > CONDITION_FIELD_ROOM:
            yield key, f"field {at.field} is too long for a condition: at most {CONDITION_FIELD_ROOM} characters"
        if not text or len(text) > (at.size or room):
            yield key, f"{reference} cannot begin with {text!r}"

    def _reference(self, reference: str, key: Key) -> Found:
        try:
            at = place(self.file, reference)
        except ValueError as error:
            yield key, str(error)
        else:
            yield from self._whole_field(str(at.field), key)

    def _whole_field(self, number: str, key: Key) -> Found:
        if number not in self.layout or number == "1":
            yield key, f"this dialect has no field {number}"


def _last_field(rules: FieldRules) -> str:
    """Which field holds the MAC of a message with these rules."""
    return "128" if any(int(number) > 64 and rule != "drop" for number, rule in rules.items()) else "64"


def _has_its_mac(rules: FieldRules) -> bool:
    """Whether the MAC of a message with these rules, if it has one, stands where it belongs and nowhere else."""
    macs = [number for number, rule in rules.items() if Origin("slot", "mac") in _origins(rule)]
    return macs in ([], [_last_field(rules)])


def _origins(rule: Rule, policy: str = "advice") -> list[Origin]:
    """Where a field comes from; nowhere where its rule is wrong, which is told elsewhere."""
    try:
        return parse_rule(rule, policy)
    except ValueError:
        return []


def _constant(entry: Entry, text: str, key: Key) -> Found:
    most = characters_max(entry)
    if len(text) > most or (is_fixed(entry) and len(text) != most):
        yield key, f"needed {'' if is_fixed(entry) else 'at most '}{most} characters, got {len(text)}"
    content = "hex" if holds_bytes(entry) else entry.get("content", "any")
    pattern = CONTENT_PATTERNS.get(content)
    if pattern is not None and not re.fullmatch(pattern, text):
        yield key, f"needed content of class {content}, got {text!r}"
