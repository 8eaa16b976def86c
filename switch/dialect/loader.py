"""Loading a dialect: its files read, checked as a whole, and compiled for the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from switch.crypto.mac import ALGORITHMS
from switch.crypto.sign_in_keys import MAC_KEY_FORMS
from switch.dialect.building import Built, FieldMeaning, build
from switch.dialect.downloads import DownloadAnswers
from switch.dialect.fault_causes import explain
from switch.dialect.kinds import KINDS, Kind
from switch.dialect.layout import Entry
from switch.dialect.model import (
    ENTRY_MODES,
    DialectFile,
    KindEntry,
    MacRules,
    OriginalData,
    ResponseCodes,
    SaidPlace,
    SignInForm,
)
from switch.dialect.reasons import REASONS, Reason
from switch.dialect.references import Place, conditions, kind_code, place
from switch.dialect.source import DialectError, read_source
from switch.dialect.tables import DialectTables
from switch.dialect.terminal_says import TerminalSays
from switch.wire.framing import Framing
from switch.wire.spec import Spec


@dataclass(frozen=True)
class Dialect:
    """How one side writes ISO 8583, checked and compiled. It never changes.

    Attributes:
        name: of the built-in dialect, or of its file without the ending.
        file: what its files say.
        layout: the message specification in pyiso8583's form, with ``content``.
        meanings: key and description of each field, by number.
        spec: the layout compiled.
        framing: the framing compiled.
        unkept: numbers of the fields that no copy of a message has which is kept: the sensitive ones, and private ones
            that the dialect does not call harmless.
        tables: what the hot path asks of a dialect.
    """

    name: str
    file: DialectFile
    layout: Mapping[str, Entry]
    meanings: Mapping[int, FieldMeaning]
    spec: Spec
    framing: Framing
    unkept: frozenset[int]
    tables: DialectTables = field(repr=False)

    @property
    def description(self) -> str:
        """One line for people."""
        return self.file.description

    @property
    def mac(self) -> MacRules:
        """Which messages carry a MAC, over what, in which form."""
        return self.file.mac

    @property
    def response_codes(self) -> ResponseCodes:
        """The codes of field 39."""
        return self.file.response_codes

    @property
    def kinds(self) -> Mapping[str, list[KindEntry]]:
        """The ways to write each kind, by its name; the first is the one that we write."""
        return self.file.kinds

    @cached_property
    def downloads(self) -> DownloadAnswers | None:
        """What terminals may load from the switch; None: nothing."""
        rules = self.file.downloads
        return None if rules.code is None else DownloadAnswers(self.file, self.layout[str(rules.field)]["max_len"])

    @cached_property
    def sensitive(self) -> frozenset[int]:
        """Numbers of the fields that are never kept and never shown."""
        return frozenset(self.file.sensitive)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Number of a field by its key."""
        return {meaning.key: number for number, meaning in self.meanings.items()}


def load_dialect(name_or_path: str | Path) -> Dialect:
    """Load a dialect.

    Args:
        name_or_path: The name of a built-in dialect (``dialect_names``), or the path of a file, which has a slash in it
            or ends in ``.toml``.

    Raises:
        DialectError: Something is wrong; the error lists all of it, with file, key and reason.
    """
    source = read_source(name_or_path)
    try:
        file = DialectFile.model_validate(source.tables)
        built, found = build(file)
    except ValidationError:
        built = None
    if built is None or found:
        raise DialectError(explain(source))
    tables = DialectTables(name=source.name, spec=built.spec, **_table_arguments(file, built))
    return Dialect(source.name, file, built.layout, built.meanings, built.spec, built.framing, built.unkept, tables)


def _table_arguments(file: DialectFile, built: Built) -> dict[str, Any]:
    """The keyword arguments of ``DialectTables`` beside name and specification."""
    return {
        "mti_version": file.mti_version,
        "code_set": file.response_codes.set,
        "codes": [file.response_codes.written(name) for name in REASONS],
        "reasons": {code: Reason[name.upper()] for code, (name, _) in file.response_codes.read.items()},
        "accepted": {int(number): code for number, code in file.response_codes.accepted.items()},
        "kinds": [
            (Kind[kind.upper()], int(entry.mti), conditions(file, entry))
            for kind in KINDS[1:]
            for entry in file.kinds.get(kind, ())
        ],
        "kind_codes": [kind_code(file, kind) for kind in KINDS],
        "entry_modes": _entry_modes(file),
        "partial_mark": _partial_mark(file),
        "partial_reversed": file.partial_approval.reversal_amount == "approved",
        "replacement_field": _field_called("replacement_amounts", built),
        "serial_number_field": _field_called("key_serial_number", built),
        "sign_in": _sign_in(file),
        "tracks": _tracks(file),
        "says": _terminal_says(file),
        "natural_key": [place(file, reference) for reference in file.natural_key.fields],
        "mac": {
            "algorithm": ALGORITHMS.index(file.mac.algorithm),
            "padding": file.mac.padding - 1,
            "form": ("binary", "hex").index(file.mac.form),
            "size": _mac_size(built.layout),
            "fields": None if file.mac.coverage == "up-to-mac" else [_number(name) for name in file.mac.coverage],
            "kinds": [Kind[kind.upper()] for kind in file.mac.kinds],
        },
        "unkept": built.unkept,
        "original": _original_form(file, file.original_data),
        "reference": _original_form(file, file.reference or file.original_data),
    }


def _field_called(key: str, built: Built) -> int:
    """The number of a field by its key; 0 where the dialect has none."""
    return next((number for number, meaning in built.meanings.items() if meaning.key == key), 0)


def _original_form(file: DialectFile, data: OriginalData | None) -> tuple[int, list[tuple[int, int, int, int]]]:
    """Field and parts by which an original is named; 0 where it is not."""
    if data is None:
        return 0, []
    parts = []
    for part in data.parts:
        at = Place(0, 0, 0) if part.field == "mti" else place(file, part.field)
        parts.append((at.field, at.start, part.size or at.size, part.length_digits))
    return data.field, parts


def _terminal_says(file: DialectFile) -> TerminalSays | None:
    table = file.terminal_says
    if table is None:
        return None
    kinds = [Kind[kind.upper()] for kind in table.kinds]
    return TerminalSays(kinds, _said_place(file, table.serial_number), _said_place(file, table.position))


def _said_place(file: DialectFile, said: SaidPlace | None) -> tuple[int, int, int, list[str], int, int]:
    """Where a value stands, with the tags that lead to it; field 0: nowhere."""
    if said is None:
        return 0, 0, 0, [], 0, 0
    at = place(file, said.field)
    return at.field, at.start, at.size, said.tags, len(said.tags[0]) if said.tags else 0, said.length_digits


def _partial_mark(file: DialectFile) -> tuple[int, int, str, str]:
    """Where, and with which characters, a terminal says that it can take a part, or not; field 0: it cannot say."""
    mark = file.partial_approval
    if mark.field is None:
        return 0, 0, "", ""
    at = place(file, mark.field)
    return at.field, at.start, mark.value, mark.denial


def _sign_in(
    file: DialectFile,
) -> tuple[tuple[int, int, int], list[tuple[str, list[int], int, bool, bool]], tuple[int, int]]:
    """Where a sign-in says which form of keys it wants, the forms, and where the batch number stands."""
    rules = file.sign_in
    at = Place(0, 0, 0) if rules.form is None else place(file, rules.form)
    batch = Place(0, 0, 0) if rules.batch is None else place(file, rules.batch)
    asked = {"": SignInForm()} if rules.form is None else rules.forms
    mac_key = MAC_KEY_FORMS.index(rules.mac_key)
    forms = [
        (text, list[int](form.key_bytes), mac_key, form.track_key, form.algorithm == "sm4")
        for text, form in asked.items()
    ]
    return (at.field, at.start, at.size), forms, (batch.field, batch.start)


def _tracks(file: DialectFile) -> tuple[tuple[int, int], str, str, list[int]]:
    """Where a request says that its tracks are enciphered, by what, what is said otherwise, and the tracks."""
    rules = file.track_encryption
    if rules is None:
        return (0, 0), "", "", []
    at = place(file, rules.mark)
    return (at.field, at.start), rules.value, rules.clear, list(rules.fields)


def _entry_modes(file: DialectFile) -> tuple[int, list[str], list[tuple[str, int]]]:
    """Field, text by mode, and mode by pattern."""
    modes = file.entry_modes
    if modes is None:
        return 0, [], []
    patterns = [(pattern, ENTRY_MODES.index(mode)) for pattern, mode in modes.read]
    return int(modes.field), [modes.write[mode] for mode in ENTRY_MODES], patterns


def _mac_size(layout: Mapping[str, Entry]) -> int:
    """Bytes of the MAC field on the wire."""
    return int(layout["64"]["max_len"]) if "64" in layout else 0


def _number(reference: str) -> int:
    return 0 if reference == "mti" else int(reference)
