"""Routes files: from a CSV file to the table that the hot path searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from switch.dialect.kinds import Kind
from switch.files.datafile import read_data_file
from switch.tables.routes import RouteTable


def load_routes(path: str | Path, link_names: Sequence[str]) -> RouteTable:
    """Read a routes file.

    Its first row is ``low,high,kinds,currencies,amount_min,amount_max,links``. A range holds every card number that
    begins with as many digits as ``low`` and ``high`` have, and these between the two; an empty ``high`` makes ``low``
    a prefix. The narrowest range that holds a card is tried first, and rows of one range in the order of the file.

    Args:
        path: The file.
        link_names: Names of the links, in the order of the configuration.

    Returns:
        The table; its targets name links by their place in ``link_names``.

    Raises:
        ConfigError: The file cannot be used; tells every problem, with line and column.
    """
    return RouteTable.build(read_data_file(path), link_names, [kind.label for kind in Kind], str(path))
