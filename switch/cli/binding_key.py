"""Whether the key that terminals are bound under may change: under another one each of them is suspended."""

from __future__ import annotations

from switch.cli.journal_reading import fail
from switch.config import Config, ConfigError
from switch.keys.file import KeyFile
from switch.tables.binding import BINDING_KEY


def binding_key_in(file: KeyFile) -> bytes | None:
    """The key of bindings; None where a key file has none."""
    return file.get(BINDING_KEY).value if BINDING_KEY in file else None


def refuse_unfit(config: Config | None, key: bytes | None) -> None:
    """End the command in words where terminals are bound, and under another key, or nobody can tell.

    Args:
        config: Says where the store is; None where no configuration was given.
        key: That is to be there from now on; None where it is to go.
    """
    from switch.check.store import open_store
    from switch.merchants.suspects import is_bound_under, terminals_bound
    from switch.store.problems import StoreError

    if config is None:
        fail(f"{BINDING_KEY} must stay: only with --config can be seen whether terminals are bound under it")
    if config.store is None:
        return
    try:
        store = open_store(config)
        try:
            with store.reading() as connection:
                count = terminals_bound(connection)
                fits = key is not None and is_bound_under(connection, key)
        finally:
            store.close()
    except (StoreError, ConfigError) as error:
        fail(f"{BINDING_KEY} must stay: the store cannot tell whether terminals are bound under it: {error}")
    if count and not fits:
        fail(f"{BINDING_KEY} must stay: terminals are bound under it ({count:,}), and would all be suspended")
