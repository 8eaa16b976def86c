"""The rules and the keys that seal, read anew when their files change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from switch.applications.applying import Rules
from switch.applications.policy import ListsSection
from switch.base.log import get_logger
from switch.check.applications import open_policy, open_rules
from switch.config.models import Config
from switch.files.problems import ConfigError
from switch.keys import KeyFileError

log = get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


class KeptRules:
    """As they were read last. Of the key file only what seals is kept.

    Args:
        config: Names their files.

    Raises:
        ConfigError: The rules cannot be used.
        KeyFileError: The key file cannot be used, or has no key of the store.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = Lock()
        self._files: Sequence[Path] = ()
        self._stamp: Stamp = ()
        self._rules = self._read()

    def now(self) -> Rules:
        """The rules as their files say; what cannot be used is not taken up, and the log says so."""
        with self._lock:
            if self._stamp_now() != self._stamp:
                try:
                    self._rules = self._read()
                except (ConfigError, KeyFileError) as error:
                    log.warning("changed rules or keys cannot be used, the former ones stay", reason=str(error))
            return self._rules

    def _read(self) -> Rules:
        """Files are looked at before they are read: what is replaced in between is read once more."""
        self._stamp = self._stamp_now()
        self._files = self._named(open_policy(self._config).lists)
        self._stamp = self._stamp_now()
        rules, keys = open_rules(self._config)
        keys.close()
        return rules

    def _named(self, lists: ListsSection) -> Sequence[Path]:
        applications, keys = self._config.applications, self._config.keys
        if applications is None or keys is None:
            return ()
        names = (lists.categories, lists.blocked, lists.sanctions, lists.banks)
        folder = applications.rules.parent
        return (applications.rules, keys.file, *(folder / name for name in names if name is not None))

    def _stamp_now(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size
