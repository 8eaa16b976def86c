"""What reads rows of the store with a configuration's keys and listeners, as the daemon itself would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from switch.check.parts import NoKeys, open_keys
from switch.check.pin_formats import base_key_faults
from switch.check.registry import binding_rule
from switch.check.terminal_keys import TerminalKeys
from switch.config.models import Config
from switch.files.problems import Problem
from switch.keys import KeyFile
from switch.merchants.rows import Compiler


@contextmanager
def opened_compiler(config: Config, opening: Callable[[], KeyFile] | None = None) -> Iterator[Compiler]:
    """With the keys as they are now, or as ``opening`` gives them; they are closed behind it.

    Raises:
        KeyFileError: The key file, or its master key, cannot be read.
    """
    keys = open_keys(config) if opening is None else opening()
    if keys is None:
        yield keyless_compiler(config)
        return
    try:
        yield compiler_of(keys, config)
    finally:
        keys.close()


def compiler_of(keys: KeyFile, config: Config) -> Compiler:
    """With the keys of a file, as they are whenever it is asked."""
    terminal_keys = TerminalKeys(keys)

    def misfits(table: str, data: bytes) -> list[Problem]:
        return terminal_keys.misfits(table, data) + base_key_faults(config, table, data)

    return Compiler(terminal_keys, _listener_names(config), misfits, binding_rule(config))


def keyless_compiler(config: Config) -> Compiler:
    """Without keys: for rows that need none."""
    return Compiler(NoKeys(), _listener_names(config), partial(base_key_faults, config), binding_rule(config))


def _listener_names(config: Config) -> list[str]:
    return [listener.name for listener in config.listeners]
