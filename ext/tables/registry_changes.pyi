from typing import final

from switch.tables.registry import Registry

@final
class RegistryChange:
    """Merchants and terminals that are new or otherwise now, made ready to be taken by a registry that is looked up.

    It may be made, and given up, in another thread than the one that looks up: what takes long, a larger index, is
    made and given back there. There may be only one at a time.

    Args:
        registry: The one that is looked up.
        changes: Those that were added or changed, each with its merchant, read with the keys of today.

    Raises:
        MemoryError: There is not enough for what is new; nothing was changed.
        ValueError: The changes were read for other listeners or kinds.
    """

    def __init__(self, registry: Registry, changes: Registry) -> None: ...
    def take(self, rows: int) -> bool:
        """Take so many between two messages; whether there are more.

        What has a number keeps it, and what is new gets the next ones; nothing is taken out. Terminals that were bound
        to what their merchant was before are served until all are taken: those that are bound anew never are refused.
        No pointer into the registry may be held across this.

        Raises:
            MemoryError: There is not enough for what is new; nothing was changed.
        """

def take_changes(registry: Registry, changes: Registry) -> None:
    """Take all of them at once: see ``RegistryChange``."""

def put_into_service(registry: Registry, id: str) -> bool:  # noqa: A002
    """Serve a terminal that awaits its first sign-in; false where it does not."""

def suspend(registry: Registry, id: str) -> bool:  # noqa: A002
    """Serve a terminal no longer, whatever the store says; false where it is not known."""
