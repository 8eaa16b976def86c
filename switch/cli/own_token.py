"""The token that a command shows a daemon: in a file that an option or the environment names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from switch.base.error_words import words_of
from switch.files.private import NotPrivateError, read_private

TOKEN_FILE = "AUTHSWITCH_TOKEN_FILE"  # noqa: S105 - the name of a variable

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        envvar=TOKEN_FILE,
        help="Has your token (mode 0600), which the daemon asks for over TCP; a Unix socket needs none.",
    ),
]


def read_token(file: Path | None) -> str | None:
    """The token in a file; None where no file is named.

    Raises:
        ValueError: It cannot be read, or others can read it, too.
    """
    if file is None:
        return None
    try:
        return read_private(file).strip()
    except NotPrivateError as error:
        raise ValueError(f"{file}: {error}") from None
    except OSError as error:
        raise ValueError(words_of(error, file)) from None
