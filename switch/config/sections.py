"""Tables of the configuration that stand by themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from switch.config.value_types import AdminAddress, BindAddress, FilePath, KeyName, Name, Network, TimeOfDay
from switch.files.sections import Section, count, milliseconds

CredentialName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$")]
"""A credential of systemd: a file name, and never a path."""


class MasterKeyToken(Section):
    """A token (hardware security module) that has the master key, behind PKCS#11."""

    module: FilePath = Field(description="The library of the token's maker.")
    token: str = Field(description="Label of the token.", min_length=1, max_length=32)
    key: str = Field(description="Label of the key, of AES-256; `authswitch keys init` makes one.", min_length=1)
    pin_file: FilePath | None = Field(None, description="File with the user's PIN, of mode 0600 or 0400.")
    pin_credential: CredentialName | None = Field(None, description="Instead: the credential of systemd with the PIN.")


class KeysSection(Section):
    """The sealed key file, and where the master key is that opens it: exactly one of the places."""

    file: FilePath = Field(description="The sealed key file; `authswitch keys` makes and changes it.")
    master_key_file: FilePath | None = Field(
        None, description="File with the master key; nobody but its owner may use it (mode 0600 or 0400)."
    )
    master_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        None, description="Name of the environment variable that holds the master key."
    )
    master_key_credential: CredentialName | None = Field(
        None, description="Name of the credential that systemd gives the unit (`LoadCredential=`), with the master key."
    )
    master_key_token: MasterKeyToken | None = Field(None, description="The token that has the master key.")
    former_seconds: int = count(
        900,
        "After a link's new MAC key is taken up, answers under the one that it has replaced are taken for so long.",
        least=0,
        most=604_800,
    )
    terminal_former_seconds: int = count(
        900,
        "Where a terminal's keys were replaced, and the former ones kept: after the first use of the new ones, what "
        "comes under those is taken for so long.",
        least=0,
        most=604_800,
    )


class LinkKeyExchange(Section):
    """Keys that the issuer and we give each other while the daemon runs, by network management messages."""

    under: KeyName = Field(description="Name of the zone master key (ZMK) in the key file, under which they travel.")
    ask_seconds: int = count(
        0,
        "Ask the issuer for new keys at each start, and again so long after the last ones came; 0: only when "
        "`authswitch keys exchange` says so. What the issuer sends by itself is always taken.",
        least=0,
        most=31_536_000,
    )


class RegistrySection(Section):
    """Who may speak: as two files say it, or as the store does."""

    merchants: FilePath | None = Field(None, description="CSV file of the merchants.")
    terminals: FilePath | None = Field(None, description="CSV file of the terminals.")
    store_copy: FilePath | None = Field(
        None,
        description="Instead of files: a folder of the daemon's own, with a copy of what the store says of merchants "
        "and terminals, so that a start does not need it. Changes in the store are in force within a second.",
    )
    binding: Literal["where it is", "demanded"] = Field(
        "where it is",
        description="`demanded`: a terminal of the store is served only where it is bound to its merchant's elements. "
        "Otherwise only those that are bound must be as they were bound. See docs/merchants.md.",
    )
    proof_seconds: int = count(
        60, "So often what the store's terminals are bound to is proven, for changes behind its audit.", most=86_400
    )
    place_metres_max: int = count(500, "So far from its place a terminal may say that it is.", least=10, most=100_000)
    serial_number: Literal["where it is said", "demanded"] = Field(
        "where it is said",
        description="`demanded`: a terminal must say its serial number in the kinds of messages that its dialect "
        "names for that.",
    )
    position: Literal["where it is said", "demanded"] = Field(
        "where it is said", description="`demanded`: the same of where it is, for terminals whose position is known."
    )

    @property
    def terminals_place(self) -> str:
        """Where terminals are kept, for problems."""
        return str(self.terminals or f"{self.store_copy}: terminals")

    @property
    def merchants_place(self) -> str:
        """Where merchants are kept, for problems."""
        return str(self.merchants or f"{self.store_copy}: merchants")


class RoutesSection(Section):
    """Which card goes to which links."""

    file: FilePath | None = Field(None, description="CSV file of BIN ranges and their links.")
    store_copy: FilePath | None = Field(
        None,
        description="Instead of a file: a folder of the daemon's own, with a copy of the version that is in force in "
        "the store. Another version is in force within a second. May be the registry's folder.",
    )

    @property
    def place(self) -> str:
        """Where they are, for problems."""
        return str(self.file or f"{self.store_copy}: routes")


class RiskSection(Section):
    """Limits and blocks."""

    file: FilePath | None = Field(None, description="TOML file of limits, blocked cards, BINs and countries.")
    store_copy: FilePath | None = Field(
        None,
        description="Instead of a file: a folder of the daemon's own, with a copy of the version that is in force in "
        "the store. Another version is in force within a second. May be the registry's folder.",
    )


class HoldsSection(Section):
    """Links that people hold out of service."""

    store_copy: FilePath = Field(
        description="A folder of the daemon's own, with a copy of what the store says of links that are held out. What "
        "is said there is in force within a second. May be the registry's folder.",
    )


class EndpointsSection(Section):
    """Endpoints and limits of links that the back office says."""

    store_copy: FilePath = Field(
        description="A folder of the daemon's own, with a copy of the version that is in force in the store. Another "
        "version is in force within a second. May be the registry's folder.",
    )
    networks: tuple[Network, ...] = Field(
        (),
        strict=False,
        max_length=64,
        description="Where the store's endpoints may be of links without `tls.server_name`, beside those of the file.",
    )


class OriginalsSection(Section):
    """What voids, refunds and completions refer to: how long it is looked for, and what follows."""

    timeout_ms: int = milliseconds(5_000, "A request waits for its original no longer.", most=60_000)
    waiting_max: int = count(1_000, "Requests that wait at one time; above it terminals are told 96.", most=100_000)
    not_found: Literal["forward", "refuse"] = Field("forward", description="Send it as it is said, or answer 25.")
    excess: Literal["refuse", "forward"] = Field(
        "refuse",
        description="Tell the terminal 12, 13 or 25 of what goes beyond its original, or let the issuer decide.",
    )
    completion_percent_max: int = count(115, "Of a hold, that completions may come to.", least=100, most=1_000)


class DatabaseSection(Section):
    """A database: a file, or one of a server."""

    url: str = Field(
        min_length=1,
        max_length=1_000,
        description="`sqlite:PATH` (relative to this file's folder), or `postgresql://USER@HOST/DATABASE` with what "
        "libpq takes behind a `?`; a server on another machine needs `sslmode=verify-full`.",
    )
    password_file: FilePath | None = Field(
        None, description="File with the database's password; nobody but its owner may use it (mode 0600 or 0400)."
    )


class StoreSection(DatabaseSection):
    """The back office's database. The path of a payment never waits for it."""

    proposal_days: int = count(7, "So long a proposal waits for another person; then it expires.", least=1, most=90)


class BooksSection(DatabaseSection):
    """The books (`authswitch books serve`): a process of its own, and a database of its own; needs the journal."""

    cut_over: TimeOfDay = Field(
        "23:00", description="When a business day ends and the next one begins, in the time zone of `switch.timezone`."
    )
    chart: FilePath | None = Field(
        None, description="TOML file with accounts and posting rules, in the place of those that come with the program."
    )
    metrics: BindAddress | None = Field(
        None, description="Where `books serve` listens for Prometheus, such as `127.0.0.1:9587`; without it, nowhere."
    )


class HttpSection(Section):
    """Where a process of the back office listens, and how much it lets in."""

    bind: AdminAddress = Field(
        description="Where it listens: `unix:` and a path, or an address; TLS is required where that is not loopback."
    )
    group: Name | None = Field(
        None, description="A group of this machine whose members may use the Unix socket, too; its mode is 0660 then."
    )
    certificate: FilePath | None = Field(None, description="PEM file of its certificate, for TLS.")
    private_key: FilePath | None = Field(None, description="PEM file of the certificate's private key.")
    connections_max: int = count(100, "Requests at once; more are answered 503.", least=1, most=10_000)
    body_bytes_max: int = count(65_536, "Of a request.", least=1_024, most=1 << 20)


class BackofficeSection(HttpSection):
    """The back office's API (`authswitch backoffice serve`), a process of its own."""

    requests_per_second: int = count(
        50, "Of one token in force, in the long run; of all who have none, together.", least=1, most=100_000
    )
    import_bytes_max: int = count(64 << 20, "Of a file that is imported.", least=1_024, most=1 << 30)


class ApplicationsSection(Section):
    """How merchants are taken on; needs ``[store]`` and ``[keys]``."""

    rules: FilePath = Field(description="TOML file with limits, deadlines, papers and lists, each with its source.")


class ApplicantsSection(HttpSection):
    """The applicants' own way in (`authswitch applicants serve`), a process of its own; needs ``[applications]``."""

    title: str = Field("Card acceptance", min_length=1, max_length=80, description="What stands above its pages.")
    contact: str = Field(
        "", max_length=200, description="Whom applicants ask, such as a telephone number; it stands below its pages."
    )
    behind_proxy: bool = Field(
        False,
        description="Whether a proxy stands before it that speaks TLS with applicants, and puts their addresses last "
        "into `X-Forwarded-For`.",
    )
    requests_per_second: int = count(5, "Of one address, in the long run; ten times that at once.", least=1, most=1_000)
    wrong_secrets_max: int = count(10, "Of one address, in 15 minutes; behind that none is looked at.", most=1_000)
    drafts_per_address: int = count(5, "Applications that one address begins in a day.", most=100_000)
    drafts_per_day: int = count(200, "Applications that all together begin in a day.", most=100_000)
    changes_per_day: int = count(60, "Changes of one application by its applicant in a day.", least=10, most=10_000)
    papers_bytes_max: int = count(20 << 20, "Papers of one application.", least=1_024, most=1 << 30)
    drafts_bytes_max: int = count(
        2 << 30, "Papers of all applications of applicants together that nobody has decided.", least=1_024, most=1 << 40
    )


BASE_KEYS_MAX = 64


class BaseKeySection(Section):
    """A base derivation key (BDK), which the PIN keys of terminals come of (DUKPT)."""

    serial_numbers: Annotated[str, Field(pattern=r"^[0-9A-F]{1,16}$")] = Field(
        description="Hex digits in upper case with which the key serial numbers of its terminals begin; the longest "
        "that fits is taken."
    )
    key: KeyName = Field(description="Name of the base derivation key in the key file.")
    cipher: Literal["des", "aes"] = Field(
        "des",
        description="`des`: ANSI X9.24-1:2009, for PIN blocks `iso-0`, `iso-1` and `iso-3`; `aes`: ANSI X9.24-3:2017, "
        "for `iso-4`.",
    )
