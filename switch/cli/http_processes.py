"""Commands that serve HTTP as processes of their own, until SIGTERM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from switch.base.error_words import words_of
from switch.cli.journal_reading import fail, load
from switch.cli.report import refuse
from switch.config import Config
from switch.files.problems import ConfigError
from switch.keys import KeyFileError
from switch.store.problems import StoreError


def serve_with(config_file: Path, serve: Callable[[Config], None]) -> None:
    """Serve until SIGTERM; ends the command in words when that cannot be done."""
    try:
        serve(load(config_file))
    except ConfigError as error:
        refuse(error)
    except (StoreError, KeyFileError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot serve: {words_of(error)}")
