"""The rules of taking merchants on that a configuration names, with the keys that seal what applicants tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from switch.check.rulebooks import checks
from switch.config.key_file import open_key_file
from switch.config.models import Config
from switch.files.problems import ConfigError, Problem
from switch.keys import KeyFile

if TYPE_CHECKING:
    from switch.access.actor import Actor
    from switch.applications.applying import Rules
    from switch.applications.lists import Lists
    from switch.applications.policy import Policy
    from switch.merchants.rows import Compiler
    from switch.proposals.deciding import Kind
    from switch.rulebooks.keeping import Verdicts
    from switch.store.opening import Store


def applications_problems(config: Config) -> list[Problem]:
    """What is wrong with the rules and the lists that they name; keys are not looked at."""
    if config.applications is None:
        return []
    found = []
    for name, section in (("store", config.store), ("keys", config.keys)):
        if section is None:
            found.append(Problem(str(config.file), name, "is required, since there is [applications]"))
    try:
        _read(config)
    except ConfigError as error:
        found += error.problems
    return found


def open_rules(config: Config) -> tuple[Rules, KeyFile]:
    """The rules, and the key file, opened: whoever calls closes it.

    Raises:
        ConfigError: ``[applications]`` is not there, or what it names cannot be used.
        KeyFileError: The key file cannot be used, or has no key of the store yet.
    """
    from switch.applications.applying import Rules
    from switch.store.sealing import Sealer

    policy, lists = _read(config)
    if config.keys is None:
        raise ConfigError([Problem(str(config.file), "keys", "is required, since there is [applications]")])
    file = open_key_file(config.keys)
    try:
        return Rules(policy, lists, Sealer.of(file), ZoneInfo(config.switch.timezone)), file
    except ValueError:
        file.close()
        raise


def open_policy(config: Config) -> Policy:
    """The limits, deadlines and papers of the rules, without lists and keys.

    Raises:
        ConfigError: ``[applications]`` is not there, or what it names cannot be used.
    """
    from switch.applications.policy import load_policy

    return load_policy(_rules_file(config))


@dataclass(frozen=True, slots=True)
class Kinds:
    """All that two people change.

    Attributes:
        all: Of proposals.
        verdicts: On the rulebooks that are to be put in force.
    """

    all: list[Kind]
    verdicts: Verdicts


Prepare = Callable[["Actor", "Store", Kinds], None]
"""Does what takes long, for somebody, before the transaction in which something is changed or proposed."""


def nothing_to_prepare(_actor: Actor, _store: Store, _kinds: Kinds) -> None:
    """Most changes take no time."""


def kinds_of(config: Config, compiler: Compiler) -> Kinds:
    """All that two people change. The rules are opened before a change of a merchant that was taken on is made.

    Args:
        config: The configuration.
        compiler: Says whether the switch would take what is proposed.
    """
    from switch.applications.looking_after import kinds_of_proposals
    from switch.merchants.proposing import proposal_kinds
    from switch.proposals.people import PERSON_KIND
    from switch.rulebooks.keeping import Verdicts, enforcing_kind

    def opening() -> Rules:
        rules, keys = open_rules(config)
        keys.close()
        return rules

    verdicts = Verdicts(checks(config, compiler.keys))
    kinds = [*proposal_kinds(compiler), PERSON_KIND, enforcing_kind(verdicts)]
    if config.applications is not None:
        kinds += kinds_of_proposals(opening, compiler)
    return Kinds(kinds, verdicts)


def _read(config: Config) -> tuple[Policy, Lists]:
    from switch.applications.lists import load_lists

    policy = open_policy(config)
    return policy, load_lists(policy.lists, _rules_file(config).parent)


def _rules_file(config: Config) -> Path:
    if config.applications is None:
        reason = "is required: it names the rules by which merchants are taken on"
        raise ConfigError([Problem(str(config.file), "applications", reason)])
    return config.applications.rules
