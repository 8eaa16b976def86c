"""Help of all commands alike: asked for with -h as well as --help, and without a type where an option is a flag."""

from __future__ import annotations

from typing import Any

import typer

HELP_NAMES = ["-h", "--help"]


def command_group() -> typer.Typer:
    """An application of several commands, to stand below ``authswitch``."""
    return typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # they would show the values of variables
        context_settings={"help_option_names": HELP_NAMES},
        add_completion=False,
    )


def plain(command: Any) -> Any:
    """A command of typer, and all below it, with such a help."""
    command.context_settings.setdefault("help_option_names", HELP_NAMES)
    for parameter in command.params:
        _hide_type(parameter)
    make_option = command.get_help_option

    def help_option(context: Any) -> Any:
        return _hide_type(make_option(context))

    command.get_help_option = help_option
    for inner in getattr(command, "commands", {}).values():
        plain(inner)
    return command


def _hide_type(parameter: Any) -> Any:
    if getattr(parameter, "is_flag", False) and parameter.metavar is None:
        parameter.metavar = ""
    return parameter
