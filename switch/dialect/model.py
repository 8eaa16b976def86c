"""The tables of a dialect file, as pydantic checks them; what one table says about another is checked in ``checks``."""

from __future__ import annotations

import codecs
from difflib import get_close_matches
from hashlib import sha1
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from switch.crypto.mac import ALGORITHMS
from switch.crypto.sign_in_keys import MAC_KEY_FORMS
from switch.dialect.kinds import KINDS
from switch.dialect.reasons import FALLBACKS, REASONS
from switch.files.choices import NO_TRUTH_VALUE
from switch.wire.spec import CodePage

ANSWERS_OWN = {
    38: "the authorization code, which the issuer gives",
    39: "the response code, which no request has",
    54: "amounts such as a balance, which the issuer gives",
    64: "the MAC, which is another one in each message",
    128: "the MAC, which is another one in each message",
}
"""Fields that an answer does not repeat from its request, and what they are: nothing can be verified by them."""


class Table(BaseModel):
    """A table of which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _one_of(known: tuple[str, ...], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            near = get_close_matches(value, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise ValueError(f"needed {what}, got {value!r}{hint}")
        return value

    return AfterValidator(check)


SAID_TAG_MAX = 8
"""Characters of a tag, as ``ext/dialect/terminal_says.pxd`` has it."""

CATALOGUES = Path(__file__).parent / "catalogues"


def _catalogue(name: str) -> str:
    known = sorted(path.stem for path in CATALOGUES.glob("*.toml"))
    if name not in known:
        raise ValueError(f"needed a catalogue, one of {', '.join(known)}, got {name!r}")
    return name


def _text_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"unknown encoding {name!r}") from None
    return name


def _one_byte_encoding(name: str) -> str:
    _text_encoding(name)
    CodePage(name)
    return name


def _numeric_encoding(name: str) -> str:
    return name if name == "bcd" else _one_byte_encoding(name)


def _length_encoding(name: str) -> str:
    return name if name in ("bcd", "binary") else _one_byte_encoding(name)


ENTRY_MODES = (
    "unspecified",
    "manual",
    "manual_pin",
    "magnetic",
    "magnetic_pin",
    "chip",
    "chip_pin",
    "contactless_chip",
    "contactless_chip_pin",
    "contactless_magnetic",
    "contactless_magnetic_pin",
    "fallback",
    "fallback_pin",
)
"""Ways in which a card is read; fallback is the stripe of a chip card whose chip could not be read."""

KindName = Annotated[str, _one_of(KINDS[1:], "a kind of transaction")]
ReasonName = Annotated[str, _one_of(REASONS, "a reason")]
AlgorithmName = Annotated[str, _one_of(ALGORITHMS, "a MAC algorithm")]
MacKeyForm = Annotated[str, _one_of(MAC_KEY_FORMS, "a form of the MAC key")]
EntryModeName = Annotated[str, _one_of(ENTRY_MODES, "an entry mode")]
FieldNumber = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}$")]
FieldReference = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}(\.[0-9]+)*$")]
ResponseCode = Annotated[str, Field(pattern=r"^[0-9A-Z]{2,3}$")]
Mti = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
HexNibble = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]$")]


class Pad(Table):
    """The nibble that makes whole bytes of an odd number of digits."""

    side: Literal["left", "right"]
    nibble: HexNibble


class Encoding(Table):
    """How the dialect writes digits, text, bytes and lengths."""

    mti: Annotated[str, AfterValidator(_numeric_encoding)]
    bitmap: Literal["hex", "binary"]
    numeric: Annotated[str, AfterValidator(_numeric_encoding)]
    text: Annotated[str, AfterValidator(_one_byte_encoding)]
    binary: Literal["hex", "binary"]
    length: Annotated[str, AfterValidator(_length_encoding)]
    fixed_pad: Pad = Pad(side="left", nibble="0")
    variable_pad: Pad = Pad(side="right", nibble="F")


class FieldOverride(Table):
    """What a field is in this dialect, where that differs from the catalogue; pyiso8583's keys, and three of ours."""

    format: str | None = None
    key: Annotated[str | None, Field(pattern=r"^[a-z][a-z0-9_]*$")] = None
    content: Literal["any", "n", "a", "an", "ans", "z", "x+n", "hex"] | None = None
    desc: str | None = None
    data_enc: str | None = None
    len_enc: str | None = None
    len_type: Annotated[int, Field(ge=0, le=4)] | None = None
    max_len: Annotated[int, Field(ge=1, le=9999)] | None = None
    len_count: Literal["bytes", "nibbles"] | None = None
    left_pad: str | None = None
    right_pad: str | None = None


class LengthTable(Table):
    """The length with which a frame begins."""

    encoding: Literal["binary-be", "binary-le", "bcd", "ascii"] = "binary-be"
    size: Annotated[Literal[2, 4], NO_TRUTH_VALUE] = 2
    includes_itself: bool = False


class TpduHeader(Table):
    """Five bytes: identifier, destination, origin; the addresses change places in an answer."""

    type: Literal["tpdu"]
    hex: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{10}$")] = "6000000000"
    counted: bool = True


class FixedHeader(Table):
    """Any bytes; an answer has those of its request."""

    type: Literal["fixed"]
    hex: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2})+$")]
    requirement_digit: Annotated[int | None, Field(ge=1)] = None
    """Which of the digits, counted from 1, tells a terminal what to do next; 3 is to sign in again."""
    counted: bool = True


class LiteralHeader(Table):
    """Characters that must be equal, then digits of any value, such as ``ISO026000075``."""

    type: Literal["literal"]
    text: Annotated[str, Field(pattern=r"^[ -~]+$")]
    digits: Annotated[str, Field(pattern=r"^[0-9]*$")] = ""
    counted: bool = True


class VisaHeader(Table):
    """The header of Visa's BASE I: its own size first, the total size, station addresses."""

    type: Literal["visa"]
    hex: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2})+$")] | None = None
    counted: bool = True


Header = Annotated[TpduHeader | FixedHeader | LiteralHeader | VisaHeader, Field(discriminator="type")]


class FramingTable(Table):
    """How messages are marked off on a stream; ``switch.wire.framing.Framing`` is made from it."""

    length: LengthTable = LengthTable()
    headers: list[Header] = []
    trailer: Literal["none", "etx"] = "none"
    trailer_counted: bool = False
    keep_alive: bool = False
    message_size_max: Annotated[int, Field(ge=1, le=65_535)] = 4096


class MacRules(Table):
    """Which messages carry a MAC, over what, and in which form."""

    algorithm: AlgorithmName
    padding: Annotated[Literal[1, 2], NO_TRUTH_VALUE] = 1
    form: Literal["binary", "hex"] = "binary"
    coverage: Literal["up-to-mac"] | list[FieldReference | Literal["mti"]] = "up-to-mac"
    kinds: list[KindName] = []


class NaturalKey(Table):
    """What tells two transactions apart beside terminal, merchant, class of the MTI, and STAN."""

    fields: list[FieldReference]


class ResponseCodes(Table):
    """The codes of field 39."""

    set: str
    write: dict[ReasonName, ResponseCode]
    read: dict[ResponseCode, Annotated[tuple[ReasonName, str], Field(strict=False)]]
    accepted: dict[Annotated[str, Field(pattern=r"^[1-8]$")], ResponseCode] = {}

    def written(self, reason: str) -> str:
        """The code that says a reason."""
        return self.write[reason if reason in self.write else FALLBACKS[reason]]


class KindEntry(Table):
    """One way to write a kind, or to know it."""

    mti: Mti
    processing_code: Annotated[str, Field(pattern=r"^([0-9]{2}|[0-9]{4}|[0-9]{6})$")] | None = None
    where: dict[FieldReference, str] = {}


class KindCode(Table):
    """Where a kind is told apart beside MTI and processing code: condition code, function code, 60.1."""

    field: FieldReference
    default: str


class EntryModes(Table):
    """How the dialect says how the card was read, and whether with a PIN."""

    field: FieldNumber
    write: dict[EntryModeName, str]
    read: list[Annotated[tuple[str, EntryModeName], Field(strict=False)]]


class Subfield(Table):
    """A part of a field at a fixed place; a size of 0 reaches to the end."""

    name: str
    size: Annotated[int, Field(ge=0)]
    desc: str
    secret: bool = False
    encoding: Annotated[str, AfterValidator(_text_encoding)] | None = None
    """Of the characters of a field that is read as one character a byte."""


class Variant(Table):
    """What a field is made of in certain messages."""

    mti: Mti
    where: dict[FieldReference, str] = {}
    bytes: int | None = None
    parts: list[Subfield]


class PartialApproval(Table):
    """How a terminal says that it can take the approval of a part, and what a reversal of one says."""

    field: FieldReference | None = None
    """Where a terminal's request says it; None: the dialect has no place for that."""
    value: str = "1"
    """What stands there when it can."""
    denial: str = "0"
    """What stands there when it cannot."""
    reversal_amount: Literal["approved", "requested"] = "approved"
    """The amount in field 4 of a reversal."""


class TrackEncryption(Table):
    """Tracks that terminals encipher under their track key: the eight bytes before the last one, of packed digits."""

    source: Annotated[str, Field(min_length=1)]
    """What this was taken from; `unconfirmed` where nobody compared it with that."""
    mark: FieldReference
    """Where a request says that its tracks are enciphered."""
    value: Annotated[str, Field(min_length=1, max_length=4)] = "1"
    """What stands there then."""
    clear: Annotated[str, Field(min_length=1, max_length=4)] = "0"
    """What stands there when they are in clear, as the issuer gets them."""
    fields: Annotated[list[Literal[35, 36]], Field(min_length=1)] = [35, 36]


class SignInForm(Table):
    """A key block that a terminal may ask for when it signs in."""

    key_bytes: Annotated[list[Literal[8, 16, 24]], Field(min_length=1)] = [8, 16, 24]
    """Bytes that the PIN key may have; they say how many are there for each key."""
    track_key: bool = False
    """Whether the track key follows the MAC key."""
    algorithm: Literal["des", "sm4"] = "des"
    """Of all keys, the terminal's master key too; those of SM4 have 16 bytes."""


class SignIn(Table):
    """What the answer to a terminal's sign-in has in it."""

    form: FieldReference | None = None
    """Where the request says which form it wants; None: all get the same."""
    forms: dict[str, SignInForm] = {}
    """By what stands there: what the answer brings. What is not listed is refused."""
    mac_key: MacKeyForm = "own"
    """How the MAC key stands behind the PIN key, one of ``MAC_KEY_FORMS``."""
    batch: FieldReference | None = None
    """The batch number of six digits, in request and answer; None: the dialect has none."""


HexBytes = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2})+$")]
DownloadCode = Annotated[str, Field(min_length=1, max_length=12)]


class DownloadGroup(Table):
    """How a terminal asks for entries of one kind: for the list, for one of it, and that it has all."""

    heads: DownloadCode
    entry: DownloadCode
    end: DownloadCode


class CaKey(Table):
    """The public key of a card scheme, with which a terminal verifies chips (EMV book 2)."""

    rid: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{10}$")]
    """The scheme's registered identifier."""
    index: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}$")]
    expires: Annotated[str, Field(pattern=r"^20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$")]
    """YYYYMMDD."""
    modulus: Annotated[HexBytes, Field(min_length=128, max_length=496)]
    exponent: Literal["03", "010001"]
    check_value: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{40}$")]
    """SHA-1 of identifier, index, modulus and exponent: a key that was mistyped is refused by it."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        content = bytes.fromhex(self.rid + self.index + self.modulus + self.exponent)
        if sha1(content, usedforsecurity=False).hexdigest().upper() != self.check_value.upper():
            raise ValueError("the check value is not that of the key")
        return self


class ChipApplication(Table):
    """An application of chips that terminals take, and its parameters."""

    aid: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}){5,16}$")]
    data: Annotated[HexBytes, Field(max_length=980)]
    """Data objects (TLV) in hex, as the terminal keeps them; without 9F06, which is the AID."""


class Downloads(Table):
    """What terminals load from the switch."""

    code: FieldReference | None = None
    """Where a request says what it wants; None: nothing is offered."""
    field: Annotated[int, Field(ge=2, le=128)] = 62
    """In which request and answer say the rest."""
    parameter_list: DownloadCode | None = None
    """What asks for ``parameters``."""
    ca_key_codes: DownloadGroup | None = None
    application_codes: DownloadGroup | None = None
    acknowledged: list[DownloadCode] = []
    """What is answered with yes and no data, such as a terminal's report of its state."""
    empty: list[DownloadCode] = []
    """What is answered with a list of nothing."""
    parameters: dict[Annotated[str, Field(pattern=r"^[0-9]{2}$")], Annotated[str, Field(pattern=r"^[ -~]{1,80}$")]] = {}
    """By number, each value in the width that the terminals expect."""
    ca_keys: Annotated[list[CaKey], Field(max_length=99)] = []
    applications: Annotated[list[ChipApplication], Field(max_length=99)] = []


class KeyExchange(Table):
    """Keys that an issuer and we give each other by messages of the kind ``key_exchange``."""

    source: Annotated[str, Field(min_length=1)]
    """What this was taken from; `unconfirmed` where nobody compared it with that."""
    choice: FieldReference
    """Where a message says which key it is about."""
    pin_key: Annotated[str, Field(pattern=r"^[0-9A-Z]{1,16}$")]
    """With what that begins where it is the PIN key (ZPK)."""
    mac_key: Annotated[str, Field(pattern=r"^[0-9A-Z]{1,16}$")]
    """The same of the MAC key (ZAK)."""
    key: Annotated[int, Field(ge=2, le=128)]
    """The field with the key under the ZMK and the check value behind it, in hex digits or bytes; or a key block."""


class OriginalPart(Table):
    """One part of the data that name an original."""

    field: FieldReference | Literal["mti"]
    size: Annotated[int, Field(ge=0, le=42)] = 0
    length_digits: Annotated[int, Field(ge=0, le=3)] = 0


class OriginalData(Table):
    """Where and how a reversal names its original."""

    field: Annotated[int, Field(ge=2, le=128)]
    parts: list[OriginalPart]


class SaidPlace(Table):
    """Where a value stands: in a field, or in values with tags within it, the first tag's holding the second."""

    field: FieldReference
    tags: Annotated[list[Annotated[str, Field(pattern=r"^[!-~]+$", max_length=SAID_TAG_MAX)]], Field(max_length=4)] = []
    length_digits: Annotated[int, Field(ge=1, le=3)] = 3
    """Of the decimal length behind each tag."""


class TerminalSaysTable(Table):
    """Where a terminal says which machine it is, and where it is."""

    source: Annotated[str, Field(min_length=1)]
    """What this was taken from; `unconfirmed` where nobody compared it with that."""
    kinds: list[KindName]
    """Messages that must say it where the configuration demands it. What others say is compared, too."""
    serial_number: SaidPlace | None = None
    position: SaidPlace | None = None
    """Latitude, then longitude, in decimal degrees."""


Rule = str | list[str]
FieldRules = dict[FieldNumber, Rule]


class Policies(Table):
    """Where the fields of the messages that we compose come from."""

    request: FieldRules
    advice: FieldRules = {}
    """What is otherwise in an advice than in a request."""
    reference: FieldRules = {}
    """What is otherwise in a request that refers to an original: void, refund, completion."""
    unknown_reversal: FieldRules = {}
    """What is otherwise in a terminal's reversal that is passed on because its original is not known."""
    answer: FieldRules
    reversal: FieldRules
    network_answer: FieldRules


class NetworkMessage(Table):
    """A network management message that we begin."""

    mti: Mti
    fields: FieldRules


class DialectFile(Table):
    """A dialect as its files say, all that it extends included."""

    description: str
    catalogue: Annotated[str, AfterValidator(_catalogue)]
    family: str
    mti_version: Annotated[int, Field(ge=0, le=9)]
    only: list[Annotated[int, Field(ge=2, le=192)]] | None = None
    sensitive: list[Annotated[int, Field(ge=2, le=192)]]
    """Fields that are never kept and never shown."""
    harmless: list[Annotated[int, Field(ge=2, le=192)]] = []
    """Private fields that may be kept: the dialect vouches that nothing sensitive is in them."""
    stand_in_mark: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """What ``compute:stand_in`` writes into the advice of an approval by stand-in."""
    encoding: Encoding
    framing: FramingTable
    fields: dict[FieldNumber, FieldOverride] = {}
    subfields: dict[FieldNumber, list[Subfield]] = {}
    variants: dict[FieldNumber, list[Variant]] = {}
    mac: MacRules
    natural_key: NaturalKey
    verify: list[Annotated[int, Field(ge=2, le=192)]] = [11, 41, 4]
    """What a link verifies unless its configuration says otherwise: fields that issuers repeat in their answers."""
    partial_approval: PartialApproval = PartialApproval()
    sign_in: SignIn = SignIn()
    downloads: Downloads = Downloads()
    key_exchange: KeyExchange | None = None
    track_encryption: TrackEncryption | None = None
    response_codes: ResponseCodes
    kind_code: KindCode | None = None
    entry_modes: EntryModes | None = None
    kinds: dict[KindName, Annotated[list[KindEntry], Field(min_length=1)]]
    policy: Policies
    original_data: OriginalData | None = None
    reference: OriginalData | None = None
    """The same of voids, refunds and completions, where that is otherwise than in reversals."""
    terminal_says: TerminalSaysTable | None = None
    network: dict[Literal["sign_on", "sign_off", "echo_test", "key_exchange", "cut_over"], NetworkMessage] = {}
