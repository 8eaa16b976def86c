"""The schema, brought up to this version of the program by Alembic's migrations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from alembic import command, context
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from switch.store.opening import Store
from switch.store.problems import StoreError


@dataclass(frozen=True, slots=True)
class Schema:
    """How the tables of one database came to be.

    Attributes:
        scripts: The package of its migrations, as Alembic names it.
        upgraded_by: The command that brings it up to date.
    """

    scripts: str
    upgraded_by: str


BACK_OFFICE = Schema("switch.store:migrations", "authswitch store upgrade CONFIG")


@cache
def _scripts(schema: Schema) -> ScriptDirectory:
    return ScriptDirectory.from_config(_settings(schema))


def _settings(schema: Schema) -> AlembicConfig:
    settings = AlembicConfig()
    settings.set_main_option("script_location", schema.scripts)
    return settings


def newest_version(schema: Schema = BACK_OFFICE) -> str:
    """The version that this program works with."""
    return str(_scripts(schema).get_current_head())


def version_of(connection: Connection) -> str | None:
    """The version of a database's schema; None where there is none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(store: Store, schema: Schema = BACK_OFFICE) -> tuple[str | None, str]:
    """Bring a database up to this program's version, as a whole or not at all; from which version to which.

    Raises:
        StoreError: A newer program has been at work on it, or the database could not do it.
    """
    with store.changing_schema() as connection:
        before = version_of(connection)
        _refuse_newer(store, schema, before)
        settings = _settings(schema)
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
        return before, newest_version(schema)


def require_newest(store: Store, schema: Schema = BACK_OFFICE) -> None:
    """See that a database can be worked with.

    Raises:
        StoreError: It has another version, or none; it says what to do.
    """
    with store.reading() as connection:
        version = version_of(connection)
    newest = newest_version(schema)
    if version == newest:
        return
    _refuse_newer(store, schema, version)
    said = "has no tables yet" if version is None else f"is of version {version}, and this program of {newest}"
    raise StoreError(f"{store.place}: {said}; `{schema.upgraded_by}` brings it up to that")


def _refuse_newer(store: Store, schema: Schema, version: str | None) -> None:
    known = {script.revision for script in _scripts(schema).walk_revisions()}
    if version is not None and version not in known:
        raise StoreError(f"{store.place}: a newer program has changed it to version {version}; use that one")


def run_migrations() -> None:
    """Run them on the connection of an upgrade, inside its transaction: what each schema's ``env.py`` does."""
    context.configure(
        connection=context.config.attributes["connection"],
        render_as_batch=True,
        transactional_ddl=True,
    )
    context.run_migrations()
