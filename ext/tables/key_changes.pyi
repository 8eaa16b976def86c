"""Keys of terminals, taken up while the registry is looked up: the new ones, and with them what they replace."""

from switch.keys import KeySource
from switch.tables.registry import Registry

def terminal_key_uses(registry: Registry, first: int, count: int) -> list[tuple[str, str, str]]:
    """Of at most so many terminals from one on: identifier, and for which MAC algorithm and PIN format its keys are."""

def take_terminal_keys(
    registry: Registry, keys: KeySource, first: int, count: int
) -> tuple[int, list[tuple[str, str]]]:
    """Give terminals the keys that are there now.

    Where ``terminal/ID/former/tak`` or ``terminal/ID/former/tpk`` is there, messages under the former keys are taken too,
    until the terminal's next sign-in was answered, and for ``registry.former.keep_ns`` after it.

    Args:
        registry: Whose terminals.
        keys: By name.
        first: Number of the first terminal.
        count: At most so many from there on.

    Returns:
        How many have changed; and each whose keys are missing or of another size, with the reason: it keeps those of
        before.
    """
