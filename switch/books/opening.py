"""The books of a configuration, opened: their database, their chart, and the journals that they are of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

from switch.books.business_days import BusinessDays
from switch.books.chart import Chart, load_chart
from switch.books.following import JournalFollower
from switch.books.payments import Bookkeeper
from switch.books.posting import Poster
from switch.books.tables import SCHEMA
from switch.check.store import open_database
from switch.config.key_file import open_key_file
from switch.config.models import Config
from switch.files.problems import ConfigError, Problem
from switch.journal.opening import PartitionReader, open_partitions
from switch.keys.book_keys import card_index_key
from switch.keys.journal_keys import journal_keys
from switch.store.opening import Store


@dataclass(frozen=True, slots=True)
class Books:
    """The books of a configuration.

    Attributes:
        store: Their database.
        chart: Accounts and posting rules.
        days: Business days.
        directory: Of the journals.
        journal_keys: As ``switch.keys.journal_keys`` gives them.
        card_key: Of the keyed hash of card numbers.
    """

    store: Store
    chart: Chart
    days: BusinessDays
    directory: Path
    journal_keys: bytes
    card_key: bytes

    def journals(self) -> list[PartitionReader]:
        """The partitions whose journals are on this machine, and have begun.

        Raises:
            OSError: The directory cannot be read.
            JournalDamaged: The head of a segment is damaged.
            PartitionsError: The directory is not laid out as it must be.
        """
        return [one for one in open_partitions(self.directory, self.journal_keys) if one.reader.segments]

    def poster(self, journal: PartitionReader, store: Store | None = None) -> Poster:
        """What posts a partition's events; into another database where one is given.

        Raises:
            StoreError: The books are of another journal, or the database cannot be asked.
        """
        keeper = Bookkeeper(self.chart, self.days, journal.partition)
        identity = bytes(journal.reader.segments[0].journal_id)
        return Poster(self.store if store is None else store, keeper, journal.partition, identity)

    def follower(self, journal: PartitionReader, next_position: int | None) -> JournalFollower:
        """What reads a partition's journal from a position on.

        Raises:
            JournalDamaged: That is not in the journal any more.
        """
        with journal.telling():
            return JournalFollower(journal, self.card_key, next_position)


def business_days(config: Config) -> BusinessDays:
    """When business days end.

    Raises:
        ConfigError: There is no ``[books]``.
    """
    if config.books is None:
        raise ConfigError([Problem(str(config.file), "books", "is required: it says where the books are kept")])
    return BusinessDays(time.fromisoformat(config.books.cut_over), ZoneInfo(config.switch.timezone))


def chart_of(config: Config) -> Chart:
    """The chart that a configuration names, or that of the program.

    Raises:
        ConfigError: It cannot be used.
    """
    return load_chart(None if config.books is None else config.books.chart)


@contextmanager
def opened_books(config: Config) -> Iterator[Books]:
    """Open all that the books need.

    Raises:
        ConfigError: The configuration or the chart cannot be used.
        KeyFileError: The key file cannot be used, or lacks the key of the books.
        StoreError: The database cannot be used.
    """
    days, chart = business_days(config), chart_of(config)
    if config.journal.directory is None or config.keys is None:
        raise ConfigError([Problem(str(config.file), "journal", "is required, with [keys]: the books are made of it")])
    with open_key_file(config.keys) as file:
        keys, card_key = journal_keys(file), card_index_key(file)
    store = open_database(config, "books", SCHEMA)
    try:
        yield Books(store, chart, days, config.journal.directory, keys, card_key)
    finally:
        store.close()
