"""A whole configuration checked without starting: the file itself, and all the files that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from switch.check.applications import applications_problems
from switch.check.parts import read_parts
from switch.check.places import place_problems, unreadable_journal
from switch.check.store import database_problems
from switch.config.loader import read_config
from switch.files.problems import Problem, errors_among


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found.

    Attributes:
        problems: everything that is wrong or doubtful.
        summary: how many there are of what was loaded.
    """

    problems: Sequence[Problem]
    summary: Mapping[str, int] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether the daemon would start."""
        return not errors_among(self.problems)


def check_config(path: str | Path) -> Report:
    """Read a configuration and everything that it names."""
    config, problems = read_config(path)
    if config is None:
        return Report(problems)
    parts, more = read_parts(config)
    problems += [*more, *place_problems(config), *applications_problems(config)]
    problems += [*database_problems(config, "store"), *database_problems(config, "books")]
    if parts is None:
        return Report(problems)
    if parts.key_file is not None:
        problems += unreadable_journal(config, parts.journal_keys)
    summary = {
        "listeners": len(config.listeners),
        "links": len(config.links),
        "dialects": len(parts.dialects),
        "merchants": parts.registry.merchant_count,
        "terminals": parts.registry.terminal_count,
        "BIN ranges": parts.routes.range_count,
    }
    if parts.key_file is not None:
        summary["keys"] = len(parts.key_file)
        parts.key_file.close()
    return Report(problems, summary)
