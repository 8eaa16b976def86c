"""Whether what a configuration says of several nodes makes sense together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from switch.config.addresses import Address, is_every, is_loopback
from switch.config.mesh_sections import MeshSection, NodeSection
from switch.config.models import JournalSection, SwitchSection
from switch.config.partial_config import PartialConfig

PORTS = 65_535


def check_nodes(draft: PartialConfig) -> None:
    """Check nodes, and that this one is among them."""
    if not draft.knows("mesh"):
        return
    mesh = draft.get("mesh", MeshSection)
    if mesh is None:
        if draft.nodes:
            draft.error("mesh", "is required with [[node]]: it says which of them this one is")
        return
    if len(draft.nodes) == 1:
        draft.error("node", "needed two or more, got one: a machine alone has no [[node]] and no [mesh]")
    for name, times in Counter(section.name for section in draft.nodes).items():
        if times > 1:
            draft.error(f"node[{name}].name", f"is used {times} times; each node needs a name of its own")
    own = own_node(draft)
    if own is None:
        draft.error("mesh.node", f"there is no [[node]] with the name {mesh.node}")
    else:
        _check_own(draft, own)
    _check_places(draft)
    _check_partitions(draft)


def mesh_addresses(draft: PartialConfig) -> Iterator[tuple[str, Address]]:
    """Where this node's workers hear those of others."""
    own = own_node(draft)
    if own is not None:
        for number in range(own.workers):
            yield f"node[{own.name}].address", own.address_of(number)


def own_node(draft: PartialConfig) -> NodeSection | None:
    """Which of the nodes this one is; None: none of those that can be read."""
    mesh = draft.get("mesh", MeshSection)
    return next((section for section in draft.nodes if mesh is not None and section.name == mesh.node), None)


def workers_here(draft: PartialConfig) -> int:
    """How many workers this machine has."""
    switch, own = draft.get("switch", SwitchSection), own_node(draft)
    said = None if switch is None else switch.workers_said
    return said or (1 if own is None else own.workers)


def _check_own(draft: PartialConfig, own: NodeSection) -> None:
    switch = draft.get("switch", SwitchSection)
    if switch is not None and switch.alone:
        draft.error("switch.alone", "true, and there are [[node]]: they all take terminals")
    said = own.workers if switch is None else switch.workers_said or own.workers
    if said != own.workers:
        draft.error(
            f"node[{own.name}].workers", f"{own.workers} is not switch.workers, which is {said}; leave that out"
        )


def _check_places(draft: PartialConfig) -> None:
    """Each worker of each node needs an address of its own."""
    taken: dict[Address, str] = {}
    is_trial = all(is_loopback(section.address.host) for section in draft.nodes)
    for section in draft.nodes:
        key = f"node[{section.name}].address"
        if is_every(section.address.host):
            draft.error(key, f"{section.address}: who calls that calls itself; needed one that other machines can call")
            continue
        if is_loopback(section.address.host) and not is_trial:
            draft.warning(key, f"{section.address} is of this machine alone: nodes on other machines call themselves")
        if section.address.port + section.workers - 1 > PORTS:
            draft.error(key, f"{section.address} leaves no ports for {section.workers} workers")
            continue
        for number in range(section.workers):
            other = taken.setdefault(section.address_of(number), key)
            if other != key:
                draft.error(key, f"{section.address_of(number)} is already taken by {other}")
                break


def _check_partitions(draft: PartialConfig) -> None:
    journal = draft.get("journal", JournalSection)
    if journal is None:
        return
    if journal.partitions is None:
        draft.error("journal.partitions", "is required with [[node]]: all nodes must say the same")
        return
    for number, section in enumerate(draft.nodes):
        owned = len(range(number, journal.partitions, len(draft.nodes)))
        if owned < section.workers:
            draft.error(
                f"node[{section.name}].workers",
                f"{section.workers} is above the {owned} partition(s) that it has of {journal.partitions}: each worker "
                "needs one",
            )
