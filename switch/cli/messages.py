"""``authswitch decode`` and ``authswitch encode``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from switch.dialect import Dialect, DialectError, dialect_names, load_dialect
from switch.messages.opened import OpenedMessage, Part, open_message
from switch.messages.reading import (
    Frame,
    InputError,
    Notation,
    as_given,
    from_bytes,
    messages_in,
    read_given,
    to_bytes,
    to_document,
)
from switch.wire.codec import EncodeError, encode
from switch.wire.faults import of_dialect
from switch.wire.framing import FrameError
from switch.wire.scan import ScanError

EXIT_FAILED = 1
EXIT_ASKED_WRONGLY = 2

DialectName = Annotated[
    str,
    typer.Option(
        "--dialect", "-d", metavar="NAME|FILE", help=f"One of {', '.join(dialect_names())}, or a dialect file."
    ),
]
FromFile = Annotated[Path | None, typer.Option("--file", "-f", help="Read from this file instead.")]


def _app() -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,  # they would show the values of variables
        context_settings={"help_option_names": ["-h", "--help"]},
    )


decode_app = _app()
encode_app = _app()


@decode_app.command()
def decode_command(
    message: Annotated[str | None, typer.Argument(help="The message; - or nothing reads standard input.")] = None,
    *,
    dialect: DialectName = "iso87-ascii",
    file: FromFile = None,
    notation: Annotated[Notation, typer.Option("--in", help="How the bytes are written.")] = Notation.HEX,
    frame: Annotated[Frame, typer.Option(help="Whether the message stands in its frame.")] = Frame.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    show_sensitive: Annotated[
        bool,
        typer.Option(help="Show card numbers whole. Track data, PIN blocks and the like are never shown."),
    ] = False,
) -> None:
    """Show the fields of one message; card numbers are masked.

    Exit status 1 when the switch could not read the message: what can be shown of it is shown all the same.

    Example: authswitch decode -d cup 0057600501000061310031110808000020...
    """
    chosen = _load(dialect)
    try:
        found = messages_in(to_bytes(read_given(message, file), notation), chosen, frame)
    except InputError as error:
        _fail(str(error) if file is None else f"{file}: {error}", EXIT_ASKED_WRONGLY)
    opened = [open_message(body, chosen, headers, show_sensitive=show_sensitive) for headers, body in found]
    if as_json:
        documents = [each.as_dict() for each in opened]
        typer.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, ensure_ascii=False))
    else:
        for each in opened:
            _print(each)
    errors = [each.error for each in opened if each.error]
    if errors:
        _fail("; ".join(errors), EXIT_FAILED)


@encode_app.command()
def encode_command(
    document: Annotated[
        str | None, typer.Argument(help='The fields as JSON, {"t": "0800", ...}; - or nothing reads standard input.')
    ] = None,
    *,
    dialect: DialectName = "iso87-ascii",
    file: FromFile = None,
    notation: Annotated[Notation, typer.Option("--out", help="How to write the bytes.")] = Notation.HEX,
    frame: Annotated[bool, typer.Option(help="Put the message into the dialect's frame.")] = False,
    headers: Annotated[str | None, typer.Option(help="Headers of the frame in hex, instead of the dialect's.")] = None,
) -> None:
    """Write one message from its fields. Binary fields are given as hex digits; the bitmap makes itself.

    Exit status 1 when a field cannot hold its value, 2 when a key is no field of the dialect.

    Example: authswitch encode -d cup --frame '{"t": "0820", "11": "000001", "60": "00000001301"}'
    """
    chosen = _load(dialect)
    try:
        fields = to_document(read_given(document, file), chosen)
        given_headers = None if headers is None else to_bytes(as_given(headers), Notation.HEX)
    except InputError as error:
        _fail(str(error) if file is None else f"{file}: {error}", EXIT_ASKED_WRONGLY)
    try:
        data = bytes(encode({"h": "", **fields}, chosen.spec)[0])
        chosen.tables.kind_of(data)  # what is written can be read
        written = chosen.framing.wrap(data, given_headers) if frame else data
    except EncodeError as error:
        _fail(of_dialect(chosen.name, error.safe_message), EXIT_FAILED)
    except ScanError as error:
        _fail(of_dialect(chosen.name, str(error)), EXIT_FAILED)
    except FrameError as error:
        _fail(str(error), EXIT_FAILED)
    except ValueError as error:
        _fail(str(error), EXIT_ASKED_WRONGLY)
    sys.stdout.buffer.write(from_bytes(written, notation))
    sys.stdout.buffer.flush()


def _load(name: str) -> Dialect:
    try:
        return load_dialect(name)
    except DialectError as error:
        _fail(str(error), EXIT_ASKED_WRONGLY)


def _print(opened: OpenedMessage) -> None:
    """A table for people."""
    console = Console(highlight=False)
    title = f"{opened.mti or 'no MTI'}  {opened.kind.replace('_', ' ')}  ({opened.dialect})"
    table = Table(
        title=_printable(title), title_justify="left", caption=f"headers {opened.headers}" if opened.headers else None
    )
    table.add_column("field", justify="right", no_wrap=True)
    table.add_column("byte", justify="right", no_wrap=True)
    table.add_column("name")
    table.add_column("value", overflow="fold")
    for field in opened.fields:
        value = f"{field.value}  {field.meaning}" if field.meaning else field.value
        table.add_row(field.field, str(field.position), Text(field.description), _printable(value))
        _add_parts(table, field.parts, 1)
    console.print(table)


def _add_parts(table: Table, parts: tuple[Part, ...], depth: int) -> None:
    for part in parts:
        indent = "  " * depth
        table.add_row("", "", Text(f"{indent}{part.name}  {part.description}"), _printable(part.value))
        _add_parts(table, part.parts, depth + 1)


def _printable(text: str) -> Text:
    """Text whose control characters do nothing to a terminal."""
    return Text("".join(each if each.isprintable() else f"\\x{ord(each):02X}" for each in text))


def _fail(reason: str, status: int) -> NoReturn:
    typer.echo(f"authswitch: {reason}", err=True)
    raise typer.Exit(status)
