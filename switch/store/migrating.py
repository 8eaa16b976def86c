"""The schema, brought up to this version of the program by Alembic's migrations."""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from switch.store.opening import Store
from switch.store.problems import StoreError


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_settings())


def _settings() -> AlembicConfig:
    settings = AlembicConfig()
    settings.set_main_option("script_location", "switch.store:migrations")
    return settings


def newest_version() -> str:
    """The version that this program works with."""
    return str(_scripts().get_current_head())


def version_of(connection: Connection) -> str | None:
    """The version of a database's schema; None where there is none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(store: Store) -> tuple[str | None, str]:
    """Bring a database up to this program's version, as a whole or not at all; from which version to which.

    Raises:
        StoreError: A newer program has been at work on it, or the database could not do it.
    """
    with store.changing_schema() as connection:
        before = version_of(connection)
        _refuse_newer(store, before)
        settings = _settings()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
        return before, newest_version()


def require_newest(store: Store) -> None:
    """See that a database can be worked with.

    Raises:
        StoreError: It has another version, or none; it says what to do.
    """
    with store.reading() as connection:
        version = version_of(connection)
    if version == newest_version():
        return
    _refuse_newer(store, version)
    said = (
        "has no tables yet" if version is None else f"is of version {version}, and this program of {newest_version()}"
    )
    raise StoreError(f"{store.place}: {said}; `authswitch store upgrade CONFIG` brings it up to that")


def _refuse_newer(store: Store, version: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if version is not None and version not in known:
        raise StoreError(f"{store.place}: a newer program has changed it to version {version}; use that one")
