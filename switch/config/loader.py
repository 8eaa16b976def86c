"""Reading a configuration file: every problem that it has is found in one go."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from switch.config.certificates import check_tls
from switch.config.consistency import check_consistency
from switch.config.mesh_sections import NODES_MAX, NodeSection
from switch.config.models import LINKS_MAX, LISTENERS_MAX, Config, LinkSection, ListenerSection
from switch.config.partial_config import PartialConfig
from switch.config.sections import BASE_KEYS_MAX, BaseKeySection
from switch.files.datafile import read_toml
from switch.files.model_errors import model_within, unknown_key
from switch.files.problems import ConfigError, Problem
from switch.files.sections import Section

Entry = TypeVar("Entry", ListenerSection, LinkSection, NodeSection, BaseKeySection)


def load_config(path: str | Path) -> Config:
    """Read a configuration file and check all that it says by itself: types, limits, references, certificates.

    What stands in the data files that it names (routes, registry, keys, dialects) is not read here.

    Raises:
        ConfigError: it cannot be used; ``problems`` lists everything that is wrong.
    """
    config, problems = read_config(path)
    if config is None:
        raise ConfigError(problems)
    return config


def read_config(path: str | Path) -> tuple[Config | None, list[Problem]]:
    """As ``load_config``, but give the problems instead of raising; no configuration when one of them is an error."""
    draft = PartialConfig(Path(path))
    table = _read_toml(draft)
    if table is not None:
        _read_sections(draft, table)
        draft.listeners += _read_array(draft, table, "listener", ListenerSection, range(1, LISTENERS_MAX + 1))
        draft.links += _read_array(draft, table, "link", LinkSection, range(1, LINKS_MAX + 1))
        draft.nodes += _read_array(draft, table, "node", NodeSection, range(NODES_MAX + 1))
        draft.base_keys += _read_array(draft, table, "base_key", BaseKeySection, range(BASE_KEYS_MAX + 1))
        check_consistency(draft)
        check_tls(draft)
    return draft.finish(), draft.problems


def _read_toml(draft: PartialConfig) -> dict[str, Any] | None:
    try:
        return read_toml(draft.file)
    except OSError as error:
        draft.error("", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        draft.error("", f"is not UTF-8 at byte {error.start}")
    except tomllib.TOMLDecodeError as error:
        draft.error("", f"is not TOML: {error}")
    return None


def _read_sections(draft: PartialConfig, table: Mapping[str, Any]) -> None:
    fields = {field.alias or name: field for name, field in Config.model_fields.items()}
    for name in table:
        if name not in fields:
            draft.error(name, unknown_key(name, fields))
    for name, field in Config.model_fields.items():
        model = model_within(field.annotation)
        if field.alias is not None or model is None or not issubclass(model, Section):
            continue
        if name in table:
            section = draft.validate(model, table[name], name)
            if section is not None:
                draft.keep(name, section)
        elif field.is_required():
            draft.error(name, "is required")
        else:
            draft.keep(name, field.default)


def _read_array(
    draft: PartialConfig, table: Mapping[str, Any], name: str, model: type[Entry], counts: range
) -> list[Entry]:
    tables = table.get(name, [])
    if not isinstance(tables, list):
        draft.error(name, f"needed an array of tables, written [[{name}]]")
        return []
    if len(tables) not in counts:
        draft.error(name, f"needed {counts.start} to {counts.stop - 1} of them, got {len(tables)}")
    sections = []
    for number, entry in enumerate(tables):
        own_name = entry.get("name") if isinstance(entry, dict) else None
        key = f"{name}[{own_name}]" if isinstance(own_name, str) else f"{name}[{number}]"
        section = draft.validate(model, entry, key)
        if section is not None:
            sections.append(section)
    return sections
