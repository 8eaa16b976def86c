"""The books made anew from nothing, and compared with those that there are: they must be the same to the last entry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from switch.books.keeping import POLL_SECONDS
from switch.books.opening import Books
from switch.books.posting import Poster, find_source
from switch.journal.opening import PartitionReader
from switch.store.opening import Store


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One partition's books, made anew.

    Attributes:
        partition: Its number.
        entries: How many entries were made.
        chain: SHA-256 over all of them.
        kept_entries: How many the books have.
        kept_chain: The same of those.
    """

    partition: int
    entries: int
    chain: bytes
    kept_entries: int
    kept_chain: bytes

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return (self.entries, self.chain) == (self.kept_entries, self.kept_chain)


def rebuild(books: Books, into: Store) -> Iterator[Rebuilt]:
    """Post every journal anew, as far as the books have posted it, and compare.

    Args:
        books: The books.
        into: A database with the books' tables, of which nothing was posted.

    Raises:
        StoreError: A database could not do it.
        OSError: A file cannot be read.
        JournalDamaged: The journal cannot be read, or does not have all that was posted any more.
    """
    for journal in books.journals():
        with books.store.reading() as connection:
            kept = find_source(connection, journal.partition)
        if kept is None:
            continue
        poster = books.poster(journal, into)
        _post_up_to(books, journal, poster, kept["begins"], kept["next_position"])
        with into.reading() as connection:
            made = find_source(connection, journal.partition) or {"entries": 0, "chain": b""}
        yield Rebuilt(journal.partition, made["entries"], made["chain"], kept["entries"], kept["chain"])


def _post_up_to(books: Books, journal: PartitionReader, poster: Poster, begins: int, end: int) -> None:
    follower = books.follower(journal, begins)
    reached = begins
    while reached < end:
        stretch = follower.read()
        events = [event for event in stretch.events if event[0] < end]
        if stretch.next_position == reached:
            time.sleep(POLL_SECONDS)
        reached = stretch.next_position
        poster.post(events, begins, min(reached, end))
