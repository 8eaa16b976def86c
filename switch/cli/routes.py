"""``authswitch routes``: versions of the BIN table in the store."""

from __future__ import annotations

from switch.cli.command_groups import command_group
from switch.cli.rulebooks import add_rulebook_commands
from switch.rulebooks.rulebooks import ROUTES

app = command_group()


@app.callback()
def root() -> None:
    """BIN table: which card goes to which links, in versions, and which of them is in force."""


add_rulebook_commands(app, ROUTES)
