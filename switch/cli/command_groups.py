"""Help of all commands alike: asked for with -h as well as --help, and without a type where an option is a flag."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer

HELP_NAMES = ["-h", "--help"]

USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""Any mistake in how a command was asked; typer itself names only this one sort of it."""


def command_group() -> typer.Typer:
    """An application of several commands, to stand below ``authswitch``."""
    return typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # they would show the values of variables
        context_settings={"help_option_names": HELP_NAMES},
        add_completion=False,
    )


def plain(command: Any) -> Any:
    """A command of typer, and all below it, with such a help, and with errors that say what was given."""
    command.context_settings.setdefault("help_option_names", HELP_NAMES)
    command.help = flowing(command.help)
    for parameter in command.params:
        _hide_type(parameter)
        parameter.process_value = _in_our_words(parameter.process_value)
    if any("--config" in parameter.opts for parameter in command.params):
        command.parse_args = _hinting_at_config(command.parse_args)
    make_option = command.get_help_option

    def help_option(context: Any) -> Any:
        return _hide_type(make_option(context))

    command.get_help_option = help_option
    for inner in getattr(command, "commands", {}).values():
        plain(inner)
    return command


def flowing(text: str | None) -> str | None:
    """A help text whose paragraphs are broken where the terminal ends, not where the source did."""
    if text is None:
        return None
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _in_our_words(process: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """What takes the value of a parameter, and says what was needed and what was given."""

    def process_value(context: Any, value: Any) -> Any:
        try:
            return process(context, value)
        except typer.BadParameter as error:
            from pydantic import ValidationError

            from switch.base.masking import mask_text
            from switch.files.model_errors import value_words

            if isinstance(error.__cause__, ValidationError):
                error.message = mask_text(value_words(error.__cause__))
            raise

    return process_value


def _hinting_at_config(parse: Callable[[Any, list[str]], Any]) -> Callable[[Any, list[str]], Any]:
    """What reads the arguments of a command that takes its configuration by an option, and says so."""

    def parse_args(context: Any, arguments: list[str]) -> Any:
        try:
            return parse(context, arguments)
        except USAGE_ERROR as error:
            if "unexpected extra argument" in str(getattr(error, "message", "")):
                error.message += "; the configuration is given with --config"
            raise

    return parse_args


def _hide_type(parameter: Any) -> Any:
    if getattr(parameter, "is_flag", False) and parameter.metavar is None:
        parameter.metavar = ""
    return parameter
