"""``authswitch endpoints``: versions of links' endpoints and limits in the store."""

from __future__ import annotations

from switch.cli.command_groups import command_group
from switch.cli.rulebooks import add_rulebook_commands
from switch.rulebooks.rulebooks import ENDPOINTS

app = command_group()


@app.callback()
def root() -> None:
    """Endpoints: where issuers are called and how much they are given, in versions, and which of them is in force."""


add_rulebook_commands(app, ENDPOINTS)
