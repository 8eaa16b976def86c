"""The applicants' way in as a process."""

from __future__ import annotations

from switch.applicants.application import PROGRAM, application
from switch.applicants.rules import KeptRules
from switch.applications.tries import SecretTries
from switch.backoffice.serving import run
from switch.base.log import configure_logging
from switch.check.store import open_store
from switch.config.models import Config
from switch.files.problems import ConfigError, Problem


def serve(config: Config) -> None:
    """Serve applicants until SIGTERM or SIGINT; what is under way gets 30 s.

    Raises:
        ConfigError: The configuration or the rules cannot be used.
        KeyFileError: The key file cannot be used, or has no key of the store.
        StoreError: The database cannot be reached, or has another version.
        OSError: The address cannot be had, or the certificate cannot be used.
    """
    section = config.applicants
    if section is None:
        raise ConfigError([Problem(str(config.file), PROGRAM, "is required: it says where to listen")])
    configure_logging(config.log.format, config.log.level)
    rules = KeptRules(config)
    store = open_store(config)
    tries = SecretTries(store)
    try:
        run(application(store, rules, tries, section), section, (PROGRAM, "applicants are served"))
    finally:
        tries.close()
        store.close()
