"""``authswitch keys``: make and change the sealed key file. Clear keys go in by components only, and never come out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from switch.base.error_words import unreadable, words_of
from switch.base.system_users import system_user
from switch.cli.binding_key import binding_key_in, refuse_unfit
from switch.cli.command_groups import command_group
from switch.cli.journal_keys import refuse_needed, rows_of
from switch.cli.journal_reading import fail
from switch.cli.key_ceremony import (
    checked_check,
    combined,
    compare_check,
    from_hex,
    read_secrets,
    require_check,
    take_component,
)
from switch.cli.key_exchange import exchange
from switch.cli.listing import listing, plain_console
from switch.cli.report import EXIT_NOT_VALID, print_problems, status_of
from switch.config import Config, ConfigError, load_config
from switch.config.key_file import master_key_place
from switch.config.mesh_sections import ALONE, Node
from switch.keys.components import COMPONENT_USAGE, Whole, WrongWholeError, enter
from switch.keys.file import KeyFile
from switch.keys.journal_keys import JOURNAL_USAGE, first_journal_keys, renew_journal_key
from switch.keys.key import Key, generate_value
from switch.keys.key_block import is_key_block, unwrap_key_block, wrap_key_block
from switch.keys.master import FilePlace, GivenPlace, MasterKey, MasterKeyPlace
from switch.keys.names import (
    ALGORITHMS,
    DIGESTS_USAGE,
    USAGES,
    Usage,
    check_algorithm,
    check_name,
    check_usage,
    former_name,
    usage_of_name,
)
from switch.keys.problems import KeyFileError, UnreadableError
from switch.keys.rotation import end_rotation, rotatable, rotate
from switch.keys.store_keys import STORE_USAGES
from switch.keys.terminals import read_terminal_keys
from switch.keys.wrapping import unwrap_key, wrap_key
from switch.tables.binding import BINDING_KEY

COMPONENTS_MAX = 9
ALGORITHM_DEFAULT = "3des-2key"

app = command_group()
app.command("exchange")(exchange)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as terminal/10000001/tak or link/bank-a/zpk.")]
UsageOption = Annotated[
    str | None,
    typer.Option("--usage", help=f"One of {', '.join(USAGES)}; taken from the end of NAME when left out."),
]
AlgorithmOption = Annotated[str, typer.Option("--algorithm", help=f"One of {', '.join(ALGORITHMS)}.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Take the place of a key that has this name.")]
Directories = Annotated[
    list[Path] | None, typer.Option("--directory", help="Look at this folder of a journal, such as a copy, as well.")
]
KeepOldOption = Annotated[
    bool,
    typer.Option(
        "--keep-old",
        help="Of a link's MAC key (zak), with --replace: answers under the old one are still taken for a while.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class Place(NamedTuple):
    """Where the key file and its master key are; the journal and the node, where a configuration says so; and that."""

    file: Path
    master: MasterKeyPlace
    journal: Path | None = None
    node: Node = ALONE
    config: Config | None = None


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", help="Take the places from this configuration.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="The sealed key file.")] = None,
    master_key_file: Annotated[
        Path | None, typer.Option("--master-key-file", help="File of mode 0600 that holds the master key.")
    ] = None,
    master_key_env: Annotated[
        str | None, typer.Option("--master-key-env", help="Name of the environment variable with the master key.")
    ] = None,
) -> None:
    """Make and change the sealed key file: generate, import, list and export keys.

    Which file: --config, or --file with one of --master-key-file and --master-key-env.

    Example: authswitch keys --config /etc/authswitch/switch.toml list
    """
    # Looked at when a command runs, so that its help can be had without them.
    context.obj = partial(_place, config, file, master_key_file, master_key_env)


@app.command()
def init(context: typer.Context) -> None:
    """Make an empty key file, and a master key where its file, or its token, has none yet.

    Example: authswitch keys --file keys.sealed --master-key-file master.key init
    """
    place: Place = context.obj()
    with _failing_in_words():
        if _is_there(place.file):
            raise KeyFileError(str(place.file), "", "exists already; a key file is never overwritten")
        if place.master.is_to_be_made():
            master_key = place.master.create()
            typer.echo(f"new master key: {place.master}; keep a copy where it can't get lost")
        else:
            master_key = place.master.load_to_seal()
        KeyFile.create(place.file, master_key, first_journal_keys(master_key, place.node.number)).close()
    typer.echo(f"new key file: {place.file}")


@app.command()
def generate(
    context: typer.Context,
    name: Name,
    usage: UsageOption = None,
    algorithm: AlgorithmOption = ALGORITHM_DEFAULT,
    *,
    replace: ReplaceOption = False,
    keep_old: KeepOldOption = False,
) -> None:
    """Make a new random key. A daemon that runs takes keys of links up at SIGHUP.

    Example: authswitch keys --config switch.toml generate link/bank-a/zak --replace --keep-old
    """
    usage_found = _checked(name, usage, algorithm)
    with _changing(context) as file:
        key = Key(name, usage_found, algorithm, generate_value(algorithm))
        _settle_former(file, key, replace=replace, keep_old=keep_old)
        file.put(key, replace=replace)
    _tell(key)


@app.command("import")
def import_key(
    context: typer.Context,
    name: Name,
    *,
    usage: UsageOption = None,
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", help=f"{ALGORITHM_DEFAULT} when left out; a key block says it itself."),
    ] = None,
    components: Annotated[
        int, typer.Option(min=1, max=COMPONENTS_MAX, help="How many clear components; one alone is for tests.")
    ] = 2,
    under: Annotated[
        str | None, typer.Option("--under", help="The key comes encrypted under this one, not in components.")
    ] = None,
    check: Annotated[str | None, typer.Option("--kcv", help="The key's check value, to be compared.")] = None,
    replace: ReplaceOption = False,
    keep_old: KeepOldOption = False,
) -> None:
    """Take in a key from clear components, or from its form encrypted under a TMK or ZMK, as hex or a key block.

    On a terminal each is asked for without showing it; else each is a line of standard input. Clear components are
    XORed. The length and the check value of each component are shown when it is typed, and one that cannot be is asked
    for again. Without --kcv the key's check value is shown, and has to be confirmed; without a terminal nobody can, and
    --kcv is required. A key block (ANSI X9.143, TR-31) has a MAC and needs none, and says itself which algorithm it is.

    Example: authswitch keys --config switch.toml import link/bank-a/zmk --components 3 --kcv 08D7B4
    """
    asked = algorithm or ALGORITHM_DEFAULT
    usage_found = _checked(name, usage, asked)
    needs_check = check is None
    with _changing(context) as file:
        if under is None:
            require_check(check)
            key = Key(name, usage_found, asked, combined(asked, components))
        else:
            wrapping = file.get(under)
            (wrapped,) = read_secrets(["encrypted key"], _encrypted_key)
            if isinstance(wrapped, str):
                needs_check = False
                with _asked_wrongly():
                    key = unwrap_key_block(wrapping, wrapped, name, usage_found)
                if algorithm not in (None, key.algorithm):
                    raise typer.BadParameter(f"the key block holds a key of {key.algorithm}, not {algorithm}")
            else:
                require_check(check)
                with _asked_wrongly():
                    key = Key(name, usage_found, asked, unwrap_key(wrapping, asked, wrapped))
        if check is not None:
            compare_check(key.algorithm, key.value, check)
        _settle_former(file, key, replace=replace, keep_old=keep_old)
        file.put(key, replace=replace)
        if needs_check and not typer.confirm(f"check value {key.check_value}: is it the right one?"):
            fail("nothing was changed")
    _tell(key)


@app.command("component")
def enter_component(
    context: typer.Context,
    name: Name,
    number: Annotated[int, typer.Option(min=1, max=COMPONENTS_MAX, help="Which component you have.")],
    count: Annotated[int, typer.Option("--of", min=2, max=COMPONENTS_MAX, help="How many there are.")],
    check: Annotated[str, typer.Option("--kcv", help="The check value that the whole key must have.")],
    *,
    usage: UsageOption = None,
    algorithm: AlgorithmOption = ALGORITHM_DEFAULT,
    replace: ReplaceOption = False,
) -> None:
    """Enter your component of a key, in a session of your own; others enter theirs, and the last one makes the key.

    It is asked for without showing it, or taken from a line of standard input; its own check value is shown, once.
    Until all are there they are sealed in the key file. Nobody enters two, by who logged in. The whole must have the
    check value of --kcv, else all of them are thrown away.

    Example: authswitch keys --config switch.toml component link/bank-a/zmk --number 1 --of 3 --kcv 08D7B4
    """
    whole = Whole(name, _checked(name, usage, algorithm), algorithm, count, checked_check(check))
    if number > count:
        raise typer.BadParameter(f"--number is above {count}, which --of says that there are")
    with _changing(context) as file:
        if name in file and not replace:
            raise KeyFileError(str(file.path), name, "exists already")
        (value,) = read_secrets([f"component {number}"], take_component(algorithm))
        try:
            with _asked_wrongly():
                wanting = enter(file, whole, number, system_user(), value)
        except WrongWholeError as error:
            file.save()
            fail(str(error))
        key = None if wanting else file.get(name)
    if key is not None:
        _tell(key)
    else:
        typer.echo(f"{name}: component {number} is kept; wanting: {', '.join(map(str, wanting))}")


@app.command("rotate")
def rotate_keys(
    context: typer.Context,
    terminals: Annotated[list[str] | None, typer.Argument(metavar="[TERMINAL]...", help="Such as 10000001.")] = None,
    *,
    is_all: Annotated[bool, typer.Option("--all", help="All terminals that have a tmk and no former keys.")] = False,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="With --all: so many of them, no more.")] = None,
    is_end: Annotated[bool, typer.Option("--end", help="Take all terminals' former keys out.")] = False,
) -> None:
    """Make new working keys for terminals that sign in, and keep the former ones for a while; then send SIGHUP.

    Example: authswitch keys --config switch.toml rotate --all --batch 1000
    """
    if (bool(terminals) + is_all + is_end) != 1 or (batch is not None and not is_all):
        raise typer.BadParameter("needed are terminals, or --all, with or without --batch, or --end")
    with _changing(context) as file:
        if is_end:
            told = f"{end_rotation(file):,} former keys taken out"
        else:
            with _asked_wrongly():
                told = f"terminals with new keys: {rotate(file, terminals or rotatable(file, batch)):,}"
    typer.echo(told)


@app.command("import-terminals")
def import_terminals(
    context: typer.Context,
    table: Annotated[Path, typer.Argument(metavar="CSV", help="The table of encrypted keys.")],
    *,
    replace: ReplaceOption = False,
) -> None:
    """Take in keys of many terminals, each encrypted under a TMK or ZMK that is in the file or above it in the table.

    Columns: terminal, usage, algorithm, under, key (hex, or a key block), kcv. Nothing is changed unless every line is
    right.

    Example: authswitch keys --config switch.toml import-terminals terminals-keys.csv
    """
    try:
        with _changing(context) as file:
            count = read_terminal_keys(table, file, replace=replace)
    except ConfigError as error:
        print_problems(error.problems)
        fail(f"{table}: nothing was changed")
    except OSError as error:
        fail(unreadable(error, table), EXIT_NOT_VALID)
    typer.echo(f"{count:,} keys taken in")


@app.command("list")
def list_keys(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="Only names that begin so.")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """List keys by name, with usage, algorithm and check value; never the keys themselves.

    Example: authswitch keys --config switch.toml list link/
    """
    with _opened(context) as file:
        keys = (key for key in file.keys() if key.usage != DIGESTS_USAGE)  # noqa: SIM118 - no mapping
        found = [key for key in keys if key.name.startswith(prefix)]
    if as_json:
        typer.echo(json.dumps([_described(key) for key in found]))
        return
    rows = (list(_described(key).values()) for key in found)
    plain_console(width_of_files=None).print(listing(("name", "usage", "algorithm", "kcv"), rows))


@app.command()
def export(
    context: typer.Context,
    name: Name,
    under: Annotated[str, typer.Option("--under", help="Name of the TMK or ZMK that encrypts it.")],
    *,
    form: Annotated[
        Literal["hex", "tr31"],
        typer.Option("--format", help="hex: the encrypted key alone; tr31: a key block (ANSI X9.143)."),
    ] = "hex",
    as_json: JsonOption = False,
) -> None:
    """Print a key encrypted under a TMK or ZMK, as hex or as a key block, with its check value.

    Example: authswitch keys --config switch.toml export link/bank-a/zak --under link/bank-a/zmk --format tr31
    """
    with _opened(context) as file:
        key, wrapping = file.get(name), file.get(under)
        if key.usage == JOURNAL_USAGE:
            raise typer.BadParameter("the journal's keys go to nobody else")
        if key.usage in STORE_USAGES:
            raise typer.BadParameter("the store's keys go to nobody else")
        if key.name == BINDING_KEY:
            raise typer.BadParameter("the key that terminals are bound under goes to nobody else")
        if key.usage == COMPONENT_USAGE:
            raise typer.BadParameter("a component goes to nobody")
        if key.usage == DIGESTS_USAGE:
            raise typer.BadParameter("these are digests of former keys, and no key")
        with _asked_wrongly():
            if form == "tr31":
                wrapped = wrap_key_block(wrapping, key)
            else:
                key.check_exportable()
                wrapped = wrap_key(wrapping, key.algorithm, key.value).hex().upper()
    if as_json:
        typer.echo(json.dumps(_described(key) | {"under": under, "key": wrapped}))
        return
    typer.echo(f"{wrapped}  kcv {key.check_value}")


@app.command()
def remove(context: typer.Context, name: Name, *, directories: Directories = None) -> None:
    """Take a key out of the file. One of the journal goes only where no segment needs it: see `journal`.

    That of bindings (registry/rbk) goes only where no terminal is bound under it, by the store of --config.

    Example: authswitch keys --config switch.toml remove terminal/10000001/tak
    """
    place: Place = context.obj()
    with _changing(context) as file:
        if usage_of_name(name) == JOURNAL_USAGE and name in file:
            refuse_needed(file, name, place.journal, directories or [])
        if usage_of_name(name) in STORE_USAGES and name in file:
            fail(f"{name} must stay: the store, or a backup of it, may have rows that nothing else opens")
        file.remove(name)
    typer.echo(f"{name}: removed")


@app.command("journal")
def journal_keys_used(context: typer.Context, *, directories: Directories = None, as_json: JsonOption = False) -> None:
    """List the journal's keys: which one new segments are sealed under, and how many segments need each of them.

    Looked at are the journal of --config, what `partitions change` has left beside it, and each --directory.

    Example: authswitch keys --config switch.toml journal
    """
    place: Place = context.obj()
    with _opened(context) as file:
        rows = rows_of(file, place.journal, directories or [])
    if as_json:
        typer.echo(json.dumps([row.as_json() for row in rows]))
        return
    headings = ("name", "id", "segments", "begun", "needed")
    plain_console(width_of_files=None).print(listing(headings, (row.cells() for row in rows)))


@app.command("change-master-key")
def change_master_key(
    context: typer.Context,
    new_file: Annotated[
        Path | None,
        typer.Option("--new-master-key-file", help="Where the new one is written; one that is there is taken."),
    ] = None,
    new_config: Annotated[
        Path | None,
        typer.Option("--new-config", help="The configuration that says where the new one is, such as in a token."),
    ] = None,
) -> None:
    """Seal the key file under a new master key. The old one opens it no longer; the journal can be read all the same.

    The journal gets a new key, too, for segments to come; the key file keeps the former ones. A daemon may run
    meanwhile. After an interruption the same command goes on.

    Example: authswitch keys --config switch.toml change-master-key --new-master-key-file /etc/authswitch/master-2.key
    """
    place: Place = context.obj()
    new_place = _new_master_key_place(place, new_file, new_config)
    with _failing_in_words():
        new = None if new_place.is_to_be_made() else new_place.load_to_seal()
        if new is not None and _opens(place.file, new):
            typer.echo(f"{place.file} is sealed under the master key in {new_place} already; {NAME_IT}")
            return
        with KeyFile.open(place.file, place.master.load()) as file:
            renewed = renew_journal_key(file, *place.node)
            file.save(new_place.create() if new is None else new)
    typer.echo(f"sealed under the master key in {new_place}; {NAME_IT}")
    typer.echo(
        f"from then on the journal's new segments are sealed under {renewed.name}; `keys journal` lists the others"
    )


NAME_IT = "name it in the configuration before the next start of a daemon"


def _new_master_key_place(place: Place, file: Path | None, config: Path | None) -> MasterKeyPlace:
    """Where the new master key is, by the options of the command."""
    if (file is None) == (config is None):
        raise typer.BadParameter("needed is exactly one of --new-master-key-file and --new-config")
    if file is not None:
        return FilePlace(file)
    new = _place(config, None, None, None)
    if new.file != place.file:
        raise typer.BadParameter(f"{config} names another key file: {new.file}")
    return new.master


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as error:
        return fail(words_of(error))


def _opens(file: Path, master_key: MasterKey) -> bool:
    """Whether a key file is sealed under a master key."""
    try:
        KeyFile.open(file, master_key).close()
    except UnreadableError:
        raise
    except KeyFileError:
        return False
    return True


def _place(config: Path | None, file: Path | None, master_key_file: Path | None, master_key_env: str | None) -> Place:
    """Where the key file and its master key are, by the options of the command."""
    if config is None:
        if file is None or (master_key_file is None) == (master_key_env is None):
            raise typer.BadParameter(
                "needed are --config, or --file with exactly one of --master-key-file and --master-key-env"
            )
        return Place(file, GivenPlace(master_key_env) if master_key_file is None else FilePlace(master_key_file))
    if file is not None or master_key_file is not None or master_key_env is not None:
        raise typer.BadParameter("--config already says where the key file and the master key are")
    try:
        loaded = load_config(config)
    except ConfigError as error:
        raise typer.BadParameter(f"{config} is no valid configuration; `authswitch check` says why") from error
    keys = loaded.keys
    if keys is None:
        raise typer.BadParameter(f"{config} has no [keys]")
    return Place(keys.file, master_key_place(keys), loaded.journal.directory, loaded.node, loaded)


def _checked(name: str, usage: str | None, algorithm: str) -> Usage:
    """The usage of a new key, once its name, usage and algorithm are known to be such and to agree."""
    named = usage_of_name(name)
    with _asked_wrongly():
        check_name(name)
        check_algorithm(algorithm)
        found = named if usage is None else check_usage(usage)
    if found is None:
        raise typer.BadParameter(f"needed is --usage: {name} does not end in one of {', '.join(USAGES)}")
    if named not in (None, found):
        raise typer.BadParameter(f"the name {name} ends in another usage than {found}")
    if found == JOURNAL_USAGE:
        raise typer.BadParameter("the journal's keys are made by change-master-key alone")
    if found == COMPONENT_USAGE:
        raise typer.BadParameter("components are entered by `keys component` alone")
    if found == DIGESTS_USAGE:
        raise typer.BadParameter("digests of a link's former keys are written by the daemon alone")
    if found in STORE_USAGES:
        raise typer.BadParameter("the store's keys are made by `authswitch store renew-key` alone")
    return found


def _encrypted_key(what: str, line: str) -> str | bytes:
    """An encrypted key as it was typed: a key block as text, all else as bytes."""
    typed = line.strip()
    return typed if is_key_block(typed) else from_hex(what, typed)


def _settle_former(file: KeyFile, key: Key, *, replace: bool, keep_old: bool) -> None:
    """What becomes of a key that another one replaces: it is kept as the former one, or goes with the one before it."""
    former = former_name(key.name)
    if keep_old:
        if key.usage != "zak" or not replace:
            raise typer.BadParameter("--keep-old goes with --replace, of a link's MAC key (zak)")
        with _asked_wrongly():
            file.put(dataclasses.replace(file.get(key.name), name=former), replace=True)
    elif replace and former in file:
        file.remove(former)


@contextmanager
def _opened(context: typer.Context) -> Iterator[KeyFile]:
    place: Place = context.obj()
    with _failing_in_words(), KeyFile.open(place.file, place.master.load()) as file:
        yield file


@contextmanager
def _changing(context: typer.Context) -> Iterator[KeyFile]:
    """The key file, saved at the end unless something fails."""
    place: Place = context.obj()
    with _opened(context) as file:
        bound_under = binding_key_in(file)
        yield file
        if bound_under is not None and bound_under != (key := binding_key_in(file)):
            refuse_unfit(place.config, key)
        file.save()


@contextmanager
def _failing_in_words() -> Iterator[None]:
    try:
        yield
    except KeyFileError as error:
        fail(str(error), status_of(error))


@contextmanager
def _asked_wrongly() -> Iterator[None]:
    """What is wrong with an argument is a wrong question."""
    try:
        yield
    except KeyFileError:
        raise
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _described(key: Key) -> dict[str, str]:
    return {"name": key.name, "usage": key.usage, "algorithm": key.algorithm, "kcv": key.check_value}


def _tell(key: Key) -> None:
    typer.echo(f"{key.name}: {key.usage}, {key.algorithm}, kcv {key.check_value}")
