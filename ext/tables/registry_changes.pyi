from switch.tables.registry import Registry

def take_changes(registry: Registry, changes: Registry) -> None:
    """Change a registry between two messages: merchants and terminals that are new or otherwise now.

    What has a number keeps it, and what is new gets the next ones; nothing is taken out. No pointer into the registry
    may be held across this.

    Args:
        registry: The one that is looked up.
        changes: Those that were added or changed, each with its merchant, read with the keys of today.

    Raises:
        MemoryError: There is not enough for what is new; nothing was changed.
        ValueError: The changes were read for other listeners or kinds.
    """

def suspend(registry: Registry, id: str) -> bool:  # noqa: A002
    """Serve a terminal no longer, whatever the store says; false where it is not known."""
