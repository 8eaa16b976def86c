"""Secrets that people type: components and encrypted keys, never shown, with check values that are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from string import hexdigits
from typing import TypeVar

import typer

from switch.cli.journal_reading import fail
from switch.keys.key import cancel_out, check_value, combine_components, has_weak_part
from switch.keys.names import check_algorithm

CHECK_VALUE_DIGITS_MIN = 4
TRIES_MAX = 5

Secret = TypeVar("Secret")


class SecretError(ValueError):
    """A secret that cannot be what it should be, in words that hold nothing of it."""


def take_component(algorithm: str) -> Callable[[str, str], bytes]:
    """What makes a component of what was typed, and says its check value; it raises ``SecretError``."""
    size = check_algorithm(algorithm).size

    def take(name: str, line: str) -> bytes:
        component = from_hex(name, line)
        if len(component) != size:
            raise SecretError(f"{name} has {len(component)} bytes; a key of algorithm {algorithm} has {size}")
        typer.echo(f"{name}: {size} bytes, kcv {check_value(algorithm, component)}")
        return component

    return take


def combined(algorithm: str, count: int) -> bytes:
    """The key of components that are asked for."""
    components = read_secrets([f"component {number}" for number in range(1, count + 1)], take_component(algorithm))
    value = combine_components(components)
    if has_weak_part(algorithm, value):
        fail("the components make a weak key, such as two equal components do")
    if cancel_out(algorithm, components):
        fail("some components cancel each other out, as two equal ones do, or one of zeros: the others were the key")
    return value


def read_secrets(what: list[str], take: Callable[[str, str], Secret]) -> list[Secret]:
    """As many secrets as are named: asked for on a terminal, else lines of standard input.

    Args:
        what: What each is.
        take: Makes a secret of what it is and what was typed, or raises ``SecretError``.
    """
    if on_terminal():
        return [ask(one, take) for one in what]
    lines = [line for line in sys.stdin.read(65_536).splitlines() if line.strip()]
    if len(lines) != len(what):
        fail(f"needed {len(what)} lines of standard input ({', '.join(what)}), not {len(lines)}")
    try:
        return [take(one, line) for one, line in zip(what, lines, strict=True)]
    except SecretError as error:
        fail(str(error))


def ask(what: str, take: Callable[[str, str], Secret]) -> Secret:
    """One secret of a person, who may mistype it, and is told before the next one is asked for."""
    for left in reversed(range(TRIES_MAX)):
        try:
            return take(what, str(typer.prompt(what, hide_input=True)))
        except SecretError as error:
            typer.echo(f"{error}{': once more' if left else ''}", err=True)
    return fail(f"{what} was not taken {TRIES_MAX} times; nothing was changed")


def from_hex(what: str, line: str) -> bytes:
    """What was typed in pairs of hex digits; else ``SecretError``."""
    try:
        return bytes.fromhex(line)
    except ValueError as error:
        raise SecretError(f"{what} is not written in pairs of hex digits") from error


def on_terminal() -> bool:
    """Whether a person types."""
    return sys.stdin.isatty()


def checked_check(check: str) -> str:
    """A check value as it was given, in upper-case digits; what is none is a wrong question."""
    if len(check) < CHECK_VALUE_DIGITS_MIN or len(check) % 2 or any(one not in hexdigits for one in check):
        raise typer.BadParameter(f"a check value has an even number of hex digits, {CHECK_VALUE_DIGITS_MIN} or more")
    return check.upper()


def require_check(check: str | None) -> None:
    """A check value that nobody gives must be confirmed by somebody."""
    if check is None and not on_terminal():
        raise typer.BadParameter("--kcv is required: without a terminal nobody can confirm the key's check value")


def compare_check(algorithm: str, value: bytes, check: str) -> None:
    """End the command in words where a key has another check value than is expected."""
    expected = checked_check(check)
    found = check_value(algorithm, value, len(expected) // 2)
    if found != expected:
        fail(f"the check value is {found}, not {expected}; nothing was changed")
