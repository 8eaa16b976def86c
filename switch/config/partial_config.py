"""A configuration of which not all parts may be right: the parts that are, and the problems of the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from switch.config.mesh_sections import NodeSection
from switch.config.models import Config, LinkSection, ListenerSection
from switch.config.sections import BaseKeySection
from switch.files.model_errors import problems_of
from switch.files.problems import Problem, errors_among
from switch.files.sections import Section

ENTRY = re.compile(r"(?P<sort>listener|link|node)\[(?P<name>[^\]]*)\]\.(?P<rest>.+)")
"""A key of one of several listeners, links or nodes."""

SectionType = TypeVar("SectionType", bound=Section)


class PartialConfig:
    """What validation has found so far.

    Attributes:
        file: the configuration file.
        problems: all that is wrong or doubtful, in the order in which it was found.
        listeners: those that are valid in themselves.
        links: those that are valid in themselves.
        nodes: those that are valid in themselves.
        base_keys: those that are valid in themselves.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.listeners: list[ListenerSection] = []
        self.links: list[LinkSection] = []
        self.nodes: list[NodeSection] = []
        self.base_keys: list[BaseKeySection] = []
        self._sections: dict[str, Section | None] = {}

    def error(self, key: str, reason: str) -> None:
        """Note what keeps the daemon from starting."""
        self.problems.append(Problem(str(self.file), key, self._with_origin(key, reason)))

    def warning(self, key: str, reason: str) -> None:
        """Note what is doubtful."""
        self.problems.append(Problem(str(self.file), key, self._with_origin(key, reason), "warning"))

    def _with_origin(self, key: str, reason: str) -> str:
        """The reason, and behind the value in it that this is the default, where it is: nobody finds it in the file."""
        default = self._default(key)
        if default is None:
            return reason
        said = re.match(rf"{re.escape(default)}( (s|ms|bytes))?(?=[ :])", reason)
        if said is None:
            return f"{default} (the default): {reason}"
        return f"{said[0]} (the default){reason[said.end() :]}"

    def _default(self, key: str) -> str | None:
        """The value of a key as messages show it, where the file does not set it; None where it does."""
        named = ENTRY.fullmatch(key)
        if named is None:
            section, _, rest = key.partition(".")
            found: object = self._sections.get(section)
        else:
            entries: Mapping[str, Sequence[ListenerSection | LinkSection | NodeSection]]
            entries = {"listener": self.listeners, "link": self.links, "node": self.nodes}
            found, rest = (
                next((one for one in entries[named["sort"]] if one.name == named["name"]), None),
                named["rest"],
            )
        is_set = True
        for name in rest.split("."):
            if not isinstance(found, BaseModel) or name not in type(found).model_fields:
                return None
            is_set = is_set and name in found.model_fields_set
            found = getattr(found, name)
        return None if is_set or found in (None, ()) else _shown(found)

    def validate(self, model: type[SectionType], table: object, key: str) -> SectionType | None:
        """Read one table by its model; None, and the problems noted, when it is wrong."""
        try:
            return model.model_validate(table, context={"folder": self.file.parent})
        except ValidationError as error:
            self.problems += problems_of(error, model, self.file, key)
            return None

    def keep(self, name: str, section: Section | None) -> None:
        """Keep a section that is right, or that is rightly absent."""
        self._sections[name] = section

    def knows(self, name: str) -> bool:
        """Whether the section was read, or is rightly absent: if not, nothing can be said of it."""
        return name in self._sections

    def get(self, name: str, _model: type[SectionType]) -> SectionType | None:
        """The section ``name``, which is of the given model; None when it is absent or wrong."""
        return cast("SectionType | None", self._sections.get(name))

    def finish(self) -> Config | None:
        """The whole configuration; None when one of the problems is an error."""
        if errors_among(self.problems):
            return None
        config = Config.model_validate(
            {
                **self._sections,
                "listener": tuple(self.listeners),
                "link": tuple(self.links),
                "node": tuple(self.nodes),
                "base_key": tuple(self.base_keys),
            }
        )
        config.was_read(self.file, tuple(self.problems))
        return config


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value)
