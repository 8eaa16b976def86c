"""The rules and the keys that seal, read anew when their files change."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from switch.applications.applying import Rules
from switch.base.log import get_logger
from switch.check.applications import open_rules
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
        self._rules, self._stamp = self._read()

    def now(self) -> Rules:
        """The rules as their files say; what cannot be used is not taken up, and the log says so."""
        with self._lock:
            stamp = self._stamp_of(self._rules)
            if stamp != self._stamp:
                try:
                    self._rules, self._stamp = self._read()
                except (ConfigError, KeyFileError) as error:
                    self._stamp = stamp
                    log.warning("changed rules or keys cannot be used, the former ones stay", reason=str(error))
            return self._rules

    def _read(self) -> tuple[Rules, Stamp]:
        rules, keys = open_rules(self._config)
        keys.close()
        return rules, self._stamp_of(rules)

    def _stamp_of(self, rules: Rules) -> Stamp:
        applications, keys = self._config.applications, self._config.keys
        files = [] if applications is None or keys is None else [applications.rules, keys.file]
        if applications is not None:
            lists = rules.policy.lists
            names = (lists.categories, lists.blocked, lists.sanctions, lists.banks)
            files += [applications.rules.parent / name for name in names if name is not None]
        return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size
