"""The form as people fill it in: its fields, what a browser sends of them, and what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header
from starlette.requests import Request

from switch.applications.forms import SEALED
from switch.applications.policy import ApplicantKind
from switch.backoffice.problems import ProblemError

FIELDS_MAX: Final = 40
MULTIPART: Final = b"multipart/form-data"
NUMBERS: Final = ("terminal_count",)
ALL: Final[tuple[ApplicantKind, ...]] = ("company", "person")
MONTH: Final = "month_minor"
AMOUNT_DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class FormField:
    """One field.

    Attributes:
        name: As the form of the application has it.
        label: What stands before it.
        hint: What stands below that.
        kinds: Of applicants that have it.
        sort: Of the input.
        fill: What a browser may fill in by itself.
        is_needed: Whether it must be told.
    """

    name: str
    label: str
    hint: str = ""
    kinds: Sequence[ApplicantKind] = ALL
    sort: str = "text"
    fill: str = "off"
    is_needed: bool = True

    @property
    def is_sealed(self) -> bool:
        """Whether what was told is never shown again."""
        return self.name in SEALED


GROUPS: Final[Sequence[tuple[str, Sequence[FormField]]]] = (
    (
        "Who applies",
        (
            FormField("legal_name", "Legal name", "As it stands in the licence or identity card.", fill="organization"),
            FormField("identity", "Unified social credit code", "18 characters, from the licence.", ("company",)),
            FormField("identity", "Identity number", "18 characters, from the identity card.", ("person",)),
            FormField("licence_until", "Last day of the licence", "Empty, if it has no end.", ("company",), "date",
                      is_needed=False),
            FormField("representative_name", "Name of the legal representative", kinds=("company",), fill="name"),
            FormField("representative", "Identity number of the legal representative", kinds=("company",)),
            FormField("contact", "Telephone", "Where we reach you.", sort="tel", fill="tel"),
        ),
    ),
    (
        "Account for payouts",
        (
            FormField("account", "Account number", sort="text"),
            FormField("account_holder", "Account holder", "If this is somebody else, we ask you about it."),
        ),
    ),
    (
        "The shop",
        (
            FormField("trading_name", "Trading name", "What customers know it by."),
            FormField("category", "Line of business", sort="category"),
            FormField("place", "Address of the shop", fill="street-address"),
            FormField(MONTH, "Card turnover that you expect in a month", sort="amount"),
            FormField("terminal_count", "Number of terminals", sort="number"),
        ),
    ),
)  # fmt: skip


PLAN: Final = FormField("plan", "Plan", sort="plan")
"""Who begins has chosen it before; later it is a field."""

Groups = list[tuple[str, list[FormField]]]


def groups_for(kind: str, *, is_new: bool) -> Groups:
    """The fields of a kind of applicant, who begins or alters what he has told."""
    groups = [(title, [one for one in fields if kind in one.kinds]) for title, fields in GROUPS]
    return groups if is_new else [*groups, ("The plan", [PLAN])]


def labels_for(kind: str) -> dict[str, str]:
    """What stands before each field, by its name."""
    return {one.name: one.label for _, fields in groups_for(kind, is_new=False) for one in fields}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a browser has sent.

    Attributes:
        content_type: As the browser says.
        content: Its bytes.
    """

    content_type: str
    content: bytes


def sent(request: Request) -> tuple[dict[str, str], dict[str, Upload]]:
    """The fields and files of a form that was sent, kept in memory.

    Raises:
        ProblemError: It cannot be read.
    """
    kind, options = parse_options_header(request.headers.get("Content-Type", ""))
    body: bytes = request.state.body
    try:
        if kind == MULTIPART:
            return _parts(body, options.get(b"boundary", b""))
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except (FormParserError, ValueError) as error:
        raise ProblemError(400, "the form cannot be read") from error
    return {name: text.strip() for name, text in pairs}, {}


def _parts(body: bytes, boundary: bytes) -> tuple[dict[str, str], dict[str, Upload]]:
    fields: list[Field] = []
    files: list[File] = []

    def note(one: Field | File) -> None:
        if len(fields) + len(files) == FIELDS_MAX:
            raise ValueError("too many fields")
        if isinstance(one, File):
            files.append(one)
        else:
            fields.append(one)

    parser = FormParser(
        MULTIPART.decode(), note, note, boundary=boundary, config={"MAX_MEMORY_FILE_SIZE": float("inf")}
    )
    parser.write(body)
    parser.finalize()
    texts = {_name(one): (one.value or b"").decode().strip() for one in fields}
    return texts, {_name(one): _upload(one) for one in files}


def _name(one: Field | File) -> str:
    return (one.field_name or b"").decode()


def _upload(one: File) -> Upload:
    one.file_object.seek(0)
    return Upload(one.content_type or "", one.file_object.read())


def told(kind: str, texts: Mapping[str, str], decimals: int, *, is_new: bool) -> dict[str, Any]:
    """What an applicant has filled in, as the form of an application has it.

    Args:
        kind: Of the applicant.
        texts: That the browser sent.
        decimals: Of the currency.
        is_new: Whether nothing was told before: else a sealed value that is empty stays.

    Raises:
        ProblemError: A number is none; ``errors`` names it.
    """
    values: dict[str, Any] = {}
    errors: list[tuple[str, str]] = []
    for _, fields in groups_for(kind, is_new=is_new):
        for one in fields:
            text = texts.get(one.name, "")
            if not text and one.is_sealed and not is_new:
                continue
            try:
                values[one.name] = _value(one, text, decimals)
            except (ValueError, InvalidOperation):
                errors.append((one.name, "needed a number"))
    if errors:
        raise ProblemError(422, "a field is wrong", tuple(errors))
    return values


def _value(field: FormField, text: str, decimals: int) -> Any:
    if field.name == MONTH:
        minor = Decimal(text.replace(",", "")).scaleb(decimals)
        if not minor.is_finite() or minor != minor.to_integral_value() or minor.adjusted() > AMOUNT_DIGITS_MAX:
            raise ValueError(text)
        return int(minor)
    if field.name in NUMBERS:
        return int(text)
    return None if field.sort == "date" and not text else text


def shown(form: Mapping[str, Any], decimals: int) -> dict[str, str]:
    """What fields show of what was told before; nothing of what is sealed."""
    texts = {name: "" if value is None else str(value) for name, value in form.items() if name not in SEALED}
    texts[MONTH] = f"{Decimal(form[MONTH]).scaleb(-decimals):.{decimals}f}"
    return texts


def kept(texts: Mapping[str, str]) -> dict[str, str]:
    """What fields show of what was just filled in; sealed values are filled in anew."""
    return {name: text for name, text in texts.items() if name not in SEALED}
