"""Errors of the operating system and of TLS in the words of a person: what cannot be had, and why, without numbers."""

from __future__ import annotations

import os
import ssl


def words_of(error: BaseException, about: object = "") -> str:
    """What went wrong in one line.

    Args:
        error: Of the operating system, of a library that reads files, or any whose own words will do.
        about: The file or address that it is about, where the error does not name a file itself.
    """
    reason = _reason(error)
    named = "" if not isinstance(error, OSError) or error.filename is None else os.fsdecode(error.filename)
    subject = named or str(about)
    return f"{subject}: {reason}" if subject and not reason.startswith(subject) else reason


def unreadable(error: BaseException, file: object) -> str:
    """That a file cannot be read, and why, in one line; what is in it has the library's words."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return f"{file}: cannot be read: {error.strerror}"
    return words_of(error, file)


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS, or no such key or certificate ({(error.reason or 'unknown').replace('_', ' ').lower()})"
    if isinstance(error, TimeoutError) and not error.strerror:
        return "no answer in time"
    if isinstance(error, UnicodeDecodeError):
        return f"is no text in UTF-8, at byte {error.start}"
    if isinstance(error, OSError) and error.strerror:
        # Event loops put their own words about the address around the kernel's.
        wrapped = error.errno is not None and "bind on address" in error.strerror
        return os.strerror(error.errno) if wrapped and error.errno is not None else error.strerror
    return str(error) or type(error).__name__
