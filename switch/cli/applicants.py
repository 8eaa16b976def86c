"""``authswitch applicants``: what merchants who apply reach, a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from switch.cli.command_groups import command_group
from switch.cli.http_processes import serve_with
from switch.cli.journal_reading import ConfigFile
from switch.cli.listing import write_document

app = command_group()


@app.callback()
def root() -> None:
    """What merchants who apply reach: plain pages, and an API for programs."""


@app.command()
def serve(config: ConfigFile) -> None:
    """Serve applicants, as the section "applicants" of the configuration says, until SIGTERM.

    Example: authswitch applicants serve /etc/authswitch/switch.toml
    """
    from switch.applicants.serving import serve as run

    serve_with(config, run)


@app.command()
def openapi(
    output: Annotated[Path | None, typer.Option("--output", help="A file; standard output, when left out.")] = None,
) -> None:
    """Write the description of the API: an OpenAPI document.

    Example: authswitch applicants openapi --output applicants.json
    """
    from switch.applicants.description import openapi_document

    write_document(openapi_document(), output)
