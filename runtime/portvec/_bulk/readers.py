"""Reading files of texts: .txt, .jsonl and .csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from portvec.errors import FileError, OptionError

# Files of texts are UTF-8, with or without a byte order mark. Other bytes become surrogates, so that an error
# can tell where they are.
ENCODING: Final = "utf-8-sig"
ERRORS: Final = "surrogateescape"
_DEFAULT_FIELD = "text"


def read_texts(path: Path, field: str | None = None) -> Iterator[str]:
    """Yield the texts of a file one by one.

    A .jsonl file gives the field `field` ("text" by default) of the object on each line, or the line itself
    if it is a string. A .csv file gives the column of that name. Any other file gives its lines, without the
    blank ones.

    Raises:
        OptionError: the file has no fields, but `field` is given.
        FileError: the file cannot be read, is not UTF-8, or a line lacks the field.
    """
    reader = {".jsonl": _jsonl, ".csv": _csv}.get(path.suffix.lower())
    if reader is None and field is not None:
        raise OptionError(f"{path}: a field is for .jsonl and .csv files; leave out field={field!r}")
    newline = "" if reader is _csv else None
    try:
        with path.open(encoding=ENCODING, errors=ERRORS, newline=newline) as file:
            if reader is None:
                yield from read_lines(file, str(path))
            else:
                yield from reader(_check_utf8(file, str(path)), str(path), field or _DEFAULT_FIELD)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_lines(file: IO[str], name: str) -> Iterator[str]:
    """Yield the lines of a text file that are not blank, without their line ends.

    The file is open with `ENCODING` and `ERRORS`. Messages call it `name`.

    Raises:
        FileError: the file is not UTF-8.
    """
    return (text for line in _check_utf8(file, name) if (text := line.rstrip("\r\n")).strip())


def _check_utf8(file: IO[str], name: str) -> Iterator[str]:
    """Yield the lines of a file with their ends, if they are UTF-8."""
    for number, line in enumerate(file, 1):
        column = _find_surrogate(line)
        if column is not None:
            byte = ord(line[column]) - 0xDC00
            raise FileError(
                f"{name}, line {number}: not UTF-8 (byte 0x{byte:02X} at column {column + 1}); "
                "convert it to UTF-8"
            )
        yield line


def _find_surrogate(text: str) -> int | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _jsonl(lines: Iterable[str], name: str, field: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{name}, line {number}: not valid JSON ({error})") from error
        text = value.get(field) if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise FileError(
                f"{name}, line {number}: expected a string or an object with a string {field!r}, "
                f"got {line.strip()[:60]}; give another field=..."
            )
        position = _find_surrogate(text)  # JSON can write one as \ud800
        if position is not None:
            raise FileError(
                f"{name}, line {number}: the text holds the lone surrogate U+{ord(text[position]):04X} at "
                f"character {position}, which is not text; correct the line, or leave it out"
            )
        yield text


def _csv(lines: Iterable[str], name: str, field: str) -> Iterator[str]:
    rows = csv.DictReader(lines)
    try:
        columns = rows.fieldnames or []
        if field not in columns:
            raise FileError(
                f"{name}: no column {field!r}, has {', '.join(columns) or 'none'}; give another field=..."
            )
        for row in rows:
            if row[field] is None:
                raise FileError(f"{name}, line {rows.line_num}: the row has no column {field!r}")
            yield row[field]
    except csv.Error as error:
        raise FileError(
            f"{name}, line {rows.reader.line_num}: not valid CSV ({error}); convert the file to .jsonl"
        ) from error
