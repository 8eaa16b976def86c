"""Merchants and terminals files: from CSV to the registry that the hot path looks up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from switch.dialect.kinds import Kind
from switch.files.datafile import read_data_file
from switch.keys import KeySource
from switch.tables.registry import Registry


def load_registry(
    merchants_path: str | Path, terminals_path: str | Path, keys: KeySource, listener_names: Sequence[str]
) -> Registry:
    """Read both files and attach the terminals' keys.

    Args:
        merchants_path: CSV file with the columns id, name, state, category, kinds.
        terminals_path: CSV file with the columns id, merchant, state, listeners, kinds, mac_algorithm, pin_format,
            certificate.
        keys: A key file's ``source()``; gives the keys ``terminal/<id>/tak``, ``terminal/<id>/tpk`` and
            ``terminal/<id>/tmk``, or None.
        listener_names: Names of the listeners, in the order of the configuration.

    Raises:
        ConfigError: A file cannot be used; tells every problem of both, with line and column.
    """
    return Registry.build(
        read_data_file(merchants_path),
        read_data_file(terminals_path),
        keys,
        [kind.label for kind in Kind],
        listener_names,
        str(merchants_path),
        str(terminals_path),
    )
