"""Who a daemon is: its name, and an instance id that no other start has. What is asked of one must not reach another.

The daemon keeps its identity in a file of its journal's folder while it runs. A command that knows the configuration
reads it there, and sends it with whatever it asks; who else answers refuses.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from switch.files.datafile import open_regular

FILE_NAME = "instance.json"
FILE_BYTES_MAX = 4_096
NAME_HEADER = "Authswitch-Name"
INSTANCE_HEADER = "Authswitch-Instance"
CONFIGURATION_HEADER = "Authswitch-Configuration"
INSTANCE_BYTES = 6
"""Written as twelve digits: one more, and those without a letter could be taken for a card number."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One running daemon.

    Attributes:
        name: Of the switch, by its configuration.
        instance: Made anew at each start.
        configuration: Path of the file that it was started with.
    """

    name: str
    instance: str
    configuration: str

    @classmethod
    def new(cls, name: str, configuration: Path) -> Self:
        """Of a daemon that is being started."""
        return cls(name, secrets.token_hex(INSTANCE_BYTES), str(configuration.resolve()))

    def __str__(self) -> str:
        return f"{self.name} (instance {self.instance}, started with {self.configuration})"

    def headers(self) -> dict[str, str]:
        """What each answer says."""
        values = (self.name, self.instance, _ascii(self.configuration))
        return dict(zip((NAME_HEADER, INSTANCE_HEADER, CONFIGURATION_HEADER), values, strict=True))

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> Self | None:
        """Who answered; None for one that does not say."""
        values = [headers.get(header) for header in (NAME_HEADER, INSTANCE_HEADER, CONFIGURATION_HEADER)]
        name, instance, configuration = values
        if name is None or instance is None or configuration is None:
            return None
        return cls(name, instance, configuration)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a command means, as far as it can know.

    Attributes:
        name: Of the switch.
        instance: None where no file can tell.
        configuration: None where the path need not be the same.
        source: Where this was read.
    """

    name: str
    instance: str | None
    configuration: str | None
    source: str

    def __str__(self) -> str:
        which = "" if self.instance is None else f" (instance {self.instance})"
        return f"{self.name}{which} of {self.source}"

    def headers(self) -> dict[str, str]:
        """What each question says."""
        said = {NAME_HEADER: self.name, INSTANCE_HEADER: self.instance, CONFIGURATION_HEADER: self.configuration}
        return {header: _ascii(value) for header, value in said.items() if value is not None}


def is_meant(asked: Mapping[str, str], own: Identity) -> bool:
    """Whether a question with these headers is meant for this daemon; one that names nobody is meant for anybody."""
    return all(asked.get(header, value) == value for header, value in own.headers().items())


def write_identity(folder: Path, own: Identity) -> None:
    """Tell commands on this machine who runs; the folder must be this daemon's alone.

    Raises:
        OSError: It cannot be written.
    """
    new = folder / f"{FILE_NAME}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump({**asdict(own), "pid": os.getpid()}, stream)
    new.rename(folder / FILE_NAME)


def remove_identity(folder: Path, own: Identity) -> None:
    """Nobody runs here any more; what another one has written stays."""
    try:
        if read_instance(folder) == own.instance:
            (folder / FILE_NAME).unlink()
    except OSError:
        pass  # The folder may be gone, and the file with it.


def read_instance(folder: Path) -> str:
    """The instance that runs with a folder, or was killed there.

    Raises:
        OSError: There is none, or it may not be read.
    """
    with open_regular(folder / FILE_NAME) as stream:
        text = stream.read(FILE_BYTES_MAX)
    try:
        return str(json.loads(text)["instance"])
    except (ValueError, KeyError, TypeError):
        return ""


def _ascii(text: str) -> str:
    """Text as a header may hold it."""
    return text.encode("ascii", "backslashreplace").decode().replace("\r", "?").replace("\n", "?")
