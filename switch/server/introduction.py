"""Who a worker is to another one, before they speak of payments: a HELLO from each side, and what it must say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from switch import __version__
from switch.config import Config
from switch.mesh.journals_heard import JournalsHeard
from switch.mesh.record_values import SPOKEN_VERSION, decode_record, encode_record
from switch.server.place import Place, WorkerId

HELLO_SECONDS = 5.0
"""How long whoever calls may take to say who it is."""

HEAD_BYTES = 8
HELLO_TYPE = 1
HELLO_BYTES_MAX = 2_048
"""Room for the longest HELLO: 64 partitions and the longest name."""

JOURNAL_BYTES = 32
"""Of a JOURNAL."""

VERSION_BYTES, PART_BYTES = 8, 6
"""Of the digest: of the program's version, and of each part of the configuration."""

OTHER_VERSION = "it is another version of the program"

PARTS = ("another acquirer_id or instance", "other nodes", "other listeners", "other links")
"""What differs where a part of the digest does, in its order."""

ASK_SECONDS = 1.0
"""How long one that starts waits for what another one has heard of its journals."""


class StrangerError(Exception):
    """Whoever speaks is no worker of this switch; the text says why."""


class DifferentError(StrangerError):
    """A worker that may be of this switch, but has not what both must have in common."""


def agreement(config: Config) -> bytes:
    """A digest of what two workers must have in common to understand each other, but the number of partitions.

    It is of the program's version, and then of each of ``PARTS``, so that what differs can be told.
    """
    parts: tuple[object, ...] = (
        [config.switch.instance, config.switch.instances, config.switch.acquirer_id],
        [[section.name, section.workers] for section in config.nodes],
        [
            [
                _content(section.dialect),
                section.name,
                section.mac,
                section.partial_approval,
                section.requests_in_flight_max,
                section.tls is not None and [section.tls.client_certificate, section.tls.client_identity],
            ]
            for section in config.listeners
        ],
        [[section.name, _content(section.dialect), section.match.by] for section in config.links],
    )
    version = hashlib.sha256(__version__.encode()).digest()[:VERSION_BYTES]
    return version + b"".join(hashlib.sha256(json.dumps(part).encode()).digest()[:PART_BYTES] for part in parts)


def _differences(one: bytes, other: bytes) -> list[str]:
    """What two digests of programs of one version say that differs."""
    return [
        words
        for place, words in enumerate(PARTS)
        for part in [slice(VERSION_BYTES + place * PART_BYTES, VERSION_BYTES + (place + 1) * PART_BYTES)]
        if one[part] != other[part]
    ]


def _content(dialect: str) -> str:
    """The name of a built-in dialect; of a file what is in it, wherever it lies."""
    file = Path(dialect)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.suffix == ".toml" and file.is_file() else dialect


class OlderJournalError(StrangerError):
    """A worker of this switch, on a journal that is older than one that was heard of; it has been told."""


class OwnJournal(Protocol):
    """A journal of this worker's, as far as others hear of it."""

    epoch: int
    life: int
    began: int
    outdated: str | None

    def outlive(self, why: str) -> None:
        """It is an older copy, and decides nothing any more."""

    def why_outdated(self, epoch: int, life: int, position: int) -> str | None:
        """Why it is no successor of a journal that was heard of; None where it is."""


class Introduced(NamedTuple):
    """What a worker has said of itself.

    Attributes:
        worker: Who it is.
        owned: Its partitions; of each journal the epoch, the life's number, and behind which position that began.
        asks: It wants to hear of its journals, and nothing more.
    """

    worker: WorkerId
    owned: Mapping[int, tuple[int, int, int]]
    asks: bool


class Introduction:
    """What this worker says of itself, and what it believes of others.

    Args:
        config: The configuration.
        place: This worker's.
        partitions: Of the switch.
        journals: Of each partition that it owns.
        heard: Of the journals of others.
    """

    def __init__(
        self,
        config: Config,
        place: Place,
        partitions: int,
        journals: Mapping[int, OwnJournal],
        heard: JournalsHeard,
    ) -> None:
        self._place = place
        self._partitions = partitions
        self._digest = agreement(config)
        self._names = [section.name for section in config.nodes] or [config.switch.name]
        self._journals = dict(journals)
        self._heard = heard

    def hello(self, *, asks: bool = False) -> bytes:
        """What this worker says.

        Args:
            asks: It wants to hear of its journals, and nothing more.

        Raises:
            StrangerError: A journal here is older than one that was heard of: nobody is to believe it.
            ValueError: It cannot be said.
        """
        outdated = [number for number, journal in self._journals.items() if journal.outdated]
        require(not outdated, f"the journal of partition {outdated} here is an older copy")
        return encode_record(
            "hello",
            worker=self._place.number,
            partitions=self._partitions,
            digest=self._digest,
            node=self._names[self._place.node],
            owned={number: (one.epoch, one.life, one.began) for number, one in self._journals.items()},
            asks=asks,
        )

    def missing_bytes(self, heard: bytes) -> int:
        """How many bytes a HELLO that has begun so still needs, at least.

        Raises:
            StrangerError: It is none.
        """
        if len(heard) < HEAD_BYTES:
            return HEAD_BYTES - len(heard)
        size = int.from_bytes(heard[:4], "little")
        require(HEAD_BYTES < size <= HELLO_BYTES_MAX, "what it says is no HELLO")
        return size - len(heard)

    def check(self, heard: bytes) -> Introduced:
        """Who says that it is who, in a HELLO.

        Raises:
            DifferentError: It has not in common with this one what it must.
            StrangerError: It is no worker of this switch.
        """
        try:
            record = decode_record(heard)
        except ValueError as error:
            if heard[4] == HELLO_TYPE and int.from_bytes(heard[HEAD_BYTES:][:4], "little") not in (0, SPOKEN_VERSION):
                raise DifferentError(f"{OTHER_VERSION}: {error}") from None
            raise StrangerError(str(error)) from None
        kind, values, _ = record or ("nothing", {}, 0)
        require(kind == "hello", "it does not say who it is")
        self._require_alike(values["digest"], values["partitions"])
        require(values["node"] in self._names, f"node {values['node']} is not in the configuration")
        worker = WorkerId(self._names.index(values["node"]), int(values["worker"]))
        owned: Mapping[int, tuple[int, int, int]] = values["owned"]
        is_owner = self._place.is_crew(worker) and sorted(owned) == list(self._place.owned_by(worker, self._partitions))
        require(is_owner, f"worker {worker.number} of node {values['node']} owns other partitions than it says")
        return Introduced(worker, owned, values["asks"])

    def _require_alike(self, digest: bytes, partitions: int) -> None:
        if digest[:VERSION_BYTES] != self._digest[:VERSION_BYTES]:
            raise DifferentError(OTHER_VERSION)  # which may make its digests of other things
        differences = _differences(digest, self._digest)
        if partitions != self._partitions:
            differences.append(f"{partitions} partitions instead of {self._partitions}")
        if differences:
            raise DifferentError(f"it has {', '.join(differences)}")

    # --- of journals ----------------------------------------------------------------------------------------------

    def journals_of(self, introduced: Introduced) -> bytes:
        """What was heard of its journals here, to be said to it behind the HELLO."""
        return b"".join(
            encode_record("journal", partition=number, epoch=epoch, life=life, position=position)
            for number in introduced.owned
            for epoch, life, position in [self._heard.newest(number)]
        )

    def require_newest(self, introduced: Introduced) -> None:
        """Believe it.

        Raises:
            OlderJournalError: A newer journal of one of its partitions was heard of.
        """
        for number, journal in introduced.owned.items():
            if refusal := self._heard.refusal(number, *journal):
                raise OlderJournalError(
                    f"partition {number}: {refusal}: two believe that they own it, or its journal was brought back "
                    "from an older copy"
                )

    def missing_answer_bytes(self, heard: bytes) -> int:
        """How many bytes are missing of what one that was asked says behind its HELLO."""
        return JOURNAL_BYTES * len(self._journals) - len(heard)

    def take_answer(self, heard: bytes, name: object) -> None:
        """What one that was asked has heard of our journals: one that is older than that decides nothing.

        Raises:
            StrangerError: It says something else.
        """
        while heard:
            try:
                record = decode_record(heard)
            except ValueError as error:
                raise StrangerError(str(error)) from None
            kind, values, size = record or ("nothing", {}, 0)
            require(kind == "journal" and values["partition"] in self._journals, "it speaks of something else")
            journal = self._journals[values["partition"]]
            if why := journal.why_outdated(values["epoch"], values["life"], values["position"]):
                journal.outlive(f"worker {name}: {why}")
            heard = heard[size:]


def claimed_worker(heard: bytes) -> int | None:
    """The number that a worker says it has in a HELLO, be that believed or not; None: it says none."""
    try:
        record = decode_record(heard)
    except ValueError:
        return None
    return None if record is None or record[0] != "hello" else int(record[1]["worker"])


def worker_name(config: Config, place: Place, worker: WorkerId) -> str:
    """How a worker is called here: by its number, and by its node where that is another one."""
    own = worker.node == place.node
    return str(worker.number) if own else f"{config.nodes[worker.node].name}/{worker.number}"


def require(condition: bool, otherwise: str) -> None:
    """Refuse a stranger.

    Raises:
        StrangerError: The condition does not hold.
    """
    if not condition:
        raise StrangerError(otherwise)
