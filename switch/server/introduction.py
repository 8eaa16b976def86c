"""Who a worker is to another one, before they speak of payments: a HELLO from each side, and what it must say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from switch import __version__
from switch.config import Config
from switch.mesh.record_values import decode_record, encode_record
from switch.server.place import Place, WorkerId

HELLO_SECONDS = 5.0
"""How long whoever calls may take to say who it is."""

HEAD_BYTES = 8
HELLO_BYTES_MAX = 2_048
"""Room for the longest HELLO: 64 partitions and the longest name."""


class StrangerError(Exception):
    """Whoever speaks is no worker of this switch; the text says why."""


def agreement(config: Config, partitions: int) -> bytes:
    """A digest of what two workers must have in common to understand each other."""
    parts = {
        "version": __version__,
        "partitions": partitions,
        "instance": [config.switch.instance, config.switch.instances, config.switch.acquirer_id],
        "nodes": [[section.name, section.workers] for section in config.nodes],
        "listeners": [
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
        "links": [[section.name, _content(section.dialect), section.match.by] for section in config.links],
    }
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _content(dialect: str) -> str:
    """The name of a built-in dialect; of a file what is in it, wherever it lies."""
    file = Path(dialect)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.suffix == ".toml" and file.is_file() else dialect


class Introduced(NamedTuple):
    """What a worker has said of itself.

    Attributes:
        worker: Who it is.
        owned: Its partitions, with their epochs.
    """

    worker: WorkerId
    owned: Mapping[int, int]


class Introduction:
    """What this worker says of itself, and what it believes of others.

    Args:
        config: The configuration.
        place: This worker's.
        partitions: Of the switch.
        epochs: Of each partition that it owns.
    """

    def __init__(self, config: Config, place: Place, partitions: int, epochs: Mapping[int, int]) -> None:
        self._place = place
        self._partitions = partitions
        self._digest = agreement(config, partitions)
        self._names = [section.name for section in config.nodes] or [config.switch.name]
        self._epochs = dict(epochs)
        self._highest: dict[int, int] = {}

    def hello(self) -> bytes:
        """What this worker says.

        Raises:
            ValueError: It cannot be said.
        """
        return encode_record(
            "hello",
            worker=self._place.number,
            partitions=self._partitions,
            digest=self._digest,
            node=self._names[self._place.node],
            owned=self._epochs,
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
            StrangerError: It is no worker of this switch, or owned its partitions before another one.
        """
        try:
            record = decode_record(heard)
        except ValueError as error:
            raise StrangerError(str(error)) from None
        kind, values, _ = record or ("nothing", {}, 0)
        require(kind == "hello", "it does not say who it is")
        same = (values["digest"], values["partitions"]) == (self._digest, self._partitions)
        require(same, "it has other listeners, links, nodes or partitions")
        require(values["node"] in self._names, f"node {values['node']} is not in the configuration")
        worker = WorkerId(self._names.index(values["node"]), int(values["worker"]))
        owned: Mapping[int, int] = values["owned"]
        is_owner = self._place.is_crew(worker) and sorted(owned) == list(self._place.owned_by(worker, self._partitions))
        require(is_owner, f"worker {worker.number} of node {values['node']} owns other partitions than it says")
        for partition, epoch in owned.items():
            highest = self._highest.get(partition, 0)
            require(
                epoch >= highest,
                f"partition {partition}: epoch {epoch} is older than {highest}, which has spoken here: two "
                "believe that they own it, or its journal was brought back from an older copy",
            )
        return Introduced(worker, owned)

    def believe(self, introduced: Introduced) -> None:
        """It is who it says: from now on no older owner of its partitions is believed."""
        self._highest.update(introduced.owned)


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
