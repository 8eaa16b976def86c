"""Keys of many terminals from a table: a CSV file of encrypted keys, as a key injection facility hands it over."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from switch.files.problems import ProblemList, raise_if_any
from switch.keys.file import KeyFile
from switch.keys.key import Key, check_value
from switch.keys.key_block import is_key_block, unwrap_key_block
from switch.keys.names import check_algorithm, check_usage
from switch.keys.wrapping import unwrap_key

LINE_CHARACTERS_MAX = 4_096
COLUMNS = ("terminal", "usage", "algorithm", "under", "key", "kcv")
CHECK_VALUE_DIGITS = (6, 8, 10, 16)
"""How long a check value may be; block-by-block encryption has no other guard against a wrong master key."""


def read_terminal_keys(table: Path, file: KeyFile, *, replace: bool = False) -> int:
    """Put the keys of a table into a key file, which is not saved.

    The columns are ``COLUMNS``, named in the first line. A key is called ``terminal/<terminal>/<usage>`` and comes in
    hex, encrypted under the key ``under``, which is in the file or stands above it in the table. It may be a key block,
    and needs no check value then.

    Returns:
        How many keys there were.

    Raises:
        ConfigError: Every line that can't be used, and why; no key material is in the words.
        OSError: The table cannot be read.
    """
    problems = ProblemList(str(table))
    count = 0
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.reader(_lines(stream), strict=True)
        try:
            heading = next(rows, [])
            if tuple(heading) != COLUMNS:
                problems.add("line 1", f"needed are the columns {','.join(COLUMNS)}")
                rows = csv.reader(())
            for row in rows:
                if not row:
                    continue
                try:
                    file.put(_key_of(row, file), replace=replace)
                    count += 1
                except ValueError as error:
                    problems.add(f"line {rows.line_num}", str(error))
        except csv.Error as error:
            problems.add(f"line {max(rows.line_num, 1)}", str(error))
    raise_if_any(problems)
    return count


def _lines(stream: TextIO) -> Iterator[str]:
    """The lines of a table, which may come from a pipe or, by mistake, from a device without end."""
    while line := stream.readline(LINE_CHARACTERS_MAX + 1):
        if len(line) > LINE_CHARACTERS_MAX:
            raise csv.Error(f"is longer than {LINE_CHARACTERS_MAX:,} characters")
        yield line


def _key_of(row: Sequence[str], file: KeyFile) -> Key:
    """The key of one line."""
    if len(row) != len(COLUMNS):
        raise ValueError(f"has {len(row)} cells; needed are {len(COLUMNS)}")
    terminal, usage, algorithm, under, wrapped, check = (cell.strip() for cell in row)
    name = f"terminal/{terminal}/{usage}"
    if is_key_block(wrapped):
        key = unwrap_key_block(file.get(under), wrapped, name, check_usage(usage))
        check_algorithm(algorithm)
        if key.algorithm != algorithm:
            raise ValueError(f"algorithm: the key block holds a key of {key.algorithm}, not {algorithm}")
        if check:
            _compare_check_value(key.algorithm, key.value, check, under)
        return key
    try:
        encrypted = bytes.fromhex(wrapped)
    except ValueError:
        raise ValueError("key: is not written in pairs of hex digits, and no key block") from None
    value = unwrap_key(file.get(under), algorithm, encrypted)
    _compare_check_value(algorithm, value, check, under)
    return Key(name, check_usage(usage), algorithm, value)


def _compare_check_value(algorithm: str, value: bytes, check: str, under: str) -> None:
    if len(check) not in CHECK_VALUE_DIGITS:
        raise ValueError(f"kcv: needed are {', '.join(map(str, CHECK_VALUE_DIGITS))} hex digits, not {len(check)}")
    found = check_value(algorithm, value, len(check) // 2)
    if found != check.upper():
        raise ValueError(f"kcv: the key's is {found}; damaged, or not under {under}")
