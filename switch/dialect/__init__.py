"""Dialects: how one side writes ISO 8583, as data.

A dialect is a file: fields and their encoding, framing, MAC rules, response codes, kinds of transaction, field policies
and network management. ``docs/dialects.md`` says how to add one.
"""

from switch.dialect.building import FieldMeaning
from switch.dialect.loader import Dialect, load_dialect
from switch.dialect.source import DialectError, dialect_names

__all__ = ["Dialect", "DialectError", "FieldMeaning", "dialect_names", "load_dialect"]
