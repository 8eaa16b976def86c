"""Copies of messages that are kept: composed without the fields that nobody may keep."""

from collections.abc import Iterable

from switch.wire.spec import Spec

def copy_without(spec: Spec, message: bytes, unkept: Iterable[int]) -> bytes:
    """Copy a message without some fields.

    Args:
        spec: How it is written.
        message: The message.
        unkept: Numbers of fields.

    Raises:
        ScanError: It cannot be read.
        ValueError: A number is none of a field.
    """

def mend(spec: Spec, message: bytes, unkept: Iterable[int]) -> bytes | None:
    """Make a readable copy of one in which an earlier version overwrote fields: without them, and without ``unkept``.

    Args:
        spec: How it is written.
        message: The copy.
        unkept: Numbers of fields.

    Returns:
        The copy, or None when it cannot be read even so.
    """
