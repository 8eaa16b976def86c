"""Backup and restore: the whole store copied, in one state, into another database.

A backup is a SQLite file with the same tables: it can be opened, proved and read by itself, and restored into either
sort of database; so it is also the way from the one to the other.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, func, inspect, select
from sqlalchemy.engine import Connection

from switch.store.columns import METADATA
from switch.store.migrating import require_newest, upgrade
from switch.store.opening import Store
from switch.store.problems import StoreError
from switch.store.proving import flaws

ROWS_AT_A_TIME = 5_000
VERSION_TABLE = "alembic_version"


def back_up(store: Store, file: Path) -> int:
    """Copy a store into a new file, for its owner alone; how many rows.

    Raises:
        StoreError: The file is there already, or one of the two could not do it.
    """
    if file.exists():
        raise StoreError(f"{file}: exists already; a backup is never overwritten")
    copy = Store.open(URL.create("sqlite", database=str(file)), makes_file=True)
    try:
        rows = _copy(store, copy)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    finally:
        copy.close()
    return rows


def restore(file: Path, store: Store) -> int:
    """Copy a backup into a database that has nothing in it yet; how many rows.

    Raises:
        StoreError: It is no backup, is not whole, or the database has rows of its own already.
    """
    if not file.is_file():
        raise StoreError(f"{file}: there is no such file")
    backup = Store.open(URL.create("sqlite", database=str(file)))
    try:
        require_newest(backup)
        with backup.reading() as connection, closing(flaws(connection)) as found:
            flaw = next(found, None)
        if flaw is not None:
            raise StoreError(f"{file}: {flaw.where} {flaw.reason}; nothing was restored")
        return _copy(backup, store)
    finally:
        backup.close()


def _copy(source: Store, target: Store) -> int:
    require_newest(source)
    upgrade(target)
    with source.reading() as reading, target.writing() as writing:
        _refuse_unknown_tables(source, reading)
        if any(row_counts(writing).values()):
            raise StoreError(f"{target.place}: has rows of its own; a restore needs a database that is empty")
        return sum(_copy_table(reading, writing, name) for name in (one.name for one in METADATA.sorted_tables))


def _refuse_unknown_tables(source: Store, reading: Connection) -> None:
    """A copy that leaves something out is none."""
    unknown = set(inspect(reading).get_table_names()) - set(METADATA.tables) - {VERSION_TABLE}
    if unknown:
        raise StoreError(f"{source.place}: has tables that this program does not know: {', '.join(sorted(unknown))}")


def _copy_table(reading: Connection, writing: Connection, name: str) -> int:
    table = METADATA.tables[name]
    count = 0
    rows = reading.execution_options(yield_per=ROWS_AT_A_TIME).execute(select(table).order_by(*table.primary_key))
    for part in rows.mappings().partitions():
        writing.execute(table.insert(), [dict(row) for row in part])
        count += len(part)
    return count


def row_counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has, those that others refer to first."""
    return {
        table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table in METADATA.sorted_tables
    }
