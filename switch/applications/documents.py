"""Papers of an application: what sort of file it is say its bytes, and nobody reads it without the key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, select

from switch.applications.policy import DocumentsSection
from switch.applications.tables import DOCUMENT_CONTENTS, DOCUMENTS
from switch.store.changing import Change
from switch.store.problems import RefusedError
from switch.store.sealing import Place, Sealer

BEGINNINGS: Final = {b"%PDF-": "application/pdf", b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
"""What files of the types begin with that are taken."""

MEANING: Final = "document"
KIND_CHARACTERS_MAX = 40


def content_type_of(content: bytes) -> str | None:
    """The type of a file by its bytes; None where it is none that is taken."""
    return next((name for beginning, name in BEGINNINGS.items() if content.startswith(beginning)), None)


@dataclass(frozen=True, slots=True)
class Paper:
    """A file that came.

    Attributes:
        application: Reference of the application that it belongs to.
        kind: What it is, such as ``licence``.
        content: Its bytes.
    """

    application: str
    kind: str
    content: bytes = field(repr=False)


def add_document(change: Change, sealer: Sealer, limits: DocumentsSection, paper: Paper) -> str:
    """Keep a paper of an application; its number.

    Raises:
        RefusedError: It is too large, of no type that is taken, one too many, or there already.
    """
    application, kind, content = paper.application, paper.kind, paper.content
    if not kind.isprintable() or not 0 < len(kind) <= KIND_CHARACTERS_MAX:
        raise RefusedError(f"needed what it is, in 1 to {KIND_CHARACTERS_MAX} characters")
    if len(content) > limits.bytes_max:
        raise RefusedError(f"it has {len(content):,} bytes, and at most {limits.bytes_max:,} are taken")
    content_type = content_type_of(content)
    if content_type is None:
        raise RefusedError(f"its bytes are of no type that is taken: needed {', '.join(BEGINNINGS.values())}")
    digest = sealer.hash_of_bytes(MEANING, content)
    mine = DOCUMENTS.c.application == application
    connection = change.connection
    if connection.execute(select(DOCUMENTS.c.id).where(mine, DOCUMENTS.c.hash == digest)).first() is not None:
        raise RefusedError("the very same is there already")
    count = int(connection.execute(select(func.count()).select_from(DOCUMENTS).where(mine)).scalar_one())
    if count >= limits.count_max:
        raise RefusedError(f"there are {count} already, and at most {limits.count_max} are taken")
    key = f"{application}-{count + 1}"
    change.insert(
        DOCUMENTS,
        {
            "id": key,
            "application": application,
            "kind": kind,
            "content_type": content_type,
            "bytes": len(content),
            "hash": digest,
            "at": change.at,
        },
    )
    sealed = sealer.seal(_place(key), content)
    connection.execute(DOCUMENT_CONTENTS.insert(), {"document": key, "content_sealed": sealed})
    return key


def read_document(connection: Any, sealer: Sealer, key: str) -> bytes:
    """The bytes of a paper.

    Raises:
        RefusedError: It is not there, or not the one that was handed in.
        StoreError: It cannot be opened.
    """
    query = select(DOCUMENTS.c.hash, DOCUMENT_CONTENTS.c.content_sealed).join_from(DOCUMENTS, DOCUMENT_CONTENTS)
    row = connection.execute(query.where(DOCUMENTS.c.id == key)).one_or_none()
    if row is None:
        raise RefusedError(f"there is no document {key}, or not any more")
    content = sealer.open(_place(key), row.content_sealed)
    if sealer.hash_of_bytes(MEANING, content) != row.hash:
        raise RefusedError(f"document {key} is not the one that was handed in")
    return content


def forget_contents(change: Change, application: str) -> None:
    """Take the bytes of all papers of an application out of the store; what they were stays, with their hashes."""
    mine = select(DOCUMENTS.c.id).where(DOCUMENTS.c.application == application)
    change.connection.execute(DOCUMENT_CONTENTS.delete().where(DOCUMENT_CONTENTS.c.document.in_(mine)))


def _place(key: str) -> Place:
    return Place(DOCUMENT_CONTENTS.name, "content", key)
