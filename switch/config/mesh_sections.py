"""Tables of the configuration about several machines that are one switch."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field

from switch.config.addresses import Address
from switch.config.value_types import WORKERS_MAX, EndpointAddress, FilePath, Name
from switch.files.sections import Section, count, milliseconds

NODES_MAX = 16
CertificateName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,252}$")]


class MeshSection(Section):
    """How this node speaks with the other ones: TLS 1.3, in which each side shows a certificate."""

    node: Name = Field(description="Which of the nodes this one is, by its name.")
    certificate: FilePath = Field(description="PEM file of our certificate, followed by its intermediates.")
    private_key: FilePath = Field(description="PEM file of its private key, not encrypted.")
    ca: FilePath = Field(description="PEM file of the authorities of the nodes' certificates.")
    silence_ms: int = milliseconds(
        3_000,
        "A worker of another node from which nothing came for so long is taken for lost; it is asked for a word three "
        "times in that time.",
        least=300,
        most=60_000,
    )


class NodeSection(Section):
    """One machine of a switch of several. All nodes have the same of these tables, in the same order.

    Node number *i* of *n* has the partitions *p* with *p* mod *n* = *i*, both counted from 0.
    """

    name: Name = Field(description="Name of the node.")
    address: EndpointAddress = Field(
        description="Where its workers hear those of other nodes: worker 0 on this port, worker 1 on the next one, and "
        "so on. The node itself listens there."
    )
    workers: int = count(
        1, "How many workers it has. Its `switch.workers` says the same, or nothing.", most=WORKERS_MAX
    )
    certificate_name: CertificateName | None = Field(
        None,
        description="Name that its certificate must bear as its common name or as a DNS name; by default the name of "
        "the node.",
    )

    def address_of(self, worker: int) -> Address:
        """Where one of its workers listens."""
        return Address(self.address.host, self.address.port + worker)

    @property
    def certified_name(self) -> str:
        """The name that its certificate must bear."""
        return self.certificate_name or self.name


class Node(NamedTuple):
    """Which of so many machines this is.

    Attributes:
        number: Counted from 0.
        nodes: How many there are.
    """

    number: int = 0
    nodes: int = 1


ALONE = Node()
"""The only machine of a switch."""
