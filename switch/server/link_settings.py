"""What the store says of links over their configuration, taken up while the worker runs."""

from __future__ import annotations

from collections.abc import Sequence

from switch.base.shares import share
from switch.config import LinkSection
from switch.machine.state import State
from switch.server.issuers import Caller, IssuerSide


class LinkSettings:
    """All that goes by it.

    Args:
        states: The state machines of the worker.
        issuers: What brings about its connections, in the order of links.
        partitions: Of the whole switch: these share a limit.
    """

    def __init__(self, states: Sequence[State], issuers: Sequence[IssuerSide], partitions: int) -> None:
        self._states = states
        self._issuers = issuers
        self._partitions = partitions

    def use(self, sections: Sequence[LinkSection]) -> None:
        """Go by these from now on, each of one link in their order."""
        for issuer, section in zip(self._issuers, sections, strict=True):
            if isinstance(issuer, Caller):
                issuer.use(section)
        for state in self._states:
            for link, section in zip(state.links, sections, strict=True):
                link.in_flight_max = share(section.in_flight_max, self._partitions)
