"""Merchants and terminals files: from CSV to the registry that the hot path looks up."""

from __future__ import annotations

from collections.abc import Sequence

from switch.dialect.kinds import Kind
from switch.files.problems import PROBLEMS_MAX
from switch.keys import KeySource
from switch.tables.binding import BindingRule
from switch.tables.registry import Registry


def build_registry(
    merchants: bytes,
    terminals: bytes,
    keys: KeySource,
    listener_names: Sequence[str],
    *,
    names: tuple[str, str],
    problems_max: int = PROBLEMS_MAX,
    rule: BindingRule,
) -> Registry:
    """Read what stands in both files, and attach the terminals' keys.

    Args:
        merchants: CSV with the columns id, name, state, category, kinds; both with those of a binding, or not.
        terminals: CSV with the columns id, merchant, state, listeners, kinds, mac_algorithm, pin_format, certificate.
        keys: A key file's ``source()``; gives the keys ``terminal/<id>/tak``, ``terminal/<id>/tpk`` and
            ``terminal/<id>/tmk``, or None.
        listener_names: Names of the listeners, in the order of the configuration.
        names: Of both files, for problems.
        problems_max: So many of each are told.
        rule: What is asked of terminals beside that.

    Raises:
        ConfigError: A file cannot be used; tells every problem of both, with line and column.
    """
    kinds = [kind.label for kind in Kind]
    return Registry.build(merchants, terminals, keys, kinds, listener_names, *names, problems_max, rule)
