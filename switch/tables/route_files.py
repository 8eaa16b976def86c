"""Routes files: from a CSV file to the table that the hot path searches."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from switch.dialect.kinds import Kind
from switch.files.texts import Texts, texts_of
from switch.tables.routes import RouteTable


def load_routes(source: str | Path | Texts, link_names: Sequence[str]) -> RouteTable:
    """Read a routes file.

    Its first row is ``low,high,kinds,currencies,amount_min,amount_max,links``. A range holds every card number that
    begins with as many digits as ``low`` and ``high`` have, and these between the two; an empty ``high`` makes ``low``
    a prefix. The narrowest range that holds a card is tried first, and rows of one range in the order of the file.

    Args:
        source: The file, or what says the same.
        link_names: Names of the links, in the order of the configuration.

    Returns:
        The table; its targets name links by their place in ``link_names``.

    Raises:
        ConfigError: The file cannot be used; tells every problem, with line and column.
    """
    texts = texts_of(source)
    data = texts.main().removeprefix(codecs.BOM_UTF8)
    return RouteTable.build(data, link_names, [kind.label for kind in Kind], texts.place)
