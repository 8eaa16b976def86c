"""The configuration file as models: every key with its type, unit, limits, default and meaning.

The field descriptions are the reference manual: ``docs/configuration.md`` is tested against them. Units are the last
word of a name; money and card data never stand in a configuration.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from switch.config.addresses import Address
from switch.config.mesh_sections import ALONE, NODES_MAX, MeshSection, Node, NodeSection
from switch.config.sections import (
    BASE_KEYS_MAX,
    ApplicantsSection,
    ApplicationsSection,
    BackofficeSection,
    BaseKeySection,
    BooksSection,
    EndpointsSection,
    HoldsSection,
    KeysSection,
    LinkKeyExchange,
    OriginalsSection,
    RegistrySection,
    RiskSection,
    RoutesSection,
    StoreSection,
)
from switch.config.stand_in_sections import LinkStandIn
from switch.config.value_types import (
    WORKERS_MAX,
    AdminAddress,
    BindAddress,
    DialectName,
    EndpointAddress,
    FilePath,
    InstitutionId,
    KeyName,
    Name,
    Network,
    TlsVersion,
    WorkerCount,
    known_timezone,
)
from switch.files.choices import NO_TRUTH_VALUE
from switch.files.problems import Problem
from switch.files.sections import HOUR_MS, Section, count, milliseconds
from switch.machine.link import VERIFY_FIELDS_MAX
from switch.machine.numbering import INSTANCES_MAX
from switch.machine.partitioning import PARTITIONS_MAX

LISTENERS_MAX = 32
"""A terminal's allowed listeners are kept as 32 bits."""

LINKS_MAX = 1024


class SwitchSection(Section):
    """Who this switch is to the others."""

    name: Name = Field(description="Name of this switch in logs, metrics and on the admin side.")
    acquirer_id: InstitutionId = Field(description="Acquiring institution's identification code, field 32.")
    timezone: Annotated[str, AfterValidator(known_timezone)] = Field(
        "UTC",
        description="Time zone of local dates and times (fields 12 and 13), of the back office's days: an IANA name.",
    )
    instance: int = count(
        0,
        "Which of several switches with one `acquirer_id` this is, counted from 0: its reference numbers bear it, and "
        "its STANs are a part of their own. The journal remembers it.",
        least=0,
        most=INSTANCES_MAX - 1,
    )
    instances: int = count(1, "How many such switches there are; the same for all of them.", most=INSTANCES_MAX)
    workers: WorkerCount | None = Field(
        None,
        description='Processes that share the work; `"cores"`: as many as there are processors for it. Absent: as many '
        "as `[[node]]` says of this machine, and 1 where there is none.",
    )
    pin: bool = Field(default=False, description="Whether each of several workers keeps to a processor of its own.")
    alone: bool = Field(
        default=False,
        description="That no other switch takes terminals of this one at the same time, though they call through a "
        "load balancer: as with a reserve that takes its journal over. `check` does not warn of it then.",
    )
    numbers_file: FilePath | None = Field(
        None,
        description="File that keeps the highest number which was reserved, for when the journal is gone or off; by "
        "default the journal's directory with `.numbers` behind its name, and none with the journal off. Partition 1 "
        "has `.1` behind that, and so on.",
    )

    @property
    def workers_said(self) -> int | None:
        """How many workers there are on this machine; None: that is not said here."""
        return min(len(os.sched_getaffinity(0)), WORKERS_MAX) if self.workers == "cores" else self.workers


class AdminSection(Section):
    """The HTTP side for operators: metrics, health, status, drain."""

    bind: AdminAddress = Field(
        Address("127.0.0.1", 9583),
        description="Address that it listens on; or `unix:` and a path: a socket that its own user and root may use.",
    )
    scrape_bind: BindAddress | None = Field(
        None,
        description="A second address, which answers /metrics, /livez and /readyz and nothing else: for Prometheus and "
        "a load balancer, where `bind` is a Unix socket.",
    )
    group: Name | None = Field(
        None,
        description="A group of this machine whose members may use the Unix socket, too; with it its mode is 0660.",
    )
    tokens_file: FilePath | None = Field(
        None,
        description="Hashes of the tokens by which somebody may drain, or retry and close reversals, over TCP; mode "
        "0600. Without it nothing is changed over TCP: `authswitch tokens` makes it.",
    )
    allow_remote: bool = Field(
        False,
        description="Accept an address that is not loopback. What is asked there goes in clear: "
        "only with a firewall, or a proxy that speaks TLS.",
    )


class LogSection(Section):
    """What the daemon says on standard error."""

    format: Literal["json", "console"] = Field("json", description="One JSON object a line, or text for people.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level that is shown.")
    waiting_lines_max: int = count(
        10_000,
        "Lines that may wait for whoever reads the log; more are dropped and counted, and payments go on.",
        least=100,
        most=1_000_000,
    )


class JournalSection(Section):
    """Where the life of each transaction is kept."""

    mode: Literal["off", "files"] = Field(
        "off",
        description="files: in sealed files of `directory`, durable before a byte leaves that depends on it; off: "
        "nothing survives a crash, and reversals that were not delivered are lost with it.",
    )
    directory: FilePath | None = Field(
        None, description="Folder of the journal's files, of this daemon alone. Required with mode files."
    )
    partitions: int | None = Field(
        None,
        ge=1,
        le=PARTITIONS_MAX,
        description="How many partitions the journals are of, each in a folder of its own. Absent: as many as the "
        "directory has, and 1 where a journal begins. Of a directory in use only `authswitch partitions change` "
        "changes it, and of several nodes nothing does.",
    )
    segment_bytes: int = count(
        67_108_864, "Size of one file; the next one is allocated when it is half full.", least=2_097_152, most=1 << 30
    )
    buffer_bytes: int = count(
        8_388_608,
        "Records of a partition that wait for the disk; above half of it no new payment of it is accepted.",
        least=524_288,
        most=1 << 26,
    )
    retention_days: int = count(
        30, "Files whose last record is older are removed, unless something in them is still open.", most=3_660
    )
    retention_bytes: int | None = Field(
        None,
        ge=1 << 26,
        le=1 << 50,
        description="All files together, shared alike by the partitions; above it the oldest are removed, unless "
        "something in them is still open or they are younger than `originals_days`.",
    )
    originals_days: int = count(
        30,
        "Files whose last record is younger are never removed: the originals of reversals, voids and refunds are in "
        "them.",
        most=3_660,
    )


class LimitsSection(Section):
    """What the whole daemon may hold at once."""

    transactions_in_flight_max: int = count(
        100_000, "Transactions that wait for an issuer; above it terminals are told 96.", most=1_000_000
    )
    connections_max: int = count(
        20_000, "Connections of terminals on all listeners together; above it they are closed at once.", most=1_000_000
    )
    output_buffer_bytes_max: int = count(
        262_144,
        "Bytes waiting to be sent on one connection; a peer that reads so slowly is closed.",
        least=4_096,
        most=1 << 26,
    )
    duplicate_window_count_max: int = count(
        1_000_000,
        "Finished transactions remembered to answer a repeated request, with 512 bytes of messages each; above it new "
        "requests are told 96.",
        most=49_000_000,
    )
    terminal_share_percent: int = count(
        25,
        "Of the places that are free in the duplicate window, in the store of reversals, on a link and among what "
        "waits for a worker that is away, so much at most is one terminal's; above it that terminal is told 96. 100: "
        "nothing is kept for others.",
        most=100,
    )
    refusals_kept_max: int = count(
        100_000,
        "Requests that the switch itself has refused, remembered to answer their repeats; a terminal has its share, "
        "and above it its oldest make room.",
        most=10_000_000,
    )
    pin_devices_max: int = count(
        100_000,
        "PIN pads with DUKPT whose last key serial number is known, with 48 to 128 bytes each; of more of them those "
        "that were heard least lately are forgotten.",
        most=50_000_000,
    )
    requests_per_second: int = count(
        0,
        "Requests expected at busy times; `check` warns when the duplicate window cannot hold them. 0: not known.",
        least=0,
        most=1_000_000,
    )
    duplicate_window_seconds: int = count(600, "How long a finished transaction is remembered.", most=7 * 24 * 3600)
    reversals_max: int = count(
        100_000,
        "Reversals and advices waiting to be acknowledged; above seven eighths of it no new payment "
        "is accepted. Each may hold two STANs, so that twice as many and `transactions_in_flight_max` must not be "
        "above those of this instance: 999,999 divided by `switch.instances`.",
        most=10_000_000,
    )
    drain_seconds: int = count(30, "How long a drain waits for what is in flight.", most=3_600)
    partition_wait_ms: int = count(
        1_000,
        "How long a request waits for the worker that decides about its terminal, where that is being started again, "
        "before it is given up: a payment then gets no answer, for only that worker knows whether it was asked before.",
        least=0,
        most=10_000,
    )
    worker_silence_seconds: int = count(
        10,
        "Of several workers one whose event loop has stood still for so long is killed and started again.",
        least=2,
        most=3_600,
    )
    statistics_bytes: int = count(4_194_304, "Shared memory for counters and histograms.", least=65_536, most=1 << 30)


class ListenerTls(Section):
    """TLS on a listener."""

    certificate: FilePath = Field(description="PEM file of our certificate, followed by its intermediates.")
    private_key: FilePath = Field(description="PEM file of its private key, not encrypted.")
    client_ca: FilePath | None = Field(None, description="PEM file of the authorities of client certificates.")
    client_certificate: Literal["none", "required"] = Field(
        "none", description="Whether a terminal must show a certificate; needs `client_ca`."
    )
    client_identity: Literal["terminal", "any"] = Field(
        "terminal",
        description="terminal: the common name of the certificate must be that of the terminal (field 41) of every "
        "request: its id, or what `terminals.csv` says; any: the certificate only opens the door (a concentrator).",
    )
    minimum_version: TlsVersion = Field("1.2", description="The oldest version of TLS that is accepted.")


class ListenerSection(Section):
    """A port on which terminals call."""

    name: Name = Field(description="Name of the listener; `terminals.csv` refers to it.")
    bind: BindAddress = Field(description="Address that it listens on; port 0 lets the kernel choose.")
    dialect: DialectName = Field(description="Name of a built-in dialect, or the path of a dialect file.")
    mac: Literal["required", "optional", "none"] = Field(
        "required",
        description="required: a request without a right MAC is refused; optional: it may carry none, but a wrong one "
        "is refused; none: MACs are not looked at.",
    )
    partial_approval: Literal["never", "marked", "always"] = Field(
        "marked",
        description="Who is told when an issuer approves a part of the amount: terminals whose request says that they "
        "can take it (CUP 60.6), all terminals of this listener, or none. Of the others it is declined and reversed.",
    )
    first_message_timeout_ms: int = milliseconds(
        30_000, "A new connection on which no whole message came for so long is closed.", least=100
    )
    idle_timeout_ms: int = milliseconds(
        300_000, "A connection that says nothing for so long, with nothing in flight, is closed.", least=100
    )
    partial_frame_timeout_ms: int = milliseconds(
        10_000, "A frame that was begun must be complete within this time.", least=100, most=HOUR_MS
    )
    connections_max: int = count(10_000, "Connections on this listener.", most=1_000_000)
    requests_in_flight_max: int = count(
        64, "Requests of one connection that wait for an answer; above it we stop reading from it.", most=65_536
    )
    backlog: int = count(4_096, "Connections that the kernel keeps for us until we accept them.", most=65_535)
    proxy_trusted: tuple[Network, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        max_length=64,
        description="Addresses or networks of load balancers. Each connection must come from one of them, and begin "
        "with a PROXY header of version 2 (HAProxy: `send-proxy-v2`) that says whose it is. Absent: terminals call "
        "directly, and no header is expected.",
    )
    tls: ListenerTls | None = Field(None, description="TLS; without it the port speaks plain TCP.")


class LinkMac(Section):
    """The MAC between us and an issuer."""

    algorithm: Literal["x9.9", "x9.19", "cup-ecb", "cup-sm4", "aes-cmac"] = Field(description="The algorithm.")
    padding: Annotated[Literal[1, 2], NO_TRUTH_VALUE] = Field(
        1, description="Padding method of ISO 9797-1, where the algorithm leaves it open."
    )
    key: KeyName = Field(description="Name of the zone authentication key (ZAK) in the key file.")


class LinkPin(Section):
    """The PIN block between us and an issuer."""

    format: Literal["iso-0", "iso-1", "iso-3", "iso-4", "sm4"] = Field(
        "iso-0",
        description="Format of ISO 9564-1, or of SM4; `iso-4` and `sm4` need a field 52 of 16 bytes.",
    )
    key: KeyName = Field(description="Name of the zone PIN key (ZPK) in the key file.")


class LinkMatch(Section):
    """How an answer finds its request."""

    by: Literal["stan", "rrn"] = Field("stan", description="Look up by field 11 or by field 37, as we sent it.")
    verify: tuple[Annotated[int, Field(ge=2, le=192)], ...] | None = Field(
        None,
        strict=False,
        max_length=VERIFY_FIELDS_MAX,
        description="Fields that must be the same in the answer where it carries them, and one of which it must carry; "
        "else the answer is no match. Of field 4 see `partial_approval`. Default: what the dialect's issuers repeat, "
        "`[11, 41, 4]` in those that come with the switch.",
    )
    required: tuple[Annotated[int, Field(ge=2, le=192)], ...] = Field(
        (),
        strict=False,
        max_length=VERIFY_FIELDS_MAX,
        description="Fields of `verify` that an answer must carry where its request does; without one it is no match.",
    )


class LinkReversal(Section):
    """How reversals, and advices, are delivered to an issuer."""

    mti: Literal["0400", "0420"] = Field(
        "0420", description="Reversals as requests or as advices; repeats are 0401 or 0421."
    )
    interval_ms: int = milliseconds(10_000, "Wait before the first repeat; it doubles with each.", least=100)
    backoff_max_ms: int = milliseconds(600_000, "The longest wait between two repeats.", least=100)
    window: int = count(16, "Reversals and advices in flight on this link at once.", most=4_096)
    booking_horizon_seconds: int = count(
        1_800,
        "How long a request that was given up may still reach the issuer and be booked: until then a reversal that is "
        'answered with "original not found" (25) is sent again. 0: such an answer is believed at once.',
        least=0,
        most=604_800,
    )
    alert_seconds: int = count(
        3_600, "What is owed for longer is overdue: it is logged, counted, and kept all the same.", most=2_592_000
    )


class LinkTls(Section):
    """TLS on a link, whichever side calls."""

    ca: FilePath | None = Field(
        None,
        description="PEM file of the authorities of the issuer's certificate. Required where we connect; "
        "where the issuer connects, it must then show a certificate.",
    )
    certificate: FilePath | None = Field(
        None, description="PEM file of our certificate. Required where the issuer connects."
    )
    private_key: FilePath | None = Field(None, description="PEM file of its private key, not encrypted.")
    server_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")] | None = Field(
        None,
        description="Name that the issuer's certificate must bear; default is the host of the endpoint. Mode connect.",
    )
    peer_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,252}$")] | None = Field(
        None,
        description="Name that the issuer's certificate must bear as its common name or as a DNS name: an authority "
        "vouches for others too. Required with `ca`. Mode accept.",
    )
    minimum_version: TlsVersion = Field("1.2", description="The oldest version of TLS that is accepted.")


class LinkSection(Section):
    """An issuer (or the network before it) and the connections to it."""

    name: Name = Field(description="Name of the link; `routes.csv` refers to it.")
    dialect: DialectName = Field(description="Name of a built-in dialect, or the path of a dialect file.")
    mode: Literal["connect", "accept"] = Field("connect", description="Who calls: we, or the issuer.")
    endpoints: tuple[EndpointAddress, ...] = Field(
        (), strict=False, max_length=16, description="Addresses that we connect to; all are used at once. Mode connect."
    )
    bind: BindAddress | None = Field(None, description="Address on which the issuer calls. Mode accept.")
    peers: tuple[Network, ...] = Field(
        (), strict=False, max_length=64, description="Addresses or networks that may call. Mode accept."
    )
    connections: int = count(
        1, "Connections of each worker to each endpoint, or that the issuer may hold at once with each.", most=64
    )
    connections_total: int | None = Field(
        None,
        ge=1,
        le=1_024,
        description="Connections of all workers together, dealt out to endpoints and workers in turn, for issuers that "
        "allow only so many; instead of `connections`. Workers that have none send through those that have.",
    )
    connect_timeout_ms: int = milliseconds(
        5_000,
        "Wait for a connection, its TLS included; where the issuer calls, for its TLS.",
        least=10,
        most=HOUR_MS,
    )
    reconnect_min_ms: int = milliseconds(500, "Wait before the first attempt to connect again; it doubles with each.")
    reconnect_max_ms: int = milliseconds(30_000, "The longest wait between two attempts.")
    timeout_ms: int = milliseconds(
        15_000,
        "Wait for an answer; then the terminal is told of the time-out and a reversal follows.",
        least=10,
        most=600_000,
    )
    partial_approval: bool = Field(
        False,
        description="Pass on that the issuer approved a part of the amount, to terminals that can take it (see "
        "`listener.partial_approval`). Otherwise such a payment is declined, and reversed.",
    )
    in_flight_max: int = count(
        5_000, "Requests that wait for an answer on this link; above it the next link is asked.", most=900_000
    )
    timeouts_to_unhealthy: int = count(
        5, "Time-outs in a row after which the link is asked nothing until an echo test succeeds.", most=10_000
    )
    sign_on: bool = Field(True, description="Sign on (0800) when connected and sign off when drained.")
    echo_interval_ms: int = milliseconds(
        60_000, "Echo test (0800) when the link was idle for so long; 0 for never.", least=0
    )
    echo_timeout_ms: int = milliseconds(10_000, "Wait for the answer to an 0800; then we connect again.", least=10)
    partial_frame_timeout_ms: int = milliseconds(
        10_000, "A frame that was begun must be complete within this time.", least=100, most=HOUR_MS
    )
    idle_timeout_ms: int = milliseconds(
        300_000, "A connection on which nothing came for so long is closed and opened again; 0 for never.", least=0
    )
    institution_id: InstitutionId | None = Field(
        None, description="Forwarding institution's identification code, field 33; left out when absent."
    )
    match: LinkMatch = Field(LinkMatch(), description="How an answer finds its request.")
    reversal: LinkReversal = Field(LinkReversal(), description="How reversals and advices are delivered.")
    stand_in: LinkStandIn | None = Field(
        None, description="What is approved while the issuer cannot be asked; without it, nothing."
    )
    mac: LinkMac | None = Field(None, description="The MAC; without it messages are neither signed nor verified.")
    pin: LinkPin | None = Field(None, description="The PIN block; without it requests with a PIN are refused.")
    key_exchange: LinkKeyExchange | None = Field(None, description="New keys by messages; without it, by people alone.")
    tls: LinkTls | None = Field(None, description="TLS; without it the link speaks plain TCP.")


class Config(Section):
    """A whole configuration file, valid in itself."""

    switch: SwitchSection = Field(description="Who this switch is.")
    admin: AdminSection = Field(AdminSection(), description="HTTP side for operators.")
    log: LogSection = Field(LogSection(), description="Logs.")
    journal: JournalSection = Field(JournalSection(), description="Journal.")
    limits: LimitsSection = Field(LimitsSection(), description="Limits of the whole daemon.")
    originals: OriginalsSection = Field(OriginalsSection(), description="What refers to an earlier payment.")
    keys: KeysSection | None = Field(None, description="Keys; needed as soon as anything is signed or has a PIN.")
    registry: RegistrySection = Field(description="Merchants and terminals.")
    routes: RoutesSection = Field(description="Routes.")
    risk: RiskSection | None = Field(None, description="Risk control; without it nothing is limited or blocked.")
    endpoints: EndpointsSection | None = Field(None, description="Endpoints of links in the store.")
    holds: HoldsSection | None = Field(None, description="Links held out; without it none can be.")
    listeners: tuple[ListenerSection, ...] = Field(
        alias="listener", strict=False, min_length=1, max_length=LISTENERS_MAX, description="Ports for terminals."
    )
    links: tuple[LinkSection, ...] = Field(
        alias="link", strict=False, min_length=1, max_length=LINKS_MAX, description="Issuers."
    )
    store: StoreSection | None = Field(None, description="The back office's database; without it there is none.")
    backoffice: BackofficeSection | None = Field(None, description="The back office's API; without it there is none.")
    applications: ApplicationsSection | None = Field(None, description="Applications of merchants.")
    applicants: ApplicantsSection | None = Field(None, description="Where applicants ask; without it they cannot.")
    books: BooksSection | None = Field(None, description="The books; without it there are none.")
    mesh: MeshSection | None = Field(None, description="How this node speaks with the others; needed with `[[node]]`.")
    nodes: tuple[NodeSection, ...] = Field(
        (), alias="node", strict=False, max_length=NODES_MAX, description="The machines of one switch, all of them."
    )
    base_keys: tuple[BaseKeySection, ...] = Field(
        (),
        alias="base_key",
        strict=False,
        max_length=BASE_KEYS_MAX,
        description="Keys of which the PIN keys of terminals come.",
    )
    _file: Path = PrivateAttr(Path())
    _warnings: tuple[Problem, ...] = PrivateAttr(())

    @property
    def file(self) -> Path:
        """The file that was read."""
        return self._file

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is doubtful in it, though it can be used."""
        return self._warnings

    @property
    def proposals_last(self) -> timedelta:
        """How long a proposal waits for another person."""
        return timedelta(days=0 if self.store is None else self.store.proposal_days)

    @property
    def crews(self) -> Sequence[int]:
        """How many workers each node has, in their order."""
        return [section.workers for section in self.nodes] or [self.switch.workers_said or 1]

    @property
    def worker_count(self) -> int:
        """How many workers there are on this machine."""
        return self.crews[self.node.number]

    @property
    def far_workers(self) -> int:
        """How many workers the other nodes have."""
        return sum(self.crews) - self.crews[self.node.number]

    @property
    def node(self) -> Node:
        """Which of so many nodes this machine is."""
        if self.mesh is None:
            return ALONE
        return Node([section.name for section in self.nodes].index(self.mesh.node), len(self.nodes))

    def was_read(self, file: Path, warnings: tuple[Problem, ...]) -> None:
        """Note where the configuration came from and what is doubtful in it; called once, by the loader."""
        self._file = file
        self._warnings = warnings
