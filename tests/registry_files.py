"""Merchants and terminals from two files, as a switch without a store reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from switch.files.datafile import read_data_file
from switch.keys import KeySource
from switch.tables.binding import BindingRule
from switch.tables.registry import Registry
from switch.tables.registry_files import build_registry


def load_registry(merchants: Path, terminals: Path, keys: KeySource, listener_names: Sequence[str]) -> Registry:
    """The registry of both files."""
    files = read_data_file(merchants), read_data_file(terminals)
    return build_registry(*files, keys, listener_names, names=(str(merchants), str(terminals)), rule=BindingRule(""))
