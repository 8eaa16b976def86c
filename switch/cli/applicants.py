"""``authswitch applicants``: what merchants who apply reach, a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from switch.base.error_words import words_of
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import ConfigFile, fail, load
from switch.cli.listing import write_document
from switch.cli.report import refuse
from switch.files.problems import ConfigError
from switch.keys import KeyFileError
from switch.store.problems import StoreError

app = command_group()


@app.callback()
def root() -> None:
    """What merchants who apply reach: plain pages, and an API for programs."""


@app.command()
def serve(config: ConfigFile) -> None:
    """Serve what [applicants] describes, until SIGTERM.

    Example: authswitch applicants serve /etc/authswitch/switch.toml
    """
    from switch.applicants.serving import serve as run

    try:
        run(load(config))
    except ConfigError as error:
        refuse(error)
    except (StoreError, KeyFileError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot serve: {words_of(error)}")


@app.command()
def openapi(
    output: Annotated[Path | None, typer.Option("--output", help="A file; standard output, when left out.")] = None,
) -> None:
    """Write the description of the API: an OpenAPI document.

    Example: authswitch applicants openapi --output applicants.json
    """
    from switch.applicants.description import openapi_document

    write_document(openapi_document(), output)
